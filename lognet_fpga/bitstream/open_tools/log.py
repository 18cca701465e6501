"""nextpnr's log read, alike in both of its flavours: how it goes, what was placed, the clock it reached, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lognet_fpga.bitstream.figures import Counts, LongestPath, PlacedFigures, Timing
from lognet_fpga.bitstream.open_tools.fasm import LutSites
from lognet_fpga.errors import ToolError

_USED = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_CLOCK = re.compile(r"Max frequency for clock\s+'?([^':]+)'?:\s+([\d.]+) MHz \((?:PASS|FAIL) at ([\d.]+) MHz\)")
_PATHS = re.compile(r"Critical path report for clock[^\n]*\n((?:Info:\s[^\n]*\n)+)")
_ON_PATH = re.compile(r"^Info:\s+(?:[a-z-]+\s+)?(-?[\d.]+)\s+-?[\d.]+\s+(Source|Net|Setup) (\S+)", re.MULTILINE)
_PLACING = re.compile(r"at (?:initial placer iter|iteration) .*(?:legal|wirelen) = (\d+)")
_ROUTING = re.compile(r"iter=(\d+) wires=\d+ overused=(\d+)")
_DEPTH = 3  # names of the hierarchy that tell a block


def state(text: str) -> str:
    """How a run goes whose log is text so far, in a few words."""
    clocks = _CLOCK.findall(text)
    rounds, placing = _ROUTING.findall(text), _PLACING.findall(text)
    if path := _PATHS.search(text):  # written behind the routing, and the clock behind it
        reached = _CLOCK.findall(text, path.end())
        return f"routed, {reached[-1][1]} MHz" if reached else "routed"
    if rounds:
        return f"routing, round {rounds[-1][0]}, {int(rounds[-1][1]):,} wires overused"
    if clocks:
        return f"placed, {clocks[-1][1]} MHz before routing"
    if placing:
        return f"placing, {int(placing[-1]):,} of wire"
    used = dict((name, f"{int(count):,} of {int(of):,}") for name, count, of in _USED.findall(text))
    return f"packed, flip-flops {used['SLICE_FFX']}" if "SLICE_FFX" in used else "reading"


def reached_mhz(text: str) -> float:
    """The slowest clock of a log's last word on each; 0 where it says nothing of them."""
    return min((reached for reached, _ in _clocks(text).values()), default=0.0)


def read_log(text: str, clk_mhz: float, sites: LutSites) -> PlacedFigures:
    """Timing is judged at clk_mhz, the bundle's.  Raises ToolError for a log without utilization and clock."""
    used: dict[str, int] = {}
    for name, count, _ in _USED.findall(text):
        used[name] = int(count)  # the last word counts: after packing
    clocks = _clocks(text)
    if "SLICE_FFX" not in used or not clocks:
        raise ToolError(
            "nextpnr's log says nothing of utilization or of the clock",
            hint="known are nextpnr-himbaechel with the xilinx microarchitecture, and nextpnr-xilinx",
        )
    reached, asked = min(clocks.values())
    period = 1000.0 / clk_mhz
    total = Counts(
        sites.used,
        used["SLICE_FFX"],
        _sum(used, "RAMB36") + _sum(used, "RAMBFIFO36") + _sum(used, "RAMB18") / 2,
        _sum(used, "DSP48"),
        sites.memories,
    )
    timing = Timing(period, period - 1000.0 / reached, constraint_ns=1000.0 / asked)
    return PlacedFigures(total, None, timing, None, longest_path(text))


def longest_path(text: str) -> LongestPath | None:
    """Of the last report on a clock's critical path; None where there is none."""
    paths = [found for path in _PATHS.findall(text) if (found := _ON_PATH.findall(path))]
    if not paths:
        return None
    path = max(paths, key=lambda steps: sum(float(delay) for delay, *_ in steps))
    nets = [(float(delay), name) for delay, kind, name in path if kind == "Net"]
    cells = [(float(delay), name) for delay, kind, name in path if kind != "Net"]
    net_ns, net = max(nets, default=(0.0, "-"))
    logic = sum(delay for delay, _ in cells)
    wire = sum(delay for delay, _ in nets)
    names = [name for _, name in nets]
    begin, end = _place(cells[0][1], names), _place(cells[-1][1], reversed(names))
    return LongestPath(begin, end, round(logic, 2), round(wire, 2), len(nets) + 1, net, net_ns)


def _place(pin: str, nearest: Iterable[str]) -> str:
    """Yosys gives many registers names of its own ($auto$...), without a place in the hierarchy; the nearest net with a
    name of the design's tells where they are."""
    if pin.startswith("$"):
        pin = next((f"{net}." for net in nearest if not net.startswith("$")), pin)
    return _block(pin)


def _block(pin: str) -> str:
    """Where in the hierarchy the cell of that pin stands; Yosys' flattened names are of dots."""
    cell = pin.rpartition(".")[0]
    return ".".join(cell.split(".")[:-1][:_DEPTH]) or "top"


def _clocks(text: str) -> dict[str, tuple[float, float]]:
    """MHz reached and asked for, by clock; the last word counts: after routing."""
    return {name.strip(): (float(reached), float(asked)) for name, reached, asked in _CLOCK.findall(text)}


def _sum(used: dict[str, int], prefix: str) -> int:
    """nextpnr's names go on with the site's."""
    return sum(count for name, count in used.items() if name.startswith(prefix))
