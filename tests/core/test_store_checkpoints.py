"""Copy the log into the file while the store is used."""

import asyncio
import resource
import sqlite3
import threading
from pathlib import Path
from typing import cast

import pytest

from chatserver.errors import ActionError
from chatserver.store import checkpoints
from chatserver.store.checkpoints import Checkpoints
from chatserver.store.sqlite import SqliteStore
from tests.core.stores import add, bodies, opened, publication

PAGE = 4096
BODY = b"x" * 3000


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "PART", 10)
    monkeypatch.setattr(checkpoints, "LONGEST", 100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


def log_size(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


async def go_on(store: SqliteStore) -> None:
    while True:
        await add(store, publication(body=BODY))


async def test_what_is_stored_gets_into_the_file_while_the_store_goes_on(path: Path) -> None:
    async with opened(path) as store:
        size = path.stat().st_size
        async with asyncio.timeout(20):
            while path.stat().st_size < size + 20 * PAGE:
                await add(store, publication(body=BODY))


async def test_the_log_is_begun_anew_however_much_is_stored(path: Path) -> None:
    async with opened(path) as store:
        async with asyncio.timeout(20):
            while path.stat().st_size < log_size(path) + 1000 * PAGE:
                await add(store, *[publication(body=BODY)] * 50)


async def test_the_writer_copies_the_rest_of_a_long_log_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever is always writing would never find it copied to its end."""
    copy = Checkpoints._copy
    rests: list[tuple[int, int]] = []

    def watched(each: Checkpoints, connection: sqlite3.Connection) -> tuple[int, int]:
        pages, copied = copy(each, connection)
        if connection is each._writing and pages:
            rests.append((pages, copied))
        return pages, copied

    monkeypatch.setattr(Checkpoints, "_copy", watched)
    async with opened(path) as store:
        async with asyncio.timeout(20):
            while not rests:
                await add(store, *[publication(body=BODY)] * 50)
        # Where all was copied just before, the log has begun anew, and is short.
        pages, copied = rests[0]
        assert copied == pages


async def test_large_bodies_make_the_log_no_longer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "PART", 1000)
    monkeypatch.setattr(checkpoints, "LONGEST", 2000)
    async with opened(path) as store:
        size = path.stat().st_size
        async with asyncio.timeout(20):
            for _ in range(4):
                await add(store, *[publication(body=BODY * 20)] * 20)
            while path.stat().st_size < size + 1000 * PAGE:
                await bodies(store)


async def test_a_log_that_could_not_be_synced_ends_storing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite tells it to whoever copies, and not to the next commit."""
    lost = sqlite3.OperationalError("disk I/O error")
    lost.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    lost.sqlite_errorname = "SQLITE_IOERR_FSYNC"

    class Broken:
        def execute(self, statement: str) -> None:
            raise lost

    async with opened(path) as store:
        monkeypatch.setattr(store._committer._checkpoints, "_copying", Broken())
        with pytest.raises(ActionError, match="no longer store"):
            await asyncio.wait_for(go_on(store), 20)
        assert "STORING HAS FAILED" in (store.failure or "")
        monkeypatch.undo()


async def test_a_sync_that_fails_just_before_the_writer_s_turn_ends_storing(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What may be lost from the log is not copied into the file then."""
    lost = sqlite3.OperationalError("disk I/O error")
    lost.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    copy, long = Checkpoints._copy, threading.Event()

    class Broken:
        def execute(self, statement: str) -> None:
            raise lost

    def failing(each: Checkpoints, connection: sqlite3.Connection) -> tuple[int, int]:
        if long.is_set() and connection is each._copying:
            connection = cast("sqlite3.Connection", Broken())
        pages, copied = copy(each, connection)
        if pages >= checkpoints.LONGEST:
            long.set()
        return pages, copied

    async with opened(path) as store:
        monkeypatch.setattr(Checkpoints, "_copy", failing)
        with pytest.raises(ActionError, match="no longer store"):
            await asyncio.wait_for(go_on(store), 20)
        assert long.is_set()
        assert "is copied again" not in caplog.text


async def test_the_log_grows_while_somebody_reads_old_rows_and_not_afterwards(path: Path) -> None:
    async with opened(path) as store:
        await add(store, publication())
        reading = sqlite3.connect(path, isolation_level=None)
        reading.execute("BEGIN")
        assert reading.execute("SELECT count(*) FROM publication").fetchone() == (1,)
        while log_size(path) < 1000 * PAGE:
            await add(store, *[publication(body=BODY)] * 50)
        assert reading.execute("SELECT count(*) FROM publication").fetchone() == (1,)
        reading.close()
        grown = 0
        async with asyncio.timeout(20):
            while log_size(path) > grown:
                grown = log_size(path)
                for _ in range(20):
                    await add(store, *[publication(body=BODY)] * 50)


async def test_a_file_that_cannot_be_written_is_told_of_and_loses_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log fits into what files may grow to, and the file does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    stored = 0
    async with opened(path) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500 * PAGE, hard))
        try:
            async with asyncio.timeout(20):
                while "cannot be copied" not in caplog.text:
                    await add(store, *[publication(body=BODY)] * 10)
                    stored += 10
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        async with asyncio.timeout(20):
            while "the log is copied again" not in caplog.text:
                await add(store, publication(body=BODY))
                stored += 1
        assert [each.levelname for each in caplog.records] == ["ERROR", "WARNING"]
    async with opened(path) as store:
        assert len(await bodies(store)) == stored
