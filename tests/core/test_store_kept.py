"""What memory keeps of a room is found without looking through all of it."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import SupportsIndex, overload

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver import fold
from chatserver.fold import Messages, answered
from chatserver.publications import Publication, size_of
from chatserver.store.kept import LINK, Kept
from tests.core.histories import answer, delete, edit, message, pin, publications, reaction

FAR = 2**20


def places(page: Messages) -> list[int]:
    return [offset for offset, _ in page.events]


def filled(
    kept: Kept, sent: Sequence[Publication], drop: Callable[[int], int] = lambda _: 0
) -> None:
    """Add publications, and drop some after each."""
    for number, each in enumerate(sent):
        kept.add(each)
        kept.drop(drop(number))


def answers(kept: Kept, root: int) -> list[int]:
    """Look through all for what answers a message."""
    return [
        offset
        for offset, each in enumerate(kept.publications, kept.first)
        if each.target is None and answered(each.body) == root
    ]


def having(kept: Kept, field: str) -> list[int]:
    """Look through all messages for those that have a field."""
    return [at for at, event in kept.before(None, FAR, FAR).events if field in json.loads(event)]


@given(
    st.lists(publications(12), max_size=60),
    st.lists(st.integers(0, 3)),
    st.integers(1, 9),
    st.integers(1, 800),
)
def test_it_is_read_like_a_list_of_publications(
    sent: list[Publication], drops: list[int], limit: int, max_bytes: int
) -> None:
    kept = Kept("e", FAR)
    filled(kept, sent, lambda number: drops[number] if number < len(drops) else 0)
    state, listed = kept.state, kept.publications
    pinned, reacted = having(kept, "pinned"), having(kept, "reactions")
    for place in range(state.top + 3):
        assert kept.after(place, limit, max_bytes) == fold.after(
            state, listed, place, limit, max_bytes
        )
        assert kept.before(place, limit, max_bytes) == fold.before(
            state, listed, place, limit, max_bytes
        )
        assert places(kept.thread(place, 0, FAR, FAR)) == sorted(
            {*answers(kept, place), *(each for each in (place,) if is_message(kept, each))}
        )
        assert places(kept.pinned(place, FAR, FAR)) == [each for each in pinned if each < place]
        assert bool(kept.reactions(place)) == (place in reacted)
    links = sum(len(answers(kept, root)) for root in range(1, 13))
    links += sum(len(kept.changes_of(place)) for place in range(kept.first, state.top + 1))
    assert kept.size == size_of(listed) + LINK * links


def is_message(kept: Kept, offset: int) -> bool:
    place = offset - kept.first
    return 0 <= place < len(kept.publications) and kept.publications[place].target is None


def test_what_is_dropped_leaves_nothing_behind() -> None:
    kept = Kept("e", FAR)
    changes = [edit(2), reaction(1), delete(3), reaction(4)]
    filled(kept, [message(), answer(1), answer(1), answer(9), *changes, answer(4)])
    kept.drop(9)
    assert (kept.size, kept.state.oldest, kept.state.top) == (0, 10, 9)


class Watched(list[Publication]):
    """Count the publications that are looked at."""

    looks = 0

    @overload
    def __getitem__(self, place: SupportsIndex) -> Publication: ...
    @overload
    def __getitem__(self, place: slice) -> list[Publication]: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Publication | list[Publication]:
        found = super().__getitem__(place)
        self.looks += 1 if isinstance(found, Publication) else len(found)
        return found

    def __iter__(self) -> Iterator[Publication]:
        self.looks += len(self)
        return super().__iter__()


READS: list[Callable[[Kept], object]] = [
    lambda kept: kept.thread(5, 0, 20, FAR),
    lambda kept: kept.thread(5, 4000, 20, FAR),
    lambda kept: kept.pinned(None, 20, FAR),
    lambda kept: kept.pinned(4000, 20, FAR),
    lambda kept: kept.reactions(10),
    lambda kept: kept.before(None, 20, FAR),
    lambda kept: kept.before(2500, 20, FAR),
    lambda kept: kept.after(2500, 20, FAR),
    lambda kept: kept.add(reaction(1000)),
    lambda kept: kept.add(edit(4990)),
    lambda kept: kept.add(delete(10)),
]


@pytest.mark.parametrize("read", READS)
def test_nothing_costs_a_look_at_the_whole_room(read: Callable[[Kept], object]) -> None:
    kept = Kept("e", FAR)
    filled(kept, [answer(5) if number % 100 == 0 else message() for number in range(5000)])
    filled(kept, [reaction(10), reaction(4980), pin(20), pin(4970)])
    kept.publications = watched = Watched(kept.publications)
    read(kept)
    assert 0 < watched.looks < 100


def test_a_page_ends_where_many_changes_lie_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatserver.store.kept.SPAN", 10)
    kept = Kept("e", FAR)
    filled(kept, [message(), message(), *[reaction(2) for _ in range(25)], message()])
    backwards = kept.before(28, 5, FAR)
    assert (places(backwards), backwards.more, backwards.next) == ([], True, 18)
    forwards = kept.after(1, 5, FAR)
    assert (places(forwards), forwards.more, forwards.next) == ([2], True, 11)


def test_a_page_ends_at_a_message_with_many_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatserver.store.kept.MOST_CHANGES", 5)
    kept = Kept("e", FAR)
    filled(kept, [*[message() for _ in range(4)], *[reaction(2) for _ in range(9)]])
    forwards = kept.after(0, 9, FAR)
    assert (places(forwards), forwards.more, forwards.next) == ([1, 2], True, 2)


def test_a_page_of_pins_ends_where_many_changes_lie_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chatserver.store.kept.MOST_CHANGES", 5)
    kept = Kept("e", FAR)
    filled(kept, [*[message() for _ in range(5)], *[pin(offset) for offset in (2, 3, 4, 5)]])
    filled(kept, [reaction(5), reaction(4), pin(4, remove=True), pin(3, remove=True)])
    page = kept.pinned(None, 9, FAR)
    assert (places(page), page.more, page.next) == ([5], True, 4)
    rest = kept.pinned(4, 9, FAR)
    assert (places(rest), rest.more) == ([2], False)


def test_what_is_dropped_or_deleted_leaves_no_pins_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatserver.store.kept.MOST_CHANGES", 5)
    kept = Kept("e", FAR)
    filled(kept, [*[message() for _ in range(20)], *[pin(offset) for offset in range(1, 21)]])
    filled(kept, [delete(offset) for offset in range(11, 21)])
    assert places(kept.pinned(None, 3, FAR)) == [8, 9, 10]
    kept.drop(10)
    page = kept.pinned(None, 3, FAR)
    assert (places(page), page.more) == ([], False)
