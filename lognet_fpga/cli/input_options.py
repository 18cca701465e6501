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
        "How frames become the model's input.  Pictures are resized, cropped and put into the\n"
        "model's channel order; then model input = ((number - Z) * S - mean) / std, with pixels\n"
        "from 0 to 255 or signed numbers from -128 to 127.  Z, S, mean and std are one value each,\n"
        "or one per channel in the model's order; write --input-mean=-1,2 if the first is negative.\n"
        "Leave out what the model does itself.  Float features are rounded to 8 bits on the host,\n"
        "with S and Z chosen from the calibration frames.  The bundle remembers all of this:\n"
        "lognet-stream needs none of these options.",
    )
    inputs.add_argument(
        "--input-preset",
        choices=("imagenet", "caffe"),
        help="imagenet: 1/255, torchvision's mean and std, resize and crop in the ratio 256 to 224; caffe: BGR, mean "
        "104,117,123; the options below override single parts of a preset",
    )
    inputs.add_argument(
        "--input-dtype",
        choices=("uint8", "int8", "float32"),
        help="what the frames' numbers are (default: int8 for arrays of int8, uint8 if all are whole numbers from 0 to "
        "255, else float32)",
    )
    inputs.add_argument(
        "--input-scale",
        type=options.number_or_numbers,
        metavar="S",
        help="for example 1/255 (default: 1; chosen for float32 features)",
    )
    inputs.add_argument(
        "--input-zero-point",
        type=options.whole_or_wholes,
        metavar="Z",
        help="the number that stands for 0, as in quantized models (default: 0; chosen for float32 features)",
    )
    inputs.add_argument(
        "--input-mean",
        type=options.numbers_or_array,
        metavar="A,B,C",
        help="for example 0.485,0.456,0.406; or a mean image (.npy), reduced to each channel's mean (default: 0)",
    )
    inputs.add_argument(
        "--input-std", type=options.numbers, metavar="A,B,C", help="for example 0.229,0.224,0.225 (default: 1)"
    )
    inputs.add_argument(
        "--channel-order",
        choices=("rgb", "bgr"),
        help="the order that the model expects; the frames themselves are RGB either way (default: rgb)",
    )
    inputs.add_argument(
        "--resize",
        type=options.sizes,
        metavar="SIZE",
        help="S: make the shorter side S, keep the aspect ratio and crop the centre; H,W: make it exactly that",
    )
    inputs.add_argument(
        "--crop",
        action="store_true",
        help="crop larger frames to the model's size, around their centre, after any --resize",
    )
    inputs.add_argument(
        "--interpolation",
        choices=("bilinear", "nearest", "bicubic"),
        help="filter of --resize, as in Pillow; bilinear and bicubic are antialiased (default: bilinear)",
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
        "dtype": arguments.input_dtype,
        "scale": arguments.input_scale,
        "zero_point": arguments.input_zero_point,
        "mean": mean,
        "std": arguments.input_std,
        "channel_order": arguments.channel_order,
        "resize": arguments.resize,
        "crop": arguments.crop or len(arguments.resize or ()) == 1 or None,
        "interpolation": arguments.interpolation,
    }
    base = PRESETS[arguments.input_preset] if arguments.input_preset else Preprocessing()
    return replace(base, **{name: value for name, value in given.items() if value is not None}), mean_image
