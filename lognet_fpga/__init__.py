"""LogNet FPGA toolkit: small float ONNX CNNs onto FPGAs, with log2 4-bit weights in the fabric."""

__version__ = "0.1.0"
