"""What place and route says of a design, by whatever tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from lognet_fpga.errors import TimingError
from lognet_fpga.ir.clocks import fastest_clock, hertz, mhz_text

NOT_RUN = "not run on hardware"


@dataclass(frozen=True)
class Counts:
    """Used of a chip.  lut: LUT6 sites.  None: not said."""

    lut: int
    ff: int
    bram36: float
    dsp: int | None
    m_lut: int | None = None


@dataclass(frozen=True)
class Timing:
    """period_ns: of the bundle's clock, which the overlay may have.  slack_ns, pulse_slack_ns: the worst of setup and
    of pulse widths at that clock; hold_slack_ns: of hold, which no clock changes.  failing: endpoints known to miss
    their time.  constraint_ns: the period that the tool was told.  None where the tool does not say."""

    period_ns: float
    slack_ns: float
    hold_slack_ns: float | None = None
    pulse_slack_ns: float | None = None
    failing: int | None = None
    constraint_ns: float | None = None

    @property
    def fmax_mhz(self) -> float:
        """The fastest clock of the longest path."""
        return 1000.0 / (self.period_ns - self.slack_ns)

    @property
    def met(self) -> bool:
        slacks = self.slack_ns, self.hold_slack_ns, self.pulse_slack_ns
        return not self.failing and all(slack is None or slack >= 0 for slack in slacks)


@dataclass(frozen=True)
class Power:
    """An estimate by the tool, in watts, of the whole chip with its processor.  static_w: included in total_w."""

    total_w: float
    static_w: float


@dataclass(frozen=True)
class LongestPath:
    """start, end: the blocks, by their places in the hierarchy, in which it begins and ends.  logic_ns, wire_ns: of the
    cells on it and of the nets between them.  cells: on it, the registers at its ends included.  net: the slowest of
    its nets, which takes net_ns."""

    start: str
    end: str
    logic_ns: float
    wire_ns: float
    cells: int
    net: str
    net_ns: float


@dataclass(frozen=True)
class PlacedFigures:
    """total: of the programmable logic.  overlay: of the overlay alone; None where the tool cannot tell it apart.
    path: None where the tool's reports are read without it."""

    total: Counts
    overlay: Counts | None
    timing: Timing
    power: Power | None
    path: LongestPath | None = None

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"fmax_mhz": round(self.timing.fmax_mhz, 2), "timing_met": self.timing.met}

    def require(self, allowed: bool, reports: str, pll_hz: int) -> None:
        """Raise TimingError unless timing is met or allowed not to be.  reports: where the details are.  pll_hz: what
        the board's clocks are divided from."""
        timing = self.timing
        if timing.met or allowed:
            return
        would_do = mhz_text(fastest_clock(pll_hz, hertz(timing.fmax_mhz)).mhz)
        hold, pulse = (slack is not None and slack < 0 for slack in (timing.hold_slack_ns, timing.pulse_slack_ns))
        raise TimingError(
            f"the routed design misses its clock of {mhz_text(1000 / timing.period_ns)} MHz",
            context=[
                f"worst setup slack {timing.slack_ns:.3f} ns: it would run at {timing.fmax_mhz:.1f} MHz",
                *([f"worst hold slack {timing.hold_slack_ns:.3f} ns: no clock helps against that"] if hold else []),
                *([f"worst slack of a pulse's width {timing.pulse_slack_ns:.3f} ns"] if pulse else []),
                f"details: {reports}",
            ],
            hint=("" if hold else f"deploy with --clk-mhz {would_do}, the board's fastest clock that it meets, or ")
            + "accept it as it is with --allow-timing-violation, which marks the bundle",
        )


@dataclass(frozen=True, eq=False)
class Bitstream:
    """flow: "vivado" or "open".  versions: tool to version.  experimental: no board has run one of this toolchain.
    reports: file name to content.  made_from: identifies the project."""

    bit: bytes
    hwh: bytes
    flow: str
    versions: Mapping[str, str]
    figures: PlacedFigures
    made_from: str
    experimental: bool = False
    reports: Mapping[str, bytes] = field(default_factory=dict)
