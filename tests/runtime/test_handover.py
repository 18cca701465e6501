from __future__ import annotations

import pytest

from lognet_fpga.runtime import handover as module
from lognet_fpga.runtime.handover import Handover


def in_thread(work) -> module.threading.Thread:
    thread = module.threading.Thread(target=work, name="other", daemon=True)
    thread.start()
    return thread


def test_items_come_out_in_order_and_the_end_after_them():
    handover: Handover[str] = Handover(2)

    def put():
        for text in ("a", "b", "c", "d"):
            assert handover.put(text)
        handover.end()

    in_thread(put)
    assert [handover.get() for _ in range(6)] == ["a", "b", "c", "d", None, None]


def test_put_waits_where_all_places_are_taken(virtual_time):
    handover: Handover[str] = Handover(2)
    done = []
    thread = in_thread(lambda: [done.append(handover.put(text)) for text in "abc"])
    virtual_time.sleep(0.05)
    assert done == [True, True]
    assert handover.get() == "a"
    thread.join(5)
    assert done == [True, True, True] and handover.dropped == 0


def test_dropping_lets_go_of_the_oldest_and_counts_what_was_in_it():
    handover: Handover[str] = Handover(2, drop=True)
    for text in ("a", "bb", "ccc", "dddd"):
        assert handover.put(text)
    handover.end()
    assert handover.dropped == 3 and [handover.get() for _ in range(3)] == ["ccc", "dddd", None]


def test_an_error_comes_after_the_items_before_it():
    handover: Handover[str] = Handover(2)
    handover.put("a")
    handover.end(ValueError("broken"))
    assert not handover.would_wait() and handover.get() == "a"
    with pytest.raises(ValueError, match="broken"):
        handover.get()


def test_would_wait():
    handover: Handover[str] = Handover(1)
    assert handover.would_wait()
    handover.put("a")
    assert not handover.would_wait()


@pytest.mark.parametrize("side", ["put", "get"])
def test_stop_lets_both_sides_go_on(side, virtual_time):
    handover: Handover[str] = Handover(1)
    if side == "put":
        handover.put("a")
    results = []
    thread = in_thread(lambda: results.append(handover.put("b") if side == "put" else handover.get()))
    virtual_time.sleep(0.05)
    handover.stop()
    thread.join(5)
    assert results == [False if side == "put" else None]
    assert handover.get() is None and handover.put("c") is False
