"""What is shared of the pages that were read, and for how long."""

import msgspec

from chatserver.broker.pages import Pages
from chatserver.broker.reads import Wanted
from chatserver.publications import COST, Page, RoomState
from tests.core.stores import publication

NEWEST: Wanted = (None, None, 50, 1000)


def page(size: int = 100) -> Page:
    return Page(RoomState("e", 1, 1), 1, [publication(body=b"x" * size)], more=False)


def test_a_page_is_shared_by_those_who_want_just_that() -> None:
    pages, shared = Pages[Page](), page()
    pages.add("lobby", NEWEST, shared)
    assert pages.get("lobby", NEWEST) is shared
    assert pages.get("tea", NEWEST) is None
    assert pages.get("lobby", (0, None, 50, 1000)) is None


def test_a_publication_ends_the_pages_of_its_room_only() -> None:
    pages, other = Pages[Page](), page()
    pages.add("lobby", NEWEST, page())
    pages.add("lobby", (0, None, 50, 1000), page())
    pages.add("tea", NEWEST, other)
    pages.forget("lobby")
    pages.forget("nowhere")
    assert pages.get("lobby", NEWEST) is pages.get("lobby", (0, None, 50, 1000)) is None
    assert pages.get("tea", NEWEST) is other


def test_rooms_not_read_for_longest_make_room() -> None:
    pages = Pages[Page](most_bytes=3 * (COST + 4 + 2 * 100))
    for room in ("a", "b", "c"):
        pages.add(room, NEWEST, page())
    assert pages.get("a", NEWEST)
    pages.add("d", NEWEST, page())
    kept = [room for room in ("a", "b", "c", "d") if pages.get(room, NEWEST)]
    assert kept == ["a", "c", "d"]


def test_what_was_forgotten_leaves_its_space_to_others() -> None:
    pages = Pages[Page](most_bytes=2 * (COST + 4 + 2 * 100))
    for _ in range(5):
        pages.add("a", NEWEST, page())
        pages.forget("a")
    pages.add("a", NEWEST, page())
    pages.add("b", NEWEST, page())
    assert pages.get("a", NEWEST)
    assert pages.get("b", NEWEST)


def test_pages_with_nothing_in_them_are_bounded_too() -> None:
    pages = Pages[Page](most_bytes=10 * (COST + 4 * len("room 0")))
    empty = Page(RoomState(), 1, [], more=False)
    for after in range(11):
        pages.add(f"room {after}", (after, None, 50, 1000), empty)
    assert pages.get("room 0", (0, None, 50, 1000)) is None


def test_a_page_larger_than_all_may_be_is_not_kept() -> None:
    pages = Pages[Page](most_bytes=1000)
    pages.add("lobby", NEWEST, page(2000))
    assert pages.get("lobby", NEWEST) is None


def test_a_name_counts_the_same_once_it_has_been_encoded() -> None:
    pages = Pages[Page](most_bytes=3 * (COST + 4 * 52))
    empty = Page(RoomState(), 1, [], more=False)
    for number in range(1000):
        name = "\N{CYRILLIC SMALL LETTER ZHE}" * 48 + f"{number:04}"
        pages.add(name, NEWEST, empty)
        msgspec.json.encode(name)
        pages.forget(name)
    names = [f"{number:052}" for number in range(4)]
    for name in names:
        pages.add(name, NEWEST, empty)
    assert [pages.get(name, NEWEST) for name in names] == [None, empty, empty, empty]


def test_names_count_with_their_pages() -> None:
    pages = Pages[Page](most_bytes=20 * COST)
    empty = Page(RoomState(), 1, [], more=False)
    names = [str(number) * 2 * COST for number in range(3)]
    for name in names:
        pages.add(name, NEWEST, empty)
    assert [pages.get(name, NEWEST) for name in names] == [None, empty, empty]
    pages.forget(names[1])
    pages.add("lobby", NEWEST, empty)
    assert pages.get(names[2], NEWEST) is empty
