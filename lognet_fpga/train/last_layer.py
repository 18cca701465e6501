"""The host's last layer, quantized after it was trained alone (Lee et al., ICASSP 2017, section 3)."""

from __future__ import annotations

import torch

from lognet_fpga.numerics.quantizers import fit_by_nmse, log_quantizer
from lognet_fpga.numerics.samples import Samples
from lognet_fpga.train.graph_module import GraphModule


@torch.no_grad()
def quantize_last(tail: GraphModule, bits: int) -> None:
    """Round the last matrix to log2 levels of so many bits, with the full scale range of least error."""
    for parameter in tail.last_weights:
        if parameter.ndim > 1:
            values = parameter.detach().cpu().numpy()
            quantizer = fit_by_nmse(Samples(values), lambda fsr: log_quantizer(bits, fsr, rounding="arithmetic"))
            parameter.copy_(torch.tensor(quantizer(values), dtype=torch.float32))
