#!/usr/bin/env python3
"""Stream frames through a bundle from the host; the same as lognet-stream, from a checkout without an install.

python host/stream_frames.py build/demo/model_log2.lognet --frames models/cifar10_64x3/test_frames.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lognet_fpga.cli.stream import main  # noqa: E402  (the path comes first)

if __name__ == "__main__":
    raise SystemExit(main())
