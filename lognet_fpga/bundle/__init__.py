"""The bundle: one deployed network as a folder NAME.lognet/ and the same as NAME.lognet.zip.

manifest.json describes everything else in the folder; `bundle.model` lists its fields.
"""

from lognet_fpga.bundle.contents import (
    EXECUTION,
    GOLDEN,
    SCORES,
    SIGNAL_MAP,
    VECTORS,
    VERILOG_FOLDER,
    Bundle,
    make_bundle,
    safe_name,
)
from lognet_fpga.bundle.reader import read_bundle
from lognet_fpga.bundle.writer import BundlePaths, check_place, write_bundle

__all__ = [
    "EXECUTION",
    "GOLDEN",
    "SCORES",
    "SIGNAL_MAP",
    "VECTORS",
    "VERILOG_FOLDER",
    "Bundle",
    "BundlePaths",
    "check_place",
    "make_bundle",
    "read_bundle",
    "safe_name",
    "write_bundle",
]
