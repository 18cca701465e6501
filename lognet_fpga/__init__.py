"""LogNet FPGA toolkit: small float ONNX CNNs onto FPGAs, with log2 4-bit weights in the fabric."""

__version__ = "0.1.0"

import os

# onnxruntime's official builds send usage data unless told otherwise before they are imported; a user who wants that
# sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
