"""Carry publications within one process and keep them in a store beside it."""

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from chatserver.broker import Broker, Deliver, Due
from chatserver.broker.cursors import Cursors
from chatserver.broker.line import Line
from chatserver.broker.reading import Reading
from chatserver.broker.tail import ROOM_BYTES, ROOM_MOST, Placed, Tails
from chatserver.config import Config, LimitsConfig, RoomConfig, StoreConfig
from chatserver.errors import ActionError
from chatserver.fold import Messages, Reactions
from chatserver.guard import missing
from chatserver.pairs import is_direct
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import (
    COST,
    Durability,
    Found,
    Page,
    Publication,
    Published,
    RoomState,
    Rules,
    Unread,
    keep_all,
)
from chatserver.rules import RoomRules
from chatserver.stats import StoreStats
from chatserver.store import UNBOUNDED, Settlement, Store, Stored
from chatserver.store.memory import MemoryStore
from chatserver.store.sqlite import SqliteStore

FILE: Final = "chat.db"
"""The store's file in the data folder."""

ON_DISK: Final = frozenset({Durability.FULL, Durability.RELAXED})


def store_file(data_dir: Path) -> Path:
    """Return the store's file in a data folder, by the one name that all links to it lead to.

    Lock and log lie beside that name, so that whoever comes by a link finds them.
    """
    file = data_dir / FILE
    # Where a link leads nowhere, the disk behind it may be missing: nothing is to be made there.
    return Path(os.path.realpath(file)) if file.exists() else file


class EmbeddedBroker(Broker):
    """Store, then acknowledge, then deliver; each room in the order of the calls.

    What is not stored waits its turn behind what is being stored in the same room.

    Args:
        store: Keeps the rooms of durability `full` and `relaxed`.
        rules: Tells how each room is kept; called for each publication, so it should be quick.
        tails: Bounds the newest publications kept in memory.
        bounds: What there may be of rooms of durability `memory`.
    """

    def __init__(
        self,
        store: Store,
        rules: Rules = keep_all,
        tails: Tails | None = None,
        bounds: StoreConfig = UNBOUNDED,
    ) -> None:
        self.store = store
        self._rules = rules
        self._memory = MemoryStore(bounds, self._release)
        self._cursors = Cursors(store)
        self._tails = tails or Tails()
        self._subscribed: set[str] = set()
        self._lines: dict[str, Line] = {}
        self._reading = Reading(self._tails, self._lines)
        self._searches: set[asyncio.Task[Found]] = set()

    @classmethod
    def configured(cls, config: Config, data_dir: Path) -> Self:
        """Make one that stores in the data folder, and can recover from memory what it may."""
        store = SqliteStore(store_file(data_dir), config.store)
        broker = cls(store, RoomRules(config.rooms).keeping, bounds=config.store)
        broker.configure(config)
        return broker

    def configure(self, config: Config) -> None:
        """Keep as much of each room in memory from now on as clients can recover."""
        bounds: list[LimitsConfig | RoomConfig] = [config.limits, *config.rooms]
        most = max(each.recovery_limit or 0 for each in bounds)
        most_bytes = max(each.recovery_bytes or 0 for each in bounds)
        self._tails.room_most = max(ROOM_MOST, 2 * most)
        self._tails.room_bytes = max(ROOM_BYTES, 2 * (most_bytes + COST * most))

    async def startup(self, deliver: Deliver) -> None:
        """Open the store; see `Store.startup` for what can be wrong with it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(deliver)
        await self._memory.startup(self._rules, self._trim, self._settle)
        await self.store.startup(self._rules, self._trim, self._settle)

    @property
    def failure(self) -> str | None:
        """Why nothing is stored any more until a restart; None while all is well."""
        return self.store.failure

    @property
    def stats(self) -> StoreStats:
        """What has been stored so far on disk."""
        return self.store.stats

    async def cleanup(self) -> None:
        """Store and deliver what is queued, then close the store."""
        await self._cursors.close()
        await self.store.cleanup()
        await self._memory.cleanup()

    def publish(self, publication: Publication) -> Pending[Published]:
        """Queue a publication for the store, or deliver what is not stored."""
        line = self._lines.get(publication.room)
        store = line.store if line else self._store(publication.room)
        if store is None and publication.target is not None:
            raise missing()
        if store is None or publication.ephemeral or not publication.stored:
            self._pass(publication)
            return Pending.done(
                Published(publication.room, publication.timestamp, cid=publication.cid)
            )
        if line is None:
            line = self._lines[publication.room] = Line(store)
        line.appended += 1
        try:
            return store.append(publication)
        except ActionError as error:
            # What waits in line does not wait for this one.
            line.appended -= 1
            if line.settled == line.appended:
                del self._lines[publication.room]
            refused: Pending[Published] = Pending()
            refused.fail(error)
            return refused

    def subscribe(self, room: str) -> None:
        """Begin to deliver a room."""
        self._subscribed.add(room)

    def unsubscribe(self, room: str) -> None:
        """Stop delivering a room."""
        self._subscribed.discard(room)
        self._memory.vacate(room)

    def position(self, room: str) -> Pending[RoomState | None]:
        """Return where a room stands, from memory where it is known there."""
        store = self._store(room)
        if store is None:
            return Pending.done(None)
        return self._reading.position(store, room)

    def publications(
        self,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Page | None]:
        """Read a page, from memory where it is there; equal reads of one moment are one."""
        store = self._store(room)
        if store is None:
            return Pending.done(None)
        return self._reading.publications(store, room, (after, before, limit, max_bytes))

    def messages(
        self,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Messages | None]:
        """Read messages, from memory where they are there; equal reads of one moment are one."""
        store = self._store(room)
        if store is None:
            return Pending.done(None)
        return self._reading.messages(store, room, (after, before, limit, max_bytes))

    def thread(
        self, room: str, root: int, *, after: int, limit: int, max_bytes: int
    ) -> Pending[Messages | None]:
        """Read a message and what answers it, from the store: an index of its own finds these."""
        store = self._store(room)
        if store is None:
            return Pending.done(None)
        read = self._loop.create_task(store.thread(room, root, after, limit, max_bytes))
        return Pending(read).then(lambda messages: messages)

    def pinned(
        self, room: str, *, before: int | None = None, limit: int, max_bytes: int
    ) -> Pending[Messages | None]:
        """Read what is pinned, from the store: it may lie anywhere in the history."""
        store = self._store(room)
        if store is None:
            return Pending.done(None)
        read = self._loop.create_task(store.pinned(room, before, limit, max_bytes))
        return Pending(read).then(lambda messages: messages)

    def reactions(self, room: str, offset: int) -> Pending[Reactions | None]:
        """Return all who have reacted to a message, from the store."""
        store = self._store(room)
        if store is None:
            return Pending.done(None)
        return Pending(self._loop.create_task(store.reactions(room, offset)))

    def search(
        self,
        rooms: Collection[str],
        text: str,
        *,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Found]:
        """Search the rooms among these that are kept on disk."""
        kept = [room for room in rooms if self._store(room) is self.store]
        if not kept:
            return Pending.done(Found([]))
        task = self._loop.create_task(
            self.store.search(kept, text, before=before, limit=limit, max_bytes=max_bytes)
        )
        self._searches.add(task)
        task.add_done_callback(self._searches.discard)
        return Pending(task)

    def unread(self, room: str, user: str, after: int) -> Pending[Unread | None]:
        """Count what a user has not read, in memory where that reaches back far enough."""
        store = self._store(room)
        if store is None:
            return Pending.done(None)
        tail = self._tails.get(room)
        counted = tail.unread(user, after) if tail else None
        if counted is not None:
            return Pending.done(counted)
        count = self._loop.create_task(store.unread(room, user, after))
        return Pending(count).then(lambda unread: unread)

    def cursors(self, user: str) -> Pending[Mapping[str, Position]]:
        """Return up to where a user has read; all of it is in the store's file."""
        return self._cursors.of(user)

    def move_cursor(self, user: str, room: str, position: Position | None) -> None:
        """Note up to where a user has read; see `History.move_cursor`."""
        self._cursors.move(user, room, position)

    def direct_rooms(self, user: str, *, after: str, limit: int) -> Pending[list[str]]:
        """Return the direct rooms of a user that are in the store or in memory."""
        return Pending(self._loop.create_task(self._direct_rooms(user, after, limit)))

    async def _direct_rooms(self, user: str, after: str, limit: int) -> list[str]:
        found = {*await self._memory.direct_rooms(user, after, limit)}
        found.update(await self.store.direct_rooms(user, after, limit))
        return sorted(found)[:limit]

    def _store(self, room: str) -> Store | None:
        durability = self._rules(room).durability
        if durability in ON_DISK:
            return self.store
        return self._memory if durability is Durability.MEMORY else None

    def _settle(
        self, room: str, publications: Sequence[Publication], outcomes: Sequence[Settlement]
    ) -> None:
        line = self._lines[room]
        stored: list[Placed] = []
        due: list[Due] = []
        for publication, outcome in zip(publications, outcomes, strict=True):
            line.settled += 1
            if isinstance(outcome, Stored) and not outcome.duplicate:
                stored.append((publication, outcome.position))
                due.append(stored[-1])
            if line.waiting:
                due.extend((passed, None) for passed in line.due())
        if line.settled == line.appended:
            del self._lines[room]
        line.tell()
        if stored:
            self._reading.add(room, stored)
        self._hand_out(room, due)

    def _trim(self, room: str, oldest: int) -> None:
        self._reading.trim(room, oldest)

    def _release(self, room: str) -> bool:
        if room in self._subscribed:
            return False
        self._reading.release(room)
        return True

    def _pass(self, publication: Publication) -> None:
        line = self._lines.get(publication.room)
        due = publication if line is None else line.wait(publication)
        if due is not None:
            self._hand_out(due.room, ((due, None),))

    def _hand_out(self, room: str, due: Sequence[Due]) -> None:
        if due and (room in self._subscribed or is_direct(room)):
            self.deliver(room, due)
