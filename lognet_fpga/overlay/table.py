"""An activation function as one module: a table of codes for every lane of a beat."""

from __future__ import annotations

from functools import partial

from lognet_fpga.fabric.memory import BLOCK_TABLE_DEPTH, table_words
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Joined, Leaf, Rom, Slice, Source, same, with_reset_leaves
from lognet_fpga.hw.table import table_beat, table_valid
from lognet_fpga.ir.quant import CodeTable

_CLOCK = inputs(clk=None, rst=None)


def table_module(table: CodeTable, act_bits: int, lanes: int, channels: int, name: str) -> Composite:
    """From beats of codes to beats of activations, `TABLE_LATENCY` cycles later; zero in lanes without a channel.

    Where channels have tables of their own, that of a lane holds those of its channels one behind the other.
    """
    beats = -(-channels // lanes)
    valid = Leaf(f"{name}_valid", _CLOCK + inputs(in_valid=None) + outputs(out_valid=None), table_valid)
    instances: tuple[Instance, ...] = (Instance("valid", valid, same("clk", "rst", "in_valid", "out_valid")),)
    nets: tuple[Port, ...] = inputs(**{f"word{lane}": act_bits for lane in range(lanes)})
    contents = [table_words(table, lane, lanes, channels) for lane in range(lanes)]
    if max(map(len, contents)) > 2**table.bits:
        beat_bits = (beats - 1).bit_length()
        ports = _CLOCK + inputs(in_valid=None) + outputs(beat=beat_bits)
        turn = Leaf(f"{name}_beat", ports, partial(table_beat, beats=beats))
        instances += (Instance("turn", turn, same("clk", "rst", "in_valid", "beat")),)
        nets += inputs(beat=beat_bits)
    for lane, content in enumerate(contents):
        code = Slice("in_data", lane * table.bits, table.bits)
        address: Source = Joined((code, "beat")) if len(content) > 2**table.bits else code
        rom = Rom(f"{name}_lane{contents.index(content)}", act_bits, content, len(content) >= BLOCK_TABLE_DEPTH)
        instances += (Instance(f"lane{lane}", rom, {"clk": "clk", "address": address, "word": f"word{lane}"}),)
    ports = (
        _CLOCK + inputs(in_valid=None, in_data=lanes * table.bits) + outputs(out_valid=None, out_data=lanes * act_bits)
    )
    text = (
        f"An activation function: {'one table' if table.is_shared else 'a table a channel'} of {2**table.bits} codes."
    )
    shown = {"out_data": Joined(tuple(f"word{lane}" for lane in range(lanes)))}
    return with_reset_leaves(Composite(name, ports, nets, instances, text, assigns=shown), "rst")
