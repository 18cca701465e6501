"""An activation function as one module: a table of codes for every lane of a beat."""

from __future__ import annotations

from functools import partial

from lognet_fpga.fabric.memory import BLOCK_TABLE_DEPTH
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Joined, Leaf, Rom, Slice, Source, same, with_reset_leaves
from lognet_fpga.hw.table import table_beat, table_valid
from lognet_fpga.ir.quant import CodeTable

_CLOCK = inputs(clk=None, rst=None)


def table_module(table: CodeTable, act_bits: int, lanes: int, beats: int, name: str) -> Composite:
    """From beats of codes to beats of activations, `TABLE_LATENCY` cycles later.

    Where channels have tables of their own, that of a lane holds those of its channels one behind the other.
    """
    valid = Leaf(f"{name}_valid", _CLOCK + inputs(in_valid=None) + outputs(out_valid=None), table_valid)
    instances: tuple[Instance, ...] = (Instance("valid", valid, same("clk", "rst", "in_valid", "out_valid")),)
    nets: tuple[Port, ...] = inputs(**{f"word{lane}": act_bits for lane in range(lanes)})
    in_turn = not table.is_shared and beats > 1
    if in_turn:
        beat_bits = (beats - 1).bit_length()
        ports = _CLOCK + inputs(in_valid=None) + outputs(beat=beat_bits)
        turn = Leaf(f"{name}_beat", ports, partial(table_beat, beats=beats))
        instances += (Instance("turn", turn, same("clk", "rst", "in_valid", "beat")),)
        nets += inputs(beat=beat_bits)
    for lane in range(lanes):
        content = table_words(table, lane, lanes)
        number = "" if table.is_shared else str(lane)
        rom = Rom(f"{name}_lane{number}", act_bits, content, len(content) >= BLOCK_TABLE_DEPTH)
        code = Slice("in_data", lane * table.bits, table.bits)
        address: Source = Joined((code, "beat")) if in_turn else code
        instances += (Instance(f"lane{lane}", rom, {"clk": "clk", "address": address, "word": f"word{lane}"}),)
    ports = (
        _CLOCK + inputs(in_valid=None, in_data=lanes * table.bits) + outputs(out_valid=None, out_data=lanes * act_bits)
    )
    text = (
        f"An activation function: {'one table' if table.is_shared else 'a table a channel'} of {2**table.bits} codes."
    )
    shown = {"out_data": Joined(tuple(f"word{lane}" for lane in range(lanes)))}
    return with_reset_leaves(Composite(name, ports, nets, instances, text, assigns=shown), "rst")


def table_words(table: CodeTable, lane: int, lanes: int) -> tuple[int, ...]:
    """Content of a lane's memory."""
    return tuple(entry for its in table.entries[lane::lanes] for entry in its)
