"""What memory keeps of a room, and when it has to ask the store."""

import pytest

from chatserver.broker.tail import Tail, Tails
from chatserver.positions import Position
from chatserver.publications import COST, Page, Publication, RoomState, Unread, fitting
from tests.core.stores import STAMP, publication

FAR = 2**20


def numbered(first: int, last: int) -> list[Publication]:
    return [publication(body=b"%d" % number) for number in range(first, last + 1)]


def tail(first: int, last: int, oldest: int | None) -> Tail:
    made = Tail("e", first, oldest)
    made.append(numbered(first, last))
    return made


def page(first: int, last: int, *, oldest: int = 1, top: int | None = None) -> Page:
    state = RoomState("e", last if top is None else top, oldest)
    return Page(state, first, numbered(first, last), False)


def filled(tails: Tails, count: int, room: str = "lobby", first: int = 1) -> None:
    for offset in range(first, first + count):
        tails.add(room, [(publication(room, b"%d" % offset), Position("e", offset))])


def test_a_room_from_its_beginning_is_known_without_the_store() -> None:
    tails = Tails()
    filled(tails, 5)
    kept = tails.get("lobby")
    assert kept is not None
    assert kept.state == RoomState("e", 5, 1)
    assert kept.after(2, 2, FAR) == Page(RoomState("e", 5, 1), 3, numbered(3, 4), True)
    assert kept.before(None, 2, FAR) == Page(RoomState("e", 5, 1), 4, numbered(4, 5), True)
    assert kept.before(3, 10, FAR) == Page(RoomState("e", 5, 1), 1, numbered(1, 2), False)
    assert kept.after(9, 2, FAR) == Page(RoomState("e", 5, 1), 10, [], False)


def test_what_the_store_no_longer_keeps_is_forgotten() -> None:
    tails = Tails()
    filled(tails, 10)
    tails.trim("lobby", 4)
    kept = tails.get("lobby")
    assert kept is not None
    assert kept.state == RoomState("e", 10, 4)
    assert kept.before(None, 20, FAR) == Page(RoomState("e", 10, 4), 4, numbered(4, 10), False)
    assert kept.after(0, 20, FAR) is None
    tails.seed("lobby", page(1, 3, top=10), current=True)
    assert kept.first == 4, "what was read before is of no use"
    tails.seed("lobby", page(8, 14, oldest=8), current=False)
    assert kept.state == RoomState("e", 10, 4), "what is read may be ahead of the members"
    tails.trim("lobby", 11)
    assert kept.before(None, 20, FAR) == Page(RoomState("e", 10, 11), 11, [], False)
    tails.trim("lobby", 20)
    assert kept.state == RoomState("e", 10, 11), "more is stored than has been handed out"
    tails.trim("nowhere", 3)


def test_what_lies_before_is_the_store_s() -> None:
    kept = tail(11, 20, oldest=3)
    assert kept.after(9, 5, FAR) is None
    assert kept.after(10, 5, FAR) is not None
    assert kept.before(None, 11, FAR) is None
    assert kept.before(None, 10, FAR) is not None
    assert kept.before(14, 4, FAR) is None
    assert kept.before(14, 3, FAR) is not None
    assert tail(11, 20, oldest=None).after(15, 1, FAR) is None


def test_nothing_is_missing_where_the_store_has_nothing_older_either() -> None:
    kept = tail(11, 20, oldest=11)
    found = kept.before(None, 100, FAR)
    assert found == Page(RoomState("e", 20, 11), 11, numbered(11, 20), False)


def test_pages_of_memory_are_bounded_in_bytes() -> None:
    kept = Tail("e", 1, 1)
    kept.append([publication(body=b"x" * 100)] * 10)
    forwards, backwards = kept.after(0, 100, 350), kept.before(None, 100, 350)
    assert forwards is not None
    assert backwards is not None
    assert (forwards.first, forwards.last, forwards.more) == (1, 3, True)
    assert (backwards.first, backwards.last, backwards.more) == (8, 10, True)


def test_a_page_that_adjoins_is_put_before_and_another_one_is_not() -> None:
    kept = tail(11, 12, oldest=None)
    kept.prepend(page(5, 9, top=12))
    assert (kept.first, kept.oldest) == (11, 1)
    kept.prepend(page(8, 12))
    assert (kept.first, kept.top) == (8, 12)
    assert [each.body for each in kept.publications] == [b"%d" % n for n in range(8, 13)]
    assert kept.size == sum(len(each.body) + COST for each in kept.publications)


@pytest.mark.parametrize(("most", "most_bytes"), [(10, FAR), (FAR, 10 * COST)])
def test_the_oldest_of_a_room_are_forgotten(most: int, most_bytes: int) -> None:
    tails = Tails(room_most=most, room_bytes=most_bytes)
    filled(tails, 100)
    kept = tails.get("lobby")
    assert kept is not None
    assert kept.top == 100
    assert 4 <= len(kept.publications) <= 10
    assert kept.publications[0].body == b"%d" % kept.first
    assert kept.size == sum(len(each.body) + COST for each in kept.publications)


def test_rooms_not_used_for_longest_are_forgotten_first() -> None:
    tails = Tails(most_bytes=3 * (2 * COST + 1 + 4))
    for room in ("a", "b", "c"):
        filled(tails, 1, room)
    tails.get("a")
    filled(tails, 1, "d")
    assert [room for room in "abcd" if tails.get(room)] == ["a", "c", "d"]


def test_a_room_that_was_forgotten_begins_again_without_its_past() -> None:
    tails = Tails()
    filled(tails, 3)
    filled(tails, 1, first=7)
    kept = tails.get("lobby")
    assert kept is not None
    assert (kept.first, kept.top, kept.state) == (7, 7, None)


def test_a_page_becomes_a_tail_only_if_it_is_the_end_of_the_room_now() -> None:
    for seen, current in ((page(1, 5), False), (page(1, 5, top=6), True), (page(1, 0), False)):
        tails = Tails()
        tails.seed("lobby", seen, current=current)
        assert tails.get("lobby") is None
    tails = Tails()
    tails.seed("lobby", page(3, 5, oldest=2), current=True)
    kept = tails.get("lobby")
    assert kept is not None
    assert (kept.first, kept.state) == (3, RoomState("e", 5, 2))


def test_that_a_room_is_empty_is_remembered_within_the_bounds() -> None:
    tails = Tails(most_bytes=3 * (COST + 4 * len("room0")))
    for number in range(5):
        tails.seed(f"room{number}", page(1, 0, top=0), current=True)
    kept = [f"room{number}" for number in range(5) if tails.get(f"room{number}")]
    assert kept == ["room2", "room3", "room4"]
    empty = tails.get("room4")
    assert empty is not None
    assert empty.state == RoomState("e", 0, 1)
    assert empty.after(0, 10, FAR) == Page(RoomState("e", 0, 1), 1, [], False)
    tails.add("room4", [(publication("room4"), Position("new", 1))])
    begun = tails.get("room4")
    assert begun is not None
    assert begun.state == RoomState("new", 1, 1)


def test_names_count_with_their_rooms() -> None:
    tails = Tails(most_bytes=20 * COST)
    names = [str(number) * 2 * COST for number in range(3)]
    for name in names:
        tails.seed(name, page(1, 0, top=0), current=True)
    assert [tails.get(name) is not None for name in names] == [False, True, True]
    tails.forget(names[1])
    tails.seed("lobby", page(1, 0, top=0), current=True)
    assert tails.get(names[2])


def test_places_that_do_not_follow_each_other_are_left_to_the_store() -> None:
    tails = Tails()
    filled(tails, 3)
    turned = [(each, Position("e", 6 - place)) for place, each in enumerate(numbered(4, 6))]
    tails.add("lobby", turned)
    assert tails.get("lobby") is None
    filled(tails, 1, first=7)
    kept = tails.get("lobby")
    assert kept is not None
    assert (kept.first, kept.top, kept.state) == (7, 7, None)


def test_one_that_is_too_large_fits_alone() -> None:
    large = [publication(body=b"x" * 100)] * 3
    assert len(fitting(large, 10)) == 1
    assert len(fitting(large, 200)) == 2
    assert len(fitting(large, FAR)) == 3
    assert fitting([], 10) == []


def test_what_is_unread_is_counted_as_far_back_as_memory_reaches() -> None:
    kept = tail(11, 20, oldest=3)
    assert [kept.unread("bob", after) for after in (9, 10, 19, 20, 99)] == [
        None,
        Unread(10, 20),
        Unread(1, 20),
        Unread(0, 20),
        Unread(0, 20),
    ]
    assert kept.unread("ann", 10) == Unread(0, 20), "her own"
    assert tail(11, 20, oldest=11).unread("bob", 3) == Unread(10, 20), "the rest is not kept"
    assert tail(11, 20, oldest=None).unread("bob", 15) is None


def test_a_tail_takes_nothing_that_was_read_before_it_began() -> None:
    """Some of it may have been removed in between, which was told when there was no tail yet."""
    kept = tail(6, 7, oldest=None)
    kept.prepend(page(1, 5))
    assert (kept.first, kept.state) == (6, None)
    kept.prepend(page(3, 6, oldest=3))
    assert (kept.first, kept.state) == (3, RoomState("e", 7, 3))


@pytest.mark.parametrize("known", [True, False])
def test_what_was_erased_since_a_page_was_read_does_not_come_back(known: bool) -> None:
    """The tail knows of the deletion, or began behind it."""
    tails = Tails()
    if known:
        tails.add("lobby", [(publication(body=b"5"), Position("e", 5))])
    erasing = Publication("lobby", b"{}", STAMP, target=4, erases=True)
    tails.add("lobby", [(erasing, Position("e", 6))])
    if not known:
        filled(tails, 1, first=9)
    stale = page(1, 5, top=5)
    tails.seed("lobby", stale, current=False)
    kept = tails.get("lobby")
    assert kept is not None
    assert kept.after(0, 10, FAR) is None
    tails.seed("lobby", page(1, 9, top=9), current=False)
