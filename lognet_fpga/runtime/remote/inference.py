"""Requests for inference: what a client asks for, checked, and the answer; in JSON with tensors as bytes behind it.

The protocol's schemas are those of the Open Inference Protocol v2 (`$inference_request`, `$inference_response`), with
its extension for binary tensors: the first Inference-Header-Content-Length bytes of a body are JSON, and behind them
are the tensors that have a binary_data_size, in their order.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.remote import tensors
from lognet_fpga.runtime.remote.protocol import BINARY_DATA, BINARY_OUTPUT, BINARY_SIZE, FRAMES, PICTURES
from lognet_fpga.runtime.remote.refusal import Refusal

MAX_JSON_BYTES = 2 << 20  # of a request: parsed, it may take some twenty times as much
MAX_JSON_ELEMENTS = 1 << 20  # of an answer
MAX_TENSORS = 64  # in a list of a request
MAX_ID = 256  # characters
CODES = "uint8"  # what the FPGA takes; our own clients send these
_SHORT = 1 << 10  # bytes of JSON
_LONG_NUMBER = re.compile(rb"[0-9]{40}")  # Python takes a number's digits squared in time
_LEFT_OUT = ("classification", "shared_memory_region")  # of Triton: a client that asks for them gets none, and is told
_JSON = json.JSONEncoder(separators=(",", ":"))
_Object = Mapping[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Wanted:
    """An output that is asked for.  binary: behind the JSON, else in it."""

    name: str
    binary: bool


@dataclass(frozen=True, eq=False)
class Inference:
    """A request.  id: given back as it came.  frames: (n, channels, height, width) uint8; pictures: image files; one of
    them is None.  wanted: None for the outputs of the model; binary: whether those come so."""

    id: str | None
    frames: np.ndarray | None
    pictures: list[bytes] | None
    wanted: tuple[Wanted, ...] | None
    binary: bool

    def __len__(self) -> int:
        """How many frames."""
        return len(self.frames) if self.frames is not None else len(self.pictures or ())


@dataclass(frozen=True, eq=False)
class Answer:
    """outputs: (name, array, whether behind the JSON).  parameters: figures of this run."""

    outputs: Sequence[tuple[str, np.ndarray, bool]]
    parameters: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class FrameLimits:
    """shape: (channels, height, width) of a frame.  max_frames: the most of them in a request, pictures as well.
    preprocessing: of the model, whose dtype frames may have beside uint8, their codes."""

    shape: tuple[int, int, int]
    max_frames: int
    preprocessing: Preprocessing = Preprocessing()

    @property
    def dtype(self) -> str:
        return self.preprocessing.dtype or CODES


@dataclass(frozen=True, eq=False)
class _Question:
    """The JSON of a request.  dtype: of frames.  count: frames, or pictures.  data: of the input, where it is in the
    JSON; else binary_size bytes are behind it."""

    id: str | None
    name: str
    dtype: str
    count: int
    data: object
    binary_size: int | None
    wanted: tuple[Wanted, ...] | None
    binary: bool


def parse_inference(body: memoryview, json_bytes: int, limits: FrameLimits) -> Inference:
    """json_bytes: how many of the body's are JSON.  Raises Refusal for what is no request that can be served."""
    text, behind = bytes(body[:json_bytes]), body[json_bytes:]
    question = (_known_question if len(text) <= _SHORT else _question)(text, limits)
    if (question.binary_size or 0) != len(behind):
        raise Refusal(
            400, f"behind the JSON are {len(behind):,} bytes, but the input says {question.binary_size or 0:,}"
        )
    binary = None if question.binary_size is None else behind
    frames, pictures = None, None
    try:
        if question.name == FRAMES:
            frames = frames_of(question.data, binary, question.count, question.dtype, limits)
        else:
            pictures = pictures_of(question.data, binary, question.count)
    except ValueError as error:
        raise Refusal(400, f"input {question.name}: {error}") from None
    return Inference(question.id, frames, pictures, question.wanted, question.binary)


def _question(text: bytes, limits: FrameLimits) -> _Question:
    request = _object(parse_json(text), "the request")
    given = None if request.get("id") is None else check_id(request["id"])
    entry = the_input([_object(entry, "an input") for entry in _list(request, "inputs")])
    name, dtype, count = check_tensor(entry.get("name"), entry.get("datatype"), entry.get("shape"), limits)
    size = _parameters(entry).get(BINARY_SIZE)
    if size is not None and (type(size) is not int or not 0 <= size < 1 << 63):
        raise Refusal(400, f"{BINARY_SIZE} must be a number of bytes, not {_shown(size)}")
    if size is not None and "data" in entry:
        raise Refusal(400, f"an input has either data or {BINARY_SIZE}")
    binary = _flag(_parameters(request), BINARY_OUTPUT, default=False)
    return _Question(given, name, dtype, count, entry.get("data"), size, _wanted(request, binary), binary)


# A client that streams asks the same again and again, but for the bytes behind it.
_known_question = functools.lru_cache(maxsize=32)(_question)


def the_input(inputs: Sequence[_T]) -> _T:
    """The one that there must be.  Raises Refusal for none, and for several."""
    if len(inputs) != 1:
        raise Refusal(400, f"a request has one input, {FRAMES} or {PICTURES}, not {len(inputs)}")
    return inputs[0]


def check_tensor(name: object, datatype: object, shape: object, limits: FrameLimits) -> tuple[str, str, int]:
    """Name of an input, its NumPy type (of pictures none), and how many frames are in it.  Raises Refusal for one that
    the model does not take."""
    datatypes = {
        FRAMES: {tensors.datatype_of(dtype): dtype for dtype in (limits.dtype, CODES)},
        PICTURES: {tensors.BYTES: ""},
    }
    if not isinstance(name, str) or name not in datatypes:
        raise Refusal(400, f"the model takes an input {FRAMES} or {PICTURES}, not {_shown(name)}")
    if not isinstance(datatype, str) or datatype not in datatypes[name]:
        raise Refusal(400, f"input {name} has datatype {' or '.join(datatypes[name])}, not {_shown(datatype)}")
    if not isinstance(shape, (list, tuple)) or not all(type(size) is int for size in shape):
        raise Refusal(400, f"input {name} must have a shape, a list of whole numbers")
    rest = limits.shape if name == FRAMES else ()
    if len(shape) != 1 + len(rest) or tuple(shape[1:]) != rest or shape[0] < 1:
        wanted = ", ".join(map(str, ("n", *rest)))
        raise Refusal(400, f"input {name} has shape [{wanted}], n at least 1, not {_shown(list(shape))}")
    if shape[0] > limits.max_frames:
        raise Refusal(413, f"{_shown(shape[0])} frames are more than {limits.max_frames:,} at a time")
    return name, datatypes[name][datatype], shape[0]


def parse_json(text: bytes) -> object:
    """Raises Refusal for what is no JSON."""
    try:
        if _LONG_NUMBER.search(text):
            return json.loads(text, parse_int=_short_int)
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the request is no JSON: {' '.join(str(error).split())[:200]}") from None


def encode_answer(answer: Answer, given: str | None, model_name: str, model_version: str) -> tuple[bytes, list[bytes]]:
    """The JSON and the tensors behind it.  Raises Refusal where an output can only be had as bytes."""
    described, behind = [], []
    for name, array, binary in answer.outputs:
        if binary:
            data = tensors.to_binary(array)
            described.append(_described(name, tensors.datatype(array), array.shape, len(data)))
            behind.append(data)
        else:
            described.append(_with_data(name, array))
    head = [_named(model_name, model_version), f'"outputs":[{",".join(described)}]']
    if given is not None:
        head.append(f'"id":{json.dumps(given)}')
    if answer.parameters:
        figures = ",".join(
            f'"{name}":{value!r}' for name, value in answer.parameters.items()
        )  # numbers, as JSON has them
        head.append(f'"parameters":{{{figures}}}')
    return f"{{{','.join(head)}}}".encode(), behind


# Small, and the same again and again, where a client streams: written once.
@functools.lru_cache(maxsize=8)
def _named(name: str, version: str) -> str:
    return _JSON.encode({"model_name": name, "model_version": version})[1:-1]


@functools.lru_cache(maxsize=64)
def _described(name: str, datatype: str, shape: tuple[int, ...], size: int) -> str:
    """An output whose tensor is behind the JSON."""
    return _JSON.encode({"name": name, "datatype": datatype, "shape": shape, "parameters": {BINARY_SIZE: size}})


def _with_data(name: str, array: np.ndarray) -> str:
    if array.size > MAX_JSON_ELEMENTS:
        raise Refusal(413, f"output {name} has {array.size:,} elements, too many for JSON; ask for {BINARY_DATA}")
    try:
        data = tensors.to_json(array)
    except ValueError as error:
        raise Refusal(500, f"output {name}: {error}; ask for {BINARY_DATA}") from None
    return _JSON.encode({"name": name, "datatype": tensors.datatype(array), "shape": array.shape, "data": data})


def frames_of(data: object, binary: memoryview | None, count: int, dtype: str, limits: FrameLimits) -> np.ndarray:
    """The frames' codes, (count, *limits.shape) uint8, out of lists of numbers of that dtype, or of bytes where there
    are any.  Raises ValueError for what is no such tensor."""
    size = count * math.prod(limits.shape)
    kind = np.dtype(dtype).newbyteorder("<")
    if binary is None:
        numbers = _numbers_of(tensors.flat(data, size), kind)
    else:
        if len(binary) % kind.itemsize:
            raise ValueError(f"its data are {len(binary):,} bytes, {kind.itemsize} an element")
        numbers = np.frombuffer(binary, kind)
    if len(numbers) != size:
        raise ValueError(f"its shape has {size:,} elements, its data {len(numbers):,}")
    numbers = numbers.reshape(count, *limits.shape)
    if dtype == CODES:
        return numbers
    if kind.kind == "f" and not np.isfinite(numbers).all():
        raise ValueError("its data must be finite numbers")
    return limits.preprocessing.codes(numbers)


def _numbers_of(values: list, kind: np.dtype) -> np.ndarray:
    if kind.kind == "f":
        if not set(map(type, values)) <= {int, float}:
            raise ValueError("its data must be numbers")
        with np.errstate(over="ignore"):
            return np.array(values, np.float64).astype(kind)
    if not set(map(type, values)) <= {int}:
        raise ValueError("its data must be whole numbers")
    least, most = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    if values and not least <= min(values) <= max(values) <= most:
        raise ValueError(f"its data must be {least} to {most}")
    return np.array(values, kind)


def pictures_of(data: object, binary: memoryview | None, count: int) -> list[bytes]:
    """As frames_of, out of texts in base64."""
    if binary is not None:
        return [bytes(element) for element in tensors.split_bytes(binary, count)]
    texts = tensors.flat(data, count)
    if len(texts) != count or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"its data must be {count:,} pictures in base64")
    try:
        return [base64.b64decode(text, validate=True) for text in texts]
    except (binascii.Error, ValueError):
        raise ValueError("its data must be pictures in base64") from None


def _wanted(request: _Object, binary: bool) -> tuple[Wanted, ...] | None:
    if "outputs" not in request:
        return None
    wanted = []
    for entry in (_object(output, "an output") for output in _list(request, "outputs")):
        if not isinstance(entry.get("name"), str):
            raise Refusal(400, "an output must have a name")
        parameters = _parameters(entry)
        wanted.append(Wanted(entry["name"], _flag(parameters, BINARY_DATA, default=binary)))
    return check_wanted(wanted)


def check_wanted(wanted: Sequence[Wanted]) -> tuple[Wanted, ...] | None:
    """None for none, which asks for those of the model.  Raises Refusal for one twice."""
    if len({output.name for output in wanted}) < len(wanted):
        raise Refusal(400, "an output is asked for twice")
    return tuple(wanted) or None


def _parameters(part: _Object) -> _Object:
    parameters = _object(part.get("parameters", {}), "parameters")
    check_parameters(parameters)
    return parameters


def check_parameters(names: Iterable[str]) -> None:
    """Raise Refusal for a parameter that would change what the answer means."""
    for name in names:
        if name in _LEFT_OUT:
            raise Refusal(400, f"there is no {name} here")


def check_id(given: object) -> str:
    """Raise Refusal for what is no id of a request."""
    if not (isinstance(given, str) and len(given) <= MAX_ID):
        raise Refusal(400, f"id must be text of at most {MAX_ID} characters")
    return given


def _flag(parameters: _Object, name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise Refusal(400, f"{name} must be true or false")
    return value


def _object(value: object, what: str) -> _Object:
    if not isinstance(value, dict):
        raise Refusal(400, f"{what} must be a JSON object")
    return value


def _list(request: _Object, name: str) -> list:
    value = request.get(name)
    if not isinstance(value, list) or len(value) > MAX_TENSORS:
        raise Refusal(400, f"{name} must be a list of at most {MAX_TENSORS}")
    return value


def _short_int(digits: str) -> int:
    if len(digits) > 40:
        raise ValueError("a number is too long")
    return int(digits)


def _shown(value: object) -> str:
    """What a client sent, in a few characters."""
    text = json.dumps(value, default=str) if not isinstance(value, int) or abs(value) < 1 << 64 else "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
