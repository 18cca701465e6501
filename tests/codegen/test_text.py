"""The Verilog text itself: the same bytes every time, nothing of the machine in it, accepted by Verilator's lint."""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lognet_fpga.codegen import generate, verilog
from lognet_fpga.codegen.verilog import _single_selects
from lognet_fpga.plan.memory import BLOCK_RAM_DEPTH
from lognet_fpga.tools import find_verilator
from tests.quant_models import Spec, adder_graphs, frame_cycles, make_plan, random_graph
from tests.shallow import shallow

ROOT = Path(__file__).parents[2]
SHA256 = "0123456789abcdef" * 4
# Faults of synthesis or meaning; widths and unused bits are not among them.
FATAL = (
    "LATCH",
    "MULTIDRIVEN",
    "UNOPTFLAT",
    "IMPLICIT",
    "PINMISSING",
    "BLKSEQ",
    "COMBDLY",
    "CASEINCOMPLETE",
    "SELRANGE",
    "UNDRIVEN",
    "PROCASSWIRE",
    "MODMISSING",
    "ALWCOMBORDER",
)


def design(seed: int = 1):
    quant = random_graph(seed, (3, 6, 7), Spec(4, odd_pad=True), Spec(5, pool=None, out_bits=4))
    graphs = adder_graphs(quant, [False, True])
    return shallow(generate, quant, make_plan(quant, graphs, frame_cycles(quant, "middle")), graphs, SHA256)


@pytest.fixture(scope="module")
def text():
    return design()


def test_same_bytes_whatever_the_hash_seed(text, tmp_path):
    script = "from tests.codegen.test_text import design; print(design().digest)"
    runs = []
    for seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": str(ROOT),
            "LOGNET_CACHE": str(tmp_path / seed),
        }
        runs.append(
            subprocess.Popen(
                [sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
            )
        )
    assert [run.communicate()[0].strip() for run in runs] == [text.digest] * 2


def test_another_model_has_another_digest(text):
    assert design(2).digest != text.digest


def test_converted_once(text, monkeypatch):
    monkeypatch.setattr(verilog, "verilog_files", lambda _: pytest.fail("converted again"))
    assert design() == text
    with pytest.raises(pytest.fail.Exception):
        design(3)


def test_nothing_of_the_machine(text):
    names = {getpass.getuser(), socket.gethostname(), str(ROOT), str(Path.home()), tempfile.gettempdir(), sys.prefix}
    for name, content in text.files:
        assert content.isascii() and content.endswith("\n") and "\r" not in content
        assert not re.search(r"(?<![/\w])/\w+/", content), name  # a path
        assert not re.search(r"(?<!\[)\b\d\d:\d\d|\b20\d\d\b|Date", content), name
        words = [word for word in names if len(word) > 2 and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", content)]
        assert not words, name


def test_one_module_a_file(text):
    for name, content in text.verilog_files:
        assert re.findall(r"^module (\w+)", content, re.MULTILINE) == [name.removesuffix(".v")]
    modules = {name.removesuffix(".v") for name, _ in text.verilog_files}
    contents = {name for name, _ in text.files} - {f"{module}.v" for module in modules}
    assert contents == {name for _, content in text.files for name in re.findall(r'readmemh\("(.*)"', content)} != set()
    assert [name for name, _ in text.files] == sorted(name for name, _ in text.files)
    assert text.top in modules and {part for _, part in text.parts} <= modules


def test_monitors_are_ports_of_the_top(text):
    top = dict(text.files)[f"{text.top}.v"]
    for monitor in text.monitors:
        width = monitor.format.channels_per_beat * monitor.format.bits
        assert f"output wire {monitor.port}_valid" in top
        assert f"output wire [{width - 1}:0] {monitor.port}_data" in top


def test_every_memory_says_where_it_goes(text):
    """Deep ones into block RAM, as the planner counts them."""
    memories = re.findall(
        r"^(.*)\nreg .*\[0:(\d+)-1\];$", "\n".join(content for _, content in text.files), re.MULTILINE
    )
    assert memories
    for style, depth in memories:
        wanted = "block" if int(depth) >= BLOCK_RAM_DEPTH else "distributed"
        assert style == f'(* ram_style = "{wanted}" *)'


def test_no_select_of_a_select(text):
    """Tools differ in what they take it for."""
    assert _single_selects("a[8-1:4][3] b[12-1:4][6-1:2][3-1:1] m[i][3-1:0]") == "a[7] b[9-1:7] m[i][3-1:0]"
    for name, content in text.files:
        assert not re.search(r":\s*\w+\]\s*\[", content), name


def test_lint(text, tmp_path, require_tool):
    require_tool("verilator")
    for name, content in text.files:
        (tmp_path / name).write_text(content)
    tool = find_verilator()
    names = [name for name, _ in text.verilog_files]
    done = subprocess.run(
        [*tool.command, "--lint-only", "-Wall", "-Wno-fatal", "--top-module", text.top, *names],
        cwd=tmp_path,
        env={**os.environ, **dict(tool.environment)},
        capture_output=True,
        text=True,
    )
    messages = done.stdout + done.stderr
    assert done.returncode == 0 and "%Error" not in messages
    found = [line for line in messages.splitlines() if (kind := re.match(r"%Warning-(\w+)", line)) and kind[1] in FATAL]
    assert not found, "\n".join(found)
