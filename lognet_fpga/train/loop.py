"""Training: batches, loss, pruning, checkpoints."""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lognet_fpga.errors import InputError, OutputError, UsageError
from lognet_fpga.machine.output_file import new_file
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.train.augment import augment
from lognet_fpga.train.config import RetrainConfig
from lognet_fpga.train.network import LogNetwork

_MOMENTUM, _DECAY, _SMOOTHING = 0.9, 5e-4, 0.05
_PRUNED_BY = 0.6  # share of the epochs after which all pruning is done
_PRUNE_EVERY = 20  # steps
_EVAL_BATCH = 500


@dataclass(frozen=True)
class Epoch:
    """One line of the history.  accuracy: top-1 of the quantized network on the frames it is judged on, 0..1, None
    without labels; zeros: share of zeros among the codes."""

    number: int
    loss: float
    accuracy: float | None
    zeros: float


@dataclass(frozen=True, eq=False)
class Lesson:
    """frames: (n, channels, h, w) uint8; labels: (n,) int64 or None.  teacher: scores of the float model for a batch of
    frames, None where nothing is learned from it.  judged, judged_labels: as frames, for the history.  scores: from
    what the network gives, (batch, values), to a score for each class, (batch, classes)."""

    frames: torch.Tensor
    labels: torch.Tensor | None
    teacher: Callable[[torch.Tensor], torch.Tensor] | None
    judged: torch.Tensor
    judged_labels: torch.Tensor | None
    scores: Callable[[torch.Tensor], torch.Tensor] = torch.nn.Identity()


def train(
    network: LogNetwork, lesson: Lesson, config: RetrainConfig, checkpoint: Path, progress: Progress = NoProgress()
) -> list[Epoch]:
    """All epochs that the checkpoint has not seen; writes it after each.  The network is left in its last state.

    Raises InputError where training diverges, UsageError for a checkpoint of another run, OutputError.
    """
    run = _Run(network, lesson, config)
    history = run.restore(checkpoint)
    with progress.stage("retrain") as stage:
        for number in range(len(history) + 1, run.epochs + 1):

            def tell(done: int, total: int, number: int = number) -> None:
                stage.update(done, total, f"epoch {number}")

            loss = run.epoch(number, tell)
            epoch = Epoch(number, loss, run.accuracy(), network.weight_zeros)
            history.append(epoch)
            stage.note(_line(epoch, run.epochs))
            run.save(checkpoint, history)
    return history


def _line(epoch: Epoch, epochs: int) -> str:
    accuracy = "" if epoch.accuracy is None else f"top-1 {epoch.accuracy:.2%}, "
    return f"epoch {epoch.number} of {epochs}: loss {epoch.loss:.4f}, {accuracy}{epoch.zeros:.1%} zeros"


class _Run:
    def __init__(self, network: LogNetwork, lesson: Lesson, config: RetrainConfig) -> None:
        self._network, self._lesson, self._config = network, lesson, config
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.ndim == 4:
                tensor.data = tensor.data.to(memory_format=torch.channels_last)
        self._steps = max(1, len(lesson.frames) // config.batch)
        self.epochs = config.epochs + config.last_epochs
        self._rng = torch.Generator().manual_seed(config.seed)
        host = [p for p in network.tail.parameters() if p.ndim > 1]
        decayed = {id(parameter) for parameter in host}
        rest = [p for p in network.parameters() if id(p) not in decayed]
        momentum = _MOMENTUM if config.method == "ste" else 0.0
        self._optimizer = torch.optim.SGD(
            [{"params": host, "weight_decay": _DECAY}, {"params": rest, "weight_decay": 0.0}],
            lr=config.learning_rate,
            momentum=momentum,
            nesterov=bool(momentum),
        )
        self._first_zeros = [float((layer.mask == 0).float().mean()) for layer in network.convs]

    def epoch(self, number: int, tell: Callable[[int, int], None]) -> float:
        """Mean loss of one pass over the frames."""
        network, lesson, config = self._network, self._lesson, self._config
        if number > config.epochs:
            last = {id(parameter) for parameter in network.tail.last_weights}
            for parameter in network.parameters():
                parameter.requires_grad_(id(parameter) in last)
        network.train()
        order, total = torch.randperm(len(lesson.frames), generator=self._rng), 0.0
        for step in range(self._steps):
            done = number - 1 + step / self._steps
            if number <= config.epochs and step % _PRUNE_EVERY == 0:
                self._prune(min(1.0, done / (_PRUNED_BY * config.epochs)))
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate(done)
            pick = order[step * config.batch : (step + 1) * config.batch]
            loss = self._loss(pick)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            self._optimizer.step()
            total += loss.item()
            tell(step + 1, self._steps)
        if number == config.epochs:
            self._prune(1.0)
        if not np.isfinite(total):
            raise InputError(
                f"the loss of epoch {number} is not a number: training has diverged",
                hint=f"give a smaller --rate than {config.learning_rate:g}",
            )
        return total / self._steps

    def accuracy(self) -> float | None:
        """Top-1 of the network as it is now on the judged frames."""
        lesson, device = self._lesson, self._network.out_scale.device
        if lesson.judged_labels is None:
            return None
        self._network.eval()
        right = 0
        with torch.no_grad():
            for start in range(0, len(lesson.judged), _EVAL_BATCH):
                batch = lesson.judged[start : start + _EVAL_BATCH].float().to(device)
                scores = lesson.scores(self._network(batch))
                right += int((scores.argmax(1).cpu() == lesson.judged_labels[start : start + _EVAL_BATCH]).sum())
        return right / len(lesson.judged)

    def _rate(self, done: float) -> float:
        """Learning rate after so many epochs: as printed constant, else falling along a cosine."""
        config = self._config
        if config.method == "paper" or done >= config.epochs:
            return config.learning_rate
        warm = min(1.0, (done * self._steps + 1) / 100)
        return config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * done / config.epochs))

    def _loss(self, pick: torch.Tensor) -> torch.Tensor:
        lesson, config, device = self._lesson, self._config, self._network.out_scale.device
        frames = augment(lesson.frames[pick], config.flip, config.shift, self._rng).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            values = self._network(frames.contiguous(memory_format=torch.channels_last)).float()
        scores = lesson.scores(values)
        labels, teacher = lesson.labels, lesson.teacher
        share = 1.0 if labels is None else config.distill or 0.0
        loss = scores.new_zeros(())
        if labels is not None and share < 1:
            smoothing = _SMOOTHING if config.method == "ste" else 0.0
            loss = loss + (1 - share) * F.cross_entropy(scores, labels[pick].to(device), label_smoothing=smoothing)
        if share > 0:
            if teacher is None:
                raise ValueError("what has no labels, or is distilled, needs a teacher")
            with torch.no_grad():
                wanted = F.log_softmax(teacher(frames), dim=1)
            answer = F.log_softmax(scores, dim=1)
            loss = loss + share * F.kl_div(answer, wanted, log_target=True, reduction="batchmean")
        return loss

    def _prune(self, done: float) -> None:
        """Set the least weights to zero: as many as a cubic schedule says (Zhu and Gupta, 2017), or all below gamma."""
        config = self._config
        for layer, first in zip(self._network.convs, self._first_zeros):
            importance = layer.importance
            if config.gamma:
                kept = importance[importance > 0]
                threshold = config.gamma * float(kept.square().mean().sqrt())
            elif config.sparsity > first:
                share = first + (config.sparsity - first) * (1 - (1 - done) ** 3)
                count = int(round(share * importance.numel()))
                threshold = float(importance.flatten().kthvalue(count).values) if count else -1.0
            else:
                continue
            layer.prune(importance > threshold)

    def save(self, path: Path, history: list[Epoch]) -> None:
        state = {
            "settings": self._config.settings(),
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rng": self._rng.get_state(),
            "first_zeros": self._first_zeros,
            "history": [(e.number, e.loss, e.accuracy, e.zeros) for e in history],
        }
        try:
            with new_file(path) as scratch, scratch.open("wb") as file:  # torch refuses names that begin with a dot
                torch.save(state, file)
        except RuntimeError as error:  # torch's word for a full disk
            raise OutputError(
                f"the checkpoint {path} cannot be written: {error}", hint="choose another --out"
            ) from error

    def restore(self, path: Path) -> list[Epoch]:
        """Go on from a checkpoint; its history, empty where there is none."""
        if not path.exists():
            return []
        try:
            state = torch.load(path, weights_only=True, map_location=self._network.out_scale.device)
            other = [name for name, value in self._config.settings().items() if state["settings"].get(name) != value]
            if other:
                raise UsageError(
                    f"{path} is the checkpoint of a run with another {', '.join(other)}",
                    hint="delete it to start over, or choose another --out",
                )
            self._network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._rng.set_state(state["rng"].cpu())
            self._first_zeros = state["first_zeros"]
            return [Epoch(*row) for row in state["history"]]
        except (
            OSError,
            RuntimeError,
            KeyError,
            ValueError,
            EOFError,
            zipfile.BadZipFile,
            pickle.UnpicklingError,
        ) as error:
            raise InputError(
                f"{path} is not a whole checkpoint: {' '.join(str(error).split())[:200]}",
                hint="delete it to start anew",
            ) from error
