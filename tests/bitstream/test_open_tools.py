"""A bitstream by open tools, with programs in their places that write down what they are told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lognet_fpga.bitstream.make import make_bitstream
from lognet_fpga.bitstream.open_tools.log import read_log
from lognet_fpga.bitstream.open_tools.toolchain import OPEN
from lognet_fpga.bitstream.open_tools.top import SYSTEM, system_files
from lognet_fpga.bitstream.overlay_system import system_of
from lognet_fpga.bitstream.project import archive, project_files
from lognet_fpga.bundle import read_bundle
from lognet_fpga.cli import bitstream as command
from lognet_fpga.config import BitstreamRequest
from lognet_fpga.errors import MissingToolError, TimingError, ToolError, UsageError
from lognet_fpga.ir.system import OWN_DMA_VLNV
from lognet_fpga.machine.tools import find_yosys, run_tool
from tests.bitstream.bundles import FAKES, generated_bundle, written_bundle
from tests.bitstream.open_programs import BIT_BYTES, PART, open_tools

REQUEST = BitstreamRequest("open")
# As the flow was run once with the real tools, but for file names.
ROUTE = {
    "nextpnr-himbaechel": "--device xc7z020clg400-1 -o xdc=constraints.xdc -o fasm=work/system.fasm --router router2 "
    "--placer static",
    "nextpnr-xilinx": "--xdc constraints.xdc --fasm work/system.fasm",
}


@pytest.fixture(autouse=True)
def tools(require_tool, tmp_path, monkeypatch):
    require_tool("myhdl")
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def put(tmp_path, monkeypatch):
    """put(**options): from now on those are the tools; the file of their record."""

    def place(**options: object) -> Path:
        for name, value in open_tools(tmp_path / "bin", **options).items():
            monkeypatch.setenv(name, value)
        return tmp_path / "bin" / "record.txt"

    return place


def expected_record(nextpnr: str, folder: Path) -> list[str]:
    database, chipdb = folder / "zynq7", folder / "chipdb-xc7z020.bin"
    return [
        "yosys -q -s system.ys",
        f"{nextpnr} --chipdb {chipdb} --json work/system.json --freq 100 --timing-allow-fail {ROUTE[nextpnr]} --seed 1 "
        "--log out/nextpnr.log",
        f"fasm2frames --part {PART} --db-root {database} work/system.fasm work/system.frames",
        f"xc7frames2bit --part_file {database}/{PART}/part.yaml --part_name {PART} --frm_file work/system.frames "
        "--output_file out/small.bit",
    ]


@pytest.mark.parametrize("nextpnr", ROUTE)
def test_what_the_tools_are_told(nextpnr, tmp_path, put):
    record = put(nextpnr=nextpnr)
    path = written_bundle(tmp_path)
    result = make_bitstream(path, REQUEST)
    assert record.read_text().splitlines() == expected_record(nextpnr, tmp_path / "bin")
    bundle = read_bundle(path)
    assert len(bundle.file("bitstream/small.bit")) == BIT_BYTES
    said = bundle.manifest["bitstream"]
    assert said == json.loads(json.dumps(result.data))
    assert said["experimental"] and said["flow"] == "open" and said["hardware"] == "not run on hardware"
    assert said["versions"] == {"Yosys": "yosys fake 0.9", "nextpnr": f"{nextpnr} fake 0.9"}
    assert said["figures"]["total"] == {"lut": 3211, "ff": 5122, "bram36": 2.5, "dsp": 0, "m_lut": None}
    assert said["figures"]["fmax_mhz"] == 131.5 and said["timing_met"]
    assert "experimental: no board has run" in bundle.file("report.txt").decode()


@pytest.mark.parametrize("nextpnr", ROUTE)
def test_the_script_does_the_same(nextpnr, tmp_path, put):
    """In the archive that is written without the tools; its results are those of a run here."""
    path = written_bundle(tmp_path)
    with pytest.raises(MissingToolError) as caught:
        make_bitstream(path, REQUEST)
    said = str(caught.value)
    for word in ("nextpnr-himbaechel", "fasm2frames", "xc7frames2bit", "LOGNET_CHIPDB", "prjxray-db", "openXC7"):
        assert word in said
    assert "sh build.sh" in said and "--tool open --results small.open/out" in said
    record = put(nextpnr=nextpnr)
    with zipfile.ZipFile(tmp_path / "small.open.zip") as made:
        made.extractall(tmp_path / "there")
    done = subprocess.run(["sh", tmp_path / "there" / "small.open" / "build.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert record.read_text().splitlines() == expected_record(nextpnr, tmp_path / "bin")
    results = tmp_path / "there" / "small.open" / "out"
    make_bitstream(path, BitstreamRequest("open", results=results))
    by_script = read_bundle(path).digest
    shutil.rmtree(tmp_path / "there")
    make_bitstream(path, REQUEST)
    assert read_bundle(path).digest == by_script


def test_the_hwh_names_the_dma_that_is_there(tmp_path, put):
    put()
    path = written_bundle(tmp_path)
    make_bitstream(path, REQUEST)
    root = ElementTree.fromstring(read_bundle(path).file("bitstream/small.hwh"))
    modules = {module.get("INSTANCE"): module.get("VLNV") for module in root.iter("MODULE")}
    assert modules["axi_dma_0"] == OWN_DMA_VLNV


def test_too_slow_or_cut_off_is_refused(tmp_path, put):
    path = written_bundle(tmp_path)
    put(mhz=96.2)
    with pytest.raises(TimingError, match="96.2 MHz"):
        make_bitstream(path, REQUEST)
    make_bitstream(path, BitstreamRequest("open", allow_timing_violation=True))
    assert read_bundle(path).manifest["bitstream"]["timing_violation_allowed"]
    put(bit_bytes=1_000_000)
    with pytest.raises(ToolError, match="1,000,000 bytes"):
        make_bitstream(path, REQUEST)


def test_a_log_of_something_else(tmp_path):
    assert read_log((FAKES / "nextpnr.log").read_text(), 100).timing.fmax_mhz == pytest.approx(154.32)
    with pytest.raises(ToolError, match="says nothing"):
        read_log("Info: hello\n", 100)


def test_timing_is_judged_at_the_bundle_s_clock(tmp_path, put):
    """nextpnr's log has two digits, and whoever ran it by hand may have asked for another clock."""
    text = (FAKES / "nextpnr.log").read_text()  # 154.32 MHz (PASS at 100.00 MHz)
    assert read_log(text, 154.3).timing.met and not read_log(text, 154.33).timing.met
    record = put(mhz=131.5)
    path = written_bundle(tmp_path, clk_mhz=142.857143)
    with pytest.raises(TimingError, match="misses its clock of 142.857143 MHz(.|\n)*131.5 MHz"):
        make_bitstream(path, REQUEST)
    assert "--freq 142.857143 " in record.read_text()


@pytest.mark.slow
def test_yosys_takes_the_script(tmp_path, require_tool):
    """The whole system of a small overlay as one module of the chip's own cells."""
    require_tool("pyosys")
    for name, data in project_files(OPEN, system_of(generated_bundle())).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "work").mkdir()
    run_tool(find_yosys(), ["system.ys"], tmp_path / "verilog", "synthesis")
    modules = json.loads((tmp_path / "work" / "system.json").read_text())["modules"]
    ours = {name for name, module in modules.items() if not {"blackbox", "whitebox"} & module["attributes"].keys()}
    assert ours == {SYSTEM}
    types = Counter(cell["type"] for cell in modules[SYSTEM]["cells"].values())
    assert types["PS7"] == types["BUFG"] == 1 and types["FDRE"] > 1000
    assert all(re.fullmatch("[A-Z][A-Z0-9_]+", kind) for kind in types), types


def test_other_chips_are_refused(tmp_path, in_process, capsys):
    path = written_bundle(tmp_path, "zcu104")
    assert in_process(command.main, path, "--tool", "open") == UsageError.exit_code
    assert "xc7z020clg400-1 only" in capsys.readouterr().err


def test_the_top_level_is_whole(tmp_path, require_tool):
    """Yosys finds every module and port of it, the processor's cell among its own, and elaborates it."""
    require_tool("pyosys")
    overlay = system_of(generated_bundle())
    files = system_files(overlay)
    for name, text in files:
        (tmp_path / name).write_text(text)
    lines = ["read_verilog -lib +/xilinx/cells_sim.v +/xilinx/cells_xtra.v"]
    lines += [f"read_verilog {name}" for name, _ in files if name.endswith(".v")]
    lines += [f"hierarchy -check -top {SYSTEM}", f"select -assert-count 1 {SYSTEM}/t:PS7", "proc"]
    (tmp_path / "script.ys").write_text("\n".join(lines) + "\n")
    run_tool(find_yosys(), ["script.ys"], tmp_path, "elaborate")  # raises where it does not hold
    assert archive(OPEN, overlay) == archive(OPEN, overlay)
    assert f"-top {SYSTEM}" in project_files(OPEN, overlay)["verilog/system.ys"].decode()
