"""Power of the board, of this host or of a GPU, by whatever sensor there is."""

from lognet_fpga.runtime.power.choose import open_meter
from lognet_fpga.runtime.power.sampler import Meter, Phase, PowerResult, Sampler

__all__ = ["Meter", "Phase", "PowerResult", "Sampler", "open_meter"]
