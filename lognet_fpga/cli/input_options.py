"""The options that say how a picture becomes a model's input."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lognet_fpga.cli import options

if TYPE_CHECKING:
    from lognet_fpga.ir.preprocessing import MeanImage, Preprocessing


def add_input(parser: argparse.ArgumentParser) -> None:
    """The group of options that `preprocessing_of` reads, and --input-shape."""
    inputs = parser.add_argument_group(
        "input",
        "pictures are resized, cropped and put in the model's channel order; then\n"
        "model input = (pixel * S - mean) / std, pixels being 0..255; one value for all\n"
        "channels or one a channel, in the model's order; write --input-mean=-1,2 where the\n"
        "first value is negative.  Leave S, mean and std out where the model itself scales\n"
        "its input.  The bundle keeps all of it, so that lognet-stream needs none.",
    )
    inputs.add_argument(
        "--input-preset",
        choices=("imagenet", "caffe"),
        help="imagenet: 1/255, torchvision's mean and std, resize and crop as 256 to 224; caffe: BGR, mean "
        "104,117,123; the other options change single parts of it",
    )
    inputs.add_argument("--input-scale", type=options.number, metavar="S", help="for example 1/255 (default: 1)")
    inputs.add_argument(
        "--input-mean",
        type=options.numbers_or_array,
        metavar="A,B,C",
        help="for example 0.485,0.456,0.406; or a mean image, .npy, each channel's mean of which is taken (default: 0)",
    )
    inputs.add_argument(
        "--input-std", type=options.numbers, metavar="A,B,C", help="for example 0.229,0.224,0.225 (default: 1)"
    )
    inputs.add_argument(
        "--channel-order",
        choices=("rgb", "bgr"),
        help="of the model's input; frames are given as RGB either way (default: rgb)",
    )
    inputs.add_argument(
        "--resize",
        type=options.sizes,
        metavar="SIZE",
        help="S: shorter side S, the ratio kept and the centre cropped to the model's size; H,W: exactly that",
    )
    inputs.add_argument(
        "--crop",
        action="store_true",
        help="cut the model's size out of the centre of larger frames, after any --resize",
    )
    inputs.add_argument(
        "--interpolation",
        choices=("bilinear", "nearest", "bicubic"),
        help="how --resize does it, as Pillow: the first and the last are antialiased (default: bilinear)",
    )
    options.add_input_shape(inputs)


def preprocessing_of(arguments: argparse.Namespace) -> tuple[Preprocessing, MeanImage | None]:
    """The preset, or none, with the parts that options of their own give."""
    from lognet_fpga.ir.preprocessing import PRESETS, MeanImage, Preprocessing

    mean, mean_image = arguments.input_mean, None
    if isinstance(mean, Path):
        mean_image = MeanImage.read(mean)
        mean = mean_image.mean
    given = {
        "scale": arguments.input_scale,
        "mean": mean,
        "std": arguments.input_std,
        "channel_order": arguments.channel_order,
        "resize": arguments.resize,
        "crop": arguments.crop or len(arguments.resize or ()) == 1 or None,
        "interpolation": arguments.interpolation,
    }
    base = PRESETS[arguments.input_preset] if arguments.input_preset else Preprocessing()
    return replace(base, **{name: value for name, value in given.items() if value is not None}), mean_image
