"""What users can have stored is bounded, and a bound is no dead end."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from chatserver.config import StoreConfig
from chatserver.errors import ActionError
from chatserver.publications import Publication, keep_all
from chatserver.store import Settlement, Store, indexing
from chatserver.store.memory import AT_ONCE, MemoryStore
from chatserver.store.sqlite import SqliteStore
from chatserver.store.writer import Writer
from tests.core.stores import STAMP, add, append, bodies, found, message, publication

MEBIBYTE = 2**20

BEHIND = [("tea", "bob"), ("tea", "ann"), ("home", "ann")]
"""What is queued behind Ann's message to a room that she may not make."""

Make = Callable[[Path, StoreConfig], Store]
STORES: list[Make] = [
    lambda folder, bounds: MemoryStore(bounds),
    lambda folder, bounds: SqliteStore(folder / "chat.db", bounds),
]


def bounds(
    rooms: int | None = None, of_user: int | None = None, size: int | None = None
) -> StoreConfig:
    return StoreConfig(max_rooms=rooms, max_rooms_per_user=of_user, max_store_bytes=size)


async def results(store: Store, *publications: Publication) -> list[str]:
    """Append all at once; return the error code of each, or an empty text."""
    outcomes = await asyncio.gather(
        *[append(store, each) for each in publications], return_exceptions=True
    )
    return [outcome.code if isinstance(outcome, ActionError) else "" for outcome in outcomes]


@pytest.mark.parametrize("make", STORES, ids=["memory", "sqlite"])
async def test_there_are_no_more_rooms_than_may_be(tmp_path: Path, make: Make) -> None:
    store = make(tmp_path, bounds(rooms=2))
    await store.startup(keep_all)
    wanted = [publication(room) for room in ("a", "b", "c", "a", "b")]
    assert await results(store, *wanted) == ["", "", "unavailable", "", ""]
    assert await results(store, publication("c", user=None)) == ["unavailable"]
    assert (await store.state("a")).top == 2
    assert (await store.state("c")).top == 0
    await store.cleanup()


@pytest.mark.parametrize("make", STORES, ids=["memory", "sqlite"])
async def test_a_user_makes_no_more_rooms_than_allowed(tmp_path: Path, make: Make) -> None:
    store = make(tmp_path, bounds(of_user=2))
    await store.startup(keep_all)
    wanted = [publication(room, user="ann") for room in ("a", "b", "c", "a")]
    assert await results(store, *wanted) == ["", "", "unavailable", ""]
    assert await results(store, publication("c", user="bob")) == [""]
    assert await results(store, publication("c", user="ann")) == [""]
    assert await results(store, *[publication(room, user=None) for room in "xyz"]) == [""] * 3
    await store.cleanup()


async def test_rooms_are_counted_over_a_restart(tmp_path: Path) -> None:
    for name, code in (("a", ""), ("b", ""), ("c", "unavailable")):
        store = SqliteStore(tmp_path / "chat.db", bounds(rooms=3, of_user=2))
        await store.startup(keep_all)
        assert await results(store, publication(name, user="ann")) == [code]
        await store.cleanup()


@pytest.mark.parametrize("make", STORES, ids=["memory", "sqlite"])
async def test_what_follows_a_refusal_does_not_overtake_it(tmp_path: Path, make: Make) -> None:
    """Bob makes the room in the same batch that refuses it to Ann."""
    store = make(tmp_path, bounds(of_user=1))
    await store.startup(keep_all)
    await add(store, publication("home", user="ann"))
    wanted = [publication("tea", user=user) for user in ("ann", "bob", "ann", "bob")]
    assert await results(store, *wanted) == ["unavailable", "", "unavailable", ""]
    assert (store.stats.refused, store.stats.stored) == (2, 3)
    await store.cleanup()


async def test_what_is_queued_behind_a_refusal_does_not_overtake_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob makes the room while Ann does not know yet that she may not."""
    write = Writer.write
    entered, go_on = threading.Event(), threading.Event()

    def waiting(writer: Writer, batch: Sequence[Publication]) -> list[Settlement]:
        entered.set()
        assert go_on.wait(10)
        return write(writer, batch)

    store = SqliteStore(tmp_path / "chat.db", bounds(of_user=1))
    await store.startup(keep_all)
    await add(store, publication("home", user="ann"))
    monkeypatch.setattr(Writer, "write", waiting)
    first = asyncio.create_task(results(store, publication("tea", user="ann")))
    assert await asyncio.to_thread(entered.wait, 10)
    wanted = [publication(room, user=user) for room, user in BEHIND]
    behind = asyncio.create_task(results(store, *wanted))
    await asyncio.sleep(0)
    go_on.set()
    assert await first == ["unavailable"]
    assert await behind == ["", "unavailable", ""]
    await store.cleanup()


async def test_not_all_that_comes_in_one_tick_waits_for_its_end_in_memory() -> None:
    told: list[int] = []
    store = MemoryStore()
    await store.startup(keep_all, settle=lambda room, each, outcomes: told.append(len(each)))
    pending = [store.append(publication()) for _ in range(2 * AT_ONCE + 9)]
    assert told == [AT_ONCE, AT_ONCE]
    assert [each.is_done for each in pending] == [True] * 2 * AT_ONCE + [False] * 9
    assert (await results(store, publication()), told[2:]) == ([""], [10])
    outcomes = [each.result() for each in pending]
    offsets = [each.position.offset for each in outcomes if each.position is not None]
    assert offsets == list(range(1, len(pending) + 1))
    await store.cleanup()


async def test_rooms_in_memory_written_to_longest_ago_lose_their_oldest_messages() -> None:
    floors: dict[str, int] = {}
    store = MemoryStore(
        StoreConfig(max_rooms=None, max_rooms_per_user=None, max_memory_bytes=MEBIBYTE)
    )
    await store.startup(keep_all, floors.__setitem__)
    (first,) = await add(store, publication("old", b"1", cid="c-1"))
    for _ in range(9):
        await add(store, publication("old", b"x" * 50_000))
    for _ in range(9):
        await add(store, publication("new", b"x" * 50_000))
    assert floors == {}
    await add(store, *[publication("new", b"x" * 50_000) for _ in range(3)])
    assert floors == {"old": 6}
    assert (await store.state("old")).oldest == 6
    assert len(await bodies(store, "new")) == 12
    for _ in range(50):
        await add(store, publication("new", b"x" * 50_000))
    state = await store.state("old")
    assert (state.top, state.oldest) == (10, 11), "the place of the next message is kept"
    assert state.epoch == first.position.epoch
    assert 10 <= len(await bodies(store, "new")) <= 21
    (again,) = await add(store, publication("old", b"1", cid="c-1"))
    assert again.duplicate
    (later,) = await add(store, publication("old", b"2"))
    assert later.position.offset == 11


@pytest.fixture
def slow_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be indexed unless somebody searches: then there would be space again."""
    monkeypatch.setattr(indexing, "GATHER", 600.0)


async def test_a_batch_is_stored_as_far_as_it_fits(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", bounds(size=MEBIBYTE))
    await store.startup(keep_all)
    codes = await results(store, *[publication(body=b"x" * 30_000) for _ in range(60)])
    stored = codes.count("")
    assert 5 < stored < 15, "their words are going to need more than they"
    assert codes == [""] * stored + ["unavailable"] * (60 - stored)
    await store.cleanup()


@pytest.mark.usefixtures("slow_index")
async def test_a_message_that_does_not_fit_takes_no_space_from_others(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", bounds(size=MEBIBYTE))
    await store.startup(keep_all)
    while await results(store, publication(body=b"x" * 60_000)) == [""]:
        pass
    wanted = [publication(body=b"x" * 60_000), publication("tea"), publication(user="bob")]
    assert await results(store, *wanted) == ["unavailable", "", ""]
    await store.cleanup()


@pytest.mark.usefixtures("slow_index")
async def test_a_message_that_does_not_fit_makes_no_room(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", structs.replace(bounds(2), max_store_bytes=MEBIBYTE))
    await store.startup(keep_all)
    while await results(store, publication(body=b"x" * 60_000)) == [""]:
        pass
    assert await results(store, publication("large", b"x" * 60_000)) == ["unavailable"]
    assert (await store.state("large")).epoch == ""
    assert await results(store, publication("small")) == [""]
    assert await results(store, publication("large")) == ["unavailable"], "there are two others"
    await store.cleanup()


async def test_a_full_store_refuses_what_makes_it_larger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(tmp_path / "chat.db", bounds(size=MEBIBYTE))
    await store.startup(keep_all)
    first = Publication("lobby", b"x" * 20_000, STAMP, "ann", "c-0")
    await add(store, first)
    stored = 1
    while await results(store, publication(body=b"x" * 20_000)) == [""]:
        stored += 1
        assert await found(store, "x") == [], "what waits to be indexed counts as well"
    assert 30 < stored < 60
    with pytest.raises(ActionError) as caught:
        await add(store, publication(body=b"x" * 20_000))
    assert caught.value.retry_after == 60
    (again,) = await add(store, first)
    assert again.duplicate
    assert caplog.text.count("max_store_bytes; messages are refused") == 1

    for target in range(1, 11):
        eraser = Publication("lobby", b"{}", STAMP, "ann", target=target, erases=True)
        assert await results(store, eraser) == [""]
    assert await results(store, publication(body=b"x" * 20_000)) == [""]
    assert "space below store.max_store_bytes again" in caplog.text
    assert (await bodies(store))[0] == b""
    await store.cleanup()


async def test_a_burst_leaves_space_for_its_words_in_the_index(tmp_path: Path) -> None:
    most = 8 * MEBIBYTE
    store = SqliteStore(tmp_path / "chat.db", bounds(size=most))
    await store.startup(keep_all)
    numbers = Random(1)
    sent, codes = 0, [""]
    while "" in codes:
        texts = [" ".join(f"{numbers.getrandbits(32):x}" for _ in range(1000)) for _ in range(10)]
        codes = await results(store, *map(message, texts))
        sent += codes.count("")
    assert sent > 100
    assert await found(store, "unheard") == [], "all is indexed now"
    await store.cleanup()
    assert most // 2 < (tmp_path / "chat.db").stat().st_size <= most


async def test_what_waited_to_be_indexed_at_the_end_counts_at_the_start(tmp_path: Path) -> None:
    for count, refused in ((15, False), (10, True)):
        store = SqliteStore(tmp_path / "chat.db", bounds(size=2 * MEBIBYTE))
        await store.startup(keep_all)
        codes = await results(store, *[message("x" * 30_000) for _ in range(count)])
        await store.cleanup()
        assert ("unavailable" in codes) is refused
