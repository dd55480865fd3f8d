"""Joining a stream in the middle: no gap, no duplicate, whatever happens while reading."""

from hypothesis import given
from hypothesis import strategies as st

from chatserver.holdback import HoldBack


def holding(*offsets: int, most: int = 1000, size: int = 100) -> HoldBack[int]:
    hold: HoldBack[int] = HoldBack(most)
    for offset in offsets:
        hold.hold(offset, size, offset)
    return hold


def test_nothing_happened_while_reading() -> None:
    assert holding().release(7) == []
    assert holding().release(0) == []


def test_what_came_after_the_snapshot_follows_it() -> None:
    assert holding(8, 9).release(7) == [8, 9]


def test_what_is_in_the_snapshot_already_is_not_told_twice() -> None:
    assert holding(6, 7, 8).release(7) == [8]
    assert holding(6, 7).release(9) == []


def test_a_gap_asks_for_another_read() -> None:
    assert holding(9, 10).release(7) is None


def test_too_much_asks_for_another_read_and_then_fits() -> None:
    hold = holding(*range(1, 31))
    assert hold.release(10) is None
    hold.hold(31, 100, 31)
    assert hold.release(21) == list(range(22, 32))


def test_one_that_is_too_large_by_itself_is_read_instead() -> None:
    hold = holding(5, size=2000)
    assert hold.release(4) is None
    assert hold.release(5) == []


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(1, 20))
def test_a_join_sees_each_publication_once(before: int, during: int, seen: int, fit: int) -> None:
    """Register at `before`; `during` are delivered while the snapshot shows `seen` of them."""
    hold = holding(*range(before + 1, before + during + 1), most=fit * 100)
    top = before + min(seen, during)
    stream = list(range(1, top + 1))
    released = hold.release(top)
    if released is None:
        assert before + during - top > fit
        stream += range(top + 1, before + during + 1)
        released = hold.release(before + during)
    assert released is not None
    assert stream + released == list(range(1, before + during + 1))
