"""From the words of memory to the beats of a stream, 8 to 1024 bits: a power of two."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat

from lognet_fpga.hw.axi import AxiStream
from lognet_fpga.hw.control import all_of, control_leaf, late_logic, move_gate, stream_gate
from lognet_fpga.hw.dma.countdown import beats_left
from lognet_fpga.hw.dma.units import WORD_BITS
from lognet_fpga.hw.slice import register_slice
from lognet_fpga.hw.wiring import counter, flag, vector


@block
def dma_unpack(clk, rst, start, n_bytes, word, word_valid, word_ready, m_axis: AxiStream, ended, pop):
    """words_to_beats between two register slices.

    Ports: start: a pulse, at least four cycles before the first word; n_bytes stays; ended: the last beat was taken,
    until start; pop: a word was taken, in the cycle before.
    Latency: 3 from the word that completes a beat.  Throughput: a word or a beat a cycle, whichever takes longer.
    """
    width = len(m_axis.tdata)
    begins, was_reset, ready, valid, last_taken = (flag() for _ in range(5))
    first, first_valid, first_ready = vector(len(word)), flag(), flag()
    beats, marked, shown = AxiStream.fresh(tdata=width), vector(width + 1), vector(width + 1)
    arrive = register_slice(clk, rst, word, word_valid, ready, first, first_valid, first_ready)
    convert = words_to_beats(clk, was_reset, begins, n_bytes, first, first_valid, first_ready, beats)
    leave = register_slice(clk, rst, marked, beats.tvalid, beats.tready, shown, valid, m_axis.tready)
    ending = late_logic([valid, m_axis.tready, shown(width)], last_taken, rule=all_of)
    arrive.name, convert.name, leave.name, ending.name = "arrive", "convert", "leave", "ending"

    @always_comb
    def ports():
        word_ready.next = ready
        marked.next = concat(beats.tlast, beats.tdata)
        m_axis.tvalid.next = valid
        m_axis.tdata.next = shown[width:]
        m_axis.tlast.next = shown[width]

    @always(clk.posedge)
    def follow():
        begins.next = start
        was_reset.next = rst
        if rst:
            pop.next = False
        else:
            pop.next = word_valid and ready
        if rst or start:
            ended.next = False
        elif last_taken:
            ended.next = True

    return arrive, convert, leave, ending, ports, follow


@block
def words_to_beats(clk, rst, start, n_bytes, word, word_valid, word_ready, m_axis: AxiStream):
    """Words to beats, the lowest bits first, up to n_bytes, a multiple of a beat's; TLAST with the last one, and what
    is left of its word is dropped.

    Ports: start: a pulse, at least three cycles before the first word.
    Latency: 1 from the word that completes a beat.
    """
    width = len(m_axis.tdata)
    last, moves, opens, gives_word = (flag() for _ in range(4))
    valid, valid_next, asks_valid = (flag() for _ in range(3))  # asks_valid: valid, for what asks for words
    countdown = beats_left(clk, start, n_bytes, moves, last, width=width)
    countdown.name = "countdown"
    gates = [stream_gate(valid, m_axis.tready, opens)]
    leaves = [control_leaf(clk, valid_next, asks_valid)]

    @always_comb
    def handshake():
        moves.next = valid and m_axis.tready
        m_axis.tvalid.next = valid
        m_axis.tlast.next = last
        word_ready.next = gives_word

    if width < WORD_BITS:
        held, lane, before_end = vector(WORD_BITS), vector(WORD_BITS // width), WORD_BITS // width - 2
        fresh, fresh_next, takes_word, asks_fresh = Signal(bool(1)), flag(), flag(), flag()
        gates.append(move_gate(asks_fresh, asks_valid, m_axis.tready, gives_word))
        leaves += [control_leaf(clk, fresh_next, takes_word), control_leaf(clk, fresh_next, asks_fresh)]

        @always_comb
        def look():
            """fresh: the next beat comes out of the next word."""
            m_axis.tdata.next = held[width:]
            if opens:
                valid_next.next = ((fresh and word_valid) or not (fresh or last)) and not rst
            else:
                valid_next.next = valid and not rst
            if rst:
                fresh_next.next = True
            elif valid and not m_axis.tready:
                fresh_next.next = fresh
            elif fresh:
                fresh_next.next = not word_valid
            else:
                fresh_next.next = last or lane[before_end]

        @always(clk.posedge)
        def give():
            """lane: of the beat that is offered, a bit each."""
            fresh.next = fresh_next
            valid.next = valid_next
            if fresh:
                lane.next = 1
            elif opens:
                lane.next = lane << 1

        @always(clk.posedge)
        def keep():
            if opens:
                if takes_word:
                    held.next = word
                else:
                    held.next = concat(held[width:], held[WORD_BITS:width])

        parts = (look, give, keep)

    elif width == WORD_BITS:
        gates.append(stream_gate(asks_valid, m_axis.tready, gives_word))

        @always_comb
        def look():
            if gives_word:
                valid_next.next = word_valid and not rst
            else:
                valid_next.next = valid and not rst

        @always(clk.posedge)
        def give():
            valid.next = valid_next

        @always(clk.posedge)
        def keep():
            if opens:
                m_axis.tdata.next = word

        parts = (look, give, keep)

    else:
        held, lane = vector(width), counter(width // WORD_BITS)
        end = width // WORD_BITS - 1
        gates.append(stream_gate(asks_valid, m_axis.tready, gives_word))

        @always_comb
        def show():
            m_axis.tdata.next = held
            if gives_word:
                valid_next.next = word_valid and lane == end and not rst
            else:
                valid_next.next = valid and not rst

        @always(clk.posedge)
        def give():
            valid.next = valid_next
            if rst:
                lane.next = 0
            elif gives_word:
                if word_valid:
                    if lane == end:
                        lane.next = 0
                    else:
                        lane.next = lane + 1

        @always(clk.posedge)
        def keep():
            if opens and word_valid:
                held.next = concat(word, held[width:WORD_BITS])

        parts = (show, give, keep)

    for gate, name in zip(gates, ("opens", "gives_word")):
        gate.name = name
    for leaf, name in zip(leaves, ("asks_valid", "takes_word", "asks_fresh")):
        leaf.name = name
    return countdown, gates, leaves, handshake, parts
