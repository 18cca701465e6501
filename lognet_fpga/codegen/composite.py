"""A module of instances as Verilog text: nets, and what each port is connected to as concatenations of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lognet_fpga.hw.structure import Composite, Constant, Instance, Joined, Leaf, Module, Source

LINE_LENGTH = 120


def composite_text(module: Composite) -> str:
    """The module, below the comments that say what it is."""
    widths = {port.name: port.width for port in (*module.ports, *module.nets)}
    lines = [f"module {module.name} ("]
    lines += [f"    {port.direction} wire {port.range}{port.name}," for port in module.ports]
    lines[-1] = lines[-1].rstrip(",")
    lines += [");", ""]
    named = {module.sizes[net.name]: net.width for net in module.nets if net.name in module.sizes}
    lines += [f"localparam {name} = {width};" for name, width in named.items()]
    for net in module.nets:
        size = module.sizes.get(net.name)
        lines.append(f"wire [{size}-1:0] {net.name};" if size else f"wire {net.range}{net.name};")
    for name, source in module.assigns.items():
        lines += ["", *_folded(f"assign {name} = ", source_text(source, widths), ";")]
    for instance in module.instances:
        lines += ["", *_instance(instance, widths)]
    lines += ["", "endmodule", ""]
    return "\n".join(lines)


def _instance(instance: Instance, widths: Mapping[str, int | None]) -> list[str]:
    """The lines of an instance; short ports share one."""
    parameters = ", ".join(f".{name}({value})" for name, value in _parameters(instance.module).items())
    head = f"{instance.module.name} {parameters and f'#({parameters}) '}{instance.name} ("
    ports = [
        (port.name, source_text(instance.wires[port.name], widths) if port.name in instance.wires else [""])
        for port in instance.module.ports
    ]
    line = head + ", ".join(f".{name}({''.join(pieces)})" for name, pieces in ports) + ");"
    if len(line) <= LINE_LENGTH:
        return [line]
    lines, line = [head], ""
    for number, (name, pieces) in enumerate(ports, 1):
        text, tail = f".{name}({''.join(pieces)})", "," if number < len(ports) else ""
        if line and len(line) + len(text) + 2 <= LINE_LENGTH:
            line += f" {text}{tail}"
            continue
        if line:
            lines.append(line)
        folded = _folded(f"    .{name}(", pieces, f"){tail}")
        lines, line = (lines, folded[0]) if len(folded) == 1 else ([*lines, *folded], "")
    return [*lines, *([line] if line else []), ");"]


def _parameters(module: Module) -> Mapping[str, int | str]:
    return module.parameters if isinstance(module, Leaf) else {}


def source_text(source: Source, widths: Mapping[str, int | None]) -> list[str]:
    """What a net or port is connected to, in pieces that may begin a new line."""
    if isinstance(source, str):
        return [source]
    if isinstance(source, Constant):
        return [f"{source.width}'h{source.value:x}"]
    if isinstance(source, Joined):
        pieces = [source_text(piece, widths)[0] for piece in reversed(source.pieces)]
        return [f"{{{pieces[0]}", *(f", {piece}" for piece in pieces[1:]), "}"] if len(pieces) > 1 else pieces
    width = widths[source.net]
    if width is None or source.width == width:
        return [source.net]
    high = source.low + source.width - 1
    return [f"{source.net}[{high}]" if source.width == 1 else f"{source.net}[{high}:{source.low}]"]


def _folded(head: str, pieces: Sequence[str], tail: str) -> list[str]:
    """head, pieces and tail in lines of at most LINE_LENGTH characters, where no piece is longer than that."""
    lines, line = [], head
    for piece in (*pieces, tail):
        if len(line) + len(piece) > LINE_LENGTH and piece.startswith(", "):
            lines.append(f"{line},")
            line, piece = "        ", piece[2:]
        line += piece
    return [*lines, line]
