"""Types of option values, and options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

from lognet_fpga.config import ACT_BITS, ALL_LAYERS, AUTO_BITS, AUTO_LAYERS
from lognet_fpga.engines.stores import AUTO, STORES, choices
from lognet_fpga.fabric.boards import board_names


def number(text: str) -> float:
    """A number, or a fraction of two such as 1/255."""
    try:
        above, _, below = text.partition("/")
        return float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number or a fraction such as 1/255") from error


def numbers(text: str) -> tuple[float, ...]:
    """Numbers or fractions separated by commas."""
    return tuple(number(part) for part in text.split(","))


def number_or_numbers(text: str) -> float | tuple[float, ...]:
    """As numbers; one of them as itself."""
    several = numbers(text)
    return several if len(several) > 1 else several[0]


def whole_or_wholes(text: str) -> int | tuple[int, ...]:
    """A whole number, or several separated by commas."""
    try:
        several = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error
    return several if len(several) > 1 else several[0]


def input_shape(text: str) -> tuple[int, ...]:
    """CHANNELS,HEIGHT,WIDTH, or CHANNELS,LENGTH of frames of one row."""
    found = sizes(text)
    return (found[0], 1, found[1]) if len(found) == 2 else found


def numbers_or_array(text: str) -> tuple[float, ...] | Path:
    """As numbers, or the path of a .npy file."""
    return Path(text) if text.endswith(".npy") else numbers(text)


def sizes(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 up separated by commas."""
    return tuple(positive(part.strip()) for part in text.split(","))


def positive(text: str) -> int:
    """A whole number from 1 up."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def positive_or_all(text: str) -> int | None:
    """A whole number from 1 up, or None for "all"."""
    found = positive_layers(text)
    return None if found == ALL_LAYERS else int(found)


def layers(text: str) -> int | str:
    """A whole number from 1 up, "auto" or "all"."""
    return _number_or(text, AUTO_LAYERS, ALL_LAYERS)


def _number_or(text: str, *words: str) -> int | str:
    """A whole number from 1 up, or one of the words."""
    if text in words:
        return text
    try:
        return positive(text)
    except argparse.ArgumentTypeError as error:
        message = f"{text!r} is neither a whole number from 1 up nor {' or '.join(words)}"
        raise argparse.ArgumentTypeError(message) from error


def positive_layers(text: str) -> int | str:
    """A whole number from 1 up, or "all"."""
    return _number_or(text, ALL_LAYERS)


def act_bits(text: str) -> int | str:
    """One of ACT_BITS, or "auto"."""
    if text == AUTO_BITS:
        return text
    if text not in map(str, ACT_BITS):
        raise argparse.ArgumentTypeError(f"{text!r} is neither {ACT_BITS[0]} to {ACT_BITS[-1]} nor {AUTO_BITS}")
    return int(text)


def add_board(parser: argparse._ActionsContainer, default: str | None, says: str) -> None:
    """says: what it is for, and what stands in for it."""
    names = board_names()
    parser.add_argument(
        "--board", type=str.lower, choices=names, default=default, metavar="B", help=f"{says}: {', '.join(names)}"
    )


def add_layers(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--fpga-layers",
        type=layers,
        metavar="N",
        help="how many layers to put on the FPGA, convolutions first, then fully connected ones; all: every layer that "
        "can go, up to the class scores; auto: the number of convolutions with the best predicted rate (default: as "
        "many of the first 3 convolutions as can go)",
    )


def add_plan(parser: argparse._ActionsContainer) -> None:
    """What decides about sizes and rates."""
    stores = "; ".join(f"{store.name}, {store.title}" for store in STORES.values())
    parser.add_argument(
        "--fps",
        type=number,
        metavar="F",
        help="frames per second to reach at least (default: the fastest plan that fits)",
    )
    parser.add_argument(
        "--act-bits",
        type=act_bits,
        default=AUTO_BITS,
        metavar="N",
        help=f"bits of the activations between layers, {ACT_BITS[0]} to {ACT_BITS[-1]}; {AUTO_BITS}: those of a "
        "retrained model, or else, layer by layer, as few as the error allows (default: %(default)s)",
    )
    parser.add_argument(
        "--weights",
        choices=choices(),
        default=AUTO,
        help=f"where the weights go: {stores}; {AUTO}, whichever is cheaper, layer by layer (default: %(default)s)",
    )
    parser.add_argument(
        "--prune",
        type=number,
        default=0.0,
        metavar="X",
        help="share of the weights to set to zero before quantizing, 0 <= X < 1 (default: 0)",
    )
    parser.add_argument(
        "--clk-mhz",
        type=number,
        metavar="F",
        help="upper limit of the overlay's clock in MHz; it gets the fastest clock up to that limit that the board can "
        "generate (default: the board's usual clock)",
    )


def add_input_shape(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--input-shape",
        type=input_shape,
        metavar="C,H,W",
        help="channels, height and width of a frame, for a model that leaves them open; for one-dimensional frames, "
        "channels and length",
    )


def ranges(text: str) -> tuple[int, ...]:
    """Whole numbers and ranges of them separated by commas, such as 1..4,8; in rising order, each once."""
    found: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.strip().partition("..")
        low = positive(first)
        high = positive(last) if dots else low
        if not low <= high <= low + 1000:
            raise argparse.ArgumentTypeError(f"{part!r} is not a range such as 1..8")
        found |= set(range(low, high + 1))
    return tuple(sorted(found))
