"""Whoever joins, however and whenever, knows what the room says after all."""

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, ParamSpec, TypeVar, cast

import pytest
from chatserver_plugins.recovery import Since, stream
from chatserver_plugins.unread import follow
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from chatserver.broker.embedded import EmbeddedBroker
from chatserver.broker.tail import Tails
from chatserver.config import Config, LimitsConfig
from chatserver.errors import ActionError
from chatserver.fold import Messages
from chatserver.hub import LocalHub
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import Durability, Keeping, Publication, Published, Unread
from chatserver.session import Identity, Session
from chatserver.stats import Stats
from chatserver.store import Settlement, slack
from chatserver.store.sqlite import SqliteStore
from chatserver.store.writer import Writer
from tests.core.sinks import Crank, RecordingSink

ROOM = "lobby"
CONFIG = Config(limits=LimitsConfig(recovery_limit=6))

DEADLINE: Final = 20.0

RELAXED = Keeping(Durability.RELAXED)
"""Waiting for the disk would take the most of the time."""

P = ParamSpec("P")
T = TypeVar("T")

Event = dict[str, object]
Change = tuple[str, int]
"""An edit or delete, and its target."""


class Client:
    """Follow a room by what docs/protocol.md says, over several connections.

    Attributes:
        texts: What it has of each message, None where that was deleted.
        first: The offset from which on it has all messages.
        top: The last offset it has seen.
    """

    def __init__(self) -> None:
        self.session: Session | None = None
        self.sink = RecordingSink()
        self.epoch = ""
        self.first = 1
        self.top = 0
        self.texts: dict[int, object] = {}
        self._as_of: dict[int, int] = {}
        self._read = 0

    async def join(self, hub: LocalHub, last: int | None, number: int) -> None:
        """Connect and join, with the position it has or with the newest messages."""
        session = Session(f"c{number}", Identity(user=f"user{number}"), "")
        session.sink = self.sink = RecordingSink()
        self._read = 0
        hub.attach(session)
        since = None if last else Since(self.top, self.epoch)
        _, told = await stream(hub, ROOM, since, last)
        hub.join(session, ROOM)
        self.session = session
        events = json.loads(bytes(cast("bytes", told["messages"]) or b"[]"))
        self.epoch, joined = str(told["epoch"]), int(str(told["offset"]))
        if last:
            assert len(events) <= last
            self.texts, self._as_of = {}, {}
            self.first = events[0]["offset"] if events else joined + 1
            self._take(events, as_of=joined)
        elif told["recovered"]:
            assert [event["offset"] for event in events] == list(range(self.top + 1, joined + 1))
            self._take(events)
        else:
            # Too much was missed, or a slow disk kept memory from knowing the room.
            assert events == []
            await self._page(hub, joined)
        self.top = max(self.top, joined)

    def listen(self) -> None:
        """Take what has come live: it has no holes."""
        events = self.sink.events
        for event in events[self._read :]:
            offset = int(str(event["offset"]))
            assert offset == self.top + 1 or offset <= self.top, "a hole in the live stream"
            self._take([event])
            self.top = max(self.top, offset)
        self._read = len(events)

    async def _page(self, hub: LocalHub, joined: int) -> None:
        after, more = self.top, True
        while more:
            page = await hub.history.messages(ROOM, after=after, limit=3, max_bytes=2**20)
            assert page is not None
            self._take([json.loads(event) for _, event in page.events], as_of=page.state.top)
            after, more = page.next, page.more
        assert after >= joined

    def _take(self, events: list[Event], as_of: int | None = None) -> None:
        for event in events:
            offset, target = int(str(event["offset"])), event.get("target")
            if not isinstance(target, int):
                if offset > self._as_of.get(offset, 0):
                    self.texts[offset] = event.get("text")
                    self._as_of[offset] = as_of or offset
            elif target in self.texts and offset > self._as_of[target]:
                self.texts[target] = event.get("text")


class RecoveryMachine(RuleBasedStateMachine):
    """Publish, change, join, drop and restart in any order, often before the disk has answered."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clients = [Client() for _ in range(3)]
        self.pending: list[tuple[Pending[Published], str, Change | None]] = []
        self.count = 0
        self.texts: dict[int, object] = {}
        self.top = 0

    @initialize()
    def start(self) -> None:
        self.crank = Crank()
        store = SqliteStore(Path(self.folder.name) / "chat.db")
        broker = EmbeddedBroker(store, lambda room: RELAXED, Tails(room_most=8))
        self.hub = LocalHub(CONFIG, Path(self.folder.name), broker, [], self.crank, Stats())
        self.runner.run(self.hub.startup())

    def teardown(self) -> None:
        if hasattr(self, "hub"):
            self.settle()
            self.runner.run(self.hub.cleanup())
        self.runner.close()
        self.folder.cleanup()

    @rule(count=st.integers(1, 4))
    def say(self, count: int) -> None:
        for _ in range(count):
            self.publish(None)

    @rule(
        changes=st.lists(
            st.tuples(st.sampled_from(["edit", "delete"]), st.integers(-1, 9)),
            min_size=1,
            max_size=4,
        )
    )
    def change(self, changes: list[Change]) -> None:
        for kind, back in changes:
            self.publish((kind, max(1, self.top + len(self.pending) - back)))

    def publish(self, change: Change | None) -> None:
        self.count += 1
        text = f"text {self.count}"

        async def publish() -> Pending[Published]:
            if change is None:
                return self.hub.publish(ROOM, "message", {"text": text})
            kind, target = change
            fields = {"text": text} if kind == "edit" else {}
            return self.hub.publish(ROOM, kind, fields, target=target, erases=kind == "delete")

        self.pending.append((self.runner.run(publish()), text, change))

    @rule(
        number=st.integers(0, 2),
        last=st.none() | st.none() | st.integers(1, 12),
    )
    def join(self, number: int, last: int | None) -> None:
        client = self.clients[number]
        self.drop(number)
        self.count += 1
        try:
            self.runner.run(client.join(self.hub, last, self.count))
        except ActionError as error:
            # A room that memory knows nothing of yet, while the disk is slow with the first of it.
            assert (error.code, error.retry_after) == ("unavailable", 1)  # noqa: PT017
            self.settle()
            self.runner.run(client.join(self.hub, last, self.count))

    @rule(number=st.integers(0, 2))
    def drop(self, number: int) -> None:
        """End a connection; what was not flushed yet never comes."""
        client = self.clients[number]
        if client.session is not None:
            client.listen()
            self.hub.drop(client.session)
            client.session = None

    @rule(turns=st.integers(1, 3))
    def breathe(self, turns: int) -> None:
        """Let the disk answer or not, and the rooms flush."""
        for _ in range(turns):
            self.runner.run(asyncio.sleep(0))
            self.crank.turn()

    @rule()
    def settle(self) -> None:
        """Wait for the disk; whoever is in the room then knows what it says."""
        self.runner.run(self.settled())
        while self.crank.calls:
            self.crank.turn()
        for client in self.clients:
            if client.session is not None:
                client.listen()
                assert client.top == self.top
                told = {offset: client.texts.get(offset) for offset in self.texts}
                assert {
                    offset: text for offset, text in told.items() if offset >= client.first
                } == {offset: text for offset, text in self.texts.items() if offset >= client.first}

    async def settled(self) -> None:
        wrongly = False
        async with asyncio.timeout(20):
            for pending, text, change in self.pending:
                try:
                    position = (await pending).position
                except ActionError:
                    wrongly |= change is None or self.texts.get(change[1]) is not None
                    continue
                assert position is not None
                self.top += 1
                assert position.offset == self.top
                if change is None:
                    self.texts[self.top] = text
                else:
                    kind, target = change
                    assert self.texts[target] is not None
                    self.texts[target] = text if kind == "edit" else None
        self.pending.clear()
        assert not wrongly, "a change was refused though its message was there"

    @rule()
    def restart(self) -> None:
        self.settle()
        for number in range(len(self.clients)):
            self.drop(number)
        self.runner.run(self.hub.cleanup())
        self.start()


TestRecoveryAgainstModel = RecoveryMachine.TestCase
# Threads take turns as they like, so that a failure can be shown but not made smaller.
TestRecoveryAgainstModel.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, phases=[Phase.generate]
)


async def test_the_newest_of_a_room_that_is_never_quiet(tmp_path: Path) -> None:
    """More of them than memory has, so that they are read while others are published."""
    broker = EmbeddedBroker(
        SqliteStore(tmp_path / "chat.db"), lambda room: RELAXED, Tails(room_most=8)
    )
    hub = LocalHub(CONFIG, tmp_path, broker, [], Crank(), Stats())
    await hub.startup()
    for number in range(30):
        await hub.publish(ROOM, "message", {"text": str(number)})

    def talk() -> None:
        if not hub.draining:
            hub.publish(ROOM, "message", {"text": "on and on"}).when_done(talk)

    talk()
    for _ in range(20):
        _, told = await stream(hub, ROOM, None, 20)
        offsets = [event["offset"] for event in json.loads(bytes(cast("bytes", told["messages"])))]
        top = int(str(told["offset"]))
        assert offsets == list(range(top - 19, top + 1))
        assert told["more"] is True
    hub.draining = True
    await hub.cleanup()


class Ahead:
    """Publish once more, and keep the writer from telling the loop of it until it was read once."""

    def __init__(self, hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
        committed, self._told = asyncio.Event(), threading.Event()
        write, loop = Writer.write, asyncio.get_running_loop()

        def commit(writer: Writer, batch: Sequence[Publication]) -> list[Settlement]:
            outcomes = write(writer, batch)
            loop.call_soon_threadsafe(committed.set)
            self._told.wait(DEADLINE)
            return outcomes

        monkeypatch.setattr(Writer, "write", commit)
        self.last = hub.publish(ROOM, "message", {"text": "last"})
        self.committed = committed.wait
        self.tell = self._told.set

    def once(self, read: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """Return a read that is ahead of members the first time."""

        async def ahead(*given: P.args, **named: P.kwargs) -> T:
            if self._told.is_set():
                await self.last
            found = await read(*given, **named)
            self._told.set()
            return found

        return ahead


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "chat.db")


@pytest.fixture
async def hub(store: SqliteStore, tmp_path: Path) -> AsyncIterator[LocalHub]:
    """Have a room with 30 messages, the last 8 of them in memory."""
    broker = EmbeddedBroker(store, lambda room: RELAXED, Tails(room_most=8))
    hub = LocalHub(CONFIG, tmp_path, broker, [], Crank(), Stats())
    await hub.startup()
    await asyncio.gather(*[hub.publish(ROOM, "message", {"text": "hi"}) for _ in range(30)])
    yield hub
    await hub.cleanup()


async def reader(hub: LocalHub, offset: int) -> Session:
    """Have somebody who has read the room up to there."""
    state = await hub.history.position(ROOM)
    assert state is not None
    hub.history.move_cursor("ann", ROOM, Position(state.epoch, offset))
    return Session("c1", Identity(user="ann"), "")


async def test_what_was_read_before_members_were_sent_it_is_read_again(
    hub: LocalHub, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = Ahead(hub, monkeypatch)
    await ahead.committed()
    monkeypatch.setattr(store, "messages", ahead.once(store.messages))
    _, joined = await stream(hub, ROOM, None, 20)
    offsets = [event["offset"] for event in json.loads(bytes(cast("bytes", joined["messages"])))]
    assert (offsets, joined["offset"]) == ([*range(12, 32)], 31)


async def test_what_was_counted_before_members_were_sent_it_is_counted_again(
    hub: LocalHub, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await reader(hub, 5)
    ahead = Ahead(hub, monkeypatch)
    await ahead.committed()
    monkeypatch.setattr(store, "unread", ahead.once(store.unread))
    joined = await follow(hub, ann, ROOM, None, None)
    assert (joined["offset"], joined["read"], joined["unread"]) == (31, 5, 26)


async def test_who_joins_is_given_what_is_on_its_way_to_a_room_that_memory_has_let_go(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk takes longer than all tries to read the room."""
    broker = EmbeddedBroker(store, lambda room: RELAXED, Tails(most_bytes=20_000))
    hub = LocalHub(CONFIG, tmp_path, broker, [], Crank(), Stats())
    await hub.startup()
    await hub.publish(ROOM, "message", {"text": "hi"})
    for _ in range(2):
        await stream(hub, ROOM, None, 20)
    await hub.publish("tea", "message", {"text": "x" * 20_000})
    ahead = Ahead(hub, monkeypatch)
    await ahead.committed()
    ann = Session("c1", Identity(user="ann"), "")
    async with asyncio.timeout(DEADLINE):
        joining = asyncio.create_task(follow(hub, ann, ROOM, None, 20))
        while broker._lines[ROOM]._news is None:  # noqa: ASYNC110 - nobody is told that somebody waits
            await asyncio.sleep(0)
        ahead.tell()
        joined = await joining
    assert (joined["offset"], joined["read"], joined["unread"]) == (2, 2, 0)
    assert len(json.loads(bytes(cast("bytes", joined["messages"])))) == 2
    cursor = (await hub.history.cursors("ann"))[ROOM]
    assert cursor == Position(str(joined["epoch"]), 2)
    await hub.cleanup()


async def test_what_is_deleted_while_it_is_counted_is_not_unread(
    hub: LocalHub, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await reader(hub, 5)
    count = store.unread

    async def overtaken(room: str, user: str, after: int) -> Unread:
        found = await count(room, user, after)
        monkeypatch.undo()
        await hub.publish(ROOM, "delete", {}, target=7, erases=True)
        return found

    monkeypatch.setattr(store, "unread", overtaken)
    joined = await follow(hub, ann, ROOM, None, None)
    assert (joined["offset"], joined["read"], joined["unread"]) == (31, 5, 24)


async def test_what_the_room_lets_go_of_while_it_is_read_is_not_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = 16
    store = SqliteStore(tmp_path / "chat.db")
    keeping = Keeping(Durability.RELAXED, length)
    hub = LocalHub(
        CONFIG,
        tmp_path,
        EmbeddedBroker(store, lambda room: keeping, Tails(room_most=8)),
        [],
        Crank(),
        Stats(),
    )
    await hub.startup()
    full = length + slack(length) - 1
    await asyncio.gather(*[hub.publish(ROOM, "message", {"text": "hi"}) for _ in range(full)])
    read = store.messages

    async def overtaken(
        room: str, after: int | None, before: int | None, limit: int, max_bytes: int
    ) -> Messages:
        found = await read(room, after, before, limit, max_bytes)
        for _ in range(7):
            state = await hub.history.position(ROOM)
            if state is None or state.oldest > 1:
                break
            await hub.publish(ROOM, "message", {"text": "hi"})
        return found

    monkeypatch.setattr(store, "messages", overtaken)
    _, joined = await stream(hub, ROOM, None, 100)
    offsets = [event["offset"] for event in json.loads(bytes(cast("bytes", joined["messages"])))]
    oldest, top = int(str(joined["oldest"])), int(str(joined["offset"]))
    assert (oldest > 1, top > full) == (True, True)
    assert offsets == list(range(oldest, top + 1))
    assert "more" not in joined
    await hub.cleanup()
