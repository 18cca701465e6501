"""LogNet FPGA toolkit: small float ONNX CNNs onto FPGAs, with log2 4-bit weights in the fabric.

`deploy`, `inspect` and `open_bundle` are those of `lognet_fpga.api`, which is read when one of them is first asked for:
a board has no need of it.
"""

import os
from typing import TYPE_CHECKING, Any

from lognet_fpga.version import __version__

if TYPE_CHECKING:
    from lognet_fpga.api import Deployment, ModelInspection, deploy, inspect, open_bundle

__all__ = ["Deployment", "ModelInspection", "__version__", "deploy", "inspect", "open_bundle"]

# onnxruntime's official builds send usage data unless told otherwise before they are imported; a user who wants that
# sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    if name in __all__:
        from lognet_fpga import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
