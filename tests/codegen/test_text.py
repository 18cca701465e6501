"""The Verilog text itself: the same bytes every time, nothing of the machine in it, accepted by Verilator's lint."""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import myhdl
import pytest

import lognet_fpga
from lognet_fpga.codegen import generate, leaf, verilog
from lognet_fpga.codegen.leaf import leaf_text
from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.engines.clb.blocks import digit_blocks
from lognet_fpga.fabric.memory import BLOCK_RAM_DEPTH
from lognet_fpga.hw.control import CONTROL_MODULES
from lognet_fpga.hw.dma.dma import axi_dma
from lognet_fpga.hw.structure import Lanes, Leaf, modules
from lognet_fpga.machine.tools import find_verilator
from lognet_fpga.overlay.overlay import overlay
from tests.quant_models import Spec, folded_plan, frame_cycles, make_plan, random_graph, solved
from tests.shallow import shallow

ROOT = Path(__file__).parents[2]
WAIVERS = Path(__file__).parent / "lint.vlt"
SHA256 = "0123456789abcdef" * 4


def design(seed: int = 1):
    quant = random_graph(seed, (3, 6, 7), Spec(4, odd_pad=True), Spec(5, pool=None, out_bits=4))
    plan = make_plan(solved(quant, [False, True]), frame_cycles(quant, "middle"))
    return shallow(generate, plan, SHA256, quant.name)


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


def test_same_bytes_in_whatever_order_python_has_a_block_s_signals(monkeypatch):
    """MyHDL finds them among a frame's locals, which each version of Python lists in another order."""
    quant = random_graph(1, (3, 6, 7), Spec(4, odd_pad=True), Spec(5, pool=None, out_bits=4))
    plan = make_plan(solved(quant, [False, True]), frame_cycles(quant, "middle"))
    every = [module for module in modules(overlay(plan, SHA256)) if isinstance(module, Leaf)]
    leaves = [module for module in every if module.name not in CONTROL_MODULES]
    texts = [leaf._text(module) for module in leaves]
    found, turned = myhdl._block._Block._updateNamespaces, []

    def backwards(block):
        found(block)
        for name in ("sigdict", "memdict"):
            signals = dict(reversed(getattr(block, name).items()))
            turned.append(len(signals) > 1)
            setattr(block, name, signals)

    monkeypatch.setattr(myhdl._block._Block, "_updateNamespaces", backwards)
    assert [leaf._text(module) for module in leaves] == texts and any(turned) and len(leaves) > 10


def test_another_model_has_another_digest(text):
    assert design(2).digest != text.digest


def test_converted_once(text, monkeypatch):
    monkeypatch.setattr(verilog, "verilog_files", lambda *_: pytest.fail("converted again"))
    assert design() == text
    with pytest.raises(pytest.fail.Exception):
        design(3)


def test_a_change_of_one_layer_converts_one_layer(monkeypatch, tmp_path):
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path))  # in which no other test has left a module
    quant = random_graph(5, (2, 6, 6), Spec(3, pool=None), Spec(4, pool=None), Spec(2, pool=None))
    engines = solved(quant)
    first, second, third = quant.layers
    other = replace(quant, layers=(first, replace(second, shift=second.shift + 1), third))
    converted = []
    text = leaf._text
    monkeypatch.setattr(leaf, "_text", lambda module: converted.append(module.name) or text(module))
    shallow(generate, folded_plan([1, 1, 1], engines), SHA256, quant.name)
    converted.clear()
    shallow(generate, folded_plan([1, 1, 1], solved(other)), "ab" * 32, quant.name)
    assert converted == ["layer2_requantize", "axil_registers"]  # which has the digest of the model


@pytest.mark.parametrize("kind", sorted(name for name, value in vars(digit_blocks).items() if isinstance(value, Lanes)))
def test_lanes_are_the_same_for_all_widths(kind):
    """The module with the parameter is what MyHDL makes of the block at each width."""
    lanes = getattr(digit_blocks, kind)
    text = leaf_text(lanes.leaf(5))
    for width in (1, 2, 67):
        alone = leaf._converted(lanes.name, lanes.leaf(width).ports, lanes.make)
        assert text.replace("[WIDTH-1:0]", f"[{width - 1}:0]").replace(" #(\n    parameter WIDTH = 1\n)", "") == alone


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
    for name, content in text.files:
        assert not re.search(r":\s*\w+\]\s*\[", content), name


def test_every_file_says_what_it_is(text):
    for name, content in text.verilog_files:
        lines = content.splitlines()
        assert lines[0] == f"// {name}: made by LogNet FPGA toolkit {lognet_fpga.__version__}, not to be edited"
        assert "random" in lines[1] and SHA256 in lines[1] and "ZCU104" in lines[2] and "MHz" in lines[2]
        assert lines[4].startswith("// ") and len(lines[4]) > 10, name  # what the module is for
        code = [line for line in lines if line and not line.startswith("//")]
        assert code[:2] == ["`timescale 1ns/1ps", "`default_nettype none"] and code[-1] == "`default_nettype wire"


def test_comments_speak_of_signals_and_numbers(text):
    """No names of Python, which say nothing to who reads Verilog.  (Signals of a block within a block have its name in
    front of their own.)"""
    for name, content in (*text.files, *verilog_files(axi_dma(64, 64))):
        comments = re.findall(r"//(.*)", content)[3:]
        code = set(re.findall(r"\w+", re.sub(r"//.*", "", content)))
        words = {word for line in comments for word in re.findall(r"\b[A-Za-z]\w*(?:\.\w+)*\b", line) if "_" in word}
        unknown = {word for word in words if not any(word in other for other in code)}
        assert not unknown, name


def test_names_of_models_are_shown_in_ascii():
    quant = replace(random_graph(1, (2, 5, 5), Spec(2, pool=None)), name="net\n`default_nettype \u00e9")
    made = shallow(generate, make_plan(solved(quant), frame_cycles(quant, "middle")), SHA256, quant.name)
    lines = dict(made.files)["lognet_overlay.v"].splitlines()
    assert lines[1].startswith("// Model net?`default_nettype \\xe9, golden.onnx")


DESIGNS = {
    "both stores": lambda: (design().files, design().top),
    "a DMA of wide beats": lambda: (verilog_files(axi_dma(64, 64)), "axi_dma"),
    "a DMA of bytes": lambda: (verilog_files(axi_dma(8, 256)), "axi_dma"),
}


@pytest.mark.parametrize("which", DESIGNS)
def test_lint(which, tmp_path, require_tool):
    """Clean but for what lint.vlt excuses, with its reasons."""
    require_tool("verilator")
    files, top = DESIGNS[which]()
    for name, content in files:
        (tmp_path / name).write_text(content)
    tool = find_verilator()
    names = [name for name, _ in files if name.endswith(".v")]
    done = subprocess.run(
        [*tool.command, "--lint-only", "-Wall", "--top-module", top, str(WAIVERS), *names],
        cwd=tmp_path,
        env={**os.environ, **dict(tool.environment)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "%" not in done.stderr, done.stderr  # warnings end with an error
