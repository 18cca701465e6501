"""Frames as text: a line a frame, its numbers separated by commas (.csv), as spreadsheets and scripts write them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError

TABLE_SUFFIX = ".csv"
_LABELS = ("label", "labels", "y")
_OF_FLOATS = frozenset(".eEnN")  # in numbers that are not written as whole ones; nan, inf among them


@dataclass(frozen=True, eq=False)
class Table:
    """values: (n, columns), int64 where all are written as whole numbers, else float64.  labels: (n,) int64 or None."""

    values: np.ndarray
    labels: np.ndarray | None


def read_table(path: Path, limit: int | None = None) -> Table:
    """The first `limit` lines of the file at path.

    A first line of names is left out; the column that it calls label, labels or y holds class numbers.  Empty lines do
    not count.  Raises InputError, with the line, for anything that is not as many numbers a line, all finite.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file", hint="give a .csv file")
    try:
        with open(path, encoding="utf-8-sig", newline=None) as stream:
            written = ((number, line.strip()) for number, line in enumerate(stream, 1))
            lines = (entry for entry in written if entry[1])
            first = next(lines, None)
            if first is None:
                raise InputError(f"{path} is empty", hint="write a line a frame, its numbers separated by commas")
            names = _names(first[1])
            rows = list(itertools.islice(lines if names else itertools.chain([first], lines), limit))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8", hint="export it again as CSV in UTF-8") from error
    columns = len(names) if names else first[1].count(",") + 1
    if not rows:
        raise InputError(f"{path} has a line of names and no frames", hint="write a line a frame below it")
    values = _numbers(path, rows, columns)
    label = next((place for place, name in enumerate(names or ()) if name.lower() in _LABELS), None)
    if label is None:
        return Table(values, None)
    labels = values[:, label]
    wrong = np.flatnonzero((labels < 0) | (np.mod(labels, 1) != 0) | (labels >= 2**53))
    if len(wrong):
        raise InputError(
            f"{path}, line {rows[wrong[0]][0]}: the label is {labels[wrong[0]]:g}, which is no class number",
            hint=f"write whole numbers, counted from 0, into the column {(names or ())[label]}",
        )
    return Table(np.delete(values, label, axis=1), labels.astype(np.int64))


def _names(line: str) -> list[str] | None:
    """The names of the columns; None for a line that has a number in it."""
    fields = [field.strip().strip('"') for field in line.split(",")]
    return None if any(_number(field) is not None for field in fields) else fields


def _number(text: str) -> float | None:
    try:
        return float(text.strip().strip('"'))
    except ValueError:
        return None


def _numbers(path: Path, rows: list[tuple[int, str]], columns: int) -> np.ndarray:
    """(n, columns) of rows, each with the number of its line."""
    for number, row in rows:
        if row.count(",") + 1 != columns:
            raise InputError(
                f"{path}, line {number}: it has {row.count(',') + 1:,} numbers, the first line {columns:,}",
                hint="write all numbers of a frame into one line, separated by commas",
            )
    text = ",".join(row for _, row in rows)
    try:
        values = np.array(text.replace('"', "").split(","), dtype=np.float64)
    except ValueError:
        raise _no_number(path, rows) from None
    values = values.reshape(len(rows), columns)
    if not (finite := np.isfinite(values)).all():
        place, column = divmod(int(np.argmin(finite)), columns)
        raise InputError(
            f"{path}, line {rows[place][0]}, column {column + 1}: {values[place, column]} is not finite",
            hint="leave the line out, or write a number in its place",
        )
    whole = _OF_FLOATS.isdisjoint(text) and bool((np.abs(values) < 2**53).all())
    return values.astype(np.int64) if whole else values


def _no_number(path: Path, rows: list[tuple[int, str]]) -> InputError:
    for number, row in rows:
        for column, field in enumerate(row.split(","), 1):
            value = _number(field)
            if value is None or "_" in field or math.isnan(value) and "nan" not in field.lower():
                shown = field.strip()[:40]
                separators = "; others than commas do not separate numbers, and a decimal point is a point"
                return InputError(
                    f"{path}, line {number}, column {column}: "
                    + (f"{shown!r} is no number" if shown else "there is no number"),
                    hint="a line of names may stand first, and only there"
                    + (separators if set(";\t ") & set(field.strip()) else ""),
                )
    return InputError(f"{path} is no table of numbers", hint="write a line a frame, its numbers separated by commas")
