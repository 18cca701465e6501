"""Reports as text: no wider than is asked for, and nothing lost on the way."""

from __future__ import annotations

import random
import re

import pytest

from lognet_fpga.report import Report, Section, Table, fold


def words(random_: random.Random, most: int) -> str:
    return " ".join("x" * random_.randint(1, 14) for _ in range(random_.randint(0, most)))


@pytest.mark.parametrize("seed", range(20))
def test_tables_keep_to_the_width_and_all_their_words(seed):
    random_ = random.Random(seed)
    columns = tuple(words(random_, 2) or "a" for _ in range(random_.randint(1, 4)))
    rows = tuple(tuple(words(random_, 30) for _ in columns) for _ in range(random_.randint(1, 5)))
    width = random_.randint(80, 120)
    lines = Table(columns, rows).text_lines(width)
    assert max(map(len, lines)) <= width, f"seed {seed}"
    letters = sum(cell.count("x") + cell.count("a") for row in (columns, *rows) for cell in row)
    assert sum(line.count("x") + line.count("a") for line in lines) == letters, f"seed {seed}"


def test_a_table_with_room_is_one_line_a_row():
    assert Table(("name", "n"), (("some words", 12), ("b", 3))).text_lines(80) == [
        "name         n",
        "----------  --",
        "some words  12",
        "b            3",
    ]


def test_long_names_give_way_before_words_do():
    name = "/".join(["functional_1", "batch_normalization", "FusedBatchNormV3"] * 3)
    lines = Table(("node", "why"), ((name, "because " * 12),)).text_lines(80)
    assert max(map(len, lines)) <= 80 and " ".join(lines).count("because") == 12
    assert re.search(r"functional\S*\.\.\.\S*BatchNormV3", lines[2])


def test_lines_hang_below_their_label():
    section = Section("S", ("predicted  " + "word " * 30, "plain " * 30))
    lines = section.text(80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].startswith(" " * 13 + "word") and lines[-1].startswith("    plain")


def test_file_names_stay_whole():
    path = "/" + "a/" * 60 + "model.onnx"
    assert path in Report("R", (Section("S", (f"it is in {path}",)),)).text(80)


def test_boards_that_are_alike_share_their_rows():
    rows = fold([("a", [(1, 2), (3, 4)]), ("b", [(1, 2)]), ("c", [(1, 2), (3, 4)])])
    assert rows == (("a, c", 1, 2), ("a, c", 3, 4), ("b", 1, 2))
