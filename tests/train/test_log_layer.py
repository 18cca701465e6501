"""A layer in PyTorch gives the integers of the quantized layer, and gradients of the float one."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.ir.graph import AveragePool, MaxPool
from tests.quant_models import POOL_2X2, Spec, random_frames, random_graph

SPECS = {
    "plain": Spec(5, pool=None),
    "pool": Spec(6, pool=POOL_2X2, out_bits=4),
    "padded pool": Spec(6, pool=MaxPool((3, 3), (2, 2), (1, 1, 0, 1)), odd_pad=True),
    "average": Spec(4, pool=AveragePool((3, 2), (2, 2))),
    "average inside": Spec(4, pool=AveragePool((3, 3), (2, 2), (1, 0, 1, 1), (1, 0, 1, 1))),
    "average of its own bits": Spec(4, pool=AveragePool((4, 4), (2, 2)), out_bits=4, average_bits=8),
    "average that ends": Spec(4, pool=AveragePool((2, 2), (2, 2)), out_bits=4, average_drop=1),
    "strides": Spec(7, (5, 3), (2, 1), (2, 0, 1, 2), None, odd_pad=True),
}


@pytest.fixture(autouse=True)
def torch(require_tool):
    require_tool("torch")
    return pytest.importorskip("torch")


def log_conv(layer, frames, method="ste", **more):
    from lognet_fpga.train.log_layer import LogConv

    return LogConv(layer, layer.codes.astype(np.float64), frames, method, **more)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SPECS)
def test_the_same_integers(name: str, seed: int, torch) -> None:
    quant = random_graph(seed, (3, 9, 11), SPECS[name])
    (layer,), frames = quant.layers, random_frames(quant, 6, seed)
    with torch.no_grad():
        got = log_conv(layer, frames)(torch.from_numpy(frames).float()).numpy()
    np.testing.assert_array_equal(got, layer.run(frames))
    assert len(np.unique(got)) > 5


@pytest.mark.parametrize("seed", range(3))
def test_weights_between_codes_start_at_the_given_codes(seed: int, torch) -> None:
    """Codes that were chosen by output error are not those nearest to the weights."""
    from lognet_fpga.train.log_layer import LogConv

    rng = np.random.default_rng(seed)
    quant = random_graph(seed, (3, 8, 8), Spec(6))
    (layer,), frames = quant.layers, random_frames(quant, 4, seed)
    rows = layer.codes * rng.uniform(0.3, 2.5, layer.codes.shape) + rng.normal(0, 0.8, layer.codes.shape)
    module = LogConv(layer, rows, frames, "ste")
    np.testing.assert_array_equal(module.codes().detach().numpy(), layer.codes)


@pytest.mark.parametrize("method", ["ste", "paper"])
def test_gradients_pass_where_the_float_layer_has_them(method: str, torch) -> None:
    """By the bias: 1 for every result above 0, but with "ste" none for a result that is clipped at the top."""
    quant = random_graph(7, (3, 8, 8), Spec(4, pool=None, out_bits=4))
    (layer,), frames = quant.layers, random_frames(quant, 4, 7)
    module = log_conv(layer, frames, method)
    module(torch.from_numpy(frames).float()).sum().backward()
    sums = (layer.accumulate(frames) - (1 << layer.shift >> 1)) / 2.0**layer.shift
    inside = (sums > 0) & ((sums < 15) if method == "ste" else True)
    spread = module.spread_out.numpy()
    np.testing.assert_allclose(module.mean.grad.numpy(), inside.sum(axis=(0, 2, 3)) * spread, rtol=1e-4)


def test_exact_weights_and_pruned_ones_stay(torch) -> None:
    quant = random_graph(8, (3, 8, 8), Spec(4))
    (layer,), frames = quant.layers, random_frames(quant, 4, 8)
    exact = np.array([-1, int(np.flatnonzero(layer.codes[1])[0]), -1, -1])
    module = log_conv(layer, frames, exact=exact)
    before = module.codes().detach().numpy().copy()
    keep = torch.rand(module.weight.shape, generator=torch.Generator().manual_seed(1)) > 0.5
    keep[1] = True
    module.prune(keep)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.from_numpy(frames).float()).square().mean().backward()
        optimizer.step()
    after = module.codes().detach().numpy()
    assert np.all(after[~keep.numpy()] == 0)
    assert after[1].flat[exact[1]] == before[1].flat[exact[1]]
    assert np.any(after != np.where(keep.numpy(), before, 0))
