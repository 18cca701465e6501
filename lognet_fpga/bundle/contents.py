"""A bundle in memory: the manifest and the bytes of every file.

manifest.json is JSON in one canonical form (sorted keys, one space of indent), so that a change of any byte shows.
This package fills in

    format          "lognet-bundle"
    format_version  1
    files           {file name: {"sha256": hexadecimal, "size": bytes}}, every file but manifest.json
    digest          SHA-256 over the manifest without this field, and so over everything in the bundle

and deploy fills in

    name            the bundle's name: the folder is NAME.lognet
    board           {name, title, part, processor, power_sensor, ...}: the Board; power_sensor says in words what the
                    board can measure, or that it can measure nothing
    clk_mhz         clock of the overlay
    model           {file, sha256}: the user's ONNX file
    input           {shape [C, H, W], dtype "uint8", preprocessing {...}: the Preprocessing,
                    class_names (optional)}
    output          {shape [C, H, W], bits, zero, scale}: the activations that leave the FPGA; one of x in a channel
                    stands for (x - zero) * scale of the channel
    model_output    what the whole model gives for a frame: {kind, tensors [{name, dtype, shape, rows}], classes,
                    threshold, tail_batch, reason, left_out}, see lognet_fpga.ir.output; not in older bundles
    source, sink    {shape, bits, channels_per_beat, tdata_bits}: the stream formats at the overlay's edges
    plan            {fps, cycles_per_frame, latency_cycles, layers [...]}: steady state, in cycles of clk_mhz
    verification    {...}: what was compared with what
    accuracy        optional: {frames, float_top1, deployed_top1, agreement, ...}, shares 0..1, on the frames of deploy;
                    as in the JSON of lognet-deploy

Files: golden.onnx (uint8 frames (n, C, H, W) in, the integer activations out), execution.onnx (the same integers,
faster, see lognet_fpga.ir.execution; not in older bundles), tail.onnx (input `activations`, uint8 (n, H, W, C) of the
FPGA's output, to the model's outputs; n is model_output.tail_batch where that is a number), verilog/*.v, where a layer
has its weights in memories verilog/*.mem, verilog/map.json (what is on which bit of them: bundle.signals), vectors.npz
(frames, and the activations (n, C, H, W) of every layer by its name), scores.npy (the model's output for those frames;
outputs.npz, see lognet_fpga.ir.packed, where it is several, text, or of a size that differs from frame to frame),
report.txt, report.json, report.html (the page, of report.json and the pictures changed/*.bmp of frames that changed
class); where one was made, bitstream/*.bit with its .hwh.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lognet_fpga.config import MAX_CLK_MHZ
from lognet_fpga.errors import BundleError, InputError, UsageError
from lognet_fpga.ir.output import ModelOutput
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.machine.array_file import ONLY, ArrayFile
from lognet_fpga.report import printable

FORMAT = "lognet-bundle"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
GOLDEN = "golden.onnx"
EXECUTION = "execution.onnx"
VERILOG_FOLDER = "verilog"
SIGNAL_MAP = f"{VERILOG_FOLDER}/map.json"
VECTORS = "vectors.npz"
SCORES = "scores.npy"
SUFFIX = ".lognet"
ZIP_SUFFIX = ".lognet.zip"
# Beyond any bundle that lognet-deploy writes.
MAX_OUTPUT_BITS = 31  # of a last layer's sums, which arrays of int32 hold
MAX_SIZE = 1 << 16  # channels, height or width
MAX_FRAME = 1 << 28  # elements of a frame
MAX_TEXT = 300  # characters
MAX_NUMBER = float(1 << 60)


@dataclass(frozen=True, eq=False)
class Bundle:
    """manifest: as above.  files: file name with forward slashes to content, without manifest.json."""

    manifest: Mapping[str, object]
    files: Mapping[str, bytes]

    def require_usable(self) -> None:
        """Raise BundleError unless each of the properties can be had: whoever writes digests that fit may write
        anything."""
        for name, member in vars(type(self)).items():
            if isinstance(member, property):
                getattr(self, name)

    @property
    def name(self) -> str:
        name = self._text("name")
        if name != safe_name(name):
            raise BundleError(f"{name!r} in {MANIFEST} of the bundle is no name of a bundle")
        return name

    @property
    def digest(self) -> str:
        return self._text("digest")

    @property
    def board_name(self) -> str:
        return self._text("board", "name")

    @property
    def board_title(self) -> str:
        """The board's name as people write it."""
        return self._text("board", "title") if "title" in self._field(Mapping, "board") else self.board_name

    @property
    def part(self) -> str:
        """The board's chip."""
        return self._text("board", "part")

    @property
    def power_sensor(self) -> str:
        return self._text("board", "power_sensor")

    @property
    def clk_mhz(self) -> float:
        clk_mhz = self._field((int, float), "clk_mhz")
        if not 0 < clk_mhz <= MAX_CLK_MHZ:
            raise BundleError(f"field clk_mhz in {MANIFEST} of the bundle is not above 0 and at most {MAX_CLK_MHZ:g}")
        return float(clk_mhz)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a frame."""
        return self._shape("input")

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the activations that leave the FPGA."""
        return self._shape("output")

    @property
    def source(self) -> StreamFormat:
        """How frames enter the overlay."""
        return self._stream("source")

    @property
    def sink(self) -> StreamFormat:
        """How activations leave the overlay."""
        return self._stream("sink")

    @property
    def preprocessing(self) -> Preprocessing:
        """From a picture to the model's input; the frames that the FPGA takes are behind its spatial part."""
        try:
            return Preprocessing.from_dict(self._field(Mapping, "input", "preprocessing")).for_model(self.input_shape)
        except UsageError as error:
            raise BundleError(f"the bundle's preprocessing contradicts its input shape: {error.message}") from error

    @property
    def cycles_per_frame(self) -> int:
        return self._count("plan", "cycles_per_frame")

    @property
    def latency_cycles(self) -> int:
        return self._count("plan", "latency_cycles")

    @property
    def last_layer(self) -> str:
        """Name of the last layer on the FPGA."""
        layers = self._field(list, "plan", "layers")
        if not layers or not all(isinstance(layer, Mapping) and isinstance(layer.get("name"), str) for layer in layers):
            raise BundleError(f"{MANIFEST} of the bundle lacks the names of the layers, plan.layers")
        return layers[-1]["name"]

    @property
    def model_output(self) -> ModelOutput | None:
        """What the whole model gives for a frame; None in bundles of before that was written."""
        if "model_output" not in self.manifest:
            return None
        try:
            return ModelOutput.from_dict(self._field(Mapping, "model_output"))
        except ValueError as error:
            raise BundleError(f"field model_output in {MANIFEST} of the bundle is {error}") from error

    @property
    def class_names(self) -> tuple[str, ...] | None:
        names = self._field(Mapping, "input").get("class_names")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise BundleError(f"field input.class_names in {MANIFEST} of the bundle is no list of names")
        return tuple(names) if names else None

    @property
    def classes(self) -> int | None:
        """How many classes the model tells apart; None where that is not known, and without classes.  Bundles of before
        model_output was written have as many as scores, where these are several."""
        if (output := self.model_output) is not None:
            return output.classes
        if SCORES not in self.files:
            return None
        try:
            count = math.prod(ArrayFile(self.files[SCORES], SCORES).header(ONLY).shape[1:])
        except InputError as error:
            raise BundleError(f"the bundle has no scores: {error.message}") from error
        return count if count > 1 else None

    @property
    def accuracy(self) -> Mapping[str, float] | None:
        """The figures that deploy found on the frames given to it, where it was given labelled ones."""
        accuracy = self.manifest.get("accuracy")
        if accuracy is None:
            return None
        if not isinstance(accuracy, Mapping) or any(_is_beyond(value) for value in accuracy.values()):
            raise BundleError(f"field accuracy in {MANIFEST} of the bundle is not what lognet-deploy writes")
        return accuracy

    def arrays(self, name: str, *keys: str) -> dict[str, np.ndarray]:
        """The arrays of these names in an .npz or .npy file of the bundle, all of them without names.  Raises
        BundleError where they cannot be had."""
        try:
            file = ArrayFile(self.file(name), name)
            missing = [key for key in keys if key not in file.names]
            if missing:
                raise BundleError(f"{name} of the bundle has no array {missing[0]}")
            return {key: file.read(key) for key in keys or file.names}
        except InputError as error:
            raise BundleError(f"the arrays of the bundle cannot be read: {error.message}") from error

    @property
    def verilog(self) -> dict[str, str]:
        """The overlay's Verilog and the contents of its memories, by their names; raises BundleError as `texts`."""
        texts = self.texts(VERILOG_FOLDER)
        texts.pop(SIGNAL_MAP.removeprefix(f"{VERILOG_FOLDER}/"), None)
        return texts

    def texts(self, folder: str) -> dict[str, str]:
        """Content of the files in a folder of the bundle, by their names there.  Raises BundleError for what is no
        text, or in a folder below."""
        found = {}
        for path, data in self.files.items():
            if path.startswith(f"{folder}/"):
                name = path.removeprefix(f"{folder}/")
                try:
                    found[name] = data.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise BundleError(f"{path} of the bundle is no text") from error
                if "/" in name:
                    raise BundleError(f"{path} of the bundle is in a folder where there must be none")
        return found

    def file(self, name: str) -> bytes:
        """Content of a file; raises BundleError when the bundle has none of that name."""
        if name not in self.files:
            raise BundleError(f"the bundle has no file {name}")
        return self.files[name]

    def _field(self, kind: type | tuple[type, ...], *path: str):
        value: object = self.manifest
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, kind) or isinstance(value, bool) or _is_beyond(value):
            raise BundleError(f"{MANIFEST} of the bundle lacks a usable field {'.'.join(path)}")
        return value

    def _text(self, *path: str) -> str:
        """A line for people."""
        text = self._field(str, *path)
        if not 0 < len(text) <= MAX_TEXT or not text.isprintable():
            raise BundleError(f"field {'.'.join(path)} in {MANIFEST} of the bundle is not a line of text")
        return text

    def _count(self, *path: str) -> int:
        count = self._field(int, *path)
        if count < 1:
            raise BundleError(f"field {'.'.join(path)} in {MANIFEST} of the bundle is less than 1")
        return count

    def _stream(self, part: str) -> StreamFormat:
        bits, lanes, tdata_bits = (self._field(int, part, key) for key in ("bits", "channels_per_beat", "tdata_bits"))
        shape = self._shape(part)
        if not (
            1 <= bits <= (8 if part == "source" else MAX_OUTPUT_BITS)
            and 1 <= lanes <= shape[0]
            and tdata_bits % 8 == 0
            and bits * lanes <= tdata_bits <= 8 * MAX_SIZE
            and shape == self._shape("input" if part == "source" else "output")
        ):
            raise BundleError(f"field {part} in {MANIFEST} of the bundle is no stream format")
        return StreamFormat(shape, bits, lanes, tdata_bits)

    def _shape(self, part: str) -> tuple[int, int, int]:
        shape = self._field(list, part, "shape")
        if len(shape) != 3 or not all(type(size) is int and 0 < size <= MAX_SIZE for size in shape):
            raise BundleError(f"field {part}.shape in {MANIFEST} of the bundle is not three sizes: {str(shape)[:60]}")
        if math.prod(shape) > MAX_FRAME:
            raise BundleError(f"field {part}.shape in {MANIFEST} of the bundle is too large: {shape}")
        return tuple(shape)


def _plain(value):
    """JSON with every text printable, for names of files may be any bytes."""
    if isinstance(value, dict):
        return {printable(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return printable(value) if isinstance(value, str) else value


def _is_beyond(value: object) -> bool:
    """Whether it is a number that nothing in a manifest is."""
    return isinstance(value, (int, float)) and not abs(value) <= MAX_NUMBER


def make_bundle(files: Mapping[str, bytes], manifest: Mapping[str, object]) -> Bundle:
    """The bundle of these files, the manifest completed with format, hashes and digest.

    NumPy scalars and arrays in the manifest become plain JSON.  Raises BundleError for a file name that could
    not be written or read back everywhere.
    """
    for name in files:
        problem = name_problem(name)
        if problem:
            raise BundleError(f"file name {name!r} cannot be in a bundle: {problem}")
    plain = _plain(json.loads(json.dumps(dict(manifest), allow_nan=False, default=lambda value: value.tolist())))
    plain.update(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        files={name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()},
    )
    plain["digest"] = manifest_digest(plain)
    return Bundle(plain, dict(sorted(files.items())))


def manifest_bytes(manifest: Mapping[str, object]) -> bytes:
    """The canonical text of manifest.json."""
    return (json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def manifest_digest(manifest: Mapping[str, object]) -> str:
    """SHA-256, hexadecimal, over the manifest without its own field digest."""
    return hashlib.sha256(manifest_bytes({k: v for k, v in manifest.items() if k != "digest"})).hexdigest()


def name_problem(name: str) -> str:
    """Why `name` is no good as a file name in a bundle; empty when it is good."""
    if name == MANIFEST:
        return "it is taken by the manifest"
    if not re.fullmatch(r"[A-Za-z0-9._+/-]{1,200}", name):
        return "only letters, digits and . _ + - / are allowed, at most 200"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "it must be a path below the bundle"
    return ""


def safe_name(stem: str) -> str:
    """A bundle name made of `stem`: other characters than letters, digits, . _ + - become _, at most 80 of them;
    "model" where no letter or digit is left."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", stem).lstrip(".-")[:80]
    return name if re.search(r"[A-Za-z0-9]", name) else "model"
