"""Reads of histories do not wait for ever, whatever holds them up."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatserver.errors import ActionError
from chatserver.publications import RoomState
from chatserver.store import reader
from chatserver.store.sqlite import SqliteStore
from tests.core.stores import add, opened, publication


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path / "chat.db") as store:
        await add(store, publication())
        yield store


def reading(store: SqliteStore) -> "asyncio.Task[RoomState]":
    return asyncio.create_task(store.state("lobby"))


async def refused(read: "asyncio.Task[RoomState]") -> None:
    async with asyncio.timeout(10):
        with pytest.raises(ActionError) as caught:
            await read
    assert (caught.value.code, caught.value.retry_after) == ("unavailable", 1)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


async def test_a_read_that_takes_too_long_is_given_up_and_the_next_is_answered(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PATIENCE", 0.1)
    look = store._reader._overdue
    overdue = threading.Event()

    def wait() -> bool:
        if look():
            overdue.set()
        return overdue.is_set()

    monkeypatch.setattr(reader, "FIND_ROOM", f"{ENDLESS} WHERE ? IS NOT NULL")
    store._reader._connection.set_progress_handler(wait, 1000)
    await refused(reading(store))
    assert await asyncio.to_thread(overdue.wait, 10), "SQLite goes on, though nobody waits for it"
    monkeypatch.undo()
    store._reader._connection.set_progress_handler(look, 1000)
    async with asyncio.timeout(10):
        assert (await reading(store)).top == 1


async def test_who_waits_too_long_for_the_disk_is_refused(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    hung = store._reader._thread.submit(free.wait)
    monkeypatch.setattr(reader, "PATIENCE", 0.05)
    await refused(reading(store))
    monkeypatch.undo()
    late = reading(store)
    await asyncio.sleep(0)
    free.set()
    assert (await late).top == 1
    assert hung.result()


async def test_a_read_that_is_given_up_does_not_stand_in_the_way_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite looks at the time in short statements too, now and then; here it always does."""
    monkeypatch.setattr(reader, "STEPS", 1)
    async with opened(tmp_path / "chat.db") as store:
        await add(store, publication())
        with monkeypatch.context() as patched:
            patched.setattr(reader, "PATIENCE", 0.1)
            patched.setattr(reader, "FIND_ROOM", f"{ENDLESS} WHERE ? IS NOT NULL")
            await refused(reading(store))
            await asyncio.to_thread(store._reader._thread.submit(int).result)
        assert (await reading(store)).top == 1


async def test_a_fault_in_reading_is_not_told_as_one_in_storing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reader, "FIND_ROOM", "SELECT ? FROM nowhere")
    with pytest.raises(ActionError, match="The history could not be read") as caught:
        await reading(store)
    assert caught.value.code == "internal_error"
    assert "a history could not be read: no such table: nowhere" in caplog.text
