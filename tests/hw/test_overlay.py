"""The whole overlay in MyHDL's own simulator, against the integer graph."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.hw.axi import AxiLite
from lognet_fpga.hw.structure import elaborate
from lognet_fpga.ir.graph import MaxPool
from lognet_fpga.overlay.formats import layer_format, sink_format, source_format
from lognet_fpga.overlay.overlay import overlay
from tests.hw.axil import Master, Read, Write
from tests.hw.beats import from_beats, to_beats
from tests.hw.bench import Sink, Source, run
from tests.quant_models import Spec, folded_plan, frame_cycles, make_plan, random_frames, random_graph, solved
from tests.shallow import shallow

RESET = 16  # cycles of rst
SHA256 = "00112233" + "ab" * 28


@pytest.fixture(autouse=True)
def short_reset(monkeypatch):
    """The real length would be most of the simulation; these pipelines are much shorter than 120."""
    monkeypatch.setattr("lognet_fpga.overlay.overlay.RESET_CYCLES", 120)


class Bench:
    """An overlay with a source, a sink, an AXI4-Lite master, and the beats that its monitors show."""

    def __init__(self, quant, cycles_per_frame=None, foldings=()):
        """The plan for a number of cycles, or with given foldings, as folded_plan takes them."""
        engines = solved(quant, [isinstance(folding, tuple) for folding in foldings])
        self.quant = quant
        self.plan = folded_plan(foldings, engines) if foldings else make_plan(engines, cycles_per_frame)
        self.top = overlay(self.plan, SHA256)
        self.signals = {port.name: port.signal() for port in self.top.ports}
        self.source_format, self.sink_format = source_format(self.plan), sink_format(self.plan)
        self.master = Master(AxiLite.of("s_axil", self.signals), [])
        self.monitored = [[] for _ in quant.layers]

    def source(self, frames, idle=0):
        s = self.signals
        return Source(
            to_beats(self.source_format, frames),
            s["s_axis_tdata"],
            s["s_axis_tvalid"],
            s["s_axis_tready"],
            idle=idle,
            last=s["s_axis_tlast"],
            beats_per_frame=self.source_format.beats_per_frame,
        )

    def sink(self, stall=0):
        s = self.signals
        return Sink(s["m_axis_tdata"], s["m_axis_tvalid"], s["m_axis_tready"], stall=stall, last=s["m_axis_tlast"])

    def run(self, drive, observe, cap):
        s = self.signals

        def all_inputs(cycle):
            s["rst"].next = cycle < RESET
            if cycle >= RESET:
                drive(cycle)
                self.master.drive()

        def all_outputs(cycle):
            if cycle < RESET:
                return False
            self.master.observe()
            for index, beats in enumerate(self.monitored, 1):
                if s[f"mon_layer{index}_valid"]:
                    beats.append(int(s[f"mon_layer{index}_data"]))
            return observe(cycle)

        return run(shallow(elaborate, self.top, s), s["clk"], all_inputs, all_outputs, cap)

    def activations(self):
        return [from_beats(layer_format(planned), beats) for planned, beats in zip(self.plan.layers, self.monitored)]


NETS = {
    "slowest": ((1, 4, 4), Spec(2), Spec(3, (1, 1), pads=(0, 0, 0, 0), pool=None, out_bits=4)),
    "middle": ((2, 4, 5), Spec(2, odd_pad=True)),
    "fastest": (
        (1, 4, 5),
        Spec(2, (2, 2), (2, 1), (1, 0, 0, 1), pool=None),
        Spec(2, (1, 2), pads=(0, 0, 0, 0), pool=None),
    ),
}


FOLDINGS = {"memories": [(2, 2), (3, 1)], "both": [(2, 1), 3]}  # of these nets' layers
NETS["memories"] = ((2, 4, 5), Spec(4, odd_pad=True), Spec(3, (2, 2), pads=(0, 1, 1, 0), pool=None))
FOLDINGS["grouped"] = [(2, 1), (3, 2), (4, 3)]
NETS["grouped"] = (
    (4, 4, 5),
    Spec(4, pool=None, groups=4, odd_pad=True),
    Spec(6, (1, 1), pads=(0, 0, 0, 0), pool=None),
    Spec(4, (4, 5), pads=(0, 0, 0, 0), pool=None, groups=2, holes=(0.3, 2, 3)),
)
NETS["both"] = ((1, 4, 5), Spec(2, odd_pad=True), Spec(3, (1, 1), pads=(0, 0, 0, 0), pool=None))


def bench_of(speed):
    shape, *specs = NETS[speed]
    quant = random_graph(3, shape, *specs)
    if speed in FOLDINGS:
        return quant, Bench(quant, foldings=FOLDINGS[speed])
    return quant, Bench(quant, frame_cycles(quant, speed))


@pytest.mark.parametrize("idle,stall", [pytest.param(0, 0, marks=pytest.mark.slow), (50, 50)])
@pytest.mark.parametrize("speed", NETS)
def test_two_frames(speed, idle, stall):
    quant, bench = bench_of(speed)
    frames = random_frames(quant, 2, 1)
    source, sink = bench.source(frames, idle), bench.sink(stall)
    beats = 2 * bench.sink_format.beats_per_frame

    def drive(cycle):
        source.drive()
        sink.drive()

    def observe(cycle):
        source.observe(cycle)
        sink.observe(cycle)
        if len(sink.beats) == beats and not bench.master.accesses:
            bench.master.accesses += [Read(0), Read(0x40), Read(0x0C), Read(0x10), Read(0x14)]
        return bench.master.done == 5

    bench.run(drive, observe, cap=20 * bench.plan.latency_cycles + 2000)
    expected = quant.run_layers(frames)
    for found, values in zip(bench.activations(), expected):
        np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(from_beats(bench.sink_format, sink.beats), expected[-1])
    assert sink.lasts == ([False] * (beats // 2 - 1) + [True]) * 2
    assert bench.master.answers == [0x4C4F474E, 0x33221100, 0, 2, 2]


@pytest.mark.parametrize(
    "speed,part",
    [
        pytest.param("middle", 0.3, marks=pytest.mark.slow),
        pytest.param("middle", 0.8, marks=pytest.mark.slow),
        ("fastest", 0.5),
        ("slowest", 0.6),
        ("memories", 0.6),
    ],
)
def test_soft_reset_in_the_middle_of_a_frame(speed, part):
    """A frame is given up half way, with the sink stalled; behind the reset whole frames are right again."""
    quant, bench = bench_of(speed)
    junk, frames = random_frames(quant, 1, 8), random_frames(quant, 2, 9)
    first, second, sink = bench.source(junk), bench.source(frames), bench.sink()
    first.beats = first.beats[: round(part * len(first.beats))]
    bench.master.accesses.append(Read(0x08))
    state, beats = "first", 2 * bench.sink_format.beats_per_frame

    def drive(cycle):
        (second if state == "second" else first).drive()
        if state == "second":
            sink.drive()
        else:
            bench.signals["m_axis_tready"].next = False

    def observe(cycle):
        nonlocal state
        master = bench.master
        if state == "first":
            first.observe(cycle)
            if first.sent == len(first.beats):
                first.beats, state = [], "given up"
                master.accesses += [Read(0x10), Write(0x08, 1), Read(0x08)]
        elif state == "given up":
            first.observe(cycle)
            if master.done == len(master.accesses):
                if master.answers[-1]:
                    master.accesses.append(Read(0x08))
                else:
                    assert master.answers.count(1) > 5  # the frame begun, and the reset for a while
                    state = "second"
                    for monitored in bench.monitored:
                        monitored.clear()
        else:
            second.observe(cycle)
            sink.observe(cycle)
            if len(sink.beats) == beats and master.accesses[-1] != Read(0x14):
                master.accesses += [Read(0x0C), Read(0x10), Read(0x14)]
            return len(sink.beats) == beats and master.done == len(master.accesses)
        return False

    bench.run(drive, observe, cap=20 * bench.plan.latency_cycles + 3000)
    expected = quant.run_layers(frames)
    for found, values in zip(bench.activations(), expected):
        np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(from_beats(bench.sink_format, sink.beats), expected[-1])
    assert bench.master.answers[-3:] == [0, 2, 2]


def test_packets_of_three_frames():
    """TLAST once every three frames at both edges; the cycles of the last packet are as the streams show them."""
    quant, bench = bench_of("fastest")
    frames = random_frames(quant, 6, 4)
    source, sink = bench.source(frames), bench.sink()
    source.ends = (len(source.beats) // 2 - 1, len(source.beats) - 1)
    beats = 6 * bench.sink_format.beats_per_frame
    bench.master.accesses.append(Write(0x24, 2))
    last = [Read(0x0C), Read(0x28), Read(0x2C), Read(0x24)]

    def drive(cycle):
        if bench.master.done:
            source.drive()
        sink.drive()

    def observe(cycle):
        source.observe(cycle)
        sink.observe(cycle)
        master = bench.master
        if len(sink.beats) == beats and master.accesses[-1] != last[-1]:
            master.accesses += last
        return len(sink.beats) == beats and len(master.answers) == len(last)

    bench.run(drive, observe, cap=40 * bench.plan.latency_cycles + 3000)
    np.testing.assert_array_equal(from_beats(bench.sink_format, sink.beats), quant.run(frames))
    assert sink.lasts == ([False] * (beats // 2 - 1) + [True]) * 2
    status, begun, finished, further = bench.master.answers
    assert (status, further) == (0, 2)
    assert finished - begun == sink.taken[-1] - source.taken[len(source.taken) // 2]


def test_pool_results_up_to_the_last_place_of_the_fifo():
    """Slots far apart, two places in the FIFO, and a sink that stalls until it is quite full."""
    quant = random_graph(5, (1, 6, 6), Spec(2, pool=MaxPool((3, 3), (3, 3))))
    bench = Bench(quant, 3 * frame_cycles(quant, "slowest"))
    assert (bench.plan.layers[0].fifo.depth, bench.plan.layers[0].fifo.reserve) == (2, 1)
    frames = random_frames(quant, 1, 1)
    source, sink = bench.source(frames), bench.sink()

    def drive(cycle):
        source.drive()
        sink.drive()
        if cycle < 2 * bench.plan.latency_cycles:
            bench.signals["m_axis_tready"].next = False

    def observe(cycle):
        source.observe(cycle)
        sink.observe(cycle)
        return len(sink.beats) == bench.sink_format.beats_per_frame

    bench.run(drive, observe, cap=6 * bench.plan.latency_cycles)
    np.testing.assert_array_equal(from_beats(bench.sink_format, sink.beats), quant.run(frames))
