"""Searches go through pages, wait their turn, and come to an end."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatserver.errors import ActionError
from chatserver.publications import keep_all
from chatserver.store import indexing, searcher
from chatserver.store.sqlite import SqliteStore
from chatserver.store.writer import Writer
from tests.core.stores import FAR, add, append, bodies, found, message, opened


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path / "chat.db") as store:
        yield store


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches take their time: on a busy machine the brake is let go late."""
    monkeypatch.setattr(searcher, "TURN", 60.0)
    monkeypatch.setattr(searcher, "PATIENCE", 60.0)


class Brake:
    """Hold a store's searches up at each step that SQLite makes, until let go."""

    def __init__(self, store: SqliteStore) -> None:
        self.reached = threading.Event()
        self._free = threading.Event()
        store._searcher._connection.set_progress_handler(self._step, 1)

    def release(self) -> None:
        self._free.set()

    def _step(self) -> int:
        self.reached.set()
        self._free.wait(0.05)
        return 0


async def refusal(search: "asyncio.Future[list[str]]") -> ActionError:
    with pytest.raises(ActionError) as caught:
        await search
    return caught.value


def searching(store: SqliteStore) -> "asyncio.Task[list[str]]":
    return asyncio.create_task(found(store, "hello"))


async def attempt(store: SqliteStore) -> list[str] | None:
    try:
        return await found(store, "hello")
    except ActionError:
        return None


async def test_rooms_that_were_not_asked_for_are_not_searched(store: SqliteStore) -> None:
    rooms = ["tea", "lobby", "Lobby", "9", "room : 1"]
    await add(store, *[message(f"hello from {room}", room) for room in rooms])
    for room in rooms:
        assert await found(store, "hello", room) == [f"hello from {room}"]
    assert await found(store, "hello", "tea", "9") == ["hello from 9", "hello from tea"]
    assert await found(store, "hello", "nowhere") == []


async def test_the_newest_come_first_and_pages_go_on_where_they_ended(store: SqliteStore) -> None:
    for number in range(25):
        await add(store, message(f"hello {number}", f"room{number % 3}"), message("hello"))
    rooms = ["room0", "room1", "room2"]
    seen: list[str] = []
    before: int | None = None
    for size in (10, 10, 5):
        page = await store.search(rooms, "hello", before=before, limit=10, max_bytes=FAR)
        assert len(page.events) == size
        seen += [str(json.loads(event)["text"]) for event in page.events]
        before = page.next
        await add(store, message("hello newer", "room0"))
    assert before is None
    assert seen == [f"hello {number}" for number in reversed(range(25))]


async def test_a_page_ends_before_it_becomes_too_large_but_holds_one(store: SqliteStore) -> None:
    await add(store, *[message("hello " + "x" * 1000) for _ in range(5)])
    page = await store.search(["lobby"], "hello", limit=100, max_bytes=3500)
    assert len(page.events) == 3
    rest = await store.search(["lobby"], "hello", before=page.next, limit=100, max_bytes=10)
    assert [json.loads(event)["offset"] for event in rest.events] == [2]
    assert rest.next is not None


async def test_what_was_acknowledged_is_found_however_much_is_being_stored(
    store: SqliteStore,
) -> None:
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await add(store, *[message("noise", f"room{number}") for number in range(50)])

    noise = [asyncio.create_task(write()) for _ in range(3)]
    for number in range(10):
        await add(store, message(f"mine{number}"))
        assert await found(store, f"mine{number}") == [f"mine{number}"]
    stop.set()
    await asyncio.gather(*noise)


async def test_far_behind_the_index_takes_turns_with_storing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "MOST_BEHIND", 1000)
    writer = store._committer._writer
    furthest = 0
    for _ in range(20):
        pending = [append(store, message("noise")) for _ in range(2000)]
        for each in pending:
            await each
            furthest = max(furthest, writer.behind)
    assert furthest <= 3000


async def test_what_takes_too_long_is_interrupted(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(store, *[message("hello") for _ in range(50)])
    assert len(await searching(store)) == 50
    monkeypatch.setattr(searcher, "PATIENCE", 0.2)
    brake = Brake(store)
    error = await refusal(searching(store))
    assert (error.code, error.retry_after) == ("timeout", None)
    brake.release()
    monkeypatch.undo()
    assert len(await searching(store)) == 50


async def test_more_searches_than_may_wait_are_refused(store: SqliteStore) -> None:
    await add(store, message("hello"))
    await found(store, "hello")
    brake = Brake(store)
    waiting = [searching(store) for _ in range(searcher.MOST_WAITING)]
    await asyncio.to_thread(brake.reached.wait, 10)
    error = await refusal(searching(store))
    assert (error.code, error.retry_after) == ("unavailable", 1)
    brake.release()
    assert await asyncio.gather(*waiting) == [["hello"]] * searcher.MOST_WAITING


async def test_who_waits_too_long_for_its_turn_is_refused(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(store, message("hello"))
    await found(store, "hello")
    brake = Brake(store)
    first = searching(store)
    await asyncio.to_thread(brake.reached.wait, 10)
    monkeypatch.setattr(searcher, "TURN", 0.05)
    assert (await refusal(searching(store))).code == "unavailable"
    brake.release()
    assert await first == ["hello"]


async def test_a_slow_search_does_not_hold_up_reading_and_storing(store: SqliteStore) -> None:
    await add(store, message("hello"))
    await found(store, "hello")
    brake = Brake(store)
    search = searching(store)
    await asyncio.to_thread(brake.reached.wait, 10)
    await add(store, message("more"))
    page = await store.read("lobby", 0, 10, FAR)
    assert (len(page.publications), search.done()) == (2, False)
    brake.release()
    await search


async def test_where_indexing_fails_searches_are_refused_until_it_works_again(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "RETRY", 0.0)
    connection = store._committer._connection
    await add(store, *[message("x" * 100) for _ in range(100)])
    await found(store, "anything")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 10}")
    sent: list[str] = []

    async def fill() -> None:
        while True:
            sent.append(f"hello {len(sent)}" + " word" * 500)
            await add(store, message(sent[-1]))
            await found(store, "hello")

    with pytest.raises(ActionError) as caught:
        await fill()
    assert caught.value.code == "unavailable"
    assert caught.value.retry_after is not None
    connection.execute("PRAGMA max_page_count = 100000")
    async with asyncio.timeout(20):
        while (again := await attempt(store)) is None:
            pass
    # The message itself may have been refused as well.
    assert again in (sent[::-1], sent[-2::-1])


async def test_a_fault_in_the_index_does_not_end_storing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(writer: Writer) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr(Writer, "index", fail)
    await add(store, message("hello"))
    for _ in range(2):
        error = await refusal(searching(store))
        assert (error.code, error.retry_after) == ("unavailable", indexing.RETRY)
        assert "too much to do" not in error.message
    assert "messages could not be indexed" in caplog.text
    await add(store, message("hello"))
    assert len(await bodies(store)) == 2


async def test_a_fault_in_searching_is_not_told_as_one_in_storing(store: SqliteStore) -> None:
    await add(store, message("hello"))
    assert await searching(store) == ["hello"]
    store._committer._connection.execute("DROP TABLE search")
    error = await refusal(searching(store))
    assert (error.code, error.message) == ("internal_error", "The history could not be read")


async def test_ending_interrupts_a_search(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db")
    await store.startup(keep_all)
    await add(store, *[message("hello") for _ in range(200)])
    await found(store, "hello")
    brake = Brake(store)
    first, second = searching(store), searching(store)
    await asyncio.to_thread(brake.reached.wait, 10)
    await store.cleanup()
    assert (await refusal(first)).code == (await refusal(second)).code == "unavailable"
