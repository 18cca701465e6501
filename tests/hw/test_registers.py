from __future__ import annotations

import pytest

from lognet_fpga.hw.axi import AxiLite
from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.overlay.registers import axil_registers
from tests.hw.axil import Master, Read, Write
from tests.hw.bench import reset_then, run
from tests.shallow import shallow

ID, VERSION, CONTROL, STATUS, BEGUN, FINISHED, CYCLES, STALLS, IDLES, MODEL = 0, 4, 8, 12, 16, 20, 24, 28, 32, 64
WORDS = tuple(0x01234567 + 0x1F3D5B79 * i & 0xFFFFFFFF for i in range(7)) + (0xFFFFFFFF,)
RESET_CYCLES = 12
PACKET, PACKET_BEGUN, PACKET_FINISHED = 36, 40, 44
EVENTS = ("packet_begin", "frame_begin", "frame_end", "frame_short", "frame_long", "sink_stalled", "source_idle")


def run_accesses(accesses, events=None, *, pause=0, cap=2000, begin=RESET_CYCLES + 8):
    """Accesses from cycle `begin` on: (answers, cycles with core_rst, cycles in which accesses ended).

    events: name -> cycles in which that input is high.
    """
    outputs = ("core_rst", "several", "packet_restart")
    signals, port = {name: flag() for name in ("clk", "rst", *outputs, *EVENTS)}, AxiLite.fresh()
    signals["more_frames"] = vector(16)
    dut = shallow(axil_registers, **signals, s_axil=port, model_words=WORDS, reset_cycles=RESET_CYCLES)
    master, in_reset, taken = Master(port, accesses, pause=pause), [], []

    def drive(cycle):
        reset_then(signals["rst"], cycle)
        for name in EVENTS:
            signals[name].next = cycle in (events or {}).get(name, ())
        if cycle >= begin:
            master.drive()

    def observe(cycle):
        if cycle >= begin:
            before = master.done
            master.observe()
            if master.done > before:
                taken.append(cycle)
        if signals["core_rst"]:
            in_reset.append(cycle)
        return master.done == len(accesses) and cycle > taken[-1] + RESET_CYCLES + 5

    run(dut, signals["clk"], drive, observe, cap)
    return master.answers, in_reset, taken


@pytest.mark.parametrize("pause", [0, 50, 90])
def test_identification_and_model(pause):
    addresses = [ID, VERSION, *range(MODEL, MODEL + 32, 4), 0x30, 0x60, 0x3C, 0x80, 0xFFC]
    answers, _, _ = run_accesses([Read(address) for address in addresses], pause=pause)
    assert answers == [0x4C4F474E, 1, *WORDS, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("pause", [0, 70])
def test_counters(pause):
    events = {
        "frame_begin": {30, 31, 40},
        "frame_end": {35, 50},
        "sink_stalled": set(range(30, 47)),
        "source_idle": {33},
    }
    answers, _, _ = run_accesses(
        [Read(a) for a in (BEGUN, FINISHED, STALLS, IDLES, CYCLES, CYCLES, STATUS)], events, pause=pause, begin=60
    )
    assert answers[:4] == [3, 2, 17, 1]
    assert 60 - RESET_CYCLES - 5 < answers[4] < answers[5] and answers[6] == 0


def test_packets():
    """Further frames of a packet, and the cycles in which the last packet began and the last frame ended."""
    events = {"packet_begin": {30, 40}, "frame_end": {35, 50}}
    accesses = [
        Read(PACKET),
        Write(PACKET, 0x1234_5678),
        Read(PACKET),
        Write(PACKET, 9, strobe=0xE),
        Read(PACKET),
        Read(PACKET_BEGUN),
        Read(PACKET_FINISHED),
        Write(CONTROL, 1),
        Read(PACKET),
    ]
    answers, _, _ = run_accesses(accesses, events, begin=60)
    assert answers[:3] == [0, 0x5678, 0x5678] and answers[5] == 0x5678
    assert answers[4] - answers[3] == 10


@pytest.mark.parametrize("event,bit", [("frame_short", 1), ("frame_long", 2)])
def test_status_remembers_and_is_cleared(event, bit):
    accesses = [
        Read(STATUS),
        Write(STATUS, 0),
        Read(STATUS),
        Write(STATUS, bit, strobe=0xE),
        Write(STATUS, 3 - bit),
        Read(STATUS),
        Write(STATUS, bit),
        Read(STATUS),
    ]
    answers, in_reset, _ = run_accesses(accesses, {event: {25}}, begin=30)
    assert answers == [bit, bit, bit, 0]
    assert max(in_reset) < 25


@pytest.mark.parametrize("event,bit", [("frame_short", 1), ("frame_long", 2)])
def test_an_error_in_the_cycle_of_the_clearing_is_kept(event, bit):
    """The write of a master that never pauses is taken in the cycle behind its offer, and acts two later."""
    for cycle, left in ((33, bit), (32, 0)):
        answers, _, _ = run_accesses([Write(STATUS, 3), Read(STATUS)], {event: {cycle}}, begin=30)
        assert answers == [left]


@pytest.mark.parametrize("pause", [0, 70])
def test_soft_reset(pause):
    """It lasts, clears the counters and is over by itself; it can be watched in the control register."""
    accesses = [Read(BEGUN), Write(CONTROL, 1), *[Read(CONTROL)] * 20, Read(BEGUN), Read(FINISHED)]
    answers, in_reset, taken = run_accesses(accesses, {"frame_begin": {22, 23}}, pause=pause, begin=30)
    assert answers[0] == 2 and answers[-2:] == [0, 0]
    soft = [cycle for cycle in in_reset if cycle >= 30]
    assert soft == list(range(soft[0], soft[-1] + 1)) and RESET_CYCLES <= len(soft) <= RESET_CYCLES + 2
    assert soft[0] <= taken[1] + 1
    watched = answers[1:-2]
    assert watched == sorted(watched, reverse=True) and watched[0] == 1 and watched[-1] == 0


@pytest.mark.parametrize(
    "access",
    [
        Write(CONTROL, 0),
        Write(CONTROL, 0xFFFFFFFE),
        Write(CONTROL, 1, strobe=0xE),
        Write(ID, 1),
        Write(MODEL, 1),
        Write(MODEL + CONTROL, 1),
        Write(0x800 + CONTROL, 1),
    ],
)
def test_other_writes_do_nothing(access):
    answers, in_reset, _ = run_accesses([access, Read(CONTROL), Read(ID), Read(MODEL)], begin=30)
    assert answers == [0, 0x4C4F474E, WORDS[0]] and max(in_reset) < 30


def test_reset_at_power_on():
    _, in_reset, _ = run_accesses([Read(ID)])
    assert len(in_reset) >= RESET_CYCLES and in_reset == list(range(in_reset[0], in_reset[-1] + 1))
