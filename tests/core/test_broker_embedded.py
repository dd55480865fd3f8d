"""How the embedded broker keeps memory, store and deliveries in step."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from pathlib import Path

import pytest

from chatserver.broker import Due, line
from chatserver.broker.embedded import EmbeddedBroker
from chatserver.broker.line import MOST
from chatserver.broker.tail import Tails
from chatserver.errors import ActionError
from chatserver.fold import Messages
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import (
    Durability,
    Keeping,
    Page,
    Publication,
    Published,
    RoomState,
    Rules,
    keep_all,
)
from chatserver.store import Settle, Settlement, Trimmed, sweeping
from chatserver.store.cleaning import Cleaning
from chatserver.store.sqlite import SqliteStore
from tests.core.histories import edit, reaction
from tests.core.stores import STAMP, add, opened, publication


class SlowStore(SqliteStore):
    """Hold back the end of reads or the outcomes of appends, as a busy machine would."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads = 0
        self.read_on = asyncio.Event()
        self.read_on.set()
        self.snapshots = asyncio.Event()
        self.committed = asyncio.Event()
        self.trimmed = asyncio.Event()
        self.settle_on = True
        self.unsettled: list[Callable[[], None]] = []

    async def startup(
        self, rules: Rules, trimmed: Trimmed | None = None, settle: Settle | None = None
    ) -> None:
        assert trimmed is not None
        assert settle is not None

        def hold_trimmed(room: str, oldest: int) -> None:
            if self.settle_on:
                trimmed(room, oldest)
            else:
                self.unsettled.append(lambda: trimmed(room, oldest))
            self.trimmed.set()

        def hold_settled(
            room: str, publications: Sequence[Publication], outcomes: Sequence[Settlement]
        ) -> None:
            if self.settle_on:
                settle(room, publications, outcomes)
            else:
                self.unsettled.append(lambda: settle(room, publications, outcomes))
                self.committed.set()

        await super().startup(rules, hold_trimmed, hold_settled)

    def settle_all(self) -> None:
        self.settle_on = True
        for settle in self.unsettled:
            settle()
        self.unsettled.clear()

    async def read(self, room: str, after: int, limit: int, max_bytes: int) -> Page:
        self.reads += 1
        page = await super().read(room, after, limit, max_bytes)
        self.snapshots.set()
        await self.read_on.wait()
        return page

    async def read_before(self, room: str, before: int | None, limit: int, max_bytes: int) -> Page:
        self.reads += 1
        page = await super().read_before(room, before, limit, max_bytes)
        await self.read_on.wait()
        return page


class Stage:
    """Have a broker over a slow store, and see what it delivers."""

    def __init__(self, path: Path, tails: Tails | None = None, rules: Rules = keep_all) -> None:
        self.store = SlowStore(path)
        self.broker = EmbeddedBroker(self.store, rules, tails)
        self.delivered: list[int] = []
        self.on_deliver: Callable[[Publication, Position | None], None] | None = None

    async def start(self) -> "Stage":
        await self.broker.startup(self.deliver)
        self.broker.subscribe("lobby")
        return self

    def deliver(self, room: str, due: Sequence[Due]) -> None:
        for each, position in due:
            self.delivered.append(position.offset if position else 0)
            if self.on_deliver is not None:
                self.on_deliver(each, position)

    def publish(self, count: int) -> list[Pending[Published]]:
        bodies = [b'{"n":%d}' % number for number in range(1, count + 1)]
        return [self.broker.publish(publication(body=body)) for body in bodies]

    def history(self, after: int = 0) -> Pending[Page | None]:
        return self.broker.publications("lobby", after=after, limit=1000, max_bytes=2**20)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Have a room with two publications that memory knows nothing of, as after a restart."""
    before = await Stage(tmp_path / "chat.db").start()
    for outcome in before.publish(2):
        await outcome
    await before.broker.cleanup()
    stage = await Stage(tmp_path / "chat.db").start()
    yield stage
    await stage.broker.cleanup()


async def whole(pending: Pending[Page | None]) -> Page:
    async with asyncio.timeout(20):
        page = await pending
    assert page is not None
    return page


async def test_equal_reads_of_one_moment_are_one_and_later_ones_none(stage: Stage) -> None:
    pages = await asyncio.gather(*[whole(stage.history()) for _ in range(100)])
    assert stage.store.reads == 1
    assert {page.last for page in pages} == {2}
    later = stage.history(after=1)
    assert later.is_done
    assert (await whole(later)).first == 2
    assert stage.store.reads == 1


async def test_equal_reads_are_one_page_until_something_is_published(stage: Stage) -> None:
    await whole(stage.history())
    first, second = await whole(stage.history()), await whole(stage.history())
    assert second is first
    assert second.messages is first.messages, "it was encoded twice"
    assert await whole(stage.history(after=1)) is not first
    await stage.publish(1)[0]
    third = await whole(stage.history())
    assert (first.last, third.last) == (2, 3)
    assert b'"offset":3' in bytes(third.messages)


async def messages(stage: Stage, **bounds: int) -> Messages:
    async with asyncio.timeout(20):
        page = await stage.broker.messages("lobby", **{"limit": 50, "max_bytes": 2**20, **bounds})
    assert page is not None
    return page


async def test_the_newest_messages_are_brought_into_memory_once(stage: Stage) -> None:
    pages = await asyncio.gather(*[messages(stage) for _ in range(100)])
    assert {id(page) for page in pages} == {id(pages[0])}
    assert stage.store.reads == 1
    again = stage.broker.messages("lobby", limit=50, max_bytes=2**20)
    assert again.is_done
    assert again.result() is pages[0]
    await stage.broker.publish(reaction(1))
    assert await messages(stage) is not pages[0]
    assert stage.store.reads == 1


async def test_the_newest_are_read_once_what_is_on_its_way_has_come(stage: Stage) -> None:
    """What was read before would not adjoin it, so members could not be told to go on there."""
    stage.store.settle_on = False
    stage.publish(1)
    await stage.store.committed.wait()
    position, page = stage.broker.position("lobby"), asyncio.create_task(messages(stage))
    async with asyncio.timeout(20):
        while stage.broker._lines["lobby"]._news is None:  # noqa: ASYNC110 - nobody is told that somebody waits
            await asyncio.sleep(0)
    assert stage.store.reads == 0
    stage.store.settle_all()
    state = await position
    assert state is not None
    assert (state.top, (await page).state.top) == (3, 3)
    assert stage.broker.position("lobby").is_done


async def test_what_hangs_on_its_way_does_not_hold_up_reads_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "SETTLING", 0.0)
    stage.store.settle_on = False
    stage.publish(1)
    await stage.store.committed.wait()
    async with asyncio.timeout(20):
        assert (await messages(stage)).state.top == 3
    stage.store.settle_all()
    assert stage.broker._lines == {}


async def test_messages_before_what_is_in_memory_come_from_the_file(tmp_path: Path) -> None:
    stage = await Stage(tmp_path / "chat.db", Tails(room_most=10)).start()
    for outcome in stage.publish(30):
        await outcome
    await stage.broker.publish(edit(3, "changed"))
    for bounds, offsets in (
        ({"limit": 20}, [*range(11, 31)]),
        ({"after": 0, "limit": 3}, [1, 2, 3]),
        ({"before": 4}, [1, 2, 3]),
        ({"after": 25}, [*range(26, 32)]),
    ):
        page = await messages(stage, **bounds)
        assert [offset for offset, _ in page.events] == offsets
    assert b"changed" in (await messages(stage, after=0, limit=3)).events[2][1]
    await stage.broker.cleanup()


async def test_a_read_from_before_a_delivery_is_not_shared_with_who_asks_after(
    stage: Stage,
) -> None:
    stage.store.read_on.clear()
    early = stage.history()
    await asyncio.wait_for(stage.store.snapshots.wait(), 20)
    await stage.publish(1)[0]
    late = stage.history()
    stage.store.read_on.set()
    assert (await whole(late)).last == 3
    assert (await whole(early)).last in (2, 3)


async def test_memory_does_not_know_more_than_was_delivered(stage: Stage) -> None:
    stage.store.settle_on = False
    outcome = stage.publish(1)[0]
    await asyncio.wait_for(stage.store.committed.wait(), 20)
    assert (await whole(stage.history())).state.top == 3
    assert stage.delivered == []
    state, page = stage.broker.position("lobby"), stage.history(after=2)
    folded = stage.broker.messages("lobby", limit=50, max_bytes=2**20)
    assert not state.is_done
    assert not page.is_done
    assert not folded.is_done
    await state
    await page
    await folded
    stage.store.settle_all()
    assert (await outcome).position == Position((await whole(stage.history())).state.epoch, 3)
    assert stage.delivered == [3]


async def test_a_room_does_not_begin_behind_its_end_while_members_are_behind_the_file(
    tmp_path: Path,
) -> None:
    """After a restart somebody reads what is stored, and trimmed already, but not delivered."""

    def rules(room: str) -> Keeping:
        return Keeping(length=10)

    before = await Stage(tmp_path / "chat.db", rules=rules).start()
    await before.publish(1)[0]
    await before.broker.cleanup()
    stage = await Stage(tmp_path / "chat.db", rules=rules).start()
    await stage.publish(1)[0]
    stage.store.settle_on = False
    outcomes = stage.publish(40)
    await asyncio.wait_for(stage.store.trimmed.wait(), 20)
    ahead = (await whole(stage.history())).state
    assert (ahead.top, ahead.oldest) == (42, 33)
    for first, oldest in ((2, 2), (33, 33)):
        state = stage.broker.position("lobby")
        assert state.is_done
        kept = stage.history(after=first - 1)
        assert kept.is_done
        assert (await state, (await whole(kept)).first) == (
            RoomState(ahead.epoch, stage.delivered[-1], oldest),
            first,
        )
        stage.store.settle_all()
        await outcomes[-1]
    await stage.broker.cleanup()


async def test_what_is_published_stays_in_memory_for_short_recoveries(stage: Stage) -> None:
    for outcome in stage.publish(50):
        await outcome
    await whole(stage.history(after=40))
    reads = stage.store.reads
    for after in range(2, 52):
        page = stage.history(after=after)
        assert page.is_done
        assert (await whole(page)).first == after + 1
    assert stage.store.reads == reads


async def test_a_room_that_was_pushed_out_of_memory_is_read_again(tmp_path: Path) -> None:
    stage = await Stage(tmp_path / "chat.db", Tails(most_bytes=2000)).start()
    for outcome in stage.publish(3):
        await outcome
    await stage.broker.publish(publication("tea", b"x" * 5000))
    page = await whole(stage.history())
    assert (page.first, page.last) == (1, 3)
    assert stage.store.reads == 1
    await stage.broker.cleanup()


class Trimming(EmbeddedBroker):
    """Let others wait until it has been told that something is no longer kept."""

    def __init__(self, path: Path, keeping: Keeping) -> None:
        super().__init__(SqliteStore(path), lambda room: keeping)
        self.told = asyncio.Event()

    def _trim(self, room: str, oldest: int) -> None:
        super()._trim(room, oldest)
        self.told.set()


@pytest.mark.parametrize("durability", [Durability.FULL, Durability.MEMORY])
async def test_what_retention_has_removed_is_not_read_from_memory(
    tmp_path: Path, durability: Durability
) -> None:
    broker = Trimming(tmp_path / "chat.db", Keeping(durability, length=10))
    await broker.startup(lambda publication, position: None)
    for _ in range(26):
        await broker.publish(publication())
    await asyncio.wait_for(broker.told.wait(), 20)
    page = await whole(broker.publications("lobby", after=0, limit=100, max_bytes=2**20))
    newest = broker.publications("lobby", limit=100, max_bytes=2**20)
    assert newest.is_done, "the others are still read from memory"
    for each in (page, await whole(newest)):
        assert (each.state.oldest, each.first, each.last) == (17, 17, 26)
    with pytest.raises(ActionError, match="no such message"):
        await broker.publish(edit(16, "changed"))
    await broker.cleanup()


FAILURES = (
    (sqlite3.OperationalError("database or disk is full"), "old messages could not be removed"),
    (OSError(5, "Input/output error"), "may be left in unused parts of the file"),
)


@pytest.mark.parametrize(("failure", "told"), FAILURES)
async def test_what_was_swept_is_not_read_from_memory_though_cleaning_behind_it_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    told: str,
) -> None:
    loop, again, steps = asyncio.get_running_loop(), asyncio.Event(), count(1)

    def step(cleaning: Cleaning, now: float) -> bool:
        if next(steps) == 5:
            loop.call_soon_threadsafe(again.set)
        raise failure

    monkeypatch.setattr(Cleaning, "step", step)
    monkeypatch.setattr(sweeping, "SWEEP_EVERY", 0.0)
    broker = Trimming(tmp_path / "chat.db", Keeping(age=3600.0))
    await broker.startup(lambda publication, position: None)
    await broker.publish(publication(timestamp="2020-01-01T00:00:00.000Z"))
    await asyncio.wait_for(broker.told.wait(), 20)
    page = broker.messages("lobby", limit=9, max_bytes=2**20)
    assert page.is_done
    read = await page
    assert read is not None
    assert (read.events, read.state.oldest) == ([], 2)
    await asyncio.wait_for(again.wait(), 20)
    assert told in caplog.text
    await broker.cleanup()


async def test_what_is_swept_while_it_is_read_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory knew nothing of the room, and something is published before the page arrives."""
    monkeypatch.setattr(sweeping, "SWEEP_EVERY", 0.0)
    keeping = Keeping()
    async with opened(tmp_path / "chat.db") as store:
        await add(store, publication(timestamp="2020-01-01T00:00:00.000Z"))
    stage = await Stage(tmp_path / "chat.db", rules=lambda room: keeping).start()
    stage.store.read_on.clear()
    early = stage.history()
    await asyncio.wait_for(stage.store.snapshots.wait(), 20)
    keeping = Keeping(age=3600.0)
    await asyncio.wait_for(stage.store.trimmed.wait(), 20)
    await stage.broker.publish(publication(timestamp="2999-01-01T00:00:00.000Z"))
    stage.store.read_on.set()
    assert (await whole(early)).first == 1
    late = await messages(stage)
    assert ([offset for offset, _ in late.events], late.state.oldest) == ([2], 2)
    assert (await whole(stage.history())).first == 2
    await stage.broker.cleanup()


async def test_a_join_during_a_burst_sees_each_publication_once(stage: Stage) -> None:
    live: list[int] = []
    joined = False

    def receive(publication: Publication, position: Position | None) -> None:
        assert position is not None
        if joined:
            live.append(position.offset)

    stage.on_deliver = receive
    outcomes = stage.publish(300)
    seen: list[int] = []
    there_at_once = False
    while not there_at_once:
        read = stage.history(after=len(seen))
        there_at_once = read.is_done
        seen += [offset for offset, _ in (await whole(read)).numbered()]
    joined = True
    outcomes += stage.publish(50)
    for outcome in outcomes:
        await outcome
    assert seen + live == list(range(1, 353))


async def test_nothing_overtakes_in_a_room_and_other_rooms_do_not_wait(stage: Stage) -> None:
    stage.store.settle_on = False
    outcome = stage.publish(1)[0]
    stage.broker.publish(Publication("lobby", b"{}", STAMP, stored=False))
    stage.broker.publish(Publication("tea", b"{}", STAMP, stored=False))
    assert stage.delivered == []
    stage.broker.subscribe("tea")
    stage.broker.publish(Publication("tea", b"{}", STAMP, stored=False))
    assert stage.delivered == [0]
    await asyncio.wait_for(stage.store.committed.wait(), 20)
    stage.store.settle_all()
    await outcome
    assert stage.delivered == [0, 3, 0]


async def test_what_an_acknowledgement_gives_rise_to_comes_after_its_message(stage: Stage) -> None:
    outcome = stage.publish(1)[0]
    outcome.when_done(lambda: stage.broker.publish(publication_passing(ephemeral=False)))
    await outcome
    assert stage.delivered == [3, 0]


async def test_what_waits_behind_a_stuck_store_is_bounded(stage: Stage) -> None:
    stage.store.settle_on = False
    delivered: list[bytes] = []
    stage.on_deliver = lambda publication, position: delivered.append(publication.body)
    stored = b'{"n":1}'
    passing = [b'{"passing":%d}' % number for number in range(MOST + 5)]
    outcome = stage.publish(1)[0]
    for number, body in enumerate(passing):
        assert delivered == passing[: max(0, number - MOST)]
        stage.broker.publish(publication_passing(body, ephemeral=number % 2 == 0))
    assert delivered == passing[:5]
    await asyncio.wait_for(stage.store.committed.wait(), 20)
    stage.store.settle_all()
    await outcome
    assert delivered == [*passing[:5], stored, *passing[5:]]


def publication_passing(body: bytes = b"{}", *, ephemeral: bool) -> Publication:
    return Publication("lobby", body, STAMP, ephemeral=ephemeral, stored=False)


async def test_a_refusal_nobody_asks_for_is_not_reported_as_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = EmbeddedBroker(SqliteStore(tmp_path / "chat.db", most=1))
    delivered: list[Publication] = []
    await broker.startup(lambda room, due: delivered.extend(each for each, _ in due))
    broker.subscribe("lobby")
    first, refused = broker.publish(publication()), broker.publish(publication())
    assert refused.is_done
    with pytest.raises(ActionError) as caught:
        refused.result()
    assert caught.value.code == "unavailable"
    del refused, caught
    await first
    assert len(delivered) == 1
    await broker.cleanup()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_a_refusal_does_not_let_others_overtake_what_is_being_stored(tmp_path: Path) -> None:
    broker = EmbeddedBroker(SqliteStore(tmp_path / "chat.db", most=1))
    delivered: list[int] = []
    await broker.startup(lambda _, due: delivered.extend(at.offset if at else 0 for _, at in due))
    broker.subscribe("lobby")
    stored = broker.publish(publication())
    broker.publish(publication_passing(ephemeral=False))
    assert isinstance(broker.publish(publication()).error, ActionError)
    assert delivered == []
    await stored
    broker.publish(publication_passing(ephemeral=False))
    assert delivered == [1, 0, 0]
    await broker.cleanup()


async def test_rooms_are_kept_as_their_rules_say(tmp_path: Path) -> None:
    def rules(room: str) -> Keeping:
        return Keeping(Durability(room))

    kinds = ["full", "relaxed", "memory", "none"]
    broker = EmbeddedBroker(SqliteStore(tmp_path / "chat.db"), rules)
    await broker.startup(lambda publication, position: None)
    positions = [(await broker.publish(publication(kind))).position for kind in kinds]
    assert [place and place.offset for place in positions] == [1, 1, 1, None]
    await broker.cleanup()
    again = EmbeddedBroker(SqliteStore(tmp_path / "chat.db"), rules)
    await again.startup(lambda publication, position: None)
    tops = [state and state.top for state in [await again.position(kind) for kind in kinds]]
    assert tops == [1, 1, 0, None]
    await again.cleanup()
