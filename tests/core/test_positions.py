"""Positions name places in a stream."""

from chatserver.positions import Position


def test_positions_are_values() -> None:
    assert Position("a", 3) == Position("a", 3)
    assert Position("a", 3) != Position("b", 3)
    assert len({Position("a", 3), Position("a", 3), Position("a", 4)}) == 2


def test_positions_of_one_epoch_stand_in_the_order_of_their_offsets() -> None:
    places = [Position("a", offset) for offset in (10, 0, 2, 1)]
    assert [place.offset for place in sorted(places)] == [0, 1, 2, 10]
    assert Position("a", 1) < Position("a", 2) <= Position("a", 2)
