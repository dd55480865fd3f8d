"""Rooms in which no message is left end: in memory without members, on disk at the next start."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from time import time

import pytest
from msgspec import structs

from chatserver.broker.embedded import EmbeddedBroker
from chatserver.config import StoreConfig
from chatserver.errors import ActionError
from chatserver.pairs import direct_room
from chatserver.publications import Durability, Keeping, Publication, RoomState, Rules, keep_all
from chatserver.store import CID_LIFE, UNBOUNDED, Settlement, sweeping
from chatserver.store.retention import stamp
from chatserver.store.schema import open_file
from chatserver.store.sqlite import SqliteStore
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer
from chatserver.upkeep.tidy import erase
from tests.core.histories import answer, delete, edit, message, reaction
from tests.core.stores import FAR, add, append, found, opened

HOUR = 3600.0
DAY = CID_LIFE


def old(*publications: Publication, age: float = DAY + HOUR) -> list[Publication]:
    """Give publications the room and a time some seconds ago."""
    timestamp = stamp(time() - age)
    return [structs.replace(each, room="tea", timestamp=timestamp) for each in publications]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@contextmanager
def written(path: Path, rules: Rules = keep_all) -> Iterator[Writer]:
    """Have a writer on a file, which indexes nothing by itself."""
    with closing(open_file(path, 1)) as connection:
        yield Writer(connection, rules, Wiper(path))
        connection.execute("DELETE FROM running")


def write(path: Path, *publications: Publication) -> None:
    """Write publications, and something in another room behind them."""
    with written(path) as writer:
        outcomes = writer.write([*publications, message(room="other")])
        assert not any(isinstance(each, ActionError) for each in outcomes)


def sweep_all(writer: Writer) -> None:
    while writer.sweep(time()):
        pass


def left(path: Path) -> list[int]:
    """Count rooms, answers, and words of messages that are no longer there."""
    tables = ("room", "reply", "search WHERE rowid NOT IN (SELECT id FROM publication)")
    with closing(sqlite3.connect(path)) as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
            for table in tables
        ]


async def epoch_of(path: Path, room: str = "tea") -> str:
    """Start, and return a room's epoch; empty where there is no such room."""
    async with opened(path) as store:
        return (await store.state(room)).epoch


@pytest.mark.parametrize("way", ["delete", "erase"])
async def test_a_room_with_nothing_but_deleted_messages_is_removed(path: Path, way: str) -> None:
    first, second = message("tea at five", user="ann"), answer(1, "tea at six", user="ann")
    said = old(first, second, edit(1, "tea at four"), reaction(2, user="bob"))
    async with opened(path) as store:
        before = await add(store, *said, message(room="other"))
        assert len(await found(store, "tea", "tea")) == 2
        if way == "delete":
            await add(store, *old(delete(1), delete(2)), message(room="other"))
    if way == "erase":
        erase(path, "ann")
        write(path)
    async with opened(path) as store:
        assert (await store.state("tea")).epoch == ""
        assert (await store.state("other")).top == 2
    assert left(path) == [1, 0, 0]
    store = SqliteStore(path, StoreConfig(max_rooms=2))
    await store.startup(keep_all)
    (begun,) = await add(store, message(room="tea"))
    assert begun.position.offset == 1
    assert begun.position.epoch != before[0].position.epoch
    await store.cleanup()


@pytest.mark.parametrize("last", [reaction(1, user="bob"), message()], ids=["change", "message"])
async def test_a_room_with_nothing_but_changes_of_what_it_has_lost_is_removed(
    path: Path, last: Publication
) -> None:
    with written(path, lambda room: Keeping(length=5)) as writer:
        writer.write(old(message()))
        for change in range(60):
            writer.write(old(reaction(1, user="bob", remove=bool(change % 2))))
        writer.write([*old(last), message(room="other")])
    assert bool(await epoch_of(path)) is (last.kind == "message")


@pytest.mark.parametrize(
    "kept",
    [
        old(message(), message(), delete(1)),
        old(message(), delete(1), age=DAY - HOUR),
        [*old(message()), *old(delete(1), age=DAY - HOUR)],
    ],
    ids=["a message is left", "its cid may be retried", "that of the deletion may"],
)
async def test_a_room_of_which_something_is_left_stays(path: Path, kept: list[Publication]) -> None:
    write(path, *[structs.replace(each, cid=f"c{n}") for n, each in enumerate(kept)])
    assert await epoch_of(path)


async def test_nothing_is_waited_for_where_no_cid_may_be_retried(path: Path) -> None:
    write(path, *old(message(), delete(1), age=HOUR))
    assert not await epoch_of(path)


@pytest.mark.parametrize("age", [None, HOUR], ids=["kept", "too old, but for their cids"])
async def test_rooms_of_who_is_erased_end_with_the_next_start(
    path: Path, age: float | None
) -> None:
    with written(path, lambda room: Keeping(age=age)) as writer:
        said = old(message(user="eve"), message(user="eve"), message(user="ann"), age=2 * HOUR)
        for room, each in zip(("one", "two", "two"), said, strict=True):
            writer.write([structs.replace(each, room=room, cid=f"of {each.user} in {room}")])
        writer.write([message(room="other")])
        sweep_all(writer)
    assert await epoch_of(path, "one")
    erase(path, "eve")
    assert not await epoch_of(path, "one")
    assert await epoch_of(path, "two"), "Ann may send hers again"


async def test_the_newest_room_stays_so_that_no_id_is_given_again(path: Path) -> None:
    write(path)
    with written(path) as writer:
        writer.write(old(message(), delete(1)))
    assert await epoch_of(path)
    write(path)
    assert not await epoch_of(path)


async def test_words_that_were_still_to_be_taken_from_the_index_go_with_the_room(
    path: Path,
) -> None:
    """The index follows the commits, and was not there yet when the process ended."""
    with written(path) as writer:
        writer.write(old(message("the secret word is xyzzy " * 20)))
        writer.index()
        writer.write([*old(delete(1)), message(room="other")])
    assert not await epoch_of(path)
    with written(path) as writer:
        sweep_all(writer)
    assert left(path) == [1, 0, 0]
    assert b"xyzzy" not in path.read_bytes()


async def test_storing_does_not_wait_until_an_export_has_read_what_is_erased(path: Path) -> None:
    with closing(open_file(path, 20)) as connection:
        writer = Writer(connection, keep_all, Wiper(path))
        writer.write([message("the secret word is xyzzy")])
        exporting = sqlite3.connect(path, isolation_level=None)
        exporting.execute("BEGIN")
        assert exporting.execute("SELECT count(*) FROM publication").fetchone() == (1,)
        writer.write([delete(1)])
        await asyncio.wait_for(asyncio.to_thread(sweep_all, writer), 10)
        log = path.with_name("chat.db-wal")
        assert b"xyzzy" in log.read_bytes()
        exporting.close()
        sweep_all(writer)
        assert b"xyzzy" not in log.read_bytes()


async def test_what_is_too_old_goes_however_busy_the_store_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is always more to be stored once a batch is."""
    write, sweep = Writer.write, Writer.sweep
    entered, go_on, swept = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def writing(writer: Writer, batch: Sequence[Publication]) -> list[Settlement]:
        entered.release()
        assert go_on.acquire(timeout=10)
        return write(writer, batch)

    def noticed(writer: Writer, now: float) -> bool:
        swept.set()
        return sweep(writer, now)

    monkeypatch.setattr(sweeping, "SWEEP_EVERY", 0.0)
    async with opened(path) as store:
        monkeypatch.setattr(Writer, "write", writing)
        outcomes = [append(store, message())]
        assert await asyncio.to_thread(entered.acquire, timeout=10)
        monkeypatch.setattr(Writer, "sweep", noticed)
        for _ in range(3):
            outcomes.append(append(store, message()))
            go_on.release()
            assert await asyncio.to_thread(entered.acquire, timeout=10)
        assert swept.is_set()
        go_on.release()
        await asyncio.gather(*outcomes)


# In memory


@asynccontextmanager
async def in_memory(path: Path, bounds: StoreConfig) -> AsyncIterator[EmbeddedBroker]:
    """Have a broker that keeps everything in memory."""
    keeping = Keeping(Durability.MEMORY)
    broker = EmbeddedBroker(SqliteStore(path), lambda room: keeping, bounds=bounds)
    await broker.startup(lambda publication, position: None)
    yield broker
    await broker.cleanup()


async def position(broker: EmbeddedBroker, room: str) -> RoomState | None:
    return await broker.position(room)


async def test_a_room_in_memory_ends_with_its_last_message_and_member(path: Path) -> None:
    said = structs.replace(message(), cid="c")
    async with in_memory(path, structs.replace(UNBOUNDED, max_rooms=1)) as broker:
        broker.subscribe("lobby")
        first = (await broker.publish(said)).position
        assert first is not None
        await broker.publish(delete(1))
        assert await position(broker, "lobby") == RoomState(first.epoch, 2, 1)
        with pytest.raises(ActionError, match="as many rooms"):
            await broker.publish(message(room="tea"))
        broker.unsubscribe("lobby")
        assert await position(broker, "lobby") == RoomState()
        await broker.publish(message(room="tea"))
        again = await broker.publish(said)
        assert (again.duplicate, again.position) == (True, first), "a retry begins nothing"
        await broker.publish(structs.replace(delete(1), room="tea"))
        begun = (await broker.publish(message())).position
        assert begun is not None
        assert (begun.offset, begun.epoch != first.epoch) == (1, True)
        page = await broker.publications("lobby", after=0, limit=9, max_bytes=FAR)
        assert page is not None
        assert (page.state.epoch, page.last) == (begun.epoch, 1)


async def test_a_room_in_memory_stays_while_there_is_a_message(path: Path) -> None:
    async with in_memory(path, UNBOUNDED) as broker:
        broker.subscribe("lobby")
        for each in (message(), message(), delete(1)):
            await broker.publish(each)
        broker.unsubscribe("lobby")
        state = await position(broker, "lobby")
        assert state is not None
        assert state.top == 3


async def test_who_made_a_room_in_memory_may_make_another_once_it_has_ended(path: Path) -> None:
    async with in_memory(path, structs.replace(UNBOUNDED, max_rooms_per_user=1)) as broker:
        for room in ("a", "b", "c"):
            await broker.publish(message(room=room))
            with pytest.raises(ActionError, match="You have made 1 rooms"):
                await broker.publish(message(room="another"))
            await broker.publish(structs.replace(delete(1), room=room))


async def test_direct_rooms_in_memory_stay_since_nobody_joins_them(path: Path) -> None:
    room = direct_room("ann", "bob")
    async with in_memory(path, UNBOUNDED) as broker:
        await broker.publish(message(room=room))
        await broker.publish(structs.replace(delete(1), room=room))
        state = await position(broker, room)
        assert state is not None
        assert state.top == 2
        assert await broker.direct_rooms("bob", after="", limit=9) == [room]


async def test_rooms_that_lose_all_to_others_end_unless_somebody_is_in(path: Path) -> None:
    async with in_memory(path, structs.replace(UNBOUNDED, max_memory_bytes=2**20)) as broker:
        broker.subscribe("lobby")
        for room in ("lobby", "tea"):
            await broker.publish(message(room=room))
        for _ in range(50):
            await broker.publish(message("x" * 50_000, room="new"))
        lobby, tea = await position(broker, "lobby"), await position(broker, "tea")
        assert lobby is not None
        assert (lobby.top, lobby.oldest) == (1, 2), "the place of the next message is kept"
        assert tea == RoomState()
