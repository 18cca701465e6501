"""`lognet-cost`: what a matrix-vector product costs in LUTs and power, for log2 and linear weights of 1 to 8 bits
(Fig. 4 of Lee et al., ICASSP 2017)."""

from lognet_fpga.cost.points import CostConfig, Study, run_study

__all__ = ["CostConfig", "Study", "run_study"]
