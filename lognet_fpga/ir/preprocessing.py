"""The way from a picture, or from features, to the model's input, given once to lognet-deploy and kept in the bundle.

Two parts.  The host makes the frames that the FPGA gets, of uint8 codes: of pictures by resize, crop and order of the
channels (`runtime.images`), of signed and of float numbers by their dtype (`ir.input_codes`).  The numeric part (zero
point, scale, mean, std) is folded into the first FPGA layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lognet_fpga.errors import BundleError, InputError, UsageError
from lognet_fpga.ir.input_codes import DTYPES, FLOAT, code_parameters, code_shift, codes_of, dtype_of
from lognet_fpga.machine.array_file import ONLY, ArrayFile

CHANNEL_ORDERS = ("rgb", "bgr")
INTERPOLATIONS = ("bilinear", "nearest", "bicubic")
MAX_INPUT_SIZE = 65_536  # channels, height or width
MAX_ZERO_POINT = 2**31 - 1


def _several(value: Any, default: float) -> tuple[Any, ...]:
    """One number, several, or none, as a tuple."""
    return value if isinstance(value, tuple) else (default if value is None else value,)


def _range_words(values: Sequence[float]) -> str:
    """One number, or the range of several."""
    low, high = min(values), max(values)
    return f"{low:.6g}" if low == high else f"{low:.4g}..{high:.4g} (by channel)"


@dataclass(frozen=True)
class Preprocessing:
    """From a frame as it is given to the float model's input: resize, crop, order the channels, then
    model_input = ((number - zero_point) * scale - mean) / std.

    dtype: what the numbers are: "uint8", 0..255, such as pixels; "int8", -128..127; "float32", features, each of
    which the host rounds to a uint8 code, number = features / scale + zero_point; None: as the frames that calibrate,
    see settled, and uint8 where there are none.
    scale, zero_point: one number for all channels or one a channel; None: 1 and 0, and for float32 what settled
    chooses.  mean, std: the same, in the model's channel order.
    channel_order: what the model takes; pictures and arrays are RGB, and "bgr" reverses their three channels.
    resize: (shorter side,), which keeps the ratio of the sides, or (height, width), which does not; a Fraction is
    a shorter side relative to the model's longer one, settled by for_model; None leaves the size alone.
    crop: cut the centre of the model's size out of what is larger, after resizing.
    interpolation: Pillow's filter of that name; bilinear and bicubic are antialiased when they shrink.
    Resize and crop are those of torchvision's Resize and CenterCrop on PIL images, but nothing is ever padded.
    Raises UsageError for a value out of range.
    """

    scale: float | tuple[float, ...] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channel_order: str = "rgb"
    resize: tuple[int, ...] | Fraction | None = None
    crop: bool = False
    interpolation: str = "bilinear"
    dtype: str | None = None
    zero_point: int | tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) and value != 0 for value in _several(self.scale, 1.0)):
            raise UsageError(f"the input scale must be a finite number other than 0, not {self.scale}")
        if not all(abs(value) <= MAX_ZERO_POINT for value in _several(self.zero_point, 0)):
            raise UsageError(
                f"the input zero point must be a whole number from -{MAX_ZERO_POINT} to {MAX_ZERO_POINT}, "
                f"not {self.zero_point}"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if not values or not all(math.isfinite(value) for value in values):
                raise UsageError(f"the input {name} must be finite numbers, not {values}")
        if any(value <= 0 for value in self.std):
            raise UsageError(f"every input std must be greater than 0, not {self.std}")
        for name, value, known in (
            ("channel order", self.channel_order, CHANNEL_ORDERS),
            ("interpolation", self.interpolation, INTERPOLATIONS),
            ("input dtype", self.dtype or DTYPES[0], DTYPES),
        ):
            if value not in known:
                raise UsageError(f"the {name} must be {' or '.join(known)}, not {value!r}")
        if isinstance(self.resize, tuple) and not (
            len(self.resize) in (1, 2) and all(0 < size <= MAX_INPUT_SIZE for size in self.resize)
        ):
            raise UsageError(
                "the size to resize to must be one whole number, the shorter side, or two, HEIGHT,WIDTH, "
                f"from 1 to {MAX_INPUT_SIZE}, not {','.join(map(str, self.resize))}",
                hint="for example --resize 256",
            )

        if self.is_float and (self.scale is None) != (self.zero_point is None):
            raise UsageError(
                "float frames have a scale and a zero point, which are given both or not at all",
                hint="leave both out, and they are chosen from the frames that calibrate; or give --input-scale and "
                "--input-zero-point (of a code of 0 to 255)",
            )
        if self.is_float and min(_several(self.scale, 1.0)) < 0:
            raise UsageError(f"the scale of float frames must be greater than 0, not {self.scale}")
        if self.is_float and self.changes_size:
            raise UsageError(
                "float frames are no pictures: they are not resized or cropped",
                hint="leave out --resize and --crop, or give pictures of 0 to 255",
            )

    @property
    def is_float(self) -> bool:
        """Whether frames are given as float numbers, which become codes here."""
        return self.dtype == FLOAT

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it is left to be chosen from the frames that calibrate."""
        return None not in (self.dtype, self.scale, self.zero_point)

    @property
    def changes_size(self) -> bool:
        """Whether frames of other sizes than the model's are taken."""
        return self.crop or self.resize is not None

    @property
    def rescales(self) -> bool:
        """Whether the numeric part changes anything."""
        return (
            any(value != 1 for value in _several(self.scale, 1.0))
            or any(_several(self.zero_point, 0))
            or any(self.mean)
            or any(value != 1 for value in self.std)
        )

    def settled(self, values: np.ndarray, padding: np.ndarray | None = None) -> Preprocessing:
        """The same with its dtype, and the scale and zero point of float numbers, as the frames values, (n, channels,
        height, width) of any number type, have them.

        padding: (channels,), the model's input that the first layer puts around the frame; it becomes a code.  Raises
        UsageError where the options contradict the frames.
        """
        settled = replace(self, dtype=self.dtype or dtype_of(values))
        if not settled.is_float:
            return settled.of_codes()
        if settled.is_settled:
            return settled
        channels = values.shape[1]
        if padding is not None:
            mean, std = (self._per_channel(*each, channels) for each in (("mean", self.mean), ("std", self.std)))
            padding = padding * std + mean
        scale, zero_point = code_parameters(values, padding)
        return replace(settled, scale=tuple(scale.tolist()), zero_point=tuple(zero_point.tolist()))

    def of_codes(self) -> Preprocessing:
        """The same with what is left open settled for whole numbers: no scale, no zero point, and uint8."""
        return replace(
            self,
            dtype=self.dtype or DTYPES[0],
            scale=1.0 if self.scale is None else self.scale,
            zero_point=0 if self.zero_point is None else self.zero_point,
        )

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Numbers of this dtype, (n, channels, height, width), as the uint8 codes that the FPGA takes."""
        if not self.is_float:
            return codes_of(values, code_shift(self.dtype))
        channels = values.shape[1]
        scale = self._per_channel("scale", _several(self.scale, 1.0), channels)
        return codes_of(values, self._per_channel("zero point", _several(self.zero_point, 0), channels), scale)

    def for_model(self, shape: tuple[int, int, int]) -> Preprocessing:
        """The same for a model that takes (channels, height, width), with a relative resize settled.

        Raises UsageError where no frame could ever become that shape.
        """
        channels, height, width = shape
        self.affine(channels)
        if self.channel_order != "rgb" and channels != 3:
            raise UsageError(
                f"the channel order is {self.channel_order}, but the model takes {channels} "
                f"{'channel' if channels == 1 else 'channels'}, not 3",
                hint="leave out --channel-order",
            )
        if isinstance(self.resize, Fraction):
            return replace(self, resize=(max(1, round(self.resize * max(height, width))),)).for_model(shape)
        model = f"the model's input of {height} x {width} (height x width)"
        if self.resize is not None and min(self.resize) < min(height, width):
            raise UsageError(f"resizing to {_by(self.resize)} makes frames smaller than {model}", hint="resize to more")
        if self.resize is not None and len(self.resize) == 2:
            larger = self.resize[0] >= height and self.resize[1] >= width
            if self.resize != (height, width) and not (self.crop and larger):
                raise UsageError(
                    f"resizing to {_by(self.resize)} does not give {model}",
                    hint="add --crop to cut the centre out" if larger else "resize to more",
                )
        return self

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of a picture after resizing, as torchvision's Resize has it."""
        size = self._settled_resize
        if size is None:
            return height, width
        if len(size) == 2:
            return size[0], size[1]
        (short,) = size
        long = short * max(height, width) // min(height, width)
        return (short, long) if height <= width else (long, short)

    @property
    def _settled_resize(self) -> tuple[int, ...] | None:
        if isinstance(self.resize, Fraction):
            raise ValueError("a relative resize is settled by for_model")
        return self.resize

    def reorder(self, frames: np.ndarray) -> np.ndarray:
        """Frames, (n, channels, height, width) in RGB, in the model's channel order."""
        return np.ascontiguousarray(frames[:, ::-1]) if self.channel_order == "bgr" else frames

    def affine(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """(factor, offset), each (channels,) float64, with model_input = frame * factor + offset.

        Raises UsageError where mean or std has neither one value nor one a channel.
        """
        mean, std = self._per_channel("mean", self.mean, channels), self._per_channel("std", self.std, channels)
        scale = self._per_channel("scale", _several(self.scale, 1.0), channels)
        zero_point = self._per_channel("zero point", _several(self.zero_point, 0), channels) + code_shift(self.dtype)
        return scale / std, -(zero_point * scale + mean) / std

    def apply(self, frames: np.ndarray) -> np.ndarray:
        """The numeric part: float32 model input for frames, (n, channels, height, width) uint8; same shape."""
        factor, offset = self.affine(frames.shape[1])
        return (frames * factor.reshape(1, -1, 1, 1) + offset.reshape(1, -1, 1, 1)).astype(np.float32)

    def apply_to_features(self, features: np.ndarray) -> np.ndarray:
        """The model's input for float numbers that are not rounded to codes; shapes as of apply."""
        channels = features.shape[1]
        mean, std = (self._per_channel(*each, channels) for each in (("mean", self.mean), ("std", self.std)))
        return ((features - mean.reshape(1, -1, 1, 1)) / std.reshape(1, -1, 1, 1)).astype(np.float32)

    def spatial_words(self, shape: tuple[int, int, int]) -> str:
        """What happens to a picture before it is a frame of shape (channels, height, width), in words."""
        steps = []
        if (size := self._settled_resize) is not None:
            smooth = "" if self.interpolation == "nearest" else ", antialiased"
            target = "shorter side" if len(size) == 1 else "height x width"
            steps.append(f"resized ({target} {_by(size)}; {self.interpolation}{smooth})")
        if self.crop:
            steps.append(f"centre cropped to {_by(shape[1:])}")
        if self.channel_order == "bgr":
            steps.append("channels reversed from RGB to BGR")
        return ", ".join(steps) or f"as they are, {_by(shape[1:])}"

    def numeric_words(self) -> str:
        """The numeric part in words."""
        mean, std = (", ".join(f"{value:.6g}" for value in values) for values in (self.mean, self.std))
        scale, zero_point = _range_words(_several(self.scale, 1.0)), _range_words(_several(self.zero_point, 0))
        number = {None: "pixel", "uint8": "pixel", "int8": "number"}.get(self.dtype, "code")
        shifted = f"({number} - {zero_point})" if any(_several(self.zero_point, 0)) else number
        return f"({shifted} * {scale} - mean) / std with mean {mean} and std {std}"

    def to_dict(self) -> dict[str, object]:
        """As in a bundle's manifest: the fields by name, tuples as lists.  A relative resize must be settled."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: object) -> Preprocessing:
        """What to_dict gave; the fields after std may be missing, as in bundles written before they existed.

        Raises BundleError for anything else.
        """
        if not isinstance(data, Mapping):
            raise BundleError("the bundle's preprocessing is not an object of named fields")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(data.keys() - known):
            raise BundleError(
                f"the bundle's preprocessing has fields that this program does not know: {', '.join(unknown)}; "
                "use the version of lognet-fpga that wrote the bundle, or deploy the model again"
            )
        for name in ("scale", "mean", "std"):
            if name not in data:
                raise BundleError(f"the bundle's preprocessing lacks {name}; deploy the model again")
        checks = {
            "scale": lambda value: value is None or _is_number(value) or _is_list_of(_is_number)(value),
            "mean": _is_list_of(_is_number),
            "std": _is_list_of(_is_number),
            "channel_order": lambda value: isinstance(value, str),
            "resize": lambda value: value is None or _is_list_of(_is_whole)(value),
            "crop": lambda value: isinstance(value, bool),
            "interpolation": lambda value: isinstance(value, str),
            "dtype": lambda value: value is None or isinstance(value, str),
            "zero_point": lambda value: value is None or _is_whole(value) or _is_list_of(_is_whole)(value),
        }
        for name, value in data.items():
            if not checks[name](value):
                raise BundleError(f"the bundle's preprocessing has an unusable {name}: {str(value)[:60]}")
        try:
            given: dict[str, Any] = {  # checked above
                name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
            }
            return cls(**given)
        except UsageError as error:
            raise BundleError(f"the bundle's preprocessing cannot be used: {error.message}") from error

    @staticmethod
    def _per_channel(name: str, values: Sequence[float], channels: int) -> np.ndarray:
        if len(values) not in (1, channels):
            raise UsageError(
                f"the input {name} has {len(values)} values, but the model's channels are {channels}",
                hint="give one value" + (f", or {channels} separated by commas" if channels > 1 else ""),
            )
        return np.broadcast_to(np.asarray(values, np.float64), (channels,)).copy()


# What widespread training recipes do.  imagenet: torchvision's classification models.  caffe: the BVLC models, whose
# mean is that of the ImageNet images in BGR; how they were resized differs from model to model.
PRESETS = {
    "imagenet": Preprocessing(
        scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), resize=Fraction(256, 224), crop=True
    ),
    "caffe": Preprocessing(scale=1.0, mean=(104.0, 117.0, 123.0), channel_order="bgr"),
}


@dataclass(frozen=True)
class MeanImage:
    """What is left of a mean with a value a pixel, which no convolution's bias can hold: one value a channel.

    file: name of the file.  mean: one value a channel.  largest_deviation: of any pixel from its channel's value.
    """

    file: str
    mean: tuple[float, ...]
    largest_deviation: float

    @classmethod
    def read(cls, path: Path) -> MeanImage:
        """The .npy file at path: (channels, height, width) or (height, width, channels), told apart by which of the
        outer axes is shorter, the first where they are equal; also (1, ...) of either.

        Raises InputError for anything else.
        """
        file = ArrayFile(path)
        header = None if file.is_archive else file.header(ONLY)
        shape: tuple[int, ...] = () if header is None else header.shape
        shape = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
        if header is None or len(shape) != 3 or 0 in shape or header.dtype.kind not in "uif":
            raise InputError(
                f"{path} is no mean image: it holds {'several arrays' if header is None else header}",
                hint="give an .npy of numbers, (channels, height, width) or (height, width, channels)",
            )
        array = file.read(ONLY).reshape(shape)
        pixels = array.astype(np.float64)
        pixels = pixels if pixels.shape[0] <= pixels.shape[2] else pixels.transpose(2, 0, 1)
        if not np.isfinite(pixels).all():
            raise InputError(f"{path} holds values that are not finite", hint="write the mean image again")
        mean = pixels.mean(axis=(1, 2))
        return cls(path.name, tuple(mean.tolist()), float(np.abs(pixels - mean.reshape(-1, 1, 1)).max()))


def _by(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))
