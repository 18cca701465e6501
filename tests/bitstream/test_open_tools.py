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

from lognet_fpga.bitstream.figures import LongestPath
from lognet_fpga.bitstream.make import make_bitstream
from lognet_fpga.bitstream.open_tools.commands import with_settings
from lognet_fpga.bitstream.open_tools.fasm import LutSites
from lognet_fpga.bitstream.open_tools.log import longest_path, read_log, state
from lognet_fpga.bitstream.open_tools.netlist import estimate_text
from lognet_fpga.bitstream.open_tools.toolchain import OPEN
from lognet_fpga.bitstream.open_tools.top import SYSTEM, system_files
from lognet_fpga.bitstream.overlay_system import system_of
from lognet_fpga.bitstream.project import archive, project_files
from lognet_fpga.bundle import read_bundle
from lognet_fpga.cli import bitstream as command
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.config import BitstreamRequest
from lognet_fpga.errors import MissingToolError, TimingError, ToolError, UsageError
from lognet_fpga.ir.system import OWN_DMA_VLNV
from lognet_fpga.machine.tools import find_yosys, run_tool
from tests.bitstream.bundles import FAKES, generated_bundle, written_bundle
from tests.bitstream.open_programs import BIT_BYTES, NETLIST, PART, open_tools

REQUEST = BitstreamRequest("open")
SITES = LutSites(5, 2)
NET = "overlay.layer1.fifo.fetch"
# As the flow was run once with the real tools, but for file names, placer and seeds.
ROUTE = {
    "nextpnr-himbaechel": "--device xc7z020clg400-1 -o xdc=constraints.xdc -o fasm=work/seed{0}.fasm --placer heap "
    "--placer-heap-cell-placement-timeout 0 --router router2 --seed {0} --log work/seed{0}.log",
    "nextpnr-xilinx": "--xdc constraints.xdc --fasm work/seed{0}.fasm --seed {0} --log work/seed{0}.log",
}
SCRIPT = {"nextpnr-himbaechel": " --pre-place processor_pins.py", "nextpnr-xilinx": ""}


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


def expected_record(nextpnr: str, folder: Path, seeds: int = 1, python: bool = True) -> list[str]:
    """What the tools were told, in the order of the alphabet: seeds run side by side."""
    script = SCRIPT[nextpnr] if python else ""
    database, chipdb = folder / "zynq7", folder / "chipdb-xc7z020.bin"
    lines = [
        "yosys -q -s system.ys",
        *(
            f"{nextpnr} --chipdb {chipdb} --json work/system.json --freq 250 --timing-allow-fail "
            f"{ROUTE[nextpnr].format(seed)}{script}"
            for seed in range(1, seeds + 1)
        ),
        f"fasm2frames --part {PART} --db-root {database} work/system.fasm work/system.frames",
        f"xc7frames2bit --part_file {database}/{PART}/part.yaml --part_name {PART} --frm_file work/system.frames "
        "--output_file out/small.bit",
    ]
    return sorted(lines)


def recorded(record: Path) -> list[str]:
    return sorted(record.read_text().splitlines())


@pytest.mark.parametrize("nextpnr", ROUTE)
def test_what_the_tools_are_told(nextpnr, tmp_path, put):
    record = put(nextpnr=nextpnr)
    path = written_bundle(tmp_path)
    result = make_bitstream(path, REQUEST)
    assert recorded(record) == expected_record(nextpnr, tmp_path / "bin")
    bundle = read_bundle(path)
    assert len(bundle.file("bitstream/small.bit")) == BIT_BYTES
    said = bundle.manifest["bitstream"]
    assert said == json.loads(json.dumps(result.data))
    assert said["experimental"] and said["flow"] == "open" and said["hardware"] == "not run on hardware"
    assert said["versions"] == {"Yosys": "yosys fake 0.9", "nextpnr": f"{nextpnr} fake 0.9"}
    # Counted in the FASM: five places of LUTs, one of them taken twice, two as memories.
    assert said["figures"]["total"] == {"lut": 5, "ff": 5122, "bram36": 2.5, "dsp": 0, "m_lut": 2}
    assert said["figures"]["fmax_mhz"] == 131.5 and said["timing_met"]
    report = bundle.file("report.txt").decode()
    assert "experimental: no board has run" in report
    told = " ".join(report.split())
    assert "from dma.pack to overlay.layer1.fifo: 0.6 ns in 3 cells and 4.7 ns of wire, 2.5 of it overlay.lay" in told


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
    record = put(nextpnr=nextpnr, seeds=3, best=2)
    with zipfile.ZipFile(tmp_path / "small.open.zip") as made:
        made.extractall(tmp_path / "there")
    done = subprocess.run(["sh", tmp_path / "there" / "small.open" / "build.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert recorded(record) == expected_record(nextpnr, tmp_path / "bin", 3)
    assert "seed 2: 131.5 MHz" in done.stderr
    results = tmp_path / "there" / "small.open" / "out"
    make_bitstream(path, BitstreamRequest("open", results=results))
    by_script = read_bundle(path).digest
    shutil.rmtree(tmp_path / "there")
    make_bitstream(path, REQUEST)
    assert read_bundle(path).digest == by_script
    assert read_bundle(path).manifest["bitstream"]["figures"]["fmax_mhz"] == 131.5


@pytest.mark.parametrize("by_script", [False, True])
def test_a_seed_that_cannot_be_routed_is_left_out(by_script, tmp_path, put, capsys):
    """The best of the rest counts; where none is left, the run fails with the tool's words."""
    path = written_bundle(tmp_path)
    put(seeds=2, best=2, mhz=120, unroutable=2)
    if by_script:
        run = build(path, tmp_path / "there")
        assert run.returncode == 0 and "seed 2: not routed" in run.stderr
        make_bitstream(path, BitstreamRequest("open", results=tmp_path / "there" / "out"))
    else:
        make_bitstream(path, REQUEST, Reporter("lognet-bitstream"))
        assert "seed 2: not routed" in capsys.readouterr().err
    assert read_bundle(path).manifest["bitstream"]["figures"]["fmax_mhz"] == 110
    put(seeds=1, unroutable=1)
    if by_script:
        run = build(path, tmp_path / "again")
        assert run.returncode != 0 and "no legal placement" in run.stderr
        assert not (tmp_path / "again" / "out" / "small.bit").exists()
    else:
        with pytest.raises(ToolError, match="no legal placement"):
            make_bitstream(path, REQUEST)


def build(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The project of the bundle at path in folder, and its script run."""
    for name, data in project_files(OPEN, system_of(read_bundle(path))).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return subprocess.run(["sh", folder / "build.sh"], capture_output=True, text=True)


@pytest.mark.parametrize("seeds", ["0", "65", "-1", "many", "1.5"])
def test_a_number_of_seeds_that_is_none(seeds, tmp_path, put, monkeypatch):
    put()
    monkeypatch.setenv("LOGNET_SEEDS", seeds)
    with pytest.raises(UsageError, match="LOGNET_SEEDS"):
        make_bitstream(written_bundle(tmp_path), REQUEST)


def test_how_a_run_goes():
    """After each line of a log what is known of it."""
    lines = (
        (FAKES / "nextpnr.log")
        .read_text()
        .replace("@MHZ@", "131.5")
        .replace("@VERDICT@", "PASS")
        .splitlines(keepends=True)
    )
    said = [state("".join(lines[:count])) for count in range(len(lines) + 1)]
    assert [now for now, before in zip(said, [None, *said]) if now != before] == [
        "reading",
        "packed, flip-flops 5,122 of 106,400",
        "placing, 20,111 of wire",
        "placing, 73,712 of wire",
        "placing, 49,134 of wire",
        "placed, 154.32 MHz before routing",
        "routing, round 1, 1,940 wires overused",
        "routing, round 2, 1,138 wires overused",
        "routed",
        "routed, 131.5 MHz",
    ]


def test_the_longest_path_of_both_flavours():
    """nextpnr-xilinx writes columns of its own: no types, the budget behind a net, Setup at the end."""
    text = (FAKES / "nextpnr.log").read_text()
    assert longest_path(text) == LongestPath("dma.pack", "overlay.layer1.fifo", 0.57, 4.73, 3, NET, 2.53)
    older = (
        "Info: Critical path report for clock 'clk' (posedge -> posedge):\nInfo: curr total\n"
        "Info:  0.4  0.4  Source dma.pack.closed_FDRE_Q.Q\n"
        "Info:  2.2  2.6    Net dma.pack.closed budget 4.800000 ns (41,63) -> (52,70)\n"
        "Info:                Sink overlay.layer1.fifo.ready_LUT4_O.I2\n"
        "Info:  0.1  2.7  Setup overlay.layer1.fifo.ready_LUT4_O.I2\nInfo: 0.5 ns logic, 2.2 ns routing\n"
    )
    assert longest_path(older) == LongestPath("dma.pack", "overlay.layer1.fifo", 0.5, 2.2, 2, "dma.pack.closed", 2.2)
    assert longest_path("Info: hello\n") is None
    unnamed = re.sub(
        r"Source (dma.pack.closed|overlay.layer1.fifo.write)_FDRE_\w+", "Source $auto$ff.cc:337:slice$1", text
    )
    assert unnamed.count("$auto$ff") == 2 and longest_path(unnamed) == longest_path(text)


def test_damaged_results_are_told(tmp_path, put):
    put()
    path = written_bundle(tmp_path)
    run = build(path, tmp_path / "there")
    assert run.returncode == 0, run.stderr
    packed = tmp_path / "there" / "out" / "system.fasm.gz"
    packed.write_bytes(packed.read_bytes()[:20])
    with pytest.raises(ToolError, match="system.fasm.gz is damaged"):
        make_bitstream(path, BitstreamRequest("open", results=tmp_path / "there" / "out"))


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
    # Clocks of the PYNQ-Z2: its 1,000 MHz divided by whole numbers.
    with pytest.raises(TimingError, match="96.2 MHz(.|\n)*--clk-mhz 90.909091, the board's fastest"):
        make_bitstream(path, REQUEST)
    make_bitstream(path, BitstreamRequest("open", allow_timing_violation=True))
    assert read_bundle(path).manifest["bitstream"]["timing_violation_allowed"]
    put(bit_bytes=1_000_000)
    with pytest.raises(ToolError, match="1,000,000 bytes"):
        make_bitstream(path, REQUEST)


def test_a_log_of_something_else(tmp_path):
    assert read_log((FAKES / "nextpnr.log").read_text(), 100, SITES).timing.fmax_mhz == pytest.approx(154.32)
    with pytest.raises(ToolError, match="says nothing"):
        read_log("Info: hello\n", 100, SITES)


def test_timing_is_judged_at_the_bundle_s_clock(tmp_path, put):
    """nextpnr's log has two digits, and whoever ran it by hand may have asked for another clock."""
    text = (FAKES / "nextpnr.log").read_text()  # 154.32 MHz (PASS at 100.00 MHz)
    assert read_log(text, 154.3, SITES).timing.met and not read_log(text, 154.33, SITES).timing.met
    record = put(mhz=131.5)
    path = written_bundle(tmp_path, clk_mhz=142.857143)
    with pytest.raises(TimingError, match="misses its clock of 142.857143 MHz(.|\n)*131.5 MHz"):
        make_bitstream(path, REQUEST)
    assert "--freq 250 " in record.read_text(), "nextpnr works hardest where a clock is not met"


@pytest.mark.parametrize("by_script", [False, True])
@pytest.mark.parametrize("nextpnr", ROUTE)
@pytest.mark.parametrize("python", [False, True])
def test_nextpnr_is_told_how_far_to_look(by_script, nextpnr, python, tmp_path, put):
    """Yosys cannot write nextpnr's settings, so they are put into its netlist behind it; the rest of that stays.

    Where it fixes the registers behind the processor's outputs its router need not look for them."""
    record = put(nextpnr=nextpnr, python=python)
    path = written_bundle(tmp_path)
    scripted = python and nextpnr == "nextpnr-himbaechel"
    if by_script:
        assert build(path, tmp_path / "there").returncode == 0
        netlist = tmp_path / "there" / "work" / "system.json"
        modules = json.loads(netlist.read_text())["modules"]
        assert (tmp_path / "there" / "processor_pins.py").is_file()
    else:
        make_bitstream(path, REQUEST)
        write_netlist(tmp_path)
        with_settings(tmp_path, SYSTEM, scripted)
        modules = json.loads((tmp_path / "work" / "system.json").read_text())["modules"]
    assert recorded(record) == expected_record(nextpnr, tmp_path / "bin", python=python)
    settings = modules[SYSTEM].pop("settings")
    assert {"modules": modules} == json.loads(NETLIST)
    margins = [int(settings.pop(f"router2/bbMargin/{axis}")) for axis in "xy"]
    assert all(0 < margin < 10 for margin in margins) if scripted else margins == [24, 52]
    assert settings == {"placerHeap/parallelRefine": "1"}


def write_netlist(project: Path, text: str = NETLIST) -> None:
    (project / "work").mkdir()
    (project / "work" / "yosys.json").write_text(text)


def test_a_netlist_without_the_system_is_an_error(tmp_path):
    write_netlist(tmp_path, "{}")
    with pytest.raises(ToolError, match=f"no module {SYSTEM}"):
        with_settings(tmp_path, SYSTEM, scripted=False)


@pytest.mark.slow
def test_yosys_takes_the_script(tmp_path, require_tool):
    """The whole system of a small overlay as one module of the chip's own cells."""
    require_tool("pyosys")
    for name, data in project_files(OPEN, system_of(generated_bundle())).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "work").mkdir()
    run_tool(find_yosys(), ["system.ys"], tmp_path / "verilog", "synthesis")
    with_settings(tmp_path, SYSTEM)
    modules = json.loads((tmp_path / "work" / "system.json").read_text())["modules"]
    ours = {name for name, module in modules.items() if not {"blackbox", "whitebox"} & module["attributes"].keys()}
    assert ours == {SYSTEM}
    assert modules[SYSTEM]["settings"], "for nextpnr"
    types = Counter(cell["type"] for cell in modules[SYSTEM]["cells"].values())
    assert types["PS7"] == types["BUFG"] == 1 and types["FDRE"] > 1000
    assert all(re.fullmatch("[A-Z][A-Z0-9_]+", kind) for kind in types), types
    shifting = [cell for cell in modules[SYSTEM]["cells"].values() if cell["type"].startswith("SRL")]
    assert shifting and all(cell["connections"]["CE"] == ["1"] for cell in shifting), "nextpnr routes no others"
    estimate = re.fullmatch(
        r"netlist of the whole system: ([\d,]+) LUT6 sites, ([\d,]+) flip-flops, [\d,]+ positions; "
        r"(\d+) MHz estimated before placement, by \S+ to \S+",
        estimate_text(tmp_path, SYSTEM) or "",
    )
    assert estimate is not None
    sites, flip_flops, mhz = (int(number.replace(",", "")) for number in estimate.groups())
    assert flip_flops == sum(count for kind, count in types.items() if kind.startswith("FD"))
    assert 0.4 * sum(count for kind, count in types.items() if kind.startswith("LUT")) < sites and 100 < mhz < 400


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
