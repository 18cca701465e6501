"""The engine of a `bram` layer as modules: window, weights, processing elements, activations."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.engines.bram.blocks.pe import PeShape, shift_accumulate
from lognet_fpga.engines.bram.blocks.requantize import OutputShape, activations
from lognet_fpga.engines.bram.blocks.tables import COLUMN_BITS, TablePeShape, look_up_accumulate, products
from lognet_fpga.engines.bram.blocks.window import WordWindowShape, word_window
from lognet_fpga.engines.bram.layout import BramShape, OutputConstants, packed_words, weight_words
from lognet_fpga.engines.bram.tables import TableShape, excess, table_codes
from lognet_fpga.engines.folding import Streams
from lognet_fpga.fabric.memory import BLOCK_ROM_DEPTH
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Instance, Joined, Leaf, Rom, Slice, same
from lognet_fpga.numerics.log2 import WEIGHT_BITS

if TYPE_CHECKING:  # foldings import this module when they make theirs
    from lognet_fpga.engines.bram.foldings import BramFolding


def bram_engine(folding: BramFolding, streams: Streams, name: str) -> tuple[tuple[Instance, ...], tuple[Port, ...]]:
    """Instances between the layer's input and the nets conv_valid, conv_data, and the nets between them."""
    layer, shape, constants = folding.layer, folding.shape, folding.constants
    lanes = streams.channels_per_beat
    if isinstance(shape, TableShape):
        constants, weights = constants.beside(excess(layer, shape)), packed_words(table_codes(layer, shape))
        in_block_ram, looked_up = shape.block_rom, outputs(opens=None, bank=None)
    else:
        weights, looked_up = weight_words(layer, shape), ()
        in_block_ram = len(weights) >= BLOCK_ROM_DEPTH
    output_shape = OutputShape(
        shape.passes,
        -(-shape.out_channels // lanes),
        shape.pe // lanes,
        lanes,
        constants.lift,
        constants.sum_bits,
        constants.total_bits,
        layer.code_bits,
        tuple(int(drop) for drop in np.unique(constants.drop)),
    )
    table = constant_words(constants, output_shape)
    weight_rom = Rom(f"{name}_weights", shape.pe * shape.element_lanes * WEIGHT_BITS, weights, in_block_ram)
    constant_rom = Rom(f"{name}_constants", lanes * output_shape.constant_bits, table, len(table) >= BLOCK_ROM_DEPTH)
    window = Leaf(
        f"{name}_window",
        inputs(clk=None, rst=None, in_data=streams.in_channels_per_beat * layer.in_bits, in_valid=None)
        + outputs(in_ready=None)
        + inputs(room=None)
        + outputs(
            x=shape.lanes * layer.in_bits, address=weight_rom.address_bits, first=None, ending=None, ending_blank=None
        )
        + looked_up,
        partial(
            word_window,
            shape=WordWindowShape(
                shape,
                streams.in_channels_per_beat,
                streams.in_beats,
                folding.raster,
                tuple(int(v) for v in layer.pad_value),
            ),
        ),
    )
    output = Leaf(
        f"{name}_activations",
        inputs(clk=None, rst=None, sums=lanes * constants.sum_bits, ending=None, blank=None)
        + outputs(index=constant_rom.address_bits)
        + inputs(constants=constant_rom.word_bits)
        + outputs(out_valid=None, out_data=lanes * layer.code_bits),
        partial(activations, shape=output_shape),
    )
    if isinstance(shape, TableShape):
        elements, between = _table_elements(shape, layer.in_bits, constants, name)
    else:
        elements, between = _elements(shape, layer.in_bits, lanes, constants, name), ()
    instances = (
        Instance("window", window, same(*(port.name for port in window.ports))),
        Instance("weight_table", weight_rom, {"clk": "clk", "address": "address", "word": "codes"}),
        *elements,
        Instance("constant_table", constant_rom, {"clk": "clk", "address": "index", "word": "constants"}),
        Instance(
            "activations",
            output,
            same("clk", "rst", "ending", "index", "constants")
            | {
                "sums": Joined(tuple(f"sum{lane}" for lane in range(lanes))),
                "blank": "ending_blank",
                "out_valid": "conv_valid",
                "out_data": "conv_data",
            },
        ),
    )
    nets = inputs(
        x=shape.lanes * layer.in_bits,
        address=weight_rom.address_bits,
        first=None,
        ending=None,
        ending_blank=None,
        codes=weight_rom.word_bits,
        index=constant_rom.address_bits,
        constants=constant_rom.word_bits,
        **{f"sum{element}": constants.sum_bits for element in range(shape.pe)},
    )
    return instances, nets + between


def _elements(
    shape: BramShape, in_bits: int, lanes: int, constants: OutputConstants, name: str
) -> tuple[Instance, ...]:
    """The processing elements; each hands its captured sum on to the one `lanes` before it."""
    word = shape.simd * WEIGHT_BITS
    element = Leaf(
        f"{name}_pe",
        inputs(clk=None, x=shape.simd * in_bits, codes=word, first=None, capture=None, shift_in=constants.sum_bits)
        + outputs(result=constants.sum_bits),
        partial(shift_accumulate, shape=PeShape(shape.simd, in_bits, constants.sum_bits)),
    )
    return tuple(
        Instance(
            f"pe{index}",
            element,
            same("clk", "first")
            | {
                "x": Slice("x", shape.first_lane(index) * in_bits, shape.simd * in_bits),
                "capture": "ending",
                "codes": Slice("codes", index * word, word),
                # The last ones have nobody behind them, and keep what they have.
                "shift_in": f"sum{index + lanes if index + lanes < shape.pe else index}",
                "result": f"sum{index}",
            },
        )
        for index in range(shape.pe)
    )


def _table_elements(
    shape: TableShape, in_bits: int, constants: OutputConstants, name: str
) -> tuple[tuple[Instance, ...], tuple[Port, ...]]:
    """What fills the tables, the elements that they are in, and the nets between."""
    pe = TablePeShape(shape.held, shape.simd, in_bits, constants.sum_bits, shape.rounds, shape.passes)
    values, columns, word = pe.lanes * pe.product_bits, pe.held * COLUMN_BITS, pe.lanes * WEIGHT_BITS
    filling = Leaf(
        f"{name}_products",
        inputs(clk=None, rst=None, x=shape.simd * in_bits, opens=None) + outputs(values=values, columns=columns),
        partial(products, shape=pe),
    )
    element = Leaf(
        f"{name}_pe",
        inputs(clk=None, values=values, columns=columns, bank=None, codes=word, first=None)
        + outputs(result=constants.sum_bits),
        partial(look_up_accumulate, shape=pe),
    )
    elements = tuple(
        Instance(
            f"pe{index}",
            element,
            same("clk", "values", "columns", "bank", "first")
            | {"codes": Slice("codes", index * word, word), "result": f"sum{index}"},
        )
        for index in range(shape.pe)
    )
    filled = Instance("products", filling, same(*(port.name for port in filling.ports)))
    return (filled, *elements), inputs(values=values, columns=columns, opens=None, bank=None)


def constant_words(constants: OutputConstants, shape: OutputShape) -> tuple[int, ...]:
    """Content of the table of constants, a word for each beat of every pass."""
    lanes, modulus = shape.channels_per_beat, 2**shape.total_bits
    drops = {drop: index for index, drop in enumerate(shape.drops)}
    values = [
        int(offset) % modulus + (drops[int(drop)] << shape.total_bits)
        for offset, drop in zip(constants.offset, constants.drop)
    ]
    values += [0] * (shape.passes * shape.beats_per_pass * lanes - len(values))
    return tuple(
        sum(value << lane * shape.constant_bits for lane, value in enumerate(values[first : first + lanes]))
        for first in range(0, len(values), lanes)
    )
