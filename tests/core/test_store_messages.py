"""Messages with their changes, as they are read from the file."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatserver.fold import Messages, Reactions
from chatserver.publications import Publication, keep_all
from chatserver.store import Store, Stored, messages
from chatserver.store.memory import MemoryStore
from chatserver.store.sqlite import SqliteStore
from tests.core.histories import answer, delete, edit, message, pin, publications, reaction
from tests.core.stores import add, append, opened

FAR = 2**20

Bounds = tuple[int | None, int | None]
"""After and before."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path / "chat.db") as store:
        yield store


async def outcomes(store: Store, sent: Sequence[Publication]) -> list[str]:
    """Append all at once; return what became of each."""
    settled = await asyncio.gather(*[append(store, each) for each in sent], return_exceptions=True)
    return [str(each.position.offset if isinstance(each, Stored) else each) for each in settled]


async def backwards(store: Store, limit: int, max_bytes: int) -> list[tuple[int, bytes]]:
    """Read a whole room in pages, newest first."""
    events: list[tuple[int, bytes]] = []
    before: int | None = None
    more = True
    while more:
        page = await store.messages("lobby", None, before, limit, max_bytes)
        size = sum(len(event) for _, event in page.events)
        assert size <= max_bytes or len(page.events) == 1
        assert before is None or page.next < before or not page.more
        events = page.events + events
        before, more = page.next, page.more
    return events


@given(
    st.lists(publications(), max_size=60),
    st.sets(st.integers(0, 62), min_size=1, max_size=5),
    st.integers(1, 9),
    st.integers(1, 800),
)
@example([message(), edit(1), pin(1), edit(1)], {0}, 1, 800)
@example([message(), message(), pin(1, remove=True), pin(2)], {0}, 1, 1)
@example([answer(2), message(), edit(2), reaction(2), pin(2)], {0}, 9, 800)
@settings(max_examples=50)
def test_the_file_tells_what_memory_tells(
    sent: list[Publication], offsets: set[int], limit: int, max_bytes: int
) -> None:
    async def compare(path: Path) -> None:
        memory = MemoryStore()
        await memory.startup(keep_all)
        async with opened(path) as file:
            assert await outcomes(file, sent) == await outcomes(memory, sent)
            for place in offsets:
                ways: list[Bounds] = [(place, None), (None, place), (None, None)]
                for bounds in ways:
                    told, expected = [
                        await each.messages("lobby", *bounds, limit, FAR) for each in (file, memory)
                    ]
                    assert told.events == expected.events
                    assert (told.more, told.next) == (expected.more, expected.next)
                for root in range(1, 8):
                    told, expected = [
                        await each.thread("lobby", root, place, limit, max_bytes)
                        for each in (file, memory)
                    ]
                    assert told.events == expected.events
                    assert (told.more, told.next) == (expected.more, expected.next)
                for before in (place, None):
                    told, expected = [
                        await each.pinned("lobby", before, limit, max_bytes)
                        for each in (file, memory)
                    ]
                    assert told.events == expected.events
                    assert (told.more, told.next) == (expected.more, expected.next)
                assert named(await file.reactions("lobby", place)) == named(
                    await memory.reactions("lobby", place)
                )
            everything = (await memory.messages("lobby", None, None, FAR, FAR)).events
            assert await backwards(file, limit, max_bytes) == everything

    with TemporaryDirectory() as folder:
        asyncio.run(compare(Path(folder) / "chat.db"))


def named(reactions: Reactions | None) -> list[tuple[str, list[str]]] | None:
    """Return who reacted, in order."""
    if reactions is None:
        return None
    return [(emoji, list(senders)) for emoji, senders in reactions.items()]


async def test_a_long_stretch_of_changes_takes_several_pages(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "SPAN", 10)
    sent = [message("a"), message("b"), *[reaction(2, user=f"u{n}") for n in range(25)]]
    await add(store, *sent)
    newest = await store.messages("lobby", None, None, 50, FAR)
    assert (newest.events, newest.more, newest.next) == ([], True, 18)
    assert [offset for offset, _ in await backwards(store, 50, FAR)] == [1, 2]
    forwards = await store.messages("lobby", 1, None, 50, FAR)
    assert ([offset for offset, _ in forwards.events], forwards.next) == ([2], 11)
    on = await store.messages("lobby", 11, None, 50, FAR)
    assert ([offset for offset, _ in on.events], on.more, on.next) == ([*range(12, 22)], True, 21)


async def test_a_page_has_so_many_changes_and_each_message_all_of_its_own(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MOST_CHANGES", 5)
    changes = [reaction(target, user=f"u{n}") for target in (1, 2, 3) for n in range(4)]
    await add(store, message(), message(), message(), *changes)
    pages: list[tuple[Bounds, list[int]]] = [
        ((0, None), [1, 2]),
        ((None, None), [2, 3]),
        ((2, None), [3]),
    ]
    for bounds, offsets in pages:
        page = await store.messages("lobby", *bounds, 50, FAR)
        found = [(offset, json.loads(event)) for offset, event in page.events]
        assert [offset for offset, _ in found if offset <= 3] == offsets
        assert {event["reactions"]["👍"]["count"] for o, event in found if o <= 3} == {4}
        assert page.more == (offsets != [3])
    assert len(await backwards(store, 50, FAR)) == 3


async def test_of_many_edits_the_last_is_read(store: SqliteStore) -> None:
    await add(store, message("0"), message("x"), *[edit(1, str(n)) for n in range(1, 300)])
    await add(store, edit(2, "y"), edit(1, "last"), reaction(1))
    page = await store.messages("lobby", 0, None, 50, FAR)
    assert [json.loads(event)["text"] for _, event in page.events] == ["last", "y"]


async def test_a_room_nobody_wrote_to_has_no_messages(store: SqliteStore) -> None:
    ways: list[Bounds] = [(0, None), (5, None), (None, None), (None, 3)]
    for bounds in ways:
        page = await store.messages("nowhere", *bounds, 50, FAR)
        assert (page.events, page.more) == ([], False)


def places(page: Messages) -> list[int]:
    return [offset for offset, _ in page.events]


async def test_a_thread_is_a_message_and_what_answers_it(store: SqliteStore) -> None:
    await add(store, message("root"), *[message() for _ in range(50)], answer(1, "one"))
    await add(store, answer(52, "elsewhere"), *[reaction(9) for _ in range(50)], answer(1, "two"))
    await add(store, edit(52, "ONE", user="bob"), answer(1, "three"), reaction(1))
    page = await store.thread("lobby", 1, 0, 3, FAR)
    assert (places(page), page.more, page.next) == ([1, 52, 104], True, 104)
    assert b'"ONE"' in page.events[1][1]
    assert b"reactions" in page.events[0][1]
    rest = await store.thread("lobby", 1, page.next, 3, FAR)
    assert (places(rest), rest.more) == ([106], False)
    assert places(await store.thread("lobby", 52, 0, 9, FAR)) == [52, 53]
    assert places(await store.thread("lobby", 2, 0, 9, FAR)) == [2]
    assert places(await store.thread("nowhere", 2, 0, 9, FAR)) == []


async def test_of_what_was_deleted_a_thread_has_only_its_beginning(store: SqliteStore) -> None:
    await add(store, message("root"), answer(1), answer(1), delete(1), delete(2, user="bob"))
    page = await store.thread("lobby", 1, 0, 9, FAR)
    assert places(page) == [1, 3]
    assert page.events[0][1] == b'{"offset":1,"deleted":true}'


async def test_a_page_of_a_thread_ends_where_there_are_many_changes(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MOST_CHANGES", 3)
    await add(store, message("root"), answer(1), answer(1), answer(1))
    await add(store, *[reaction(offset, emoji) for emoji in "ab" for offset in (1, 2, 3, 4)])
    page = await store.thread("lobby", 1, 0, 9, FAR)
    assert (places(page), page.more, page.next) == ([1, 2, 3], True, 3)
    assert all(b'"b":{"count":1' in event for _, event in page.events)
    rest = await store.thread("lobby", 1, 3, 9, FAR)
    assert (places(rest), rest.more) == ([4], False)


class Looks:
    """Count the steps that SQLite takes for reads, by the hundred."""

    def __init__(self, store: SqliteStore) -> None:
        self.count = 0
        store._reader._connection.set_progress_handler(self._look, 100)

    def _look(self) -> bool:
        self.count += 1
        return False


@pytest.mark.parametrize("deleted", [0, 990])
async def test_a_page_of_a_long_thread_costs_what_one_of_a_short_thread_does(
    store: SqliteStore, deleted: int
) -> None:
    answers = range(2, 1002)
    await add(store, message("root"), *[answer(1) for _ in answers])
    await add(store, *[delete(offset, user="bob") for offset in answers[:deleted]])
    looks = Looks(store)
    page = await store.thread("lobby", 1, 0, 10, FAR)
    assert places(page) == [1, *answers[deleted : deleted + 9]]
    assert looks.count < 50


async def test_a_page_of_a_thread_asks_the_file_few_things(store: SqliteStore) -> None:
    answers = range(2, 302)
    await add(store, message("root"), *[answer(1) for _ in answers], message(), reaction(302))
    await add(store, *[each(at) for at in answers for each in (edit, reaction, pin)])
    asked: list[str] = []
    store._reader._connection.set_trace_callback(asked.append)
    page = await store.thread("lobby", 1, 0, 1000, FAR)
    assert (places(page), page.more) == ([1, *answers], False)
    assert len(asked) < 10


@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.thread("lobby", 1, 1, 100, FAR),
        lambda store: store.messages("lobby", 1, None, 100, FAR),
        lambda store: store.messages("lobby", None, 102, 100, FAR),
    ],
    ids=["thread", "forwards", "backwards"],
)
async def test_a_page_reads_no_changes_that_do_not_fit(
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[Store], Awaitable[Messages]],
) -> None:
    monkeypatch.setattr(messages, "MOST_CHANGES", 40)
    await add(store, message("root"), *[answer(1) for _ in range(101)])
    for emoji in range(40):
        await add(store, *[reaction(target, str(emoji)) for target in range(2, 102)])
    looks = Looks(store)
    page = await read(store)
    assert (len(page.events), page.more) == (1, True)
    assert looks.count < 400, "a look at each in the index, and no more"


async def test_pages_of_what_is_pinned_end_where_there_are_many_changes(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MOST_CHANGES", 5)
    await add(store, *[message() for _ in range(5)], *[pin(offset) for offset in (2, 3, 4, 5)])
    await add(store, reaction(5), reaction(4), pin(4, remove=True), pin(3, remove=True))
    page = await store.pinned("lobby", None, 9, FAR)
    assert (places(page), page.more, page.next) == ([5], True, 4)
    rest = await store.pinned("lobby", 4, 9, FAR)
    assert (places(rest), rest.more) == ([2], False)


async def test_a_page_of_pins_costs_nothing_for_what_lies_between(store: SqliteStore) -> None:
    for _ in range(10):
        await add(store, *[message() for _ in range(100)], *[reaction(2) for _ in range(100)])
    await add(store, *[pin(offset) for offset in (1, 401, 801, 1201)])
    await add(store, pin(401, remove=True), delete(801), *[message() for _ in range(1000)])
    looks = Looks(store)
    page = await store.pinned("lobby", 1202, 10, FAR)
    assert (places(page), page.more) == ([1, 1201], False)
    assert looks.count < 10
