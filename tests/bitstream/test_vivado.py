"""A bitstream by Vivado, with a program in its place that knows the commands of the project's Tcl."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bitstream.make import make_bitstream
from lognet_fpga.bitstream.overlay_system import system_of
from lognet_fpga.bitstream.project import archive, project_files
from lognet_fpga.bitstream.vivado.settings import asked_mhz
from lognet_fpga.bitstream.vivado.toolchain import VIVADO
from lognet_fpga.bundle import read_bundle, write_bundle
from lognet_fpga.cli import bitstream as command
from lognet_fpga.config import BitstreamRequest
from lognet_fpga.errors import (
    DoesNotFitError,
    InputError,
    MissingToolError,
    OutputError,
    TimingError,
    ToolError,
    UsageError,
)
from lognet_fpga.fabric.boards import board_names, load_board
from lognet_fpga.ir.hwh import write_hwh
from lognet_fpga.ir.system import BoardSystem, processor_of
from lognet_fpga.progress import NoProgress
from lognet_fpga.runtime.board.bitstream import bitstream_of
from tests.bitstream.bundles import (
    ESTIMATE,
    fake_ssh,
    fake_vivado,
    generated_bundle,
    program,
    tcl_shell,
    written_bundle,
)

GOLDEN = Path(__file__).parent / "golden"
PYNQ_BOARDS = [name for name in board_names() if name != "vc707"]


@pytest.fixture(autouse=True)
def tools(require_tool, tmp_path, monkeypatch):
    require_tool("tclsh, or Python's tkinter,", tcl_shell() is not None)
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def vivado(tmp_path, monkeypatch):
    """vivado(**options): from now on that is Vivado on PATH; the file of its record."""

    def put(board: str = "pynq-z2", **options: object) -> Path:
        for name, value in fake_vivado(tmp_path / "bin", board, **options).items():
            monkeypatch.setenv(name, value)
        return tmp_path / "bin" / "record.txt"

    return put


@pytest.mark.parametrize("board", PYNQ_BOARDS)
def test_what_vivado_is_told(board, tmp_path, vivado):
    """Every command with its arguments, without the board's files; golden/BOARD.txt."""
    record = vivado(board)
    make_bitstream(written_bundle(tmp_path, board), BitstreamRequest())
    told = record.read_text()
    golden = GOLDEN / f"{board}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(told)
    assert told == golden.read_text(), "if that is meant: UPDATE_GOLDEN=1, and read the difference"


def test_the_system_is_the_one_that_the_hwh_describes(tmp_path, vivado):
    """By the words of the .hwh that is written of the same system."""
    record = vivado()
    bundle = written_bundle(tmp_path)
    make_bitstream(bundle, BitstreamRequest())
    told, hwh = record.read_text(), write_hwh(system_of(read_bundle(bundle)).system).decode()
    assert "set_property -dict" in told
    for name, value in (("c_sg_length_width", 26), ("c_include_sg", 0), ("c_m_axis_mm2s_tdata_width", 32)):
        assert f"CONFIG.{name} {value}" in told and f'NAME="{name}" VALUE="{value}"' in hwh
    for base in ("0x40400000", "0x43C00000"):
        assert f"assign_bd_address -offset {base}" in told and f'BASEVALUE="{base}"' in hwh
    assert told.count("ipx::add_register") == hwh.count("<REGISTER ")


@pytest.mark.parametrize(("given", "made"), [("none", {"map", "block"}), ("empty", {"block"}), ("made", set())])
def test_the_memory_map_is_made_where_vivado_makes_none(given, made, tmp_path, vivado):
    """The registers are in it in any case: the .hwh has them from there."""
    record = vivado(map=given)
    make_bitstream(written_bundle(tmp_path), BitstreamRequest())
    told = record.read_text()
    assert ("ipx::add_memory_map s_axil" in told) == ("map" in made)
    assert ("set_property slave_memory_map_ref s_axil" in told) == ("map" in made)
    assert ("ipx::add_address_block reg0" in told) == ("block" in made)
    block = "{address_block reg0}" if made else "get_address_blocks"
    assert f"set_property range 65536 {block}" in told or f"set_property range 4096 {block}" in told
    assert "ipx::add_register identification" in told


def test_a_vivado_that_does_not_know_the_chip(tmp_path, vivado):
    """2020.1 and the Kria boards, or a device family that was not installed: told before anything is begun."""
    record = vivado("kv260", parts="none", version="2020.1")
    with pytest.raises(ToolError, match="Vivado 2020.1 does not know the part xck26-sfvc784-2LV-c"):
        make_bitstream(written_bundle(tmp_path, "kv260"), BitstreamRequest())
    assert "create_project" not in (record.read_text() if record.exists() else "")


def test_board_files_are_used_where_they_are(tmp_path, vivado):
    record = vivado(boards="tul.com.tw:pynq-z2:part0:1.0")
    result = make_bitstream(written_bundle(tmp_path), BitstreamRequest())
    told = record.read_text()
    assert "set_property board_part tul.com.tw:pynq-z2:part0:1.0" in told
    assert "apply_board_preset 1" in told and "make_bd_intf_pins_external" not in told
    assert result.data["versions"]["board files"] == "tul.com.tw:pynq-z2:part0:1.0"


def test_the_bundle_says_how_its_bitstream_was_made(tmp_path, vivado):
    vivado()
    path = written_bundle(tmp_path)
    result = make_bitstream(path, BitstreamRequest())
    bundle = read_bundle(result.bundle_path)
    assert bundle.file("bitstream/small.bit") == b"the bits of small"
    assert bitstream_of(bundle).read_bytes() == b"the bits of small"
    said = bundle.manifest["bitstream"]
    assert said == json.loads(json.dumps(result.data))
    assert said["hardware"] == "not run on hardware" and said["versions"]["Vivado"] == "2023.1"
    assert said["timing_met"] and not said["timing_violation_allowed"] and not said["experimental"]
    figures = said["figures"]
    assert figures["total"] == {"lut": 5821, "ff": 8214, "bram36": 3.5, "dsp": 0, "m_lut": 611}
    assert figures["overlay"] == {"lut": 2890, "ff": 4020, "bram36": 1.0, "dsp": 0, "m_lut": 189}
    assert figures["fmax_mhz"] == pytest.approx(1000 / (10 - 0.412), abs=0.01)
    assert figures["power"] == {"total_w": 1.733, "static_w": 0.139}
    text = bundle.file("report.txt").decode()
    assert text.startswith("small on a board\n")
    lut = next(line for line in text.splitlines() if line.strip().startswith("LUT "))
    assert lut.split() == ["LUT", f"{round(ESTIMATE['lut']):,}", "-", "2,890", "5,821", "53,200"]
    assert "not run on hardware" in text and "slack 0.412 ns" in text


def test_the_same_input_gives_the_same_bytes(tmp_path, vivado):
    """The project, the bundle, and the bundle again after a second run, in which nothing is said twice."""
    vivado()
    first, second = (written_bundle(tmp_path / name) for name in ("one", "two"))
    assert archive(VIVADO, system_of(read_bundle(first))) == archive(VIVADO, system_of(read_bundle(second)))
    digests = {
        read_bundle(make_bitstream(path, BitstreamRequest()).bundle_path).digest for path in (first, second, first)
    }
    assert len(digests) == 1
    assert first.with_suffix(".lognet.zip").read_bytes() == second.with_suffix(".lognet.zip").read_bytes()


def test_a_design_that_is_too_slow_is_refused(tmp_path, vivado):
    vivado(slack=-0.25)
    path = written_bundle(tmp_path)
    before = read_bundle(path).digest
    with pytest.raises(TimingError, match="(?s)misses its clock of 100 MHz.*97.6 MHz.*--allow-timing-violation"):
        make_bitstream(path, BitstreamRequest())
    assert read_bundle(path).digest == before
    # What Vivado made of it is still there, and can be taken.
    results = tmp_path / "small.vivado" / "out"
    make_bitstream(path, BitstreamRequest(results=results, allow_timing_violation=True))
    said = read_bundle(path).manifest["bitstream"]
    assert not said["timing_met"] and said["timing_violation_allowed"]
    assert "NOT MET" in read_bundle(path).file("report.txt").decode()


def test_timing_is_judged_at_the_bundle_s_clock(tmp_path, vivado):
    """And not at the period of Vivado's own constraint, whichever of the two is faster."""
    path = written_bundle(tmp_path, "zcu104", clk_mhz=200.0)  # of a version that did not know what the board makes
    vivado("zcu104", slack=0.1)  # closed for 187.498 MHz
    with pytest.raises(TimingError, match="misses its clock of 200 MHz(.|\n)*slack -0.233 ns(.|\n)*191.1 MHz"):
        make_bitstream(path, BitstreamRequest())
    vivado("zcu104", slack=0.34)
    assert make_bitstream(path, BitstreamRequest()).data["timing_met"]
    path = written_bundle(tmp_path / "slower", "zcu104", clk_mhz=187.498125)
    vivado("zcu104", slack=-0.1, period=5)  # misses 200 MHz by less than what lies between the two
    data = make_bitstream(path, BitstreamRequest()).data
    assert data["timing_met"] and data["figures"]["timing"]["constraint_ns"] == 5
    assert data["figures"]["fmax_mhz"] == pytest.approx(1000 / 5.1, abs=0.01)
    vivado("zcu104", slack=0.1, pulse=-0.01)
    with pytest.raises(TimingError, match="pulse's width -0.010 ns"):
        make_bitstream(path, BitstreamRequest())


@pytest.mark.parametrize("asked", [150, 142.9, 187.6, 199.998, 300])
def test_a_period_that_the_report_rounds_is_the_same_one(asked, tmp_path, vivado):
    """A slack of nothing is met, though 6.666733 ns is printed as 6.667."""
    board = load_board("zcu104")
    vivado("zcu104", slack=0)
    path = written_bundle(tmp_path, "zcu104", clk_mhz=board.clock_mhz(asked))
    assert make_bitstream(path, BitstreamRequest()).data["timing_met"]
    vivado("zcu104", slack=-0.001)
    with pytest.raises(TimingError):
        make_bitstream(path, BitstreamRequest())


def test_another_clock_than_planned_is_said_before_synthesis(tmp_path, vivado):
    record = vivado("zcu104", pll=999.99)
    path = written_bundle(tmp_path, "zcu104", clk_mhz=187.498125)
    with pytest.raises(ToolError, match="makes 166.66.* MHz, not the 187.498125 planned(.|\n)*--clk-mhz 166.66"):
        make_bitstream(path, BitstreamRequest())
    assert "launch_runs" not in record.read_text()


@pytest.mark.parametrize("crystal", ["as in overlays/", "33.33333 MHz", "33.3333333 MHz"])
@pytest.mark.parametrize("name", PYNQ_BOARDS)
def test_vivado_is_asked_for_a_clock_that_rounds_to_the_planned_one(name, crystal):
    """To the nearest as to the next below, in the digits that Vivado may have of the PLL."""
    board = load_board(name)
    pll = board.pll_mhz
    if not crystal.startswith("as") and board.part.startswith("xc7"):
        return
    if not crystal.startswith("as"):
        pll = round(pll / 33.333) * float(crystal.split()[0])
    products = {first * second for first in range(1, 64) for second in range(1, 64)}
    clocks = np.sort(np.float32(pll) / np.float32(sorted(products))).astype(np.float64)
    for mhz in range(50, 305, 5):
        system = BoardSystem(processor_of(board.part), board.clock_mhz(mhz), 32, 16, pll_mhz=board.pll_mhz)
        asked = float(asked_mhz(system))
        below, nearest = clocks[clocks <= asked].max(), clocks[np.abs(clocks - asked).argmin()]
        assert below == nearest == pytest.approx(system.clock.mhz, rel=5e-5)


def test_without_vivado_the_project_is_written(tmp_path, monkeypatch, vivado, in_process, capsys):
    """And what the message says to run brings the bitstream into the bundle."""
    path = written_bundle(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert in_process(command.main, path) == MissingToolError.exit_code
    said = capsys.readouterr().err
    assert "small.vivado.zip" in said and "vivado -mode batch" in said and "--results small.vivado/out" in said
    there = tmp_path / "there"
    with zipfile.ZipFile(tmp_path / "small.vivado.zip") as made:
        made.extractall(there)
    monkeypatch.undo()
    vivado()
    VIVADO.find(None).run(system_of(read_bundle(path)), there / "small.vivado", NoProgress().stage("").__enter__())
    assert in_process(command.main, path, "--results", there / "small.vivado" / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["bitstream"]["timing_met"]
    assert read_bundle(path).file("bitstream/small.bit")


def test_results_of_another_bundle_are_refused(tmp_path, vivado):
    vivado()
    make_bitstream(written_bundle(tmp_path), BitstreamRequest())
    other = written_bundle(tmp_path / "other", clk_mhz=125.0)
    with pytest.raises(InputError, match="another project"):
        make_bitstream(other, BitstreamRequest(results=tmp_path / "small.vivado" / "out"))
    with pytest.raises(InputError, match="result.txt"):
        make_bitstream(other, BitstreamRequest(results=tmp_path))


def test_on_another_machine(tmp_path, vivado):
    record = vivado()
    fake_ssh(tmp_path / "bin")
    make_bitstream(written_bundle(tmp_path), BitstreamRequest(remote="me@server"))
    assert read_bundle(tmp_path / "small.lognet").file("bitstream/small.bit")
    assert "launch_runs impl_1" in record.read_text()
    said = (tmp_path / "bin" / "ssh.txt").read_text().splitlines()
    assert [line.split()[0] for line in said] == ["ssh", "scp", "ssh", "scp", "ssh"]
    assert all("me@server" in line for line in said) and "rm -rf /tmp/lognet-" in said[-1]
    assert not Path(said[-1].split()[-1]).exists()


def test_a_machine_that_ssh_does_not_reach(tmp_path, vivado):
    vivado()
    fake_ssh(tmp_path / "bin")
    program(tmp_path / "bin", "ssh", "echo Permission denied, please try again. >&2; exit 255")
    with pytest.raises(
        ToolError, match="me@server cannot(.|\n)*Permission denied(.|\n)*ssh-copy-id me@server"
    ) as caught:
        make_bitstream(written_bundle(tmp_path), BitstreamRequest(remote="me@server"))
    assert "memory" not in str(caught.value)


@pytest.mark.parametrize("place", ["-oProxyCommand=x", "me@", "a b", "host;rm", ""])
def test_no_machine_for_ssh(place):
    with pytest.raises(UsageError):
        BitstreamRequest(remote=place)


def test_a_run_that_fails_is_said_in_vivado_s_words(tmp_path, vivado):
    vivado(fail="synth_1")
    path = written_bundle(tmp_path)
    with pytest.raises(ToolError, match="synth_1 ended with: synth_design ERROR"):
        make_bitstream(path, BitstreamRequest())
    vivado(width=64)
    with pytest.raises(ToolError, match="c_s_axis_s2mm_tdata_width = 64, not 16"):
        make_bitstream(path, BitstreamRequest())


def test_what_is_in_the_way_stays(tmp_path, vivado):
    vivado()
    path = written_bundle(tmp_path)
    (tmp_path / "small.vivado").mkdir()
    (tmp_path / "small.vivado" / "mine").write_text("keep")
    with pytest.raises(OutputError, match="in the way"):
        make_bitstream(path, BitstreamRequest())
    assert (tmp_path / "small.vivado" / "mine").read_text() == "keep"


def test_a_stream_too_wide_for_a_dma_is_refused(tmp_path):
    bundle = read_bundle(written_bundle(tmp_path))
    manifest = {**bundle.manifest, "sink": {**bundle.manifest["sink"], "tdata_bits": 2048}}
    path = write_bundle(bundle.files, manifest, tmp_path).folder
    with pytest.raises(DoesNotFitError, match="2048 bits wide"):
        make_bitstream(path, BitstreamRequest())


def test_a_board_without_a_processor_is_refused(tmp_path):
    with pytest.raises(UsageError, match="has no processor"):
        make_bitstream(written_bundle(tmp_path, "vc707"), BitstreamRequest())


def test_the_wrapper_is_verilog_around_the_overlay(tmp_path, require_tool):
    """Yosys elaborates it with the overlay of a bundle that was generated."""
    require_tool("pyosys")
    from lognet_fpga.machine.tools import find_yosys, run_tool

    files = project_files(VIVADO, system_of(generated_bundle()))
    verilog = [(name.partition("/")[2], data.decode()) for name, data in files.items() if name.startswith("verilog/")]
    script = "".join(f"read_verilog {name}; " for name, _ in verilog)
    script += "hierarchy -check -top lognet_overlay_core\nselect -assert-count 1 lognet_overlay_core/t:lognet_overlay\n"
    (tmp_path / "script.ys").write_text(script)
    for name, text in verilog:
        (tmp_path / name).write_text(text)
    run_tool(find_yosys(), ["script.ys"], tmp_path, "elaborate")  # raises where it does not hold
