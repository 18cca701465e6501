"""A MyHDL block as Verilog text, converted by itself and kept in the cache under all that it depends on.

MyHDL writes no date here, no header, and ports in the style of 1995: these become those of the module.  Sensitivity
lists come in the order of a hash, and signals in that of a frame's locals, which is another one in each version of
Python: both are sorted, so that the same block gives the same bytes everywhere.
"""

from __future__ import annotations

import inspect
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path

import myhdl

from lognet_fpga.fabric import latencies
from lognet_fpga.fabric.memory import BLOCK_RAM_DEPTH
from lognet_fpga.hw.ports import Port, arguments
from lognet_fpga.hw.structure import WIDTH, Leaf
from lognet_fpga.machine.cache import cached, digest
from lognet_fpga.machine.provenance import made_by

_ANY_WIDTH = 7919  # stands for the parameter WIDTH while MyHDL converts
_FILE = "module.v"


def leaf_text(module: Leaf) -> str:
    """The module, below the comments that say what it is; with the parameter WIDTH the same for all widths."""

    home, name = _home(module.build)
    if not home.startswith("lognet_fpga.") or "<locals>" in name:  # what it is made of is in no key
        return _text(module)
    kept = cached("verilog-module", _key(module), lambda folder: _write(folder / _FILE, _text(module)))
    return kept[_FILE].decode()


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _text(module: Leaf) -> str:
    return _for_all_widths(module) if module.parameters else _converted(module.name, module.ports, module.build)


def description(build: Callable) -> str:
    """What a block's docstring says, with numbers for the names in backticks: arguments of the block, properties of
    its shape, cycles of plan.latencies."""
    function, arguments = _function(build)

    def value(match: re.Match) -> str:
        shape, name = arguments.get("shape"), match[1]
        for found in (arguments.get(name), getattr(shape, name, None), getattr(latencies, name, None)):
            if isinstance(found, int):
                return str(int(found))
        return name

    return re.sub(r"`(\w+)`", value, inspect.getdoc(function) or "")


def _function(build: Callable) -> tuple[Callable, Mapping[str, object]]:
    """A block and the arguments that it is given beforehand."""
    return (build.func, build.keywords) if isinstance(build, partial) else (build, {})


def _home(build: Callable) -> tuple[str, str]:
    """The module of a block, and its name there."""
    function, _ = _function(build)
    function = getattr(function, "func", function)  # below MyHDL's decorator
    return function.__module__, function.__qualname__


def _key(module: Leaf) -> str:
    """Digest of all that the text of a module depends on."""
    _, arguments = _function(module.build)
    home, name = _home(module.build)
    ports = [replace(port, width=port.width and 1) for port in module.ports] if module.parameters else module.ports
    return digest(
        made_by(__name__, "myhdl"),
        made_by(home, "myhdl"),
        name,
        module.name,
        repr(tuple(ports)),
        repr(sorted((name, _plain(value)) for name, value in arguments.items())),
    )


def _plain(value: object) -> object:
    """A block's argument as numbers, strings and tuples, whose text says all of it."""
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, (tuple, list, range)):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return [type(value).__name__, *(_plain(getattr(value, field.name)) for field in fields(value))]
    raise TypeError(f"an argument of a block that is no part of a key: {value!r}")


def _for_all_widths(module: Leaf) -> str:
    ports = tuple(replace(port, width=port.width and _ANY_WIDTH) for port in module.ports)
    text = _converted(module.name, ports, module.build)
    text = text.replace(f"[{_ANY_WIDTH - 1}:0]", f"[{WIDTH}-1:0]")
    text = text.replace(f"module {module.name} (", f"module {module.name} #(\n    parameter {WIDTH} = 1\n) (")
    if str(_ANY_WIDTH) in text or str(_ANY_WIDTH - 1) in text:
        raise ValueError(f"{module.name} is not the same for all widths")
    return text


def _converted(name: str, ports: Sequence[Port], build: Callable) -> str:
    block = build(**arguments(build, {port.name: port.signal() for port in ports}))
    block.__doc__ = None  # it stands above the module, with numbers
    _sort_signals(block)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", myhdl.ToVerilogWarning)
        block.convert(
            hdl="Verilog",
            path=folder,
            name=name,
            initial_values=True,
            no_testbench=True,
            header="",
            no_myhdl_header=True,
            trace=False,
            timescale="1ns/1ps",
        )
        text = (Path(folder) / f"{name}.v").read_text(encoding="utf-8")
    return _canonical(_with_ports(name, ports, text[text.index(f"module {name}") :]))


def _sort_signals(block: myhdl._block._Block) -> None:
    """The signals of a block and of those in it by name, a block's arguments first: of a signal with two names the
    first one counts, and a port keeps its own."""
    arguments = list(inspect.signature(block.func).parameters)

    def place(item: tuple[str, object]) -> tuple[int, str]:
        name, _ = item
        return (arguments.index(name) if name in arguments else len(arguments), name)

    block.sigdict = dict(sorted(block.sigdict.items(), key=place))
    block.memdict = dict(sorted(block.memdict.items(), key=place))
    for inside in block.subs:
        if isinstance(inside, myhdl._block._Block):
            _sort_signals(inside)


def _with_ports(name: str, ports: Sequence[Port], text: str) -> str:
    """The text with all that there is to say of a port in the module's head: under `default_nettype none a port that
    is only called input has no type."""
    head, body = text.split("\n);\n", 1)
    named, rows = {port.name: port for port in ports}, []
    for port in (named[line.strip(" ,")] for line in head.splitlines()[1:]):  # in the order of the block's arguments
        kinds = ("wire", "reg") if port.direction == "output" else ("",)
        for kind in kinds:
            lines = f"\n{port.direction} {port.range}{port.name};\n" + (kind and f"{kind} {port.range}{port.name};\n")
            if lines in body:
                body = body.replace(lines, "\n", 1)
                rows.append(f"    {port.direction} {kind or 'wire'} {port.range}{port.name}")
                break
        else:
            raise ValueError(f"port {port.name} of {name} is not what it is said to be")
    return f"module {name} (\n" + ",\n".join(rows) + f"\n);\n{body}"


def _canonical(text: str) -> str:
    def ordered(match: re.Match) -> str:
        names = sorted(name.strip() for name in match.group(1).split(","))
        return f"always @({', '.join(names)})"

    text = re.sub(r"always @\(((?!posedge)[^()]*)\)", ordered, text)
    text = re.sub(r"^(reg (?:\[\d+:0\] )?\w+ \[0:(\d+)-1\];)$", _memory_style, text, flags=re.MULTILINE)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _memory_style(match: re.Match) -> str:
    style = "block" if int(match.group(2)) >= BLOCK_RAM_DEPTH else "distributed"
    return f'(* ram_style = "{style}" *)\n{match.group(1)}'
