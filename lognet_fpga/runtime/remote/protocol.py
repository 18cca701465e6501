"""What server and client must agree on."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lognet_fpga.errors import BoardError, UsageError

VERSION = 1
DEVICE_PATH, RUN_PATH = "/v1/device", "/v1/run"
CYCLES, CLOCK_MHZ = "LogNet-Cycles", "LogNet-Clock-MHz"
TOKEN_VARIABLE = "LOGNET_TOKEN"
DEFAULT_PORT = 8421
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")


@dataclass(frozen=True)
class DeviceInfo:
    """version: of this protocol.  digest: of the server's bundle.  kind, description, power: as of Device.  source,
    how: where its figures come from, as of Value.  max_frames: the most in one request."""

    version: int
    digest: str
    kind: str
    description: str
    power: str
    source: str
    how: str
    max_frames: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> DeviceInfo:
        """Raises BoardError for anything that is not what to_json gives."""
        try:
            data = json.loads(text)
            values = {field.name: data[field.name] for field in fields(cls)}
        except (ValueError, TypeError, KeyError) as error:
            raise BoardError("the other side is no lognet-serve, or one of another version") from error
        whole = ("version", "max_frames")
        if not all(isinstance(value, int if name in whole else str) for name, value in values.items()):
            raise BoardError("the other side is no lognet-serve, or one of another version")
        return cls(**values)


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
