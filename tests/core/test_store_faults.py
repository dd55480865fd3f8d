"""What a store does when the disk, another program or its own code lets it down."""

import asyncio
import resource
import sqlite3
import subprocess
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from chatserver.errors import ActionError
from chatserver.positions import Position
from chatserver.publications import Publication, keep_all
from chatserver.store import UNBOUNDED, Settlement, Stored, committer, sweeping
from chatserver.store.appending import Appender
from chatserver.store.indexing import Indexing
from chatserver.store.sqlite import SqliteStore
from chatserver.store.writer import Writer
from tests.core.stores import FAR, add, append, bodies, opened, publication
from tests.missing import missing

BIG = b"x" * 10_000
PLACE = Position("e", 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        missing("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def fill(store: SqliteStore) -> list[tuple[int, bytes]]:
    """Append until one is refused; return offsets and bodies of what was acknowledged."""
    acknowledged: list[tuple[int, bytes]] = []
    for number in range(10_000):
        body = b"%d " % number + BIG
        (outcome,) = await asyncio.gather(
            append(store, publication(body=body)), return_exceptions=True
        )
        if isinstance(outcome, ActionError):
            assert outcome.code == "unavailable"
            assert outcome.retry_after
            return acknowledged
        assert isinstance(outcome, Stored)
        acknowledged.append((outcome.position.offset, body))
    raise AssertionError("the disk is not full")


async def everything(store: SqliteStore) -> list[tuple[int, bytes]]:
    page = await store.read("lobby", 0, FAR, 2**30)
    return [(offset, each.body) for offset, each in page.numbered()]


async def test_a_full_disk_refuses_and_takes_messages_again_when_there_is_space(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 900_000)
    async with opened(small_disk / "chat.db") as store:
        acknowledged = await fill(store)
        assert acknowledged
        with pytest.raises(ActionError):
            await add(store, publication(body=BIG))
        assert [each.levelname for each in caplog.records] == ["ERROR"]
        assert "no space left" in caplog.text
        assert store.failure is None
        assert await everything(store) == acknowledged
        ballast.unlink()
        (stored,) = await add(store, publication(body=b"again"))
        acknowledged.append((stored.position.offset, b"again"))
        assert "messages are stored again" in caplog.text
    async with opened(small_disk / "chat.db") as store:
        assert await everything(store) == acknowledged
        assert [offset for offset, _ in acknowledged] == list(range(1, len(acknowledged) + 1))


async def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    async with opened(tmp_path / "chat.db") as store:
        await add(store, publication())
        limit = store_connection(store)
        limit.execute("PRAGMA max_page_count = 100")
        acknowledged = await fill(store)
        limit.execute("PRAGMA max_page_count = 1000")
        await add(store, publication(body=b"again"))
        assert len(await bodies(store)) == len(acknowledged) + 2


def store_connection(store: SqliteStore) -> sqlite3.Connection:
    """Return the writer's connection, to set limits on it."""
    return store._committer._connection


async def test_a_failing_disk_ends_storing_until_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "chat.db"
    async with opened(path) as store:
        stored = await add(store, *[publication(body=b"%d" % number) for number in range(10)])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        wal = path.with_name("chat.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 5000, hard))
        try:
            outcomes = [append(store, publication(room, BIG)) for room in ("a", "b")]
            for outcome in outcomes:
                with pytest.raises(ActionError) as caught:
                    await outcome
                assert caught.value.code == "unavailable"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [each.levelname for each in caplog.records] == ["CRITICAL"]
        assert store.failure is not None
        assert "STORING HAS FAILED" in store.failure
        with pytest.raises(ActionError, match="no longer store"):
            append(store, publication())
        with pytest.raises(ActionError, match="no longer store"):
            await store.move_cursors({"ann": {"lobby": PLACE}})
        assert len(await bodies(store)) == 10, "reading goes on"
    caplog.clear()
    async with opened(path) as store:
        assert "was not closed" in caplog.text
        assert len(await bodies(store)) == 10
        (later,) = await add(store, publication())
        assert later.position.epoch == stored[0].position.epoch
        assert later.position.offset == 11


async def sweep(store: SqliteStore) -> None:
    """Wait until something old is looked for; the test has it be at once."""


async def search(store: SqliteStore) -> None:
    with pytest.raises(ActionError, match="cannot be searched right now"):
        await store.search(["lobby"], "tea", limit=1, max_bytes=FAR)


async def move(store: SqliteStore) -> None:
    with pytest.raises(ActionError, match="no longer store"):
        await store.move_cursors({"ann": {"lobby": PLACE}})


@pytest.mark.parametrize(
    ("name", "work"), [("sweep", sweep), ("index", search), ("move_cursors", move)]
)
async def test_a_disk_that_fails_beside_the_messages_ends_storing_as_well(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    work: Callable[[SqliteStore], Awaitable[None]],
) -> None:
    """What is written behind something that was not synced may be lost with it."""
    failed = threading.Event()

    def failing(*_: object) -> None:
        failed.set()
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    monkeypatch.setattr(sweeping, "SWEEP_EVERY", 0.0 if name == "sweep" else 60.0)
    async with opened(tmp_path / "chat.db") as store:
        await add(store, publication())
        monkeypatch.setattr(Writer, name, failing)
        await work(store)
        assert await asyncio.to_thread(failed.wait, 10)
        with pytest.raises(ActionError, match="no longer store"):
            await add(store, publication())
        assert store.failure is not None
        assert "STORING HAS FAILED" in caplog.text


async def test_while_another_program_has_the_file_messages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with opened(path) as store:
        await add(store, publication())
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ActionError) as caught:
            await add(store, publication())
        assert caught.value.code == "unavailable"
        with pytest.raises(ActionError) as caught:
            await store.move_cursors({"ann": {"lobby": PLACE}})
        assert caught.value.code == "unavailable"
        other.execute("ROLLBACK")
        other.close()
        (stored,) = await add(store, publication())
        assert stored.position.offset == 2
        await store.move_cursors({"ann": {"lobby": PLACE}})
        assert await store.cursors(["ann"]) == {"ann": {"lobby": PLACE}}


async def test_what_is_queued_behind_a_failure_for_the_same_room_fails_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(writer: Writer, batch: object) -> list[Settlement]:
        entered.set()
        assert go_on.wait(10)
        monkeypatch.undo()
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    entered, go_on = threading.Event(), threading.Event()
    async with opened(tmp_path / "chat.db") as store:
        monkeypatch.setattr(Writer, "write", failing)
        first = append(store, publication(body=b"first"))
        assert await asyncio.to_thread(entered.wait, 10)
        behind = append(store, publication(body=b"behind"))
        elsewhere = append(store, publication("tea"))
        go_on.set()
        for refused in (first, behind):
            with pytest.raises(ActionError) as caught:
                await refused
            assert caught.value.code == "unavailable"
        assert (await elsewhere).position.offset == 1
        assert await bodies(store) == []
        (again,) = await add(store, publication(body=b"first"))
        assert again.position.offset == 1


@pytest.mark.parametrize("verdict", ["_refuse", "_give_up"])
async def test_what_is_appended_in_the_step_of_a_verdict_shares_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    def failing(writer: Writer, batch: object) -> list[Settlement]:
        monkeypatch.setattr(Writer, "write", write)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    def faulty(indexing: Indexing, stored: int) -> None:
        raise RuntimeError("a fault in the thread")

    def late(*args: object) -> None:
        behind.append(append(store, publication(body=b"behind")))
        judged(*args)

    write, judged = Writer.write, getattr(committer.Committer, verdict)
    behind: list[asyncio.Future[Stored]] = []
    told: list[bytes] = []
    store = SqliteStore(tmp_path / "chat.db")
    await store.startup(
        keep_all, settle=lambda room, settled, outcomes: told.extend(each.body for each in settled)
    )
    async with asyncio.timeout(20):
        monkeypatch.setattr(committer.Committer, verdict, late)
        if verdict == "_refuse":
            monkeypatch.setattr(Writer, "write", failing)
        else:
            monkeypatch.setattr(Indexing, "follow", faulty)
        first = append(store, publication(body=b"first"))
        (outcome,) = await asyncio.gather(first, return_exceptions=True)
        assert isinstance(outcome, ActionError) == (verdict == "_refuse")
        while not behind:  # noqa: ASYNC110 - nothing tells of a verdict
            await asyncio.sleep(0)
        with pytest.raises(ActionError, match="store"):
            await behind[0]
        assert told == [b"first", b"behind"]
        await store.cleanup()


async def test_what_is_appended_in_the_step_of_the_end_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread ends once it is told to and finds nothing: it must not find nothing too early."""

    def kick(self: committer.Committer) -> None:
        stopping.append(self._stopping)
        handed_over(self)

    stopping: list[bool] = []
    handed_over = committer.Committer._kick
    monkeypatch.setattr(committer.Committer, "_kick", kick)
    async with opened(tmp_path / "chat.db") as store:
        await add(store, publication(body=b"first"))
        stopping.clear()
        last = append(store, publication(body=b"last"))
    assert stopping
    assert not any(stopping)
    assert last.result().position.offset == 2


async def test_outcomes_of_a_large_batch_do_not_hold_up_the_loop(tmp_path: Path) -> None:
    tick = 0
    ticks: list[int] = []

    def count() -> None:
        nonlocal tick
        tick += 1
        loop.call_soon(count)

    def settle(
        room: str, publications: Sequence[Publication], outcomes: Sequence[Settlement]
    ) -> None:
        ticks.extend([tick] * len(publications))

    loop = asyncio.get_running_loop()
    count()
    store = SqliteStore(tmp_path / "chat.db")
    await store.startup(keep_all, settle=settle)
    await add(store, *[publication() for _ in range(4 * committer.AT_ONCE)])
    assert max(Counter(ticks).values()) == committer.AT_ONCE
    assert len(ticks) == 4 * committer.AT_ONCE
    await store.cleanup()


async def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    for bounds in ({"most": 5}, {"most_bytes": 500}):
        store = SqliteStore(tmp_path / f"{next(iter(bounds))}.db", UNBOUNDED, **bounds)
        await store.startup(keep_all)
        taken = [append(store, publication(body=b"x" * 100)) for _ in range(5)]
        with pytest.raises(ActionError) as caught:
            append(store, publication(body=b"x" * 100))
        assert caught.value.code == "unavailable"
        assert caught.value.retry_after
        assert [(await each).position.offset for each in taken] == [1, 2, 3, 4, 5]
        (later,) = await add(store, publication(body=b"x" * 100))
        assert later.position.offset == 6
        await store.cleanup()


async def test_a_fault_in_the_writer_fails_its_batch_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    append_rows = Appender.append

    def faulty(appender: Appender, batch: list[Publication]) -> list[Settlement]:
        outcomes = append_rows(appender, batch)
        if any(each.body == b"cursed" for each in batch):
            raise RuntimeError("a fault in the writer")
        return outcomes

    monkeypatch.setattr(Appender, "append", faulty)
    async with opened(tmp_path / "chat.db") as store:
        await add(store, publication())
        with pytest.raises(ActionError) as caught:
            await add(store, publication(body=b"cursed", cid="c"))
        assert caught.value.code == "internal_error"
        assert "a fault in the writer" in caplog.text
        (stored,) = await add(store, publication(cid="c"))
        assert not stored.duplicate
        assert stored.position.offset == 2


async def test_the_end_of_the_writing_thread_is_told_and_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = Writer.write

    def slow(writer: Writer, batch: list[Publication]) -> list[Settlement]:
        entered.set()
        assert go_on.wait(10)
        return write(writer, batch)

    def faulty(indexing: Indexing, stored: int) -> None:
        raise RuntimeError("a fault in the thread")

    entered, go_on = threading.Event(), threading.Event()
    path = tmp_path / "chat.db"
    async with opened(path) as store, asyncio.timeout(20):
        monkeypatch.setattr(Writer, "write", slow)
        monkeypatch.setattr(Indexing, "follow", faulty)
        first = append(store, publication(body=b"first"))
        assert await asyncio.to_thread(entered.wait, 10)
        behind = append(store, publication(body=b"behind"))
        moved = asyncio.create_task(store.move_cursors({"ann": {"lobby": PLACE}}))
        await asyncio.sleep(0)
        go_on.set()
        assert (await first).position.offset == 1
        for refused in (behind, moved):
            with pytest.raises(ActionError, match="no longer store"):
                await refused
        with pytest.raises(ActionError, match="no longer store"):
            append(store, publication())
        assert "a fault in the thread" in (store.failure or "")
        assert [each.levelname for each in caplog.records] == ["CRITICAL"]
        assert await bodies(store) == [b"first"], "reading goes on"
    monkeypatch.undo()
    async with opened(path) as store:
        assert "was not closed" in caplog.text
        assert await bodies(store) == [b"first"]


async def test_a_receiver_that_fails_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(
        room: str, publications: Sequence[Publication], outcomes: Sequence[Settlement]
    ) -> None:
        if room == "lobby":
            raise RuntimeError("cannot take it")
        told.append(room)

    told: list[str] = []
    store = SqliteStore(tmp_path / "chat.db")
    await store.startup(keep_all, settle=broken)
    first, second = await add(store, publication(), publication("tea"))
    assert (first.position.offset, second.position.offset, told) == (1, 1, ["tea"])
    assert "could not be handed on" in caplog.text
    await store.cleanup()
