"""The options on bitstreams that lognet-deploy and lognet-bitstream have in common."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

from lognet_fpga.config import BitstreamRequest
from lognet_fpga.errors import UsageError


def add_bitstream_options(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--remote", metavar="USER@HOST", help="run Vivado on that machine, by ssh (default: on this one)"
    )
    parser.add_argument(
        "--allow-timing-violation",
        action="store_true",
        help="accept a routed design that misses its clock, and mark the bundle as such",
    )


def request_of(
    arguments: argparse.Namespace, flow: Literal["vivado", "open"], results: Path | None = None
) -> BitstreamRequest:
    return BitstreamRequest(flow, arguments.remote, results, arguments.allow_timing_violation)


def refuse_bitstream_options(arguments: argparse.Namespace) -> None:
    """Raise UsageError for options on a bitstream where none is asked for."""
    if arguments.remote or arguments.allow_timing_violation:
        raise UsageError("--remote and --allow-timing-violation are about a bitstream", hint="add --bitstream vivado")
