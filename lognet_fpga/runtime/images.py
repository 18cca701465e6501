"""Pictures to frames of the model's size, by Pillow: reading, conversion, resize, centre crop."""

from __future__ import annotations

import functools
import io
import logging
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.errors import InputError, LogNetError, MissingToolError
from lognet_fpga.ir.preprocessing import Preprocessing

if TYPE_CHECKING:
    from PIL import Image

RESIZE_HINT = (
    "give lognet-deploy --resize S (shorter side S, then the centre cut out), --resize H,W or --crop, as the model was "
    "trained; the bundle keeps it for every other command"
)
MAX_PIXELS = 1 << 25  # of one picture, as it is decoded and as it is resized: 128 MiB in Pillow, of a PYNQ-Z2's 512
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")  # Pillow's names; it knows others that run programs
# Pillow's modes of at most 8 bits a channel that it makes grey and colour of.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_BITS_PER_SAMPLE = 258  # a TIFF tag
_ORIENTATION = 0x0112  # an EXIF tag
# A JPEG of more pixels is decoded at 1/2, 1/4 or 1/8 of its size, by libjpeg, but to no less than so many times what it
# is resized to: then a pixel is off by a level or two at most.
_JPEG_SPARE = 4


def read_images(files: list[Path], shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    """The images as frames, (n, *shape) uint8, in RGB or grey; shape: (channels, height, width), 1 or 3 channels.

    Each is turned upright as its EXIF data say, converted (grey to colour, colour to grey as Pillow's L, palettes
    to their colours, transparency dropped), then resized and cropped.  preprocessing must be settled for shape.
    Raises InputError for what is not one image of 8 bits a channel and MAX_PIXELS that gets that shape,
    MissingToolError without pillow.
    """
    return _read([(path, str(path)) for path in files], shape, preprocessing)


def read_pictures(contents: list[bytes], shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    """As read_images, of what would be in the files."""
    return _read([(content, f"picture {index}") for index, content in enumerate(contents)], shape, preprocessing)


def _read(
    files: list[tuple[Path | bytes, str]], shape: tuple[int, int, int], preprocessing: Preprocessing
) -> np.ndarray:
    """files: each with what it is called in errors."""
    pillow = _pillow("image files are read")
    check_pictures("image files", shape, preprocessing)
    frames = np.empty((len(files), *shape), np.uint8)
    for index, (file, where) in enumerate(files):
        try:
            with pillow.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=_FORMATS) as image:
                picture, size = _decoded(image, file, where, shape, preprocessing)
        except LogNetError:
            raise
        except MemoryError as error:
            raise InputError(f"{where} is larger than the memory", hint="make it smaller") from error
        except Exception as error:  # of Pillow and its decoders, which have no common base
            raise InputError(
                f"{where} is not a whole image that can be read: {' '.join(str(error).split())[:200]}",
                hint="write it again, as PNG or JPEG, or leave it out",
            ) from error
        frames[index] = _frame(picture, where, shape, preprocessing, size)
    return frames


def _decoded(
    image: Image.Image, file: Path | bytes, where: str, shape: tuple[int, int, int], preprocessing: Preprocessing
) -> tuple[Image.Image, tuple[int, int]]:
    """(the picture of an opened file, upright, grey or RGB; the (height, width) that it has in the file)."""
    if image.mode not in _MODES or _bits_a_channel(image, file) > 8:
        raise InputError(
            f"{where} has more than 8 bits a channel, or channels that are no colours ({image.mode})",
            hint="convert it to 8 bits a channel as for the model's training (its values may reach less far than its "
            "bits), or give the frames as an .npz file",
        )
    if image.format != "MPO" and getattr(image, "is_animated", False):  # of an MPO the first is the photo itself
        raise InputError(
            f"{where} has several pictures, not one",
            hint="write each into a file of its own, or give a video file to lognet-stream",
        )
    size = image.height, image.width
    smooth = preprocessing.interpolation != "nearest"
    if image.format in ("JPEG", "MPO") and smooth and image.width * image.height > MAX_PIXELS:
        sideways = _orientation(image) in (5, 6, 7, 8)
        least = preprocessing.resized(*(size[::-1] if sideways else size))
        height, width = (_JPEG_SPARE * length for length in (least[::-1] if sideways else least))
        image.draft(image.mode, (width, height))
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            f"{where} is {_words(size)}, more than the {MAX_PIXELS:,} pixels that are read", hint="make it smaller"
        )
    image.load()
    # What is as it should be is not copied: a board has no memory for copies of a large picture.
    turned = _upright(image, _orientation(image))
    if turned.mode in ("P", "RGBX"):  # of transparent palettes Pillow warns otherwise, and of RGBX it makes no grey
        turned = turned.convert("RGBA" if "transparency" in turned.info else "RGB")
    wanted = "L" if shape[0] == 1 else "RGB"
    if (turned.height > turned.width) != (image.height > image.width):
        size = size[::-1]
    return turned if turned.mode == wanted else turned.convert(wanted), size


def _bits_a_channel(image: Image.Image, file: Path | bytes) -> int:
    """Of the file, for Pillow cuts 16 bits a channel to 8 without a word where there are several channels."""
    if image.format == "PNG":
        with io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb") as content:
            start = content.read(25)  # signature; length and name of the header, width, height, bit depth
        if start[12:16] != b"IHDR":
            raise ValueError("it does not begin with its header")
        return start[24]
    from PIL.TiffImagePlugin import TiffImageFile

    return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))) if isinstance(image, TiffImageFile) else 8


def _orientation(image: Image.Image) -> object:
    return image.getexif().get(_ORIENTATION, 1)


def _upright(image: Image.Image, orientation: object) -> Image.Image:
    """image, or a copy of it turned as its EXIF orientation says; values that mean nothing are ignored."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def frame_of(pixels: np.ndarray, where: str, shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    """pixels, (height, width, 3) uint8 in RGB, as a frame of that shape, as read_images makes it of a file.

    where: names the picture in errors.  Raises as read_images.
    """
    pillow = _pillow("pictures are resized")
    check_pictures("pictures", shape, preprocessing)
    return _frame(pillow.fromarray(pixels).convert("L" if shape[0] == 1 else "RGB"), where, shape, preprocessing)


def check_pictures(what: str, shape: tuple[int, int, int], preprocessing: Preprocessing) -> None:
    """Raise InputError where the model takes other than grey or colour pictures.  what: those that are given."""
    if preprocessing.dtype not in (None, "uint8"):
        raise InputError(
            f"{what} hold pixels of 0 to 255, but the model takes {preprocessing.dtype} numbers",
            hint="give the frames as an .npz, .npy or .csv file of what the model takes",
        )
    if shape[0] not in (1, 3):
        raise InputError(
            f"{what} have 1 or 3 channels, but the model takes {shape[0]}", hint="give the frames as an .npz file"
        )


def _frame(
    picture: Image.Image,
    where: str,
    shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    given: tuple[int, int] | None = None,
) -> np.ndarray:
    channels, height, width = shape
    pixels = np.asarray(_fit(picture, where, (height, width), preprocessing, given))
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def fit_arrays(where: str, frames: np.ndarray, shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    """frames, (n, channels, h, w) uint8 of one size, as (n, *shape); those of that shape already are left alone.

    where: names the frames in errors.  Raises InputError where they do not get that shape.
    """
    if frames.shape[1:] == shape:
        return frames
    pillow = _pillow("frames are resized")
    out = np.empty((len(frames), *shape), np.uint8)
    for index, frame in enumerate(frames):
        for channel, plane in enumerate(frame):  # Pillow filters every channel by itself, so this is the same
            picture = pillow.fromarray(plane)
            out[index, channel] = np.asarray(_fit(picture, f"{where}, frame {index}", shape[1:], preprocessing))
    return out


def _fit(
    picture: Image.Image,
    where: str,
    size: tuple[int, int],
    preprocessing: Preprocessing,
    given: tuple[int, int] | None = None,
) -> Image.Image:
    """picture resized and cropped to size, (height, width).  given: its size in its file, where it was read smaller."""
    from PIL import Image

    given = given or (picture.height, picture.width)
    height, width = preprocessing.resized(*given)
    if height * width > MAX_PIXELS:
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
    if (height, width) != (picture.height, picture.width):
        picture = picture.resize((width, height), Image.Resampling[preprocessing.interpolation.upper()])
    if (height, width) != size:
        # Halves round to the even number, as in torchvision's CenterCrop.
        top, left = round((height - size[0]) / 2), round((width - size[1]) / 2)
        picture = picture.crop((left, top, left + size[1], top + size[0]))
    return picture


def _words(size: tuple[int, int]) -> str:
    return f"{size[1]} wide and {size[0]} high"


@functools.cache
def _pillow(purpose: str) -> ModuleType:
    """The module Image of Pillow."""
    try:
        from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401  which open asks for
    except ImportError as error:
        raise MissingToolError(
            f"pillow is not installed, and {purpose} with it",
            hint="pip install pillow, or give the frames as an .npz file of the model's size",
        ) from error
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is less
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of what it finds wrong with a file
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # which is an error here
    return Image
