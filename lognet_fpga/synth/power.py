"""An estimate of dynamic power: switching activity times capacitances of published figures.  Nothing here is measured.

    P = f * sum over nets of (toggles per cycle * C * V^2 / 2)  +  f * flip-flops * C_clock * V^2  +  reads a second *
    energy

The capacitances are derived, not those of a 7-series data sheet, which has none:

* L. Shang, A. Kaviani, K. Bathala, "Dynamic Power Consumption in Virtex-II FPGA Family", FPGA 2002, abstract: a CLB
  of typical designs takes 5.9 uW per MHz, routing has 60% of the power, logic 16%, clocking 14%.  A Virtex-II CLB has
  8 LUTs and 8 flip-flops, at 1.5 V and 150 nm (Xilinx DS031).
* Xilinx UG440, Xilinx Power Estimator, "Using the Logic Sheet": an output toggles in 12.5% of the cycles and has a
  fanout of 3, on average over customer designs.  Taken here as the activity of those typical designs, which is an
  assumption.
* Xilinx DS512, Block Memory Generator 6.1, Table 41: an 8k x 12 memory of Virtex-5, one block RAM active at a time,
  both ports in use, takes 10 mW at 300 MHz and a toggle rate of 50%: 5 mW a port.  Virtex-5: 1.0 V, 65 nm.
* Capacitance is scaled with the feature size to 28 nm, and the voltage is 1.0 V (Xilinx DS183, Virtex-7).

Absolute figures may be off by a factor of two or more; ratios of circuits of the same kind are what they are good for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lognet_fpga.synth.activity import Activity

_CLB_PJ, _CLB_VOLTS, _CLB_NM = 5.9, 1.5, 150
_CLB_OUTPUTS, _CLB_FLIP_FLOPS = 16, 8
_ROUTING, _LOGIC, _CLOCKING = 0.60, 0.16, 0.14
_TYPICAL_TOGGLES, _TYPICAL_FANOUT = 0.125, 3
_PORT_PJ, _PORT_VOLTS, _PORT_NM = 5e3 / 300, 1.0, 65
_NM = 28


@dataclass(frozen=True)
class PowerModel:
    """Capacitances in pF: of a LUT's or flip-flop's output inside its slice, of the routing to one load, of the clock
    at one flip-flop.  port_pf: of one read through a port of 8 to 16 bits of a block RAM, as energy = port_pf *
    volts^2."""

    output_pf: float
    load_pf: float
    clock_pf: float
    port_pf: float
    volts: float = 1.0

    def array_pj(self, activity: Activity, glitches: bool = True) -> float:
        """Energy of LUTs, flip-flops and routing in one cycle."""
        toggles, routed = (
            (activity.toggles, activity.routed_toggles)
            if glitches
            else (activity.settled_toggles, activity.settled_routed_toggles)
        )
        return self.volts**2 / 2 * (toggles * self.output_pf + routed * self.load_pf)

    def clock_pj(self, flip_flops: int) -> float:
        return self.volts**2 * flip_flops * self.clock_pf

    def read_pj(self, address_bits: int) -> float:
        """Energy of reading the next word of a block RAM; a counting address changes 2 - 2^(1-n) of its n bits a
        cycle."""
        changes = 2 - 2 ** (1 - address_bits)
        return self.volts**2 * (self.port_pf + changes * self.load_pf / 2)

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def _derived() -> PowerModel:
    toggles = _CLB_OUTPUTS * _TYPICAL_TOGGLES
    clb_pf = _CLB_PJ / _CLB_VOLTS**2 * _NM / _CLB_NM
    return PowerModel(
        output_pf=2 * _LOGIC * clb_pf / toggles,
        load_pf=2 * _ROUTING * clb_pf / toggles / _TYPICAL_FANOUT,
        clock_pf=_CLOCKING * clb_pf / _CLB_FLIP_FLOPS,
        port_pf=_PORT_PJ / _PORT_VOLTS**2 * _NM / _PORT_NM,
    )


SERIES7 = _derived()
