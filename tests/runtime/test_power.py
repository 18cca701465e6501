"""Power sensors on trees of files, pipes and pseudo-terminals that behave as the real ones do."""

from __future__ import annotations

import math
import os
import stat
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import make_bundle
from lognet_fpga.errors import BoardError, MissingToolError, UsageError
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.runtime.power import Phase, PowerResult, Sampler, open_meter
from lognet_fpga.runtime.power.lines import LineParser, NvidiaMeter, csv_meter, serial_meter
from lognet_fpga.runtime.power.rails import RailMeter
from lognet_fpga.runtime.power.sysfs import HwmonMeter, RaplMeter, hwmon_sensors
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.simulated import SimulatedDevice
from lognet_fpga.runtime.sources import in_memory, paced
from lognet_fpga.runtime.streaming import stream
from lognet_fpga.runtime.summary import stream_report
from tests import small_bundle
from tests.patience import HANG_S


def tree(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")
    return root


@pytest.fixture
def kv260(tmp_path):
    """One INA260 of the module, a fan and a temperature."""
    return tree(
        tmp_path / "hwmon",
        {
            "hwmon0/name": "pwmfan",
            "hwmon1/name": "ams",
            "hwmon1/temp1_input": 41000,
            "hwmon2/name": "ina260_u14",
            "hwmon2/power1_input": 3_450_000,
            "hwmon2/curr1_input": 690,
        },
    )


def test_hwmon_reads_microwatts(kv260):
    meter = HwmonMeter(root=kv260)
    assert meter.samples() == [3.45] and meter.name == "hwmon ina260_u14/power1"
    (kv260 / "hwmon2/power1_input").write_text("5000000\n")
    assert meter.samples() == [5.0]
    (kv260 / "hwmon2/power1_input").unlink()
    with pytest.raises(BoardError, match="power1_input gives no number"):
        meter.samples()


def test_several_hwmon_sensors_are_told_apart(kv260):
    tree(kv260, {"hwmon3/name": "ina226", "hwmon3/power1_input": 1e6, "hwmon3/power2_average": 2e6})
    tree(kv260, {"hwmon3/power2_label": "VCCINT"})
    assert list(hwmon_sensors(kv260)) == ["ina260_u14/power1", "ina226/power1", "ina226/VCCINT"]
    assert HwmonMeter("ina226/VCCINT", kv260).samples() == [2.0]
    assert HwmonMeter("ina260_u14", kv260).samples() == [3.45]
    for which in ("", "ina226"):
        with pytest.raises(UsageError, match="several power sensors") as caught:
            HwmonMeter(which, kv260)
        assert "ina226/VCCINT" in str(caught.value)
    with pytest.raises(UsageError, match="no power sensor"):
        HwmonMeter("ina219", kv260)
    with pytest.raises(UsageError, match="no power sensor"):
        HwmonMeter("", kv260 / "nothing")


def test_rapl_is_energy_over_time_of_all_packages(tmp_path, monkeypatch):
    """Two packages; the counter of one wraps around."""
    root = tree(
        tmp_path,
        {
            f"intel-rapl:{i}/{name}": value
            for i in (0, 1)
            for name, value in (("energy_uj", 9e6), ("name", f"package-{i}"))
        }
        | {f"intel-rapl:{i}/max_energy_range_uj": 10e6 for i in (0, 1)}
        | {"intel-rapl:0:0/name": "core", "intel-rapl:0:0/energy_uj": 5, "intel-rapl:2/name": "psys"},
    )
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    meter = RaplMeter(root)
    assert meter.name == "RAPL of this host: package-0, package-1"
    now[0] += 0.5
    tree(root, {"intel-rapl:0/energy_uj": 9.5e6, "intel-rapl:1/energy_uj": 1e6})
    assert meter.samples() == [pytest.approx((0.5 + 2.0) / 0.5)]
    with pytest.raises(UsageError, match="no RAPL"):
        RaplMeter(tmp_path / "nothing")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1.5\n2.5\n", [1.5, 2.5]),
        ("time,Watts\n12:00,3\n12:01,4\n", [3, 4]),
        ("seconds,volts,amps\n0,5,0.5\n1,5,0.6\n", [2.5, 3.0]),
        ("mV,mA\n5000,200\n", [1.0]),
        ('"power_mW","temp"\n"1500","30"\n', [1.5]),
        ("watts,volts,amps\n7,1,1\n", [7]),
        ("0.5,3\n", []),  # several numbers without names
        ("watts\nnan\ninf\nerror\n8\n", [8]),
        ("time,watts\n3\n,\n1,2,3\n0,9\n", [9]),
        ("1.5\n2.", [1.5]),  # not a whole line yet
        ("", []),
        ("\xff\x00garbage\n4\n", [4]),
    ],
)
@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_lines(text, expected, chunk):
    parser, data = LineParser(), text.encode("latin1")
    found = [watts for i in range(0, len(data), chunk) for watts in parser.feed(data[i : i + chunk])]
    assert found == pytest.approx(expected)


def test_a_line_without_an_end_takes_no_memory():
    parser = LineParser()
    for _ in range(100):
        assert parser.feed(b"9" * 100_000) == []
    assert len(parser._rest) < 10_000


def test_a_csv_file_is_read_as_it_grows(tmp_path):
    path = tmp_path / "meter.csv"
    path.write_text("seconds,watts\n0,99\n")
    meter = csv_meter(path)
    assert meter.samples() == [] and "meter.csv" in meter.name  # what was there is of the past
    with path.open("a") as file:
        file.write("1,2.5\n2,3.5\n3,")
        file.flush()
        assert meter.samples() == [2.5, 3.5]
        file.write("4.5\n")
        file.flush()
        assert meter.samples() == [4.5]
    meter.close()
    path.write_text("seconds,volts\n")
    with pytest.raises(BoardError, match="neither watts"):
        csv_meter(path)
    with pytest.raises(UsageError, match="cannot be read"):
        csv_meter(tmp_path / "missing.csv")
    os.mkfifo(tmp_path / "pipe")
    for no_file in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="is no file(.|\n)*serial:PORT"):
            csv_meter(no_file)


def waited_for(meter, count: int) -> list[float]:
    """At least so many samples, however long they take; only a failure is as patient."""
    found: list[float] = []
    deadline = time.monotonic() + HANG_S
    while len(found) < count and time.monotonic() < deadline:
        found += meter.samples()
        time.sleep(0.01)
    return found


def test_a_serial_meter(tmp_path):
    ours, theirs = os.openpty()
    meter = serial_meter(Path(os.ttyname(theirs)), 9600)
    os.write(ours, b"volts,amps\r\n5.0,0.4\r\n")
    assert waited_for(meter, 1) == [2.0]
    assert meter.samples() == []
    os.close(theirs)
    os.close(ours)
    with pytest.raises(BoardError, match="is gone"):  # as when an adapter is unplugged
        meter.samples()
    meter.close()
    (tmp_path / "file").write_text("")
    for port, baud in ((tmp_path / "file", 9600), (tmp_path / "missing", 9600), (tmp_path / "file", 1234567)):
        with pytest.raises(UsageError):
            serial_meter(port, baud)


def test_nvidia_smi(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        f"#!{sys.executable}\nimport sys, time\n"
        "assert '--query-gpu=power.draw' in sys.argv and '--id=1' in sys.argv\n"
        "for watts in (70.5, '[N/A]', 80.5):\n    print(watts, flush=True)\n"
        "if '--fail' in sys.argv: sys.exit(9)\ntime.sleep(60)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    meter = NvidiaMeter(1, [str(program)])
    assert waited_for(meter, 2) == [70.5, 80.5]
    meter.close()
    meter = NvidiaMeter(1, [str(program), "--fail"])
    with pytest.raises(BoardError, match="nvidia-smi, GPU 1 is gone"):
        waited_for(meter, 3)
    meter.close()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(MissingToolError, match="nvidia-smi"):
        NvidiaMeter()


def test_rails(monkeypatch):
    sensor = types.SimpleNamespace
    rails = {
        "INT": sensor(power=sensor(value=1.25), voltage=None, current=None),
        "PSPLL": sensor(power=None, voltage=sensor(value=2.0), current=sensor(value=0.5)),
        "3V3": sensor(power=None, voltage=sensor(value=3.3), current=None),
    }
    module = types.ModuleType("pynq.pmbus")
    module.get_rails = lambda: rails
    monkeypatch.setitem(sys.modules, "pynq", types.ModuleType("pynq"))
    monkeypatch.setitem(sys.modules, "pynq.pmbus", module)
    assert (RailMeter().name, RailMeter().samples()) == ("PMBus rail INT", [1.25])
    assert RailMeter("PSPLL").samples() == [1.0]
    with pytest.raises(UsageError, match="no power rail 3V3"):
        RailMeter("3V3")
    assert open_meter("auto", on_board=True).name == "PMBus rail INT"
    assert open_meter("auto", on_board=False) is None and open_meter("none", on_board=True) is None
    rails.clear()
    monkeypatch.setattr("lognet_fpga.runtime.power.sysfs.HWMON", Path("/nowhere"))
    assert open_meter("auto", on_board=True) is None


@pytest.mark.parametrize("which", ["", "ina260", "csv:", "serial:", "rapl:x", "nvidia-smi:x", "serial:/dev/x@fast"])
def test_a_word_that_is_no_sensor(which):
    with pytest.raises(UsageError, match="no power sensor"):
        open_meter(which, on_board=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("r", [0.0, 0.8])
def test_the_error_is_what_repeating_would_scatter(seed, r):
    """Of 400 series of correlated noise around 2 W, each with its own error."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(400, 500))
    for i in range(1, noise.shape[1]):
        noise[:, i] = r * noise[:, i - 1] + math.sqrt(1 - r * r) * noise[:, i]
    phases = [Phase.of(list(2 + 0.1 * row), 1.0) for row in noise]
    scatter = np.std([phase.mean_w for phase in phases])
    assert np.mean([phase.error_w for phase in phases]) == pytest.approx(scatter, rel=0.2)
    assert np.mean([phase.mean_w for phase in phases]) == pytest.approx(2, abs=0.01)


def test_few_and_constant_samples():
    assert Phase.of([], 1.0) is None
    assert Phase.of([2.0, 4.0], 1.0) == Phase(3.0, None, 2, 1.0)
    for constant in (2.0, 3.3, 0.1):
        assert Phase.of([constant] * 17, 1.0) == Phase(constant, 0.0, 17, 1.0)
    idle = Phase.of([3.3] * 17, 1.0)
    same = PowerResult("sensor", idle, Phase.of([3.3] * 70, 5.0), 100.0)
    assert same.difference_w == (0.0, 0.0) and "all samples are equal" in same.lines()[-1]


def test_energy_a_frame():
    """2 W more at 100 frames a second are 20 mJ; errors add as squares."""
    result = PowerResult("sensor", Phase(3.0, 0.03, 40, 2.0), Phase(5.0, 0.04, 200, 10.0), 100.0)
    assert result.difference_w == (2.0, pytest.approx(0.05))
    assert result.energy_mj == (pytest.approx(20.0), pytest.approx(0.5))
    assert result.total_energy_mj == pytest.approx(50.0)
    text = "\n".join(result.lines())
    assert "20 samples a second" in text and "2 ± 0.05 W: 20 ± 0.5 mJ a frame" in text and "3 ± 0.03 W (40 samp" in text
    nothing = PowerResult("sensor", None, None, 100.0, "it is gone")
    assert nothing.energy_mj is None and nothing.to_dict()["energy_mj"] is None
    assert "no samples" in "\n".join(nothing.lines()) and "it is gone" in nothing.lines()[-1]


class Stepping:
    """3 W until the first frame is classified, then 5 W."""

    name = "stepping"

    def __init__(self) -> None:
        self.watts, self.fails = 3.0, False

    def samples(self) -> list[float]:
        if self.fails:
            raise BoardError("the cable is gone")
        return [self.watts]

    def close(self) -> None:
        pass


@pytest.fixture
def session(require_tool):
    require_tool("onnx")
    require_tool("onnxruntime")
    bundle = make_bundle(small_bundle.files(), small_bundle.manifest())
    with Session(bundle, SimulatedDevice(bundle)) as session:
        yield session


def test_a_stream_is_measured_idle_and_running(session, virtual_time):
    meter, seen = Stepping(), []
    original_run = session.device.run

    def run(batch):
        meter.watts = 5.0
        return original_run(batch)

    session.device.run = run
    source = paced(in_memory(Frames(small_bundle.frames(60))), 60)
    result = stream(session, source, 1, meter=meter, idle_s=0.4, on_update=seen.append)
    power = result.power
    assert power.idle.mean_w == 3.0 and power.idle.samples == 7
    assert power.running.mean_w == 5.0 and power.running.seconds == pytest.approx(59 / 60, rel=0.01)
    assert power.difference_w[0] == 2 and power.energy_mj[0] == pytest.approx(2e3 / result.wall_rate.value, rel=0.01)
    assert seen[-1].watts == 5.0 and "5 W" in str(seen[-1])
    report = stream_report(session, result)
    assert "sensor      stepping" in report.text() and report.data["power_measured"]["sensor"] == "stepping"


def test_a_sensor_that_fails_ends_no_stream(session, virtual_time):
    meter = Stepping()
    meter.fails = True
    result = stream(session, Frames(small_bundle.frames(4)), meter=meter, idle_s=0.1)
    assert len(result) == 4 and result.power.running is None and "cable is gone" in result.power.failure
    assert "the sensor failed: the cable is gone" in stream_report(session, result).text()


def test_without_a_sensor_nothing_is_made_up(session):
    result = stream(session, Frames(small_bundle.frames(4)))
    assert result.power is None and "not measured" in result.power_note
    data = stream_report(session, result).data
    assert data["power_measured"] is None and "not measured" in data["power"]


def test_the_sampler_ends_with_its_context(virtual_time):
    with Sampler(Stepping()) as sampler:
        virtual_time.sleep(0.15)
    count = len(sampler._samples)
    virtual_time.sleep(0.15)
    assert count == len(sampler._samples) == 2
