"""Pictures to frames of the model's size, by Pillow: reading, conversion, resize, centre crop."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.errors import InputError, MissingToolError
from lognet_fpga.preprocessing import Preprocessing

if TYPE_CHECKING:
    from PIL import Image

RESIZE_HINT = (
    "give lognet-deploy --resize S (shorter side S, then the centre cut out), --resize H,W or --crop, as the model was "
    "trained; the bundle keeps it for every other command"
)
MAX_RESIZED_PIXELS = 1 << 26  # of one picture; what a very long and narrow one could become is far more


def read_images(files: list[Path], shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    """The images as frames, (n, *shape) uint8, in RGB or grey; shape: (channels, height, width), 1 or 3 channels.

    Each is turned upright as its EXIF data say, converted (grey to colour, colour to grey as Pillow's L, palettes
    to their colours, transparency dropped), then resized and cropped.  preprocessing must be settled for shape.
    Raises InputError for what is not an image of 8 bits a channel that gets that shape, MissingToolError
    without pillow.
    """
    pillow, image_ops = _pillow("image files are read")
    check_channels("image files", shape)
    channels = shape[0]
    frames = np.empty((len(files), *shape), np.uint8)
    for index, path in enumerate(files):
        try:
            with pillow.open(path) as image:
                if image.mode[0] in "IF":
                    raise InputError(f"{path} has more than 8 bits a pixel", hint="give images of 8 bits a channel")
                picture = image_ops.exif_transpose(image).convert("L" if channels == 1 else "RGB")
        except (OSError, SyntaxError, ValueError, struct.error, pillow.DecompressionBombError) as error:
            raise InputError(
                f"{path} is not a whole PNG or JPEG image: {' '.join(str(error).split())}",
                hint="write it again, or take it out of the folder",
            ) from error
        frames[index] = _frame(picture, str(path), shape, preprocessing)
    return frames


def frame_of(pixels: np.ndarray, where: str, shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    """pixels, (height, width, 3) uint8 in RGB, as a frame of that shape, as read_images makes it of a file.

    where: names the picture in errors.  Raises as read_images.
    """
    pillow, _ = _pillow("pictures are resized")
    check_channels("pictures", shape)
    return _frame(pillow.fromarray(pixels).convert("L" if shape[0] == 1 else "RGB"), where, shape, preprocessing)


def check_channels(what: str, shape: tuple[int, int, int]) -> None:
    """Raise InputError where the model takes other than grey or colour pictures.  what: those that are given."""
    if shape[0] not in (1, 3):
        raise InputError(
            f"{what} have 1 or 3 channels, but the model takes {shape[0]}", hint="give the frames as an .npz file"
        )


def _frame(picture: Image.Image, where: str, shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    channels, height, width = shape
    pixels = np.asarray(_fit(picture, where, (height, width), preprocessing))
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def fit_arrays(where: str, frames: np.ndarray, shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    """frames, (n, channels, h, w) uint8 of one size, as (n, *shape); those of that shape already are left alone.

    where: names the frames in errors.  Raises InputError where they do not get that shape.
    """
    if frames.shape[1:] == shape:
        return frames
    pillow, _ = _pillow("frames are resized")
    out = np.empty((len(frames), *shape), np.uint8)
    for index, frame in enumerate(frames):
        for channel, plane in enumerate(frame):  # Pillow filters every channel by itself, so this is the same
            picture = pillow.fromarray(plane)
            out[index, channel] = np.asarray(_fit(picture, f"{where}, frame {index}", shape[1:], preprocessing))
    return out


def _fit(picture: Image.Image, where: str, size: tuple[int, int], preprocessing: Preprocessing) -> Image.Image:
    """picture resized and cropped to size, (height, width)."""
    from PIL import Image

    given = picture.height, picture.width
    height, width = preprocessing.resized(*given)
    if height * width > MAX_RESIZED_PIXELS:
        raise InputError(
            f"{where} is {_words(given)}; resized it would be {_words((height, width))}, more than can be handled",
            hint="take it out, or cut it",
        )
    larger = height >= size[0] and width >= size[1]
    if (height, width) != size and not (preprocessing.crop and larger):
        resized = f", {_words((height, width))} after resizing" if preprocessing.resize else ""
        hint = RESIZE_HINT
        if preprocessing.resize:
            hint = "add --crop to lognet-deploy" if larger else "give lognet-deploy a larger --resize, or --resize H,W"
        raise InputError(f"{where} is {_words(given)}{resized}, but the model takes {_words(size)}", hint=hint)
    if (height, width) != given:
        picture = picture.resize((width, height), Image.Resampling[preprocessing.interpolation.upper()])
    if (height, width) != size:
        # Halves round to the even number, as in torchvision's CenterCrop.
        top, left = round((height - size[0]) / 2), round((width - size[1]) / 2)
        picture = picture.crop((left, top, left + size[1], top + size[0]))
    return picture


def _words(size: tuple[int, int]) -> str:
    return f"{size[1]} wide and {size[0]} high"


def _pillow(purpose: str):
    """The modules Image and ImageOps of Pillow."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingToolError(
            f"pillow is not installed, and {purpose} with it",
            hint="pip install pillow, or give the frames as an .npz file of the model's size",
        ) from error
    return Image, ImageOps
