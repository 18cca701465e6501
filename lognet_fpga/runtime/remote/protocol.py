"""What server and client must agree on beyond the Open Inference Protocol: names, the token, what a device says of
itself."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote

from lognet_fpga.errors import BoardError, UsageError

FRAMES, PICTURES = "frames", "pictures"  # the inputs, of which a request has one
ACTIVATIONS, PREDICTIONS = "activations", "predictions"  # outputs beside those of the model itself
HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY_SIZE, BINARY_DATA, BINARY_OUTPUT = "binary_data_size", "binary_data", "binary_data_output"
# Parameters of an answer: of the programmable logic, and how long the request waited for the device and had it.
PL_CYCLES, CLK_MHZ, WAIT_S, DEVICE_S = "pl_cycles", "clk_mhz", "wait_s", "device_s"
TOKEN_VARIABLE = "LOGNET_TOKEN"
DEFAULT_PORT = 8421
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")
_NO_SERVER = "the other side is no lognet-serve, or one of another version"


def model_path(name: str, version: str | None = None) -> str:
    """Where a model is served."""
    versions = f"/versions/{quote(version, safe='')}" if version is not None else ""
    return f"/v2/models/{quote(name, safe='')}{versions}"


@dataclass(frozen=True)
class DeviceInfo:
    """Parameters of a model's metadata.  digest: of the server's bundle.  kind, description, power: as of Device.
    source, how: where its figures come from, as of Value.  max_frames: the most in one request.  fps, latency_us: of
    the programmable logic, as planned."""

    digest: str
    kind: str
    description: str
    power: str
    source: str
    how: str
    max_frames: int
    fps: float
    latency_us: float

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_metadata(cls, text: bytes) -> DeviceInfo:
        """Of a model's metadata, JSON.  Raises BoardError for anything that does not hold what to_dict gives."""
        try:
            data = json.loads(text)["parameters"]
            values = {field.name: data[field.name] for field in fields(cls)}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BoardError(_NO_SERVER) from error
        kinds: Mapping[str, type | tuple[type, ...]] = {
            "max_frames": int,
            "fps": (int, float),
            "latency_us": (int, float),
        }
        if not all(isinstance(value, kinds.get(name, str)) for name, value in values.items()):
            raise BoardError(_NO_SERVER)
        if not 0 < values["max_frames"]:
            raise BoardError(_NO_SERVER)
        return cls(**values)


def is_loopback(host: str) -> bool:
    """Whether an address or name is of this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(file: Path | None) -> str | None:
    """The token in a file, else that of the environment, else None.  Raises UsageError for one that cannot be used."""
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE) or None
        where = f"the environment variable {TOKEN_VARIABLE}"
    else:
        where = str(file)
        try:
            token = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the token in {file} cannot be read: {' '.join(str(error).split())}") from error
    if token is not None and not _TOKEN.fullmatch(token):
        raise UsageError(
            f"{where} holds no token that can be used",
            hint="it must be 16 to 256 letters, digits or ._~+/=- in one line",
        )
    return token
