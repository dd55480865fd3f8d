"""Cursors are known at once, read once, and written together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

import pytest

from chatserver.broker import cursors as module
from chatserver.broker.cursors import Cursors
from chatserver.errors import ActionError
from chatserver.positions import Position
from chatserver.publications import keep_all
from chatserver.store import MOST_CURSORS, Moves, unavailable
from chatserver.store.memory import MemoryStore

SOON = 0.005
ONE, TWO = Position("e", 1), Position("e", 2)


class Gated(MemoryStore):
    """A store that can be slow or refuse, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[list[str]] = []
        self.writes: list[Moves] = []
        self.tried = asyncio.Event()
        self.written = asyncio.Event()
        self.may_read = asyncio.Event()
        self.may_write = asyncio.Event()
        self.may_read.set()
        self.may_write.set()
        self.refusing = False

    async def cursors(self, users: Sequence[str]) -> dict[str, dict[str, Position]]:
        self.reads.append(list(users))
        found = await super().cursors(users)
        await self.may_read.wait()
        return found

    async def move_cursors(self, moves: Moves) -> None:
        self.tried.set()
        await self.may_write.wait()
        if self.refusing:
            raise unavailable("no space", 5)
        self.writes.append({user: dict(rooms) for user, rooms in moves.items()})
        await super().move_cursors(moves)
        self.written.set()


@pytest.fixture
async def store() -> AsyncIterator[Gated]:
    store = Gated()
    await store.startup(keep_all)
    yield store
    await store.cleanup()


async def happens(event: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await event.wait()
    event.clear()


async def test_moves_are_written_together_and_the_last_counts(store: Gated) -> None:
    cursors = Cursors(store, SOON)
    cursors.move("ann", "lobby", ONE)
    cursors.move("ann", "lobby", TWO)
    cursors.move("bob", "tea", ONE)
    cursors.move("bob", "tea", None)
    await happens(store.written)
    assert store.writes == [{"ann": {"lobby": TWO}, "bob": {"tea": None}}]
    cursors.move("ann", "lobby", ONE)
    await happens(store.written)
    assert store.writes[1:] == [{"ann": {"lobby": ONE}}]
    await cursors.close()


async def test_the_end_writes_what_waits(store: Gated) -> None:
    cursors = Cursors(store, 3600)
    cursors.move("ann", "lobby", ONE)
    await cursors.close()
    assert (await store.cursors(["ann"]))["ann"] == {"lobby": ONE}


async def test_the_end_waits_for_what_is_being_written_and_writes_the_rest(store: Gated) -> None:
    cursors = Cursors(store, SOON)
    store.may_write.clear()
    cursors.move("ann", "lobby", ONE)
    await happens(store.tried)
    cursors.move("ann", "tea", ONE)
    closing = asyncio.create_task(cursors.close())
    await asyncio.sleep(0)
    assert not closing.done()
    store.may_write.set()
    await closing
    assert store.writes == [{"ann": {"lobby": ONE}}, {"ann": {"tea": ONE}}]


async def test_users_cursors_are_read_once(store: Gated) -> None:
    await store.move_cursors({"ann": {"lobby": ONE}})
    cursors = Cursors(store, 3600)
    users = ("ann", "bob", "ann")
    asked = await asyncio.gather(*(asyncio.create_task(of(cursors, user)) for user in users))
    assert asked == [{"lobby": ONE}, {}, {"lobby": ONE}]
    assert cursors.of("ann").is_done
    assert store.reads == [["ann", "bob"]], "those asked for at once, together"


async def of(cursors: Cursors, user: str) -> dict[str, Position]:
    return dict(await cursors.of(user))


async def test_who_gives_up_waiting_does_not_disturb_others(store: Gated) -> None:
    await store.move_cursors({"ann": {"lobby": ONE}})
    cursors = Cursors(store, 3600)
    store.may_read.clear()
    impatient, patient = (asyncio.create_task(of(cursors, "ann")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    store.may_read.set()
    assert await patient == {"lobby": ONE}


async def test_what_moves_while_it_is_read_counts(store: Gated) -> None:
    await store.move_cursors({"ann": {"lobby": ONE, "tea": ONE, "gone": ONE}})
    cursors = Cursors(store, SOON)
    cursors.move("ann", "gone", None)
    store.may_read.clear()
    reading = cursors.of("ann")
    cursors.move("ann", "tea", TWO)
    await happens(store.written)
    store.may_read.set()
    assert await reading == {"lobby": ONE, "tea": TWO}
    cursors.move("ann", "lobby", TWO)
    assert await of(cursors, "ann") == {"lobby": TWO, "tea": TWO}
    await cursors.close()


async def test_what_is_being_written_counts_for_who_reads_meanwhile(store: Gated) -> None:
    cursors = Cursors(store, SOON)
    cursors.move("ann", "lobby", ONE)
    store.may_write.clear()
    await happens(store.tried)
    assert await of(cursors, "ann") == {"lobby": ONE}
    store.may_write.set()
    await cursors.close()


async def test_a_read_that_failed_is_tried_again(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.move_cursors({"ann": {"lobby": ONE}})
    cursors = Cursors(store, 3600)

    async def fail(users: Sequence[str]) -> dict[str, dict[str, Position]]:
        raise unavailable("busy", 1)

    with monkeypatch.context() as patch:
        patch.setattr(store, "cursors", fail)
        with pytest.raises(ActionError, match="busy"):
            await cursors.of("ann")
    assert await of(cursors, "ann") == {"lobby": ONE}


async def test_moves_wait_until_they_can_be_written(
    store: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "chatserver.store")
    cursors = Cursors(store, SOON)
    store.refusing = True
    cursors.move("ann", "lobby", ONE)
    cursors.move("ann", "tea", ONE)
    for _ in range(3):
        await happens(store.tried)
    cursors.move("ann", "tea", TWO)
    store.refusing = False
    await happens(store.written)
    assert (await store.cursors(["ann"]))["ann"] == {"lobby": ONE, "tea": TWO}
    await cursors.close()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "read cursors wait until they can be stored: no space",
        "read cursors are stored again",
    ]


async def test_the_cursor_moved_longest_ago_makes_room(store: Gated) -> None:
    cursors = Cursors(store, 3600)
    await cursors.of("ann")
    for number in range(MOST_CURSORS):
        cursors.move("ann", str(number), ONE)
    cursors.move("ann", "0", TWO)
    cursors.move("ann", "new", ONE)
    known = await of(cursors, "ann")
    assert len(known) == MOST_CURSORS
    assert "1" not in known
    assert known["0"] == TWO
    await cursors.close()
    assert (await store.cursors(["ann"]))["ann"] == known


async def test_the_bound_holds_for_who_has_asked_for_none(store: Gated) -> None:
    await store.move_cursors({"ann": {str(number): ONE for number in range(MOST_CURSORS)}})
    cursors = Cursors(store, 3600)
    cursors.move("ann", "0", TWO)
    cursors.move("ann", "new", ONE)
    assert len(await of(cursors, "ann")) == MOST_CURSORS
    cursors.move("ann", "newer", ONE)
    await cursors.close()
    kept = (await store.cursors(["ann"]))["ann"]
    assert len(kept) == MOST_CURSORS
    assert list(kept)[:1] == ["3"]
    assert list(kept)[-2:] == ["new", "newer"]
    assert kept["0"] == TWO


async def test_users_not_asked_for_longest_are_read_again(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 6)
    cursors = Cursors(store, 3600)
    for user in ("ann", "bob", "ann", "eve"):
        for room in ("lobby", "tea"):
            await cursors.of(user)
            cursors.move(user, room, ONE)
    assert cursors.of("ann").is_done
    assert await of(cursors, "bob") == {"lobby": ONE, "tea": ONE}
    assert store.reads == [["ann"], ["bob"], ["eve"], ["bob"]]


async def test_users_without_cursors_take_memory_too(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 3)
    cursors = Cursors(store, 3600)
    for number in range(4):
        await cursors.of(f"user-{number}")
    assert [cursors.of(f"user-{number}").is_done for number in (3, 2, 1, 0)] == [True] * 3 + [False]


async def test_long_names_count_for_more(store: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 90)
    monkeypatch.setattr(module, "MOST_WAITING", 30)
    cursors = Cursors(store, 3600)
    for user in ("ann", "bob", "eve", "joe"):
        await cursors.of(user)
        cursors.move(user, user * 500, ONE)
        assert await of(cursors, user)
    assert [cursors.of(user).is_done for user in ("joe", "eve", "bob", "ann")] == [True] * 3 + [
        False
    ]
    await cursors.close()
    assert [[*moves] for moves in store.writes] == [["joe"]]


async def test_of_too_many_moves_those_waiting_longest_are_lost(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    cursors = Cursors(store, 3600)
    for user in ("ann", "bob", "eve", "joe"):
        cursors.move(user, "lobby", ONE)
    await cursors.close()
    assert store.writes == [{user: {"lobby": ONE} for user in ("bob", "eve", "joe")}]
