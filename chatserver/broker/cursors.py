"""Know up to where users have read, and have it stored now and then."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from chatserver.errors import ActionError
from chatserver.pending import Pending, settle_all
from chatserver.positions import Position
from chatserver.store import MOST_CURSORS, Store

log = logging.getLogger("chatserver.store")

EVERY: Final = 1.0
"""Seconds between two writes."""

MOST_KNOWN: Final = 200_000
"""Users and cursors that are kept in memory; users not asked for longest go first."""

MOST_WAITING: Final = 100_000
"""Moves that may wait to be written; of more, those of the user who waits longest are lost."""

LONG: Final = 64
"""Characters of a room's name for which a cursor, or a move, counts once more."""

Moved = dict[str, Position | None]
"""Moves by room; None for a cursor to forget."""


class Cursors:
    """Read users' cursors once, know them from then on, and write moves together.

    Args:
        store: Keeps them.
        every: Seconds between two writes.
    """

    def __init__(self, store: Store, every: float = EVERY) -> None:
        self._store = store
        self._every = every
        self._known: OrderedDict[str, dict[str, Position]] = OrderedDict()
        self._known_size = 0
        self._asked: list[str] = []
        self._reads: dict[str, tuple[Moved, Pending[Mapping[str, Position]]]] = {}
        self._read_tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, Moved] = {}
        self._waiting_size = 0
        self._writing: dict[str, Moved] = {}
        self._write_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failing = False
        self._closing = False

    def of(self, user: str) -> Pending[Mapping[str, Position]]:
        """Return a user's cursors by room; see `History.cursors`."""
        known = self._known.get(user)
        if known is not None:
            self._known.move_to_end(user)
            return Pending.done(known)
        if user not in self._reads:
            # What is not written yet, and what is moved meanwhile, the store does not show.
            moved = {**self._writing.get(user, {}), **self._waiting.get(user, {})}
            self._reads[user] = moved, Pending()
            if not self._asked:
                task = asyncio.get_running_loop().create_task(self._read())
                self._read_tasks.add(task)
                task.add_done_callback(self._read_tasks.discard)
            self._asked.append(user)
        _, cursors = self._reads[user]
        return cursors

    def move(self, user: str, room: str, position: Position | None) -> None:
        """Move a user's cursor, or forget it; see `History.move_cursor`."""
        known = self._known.get(user)
        if known is None:
            # They are read even if nobody asks: it tells which one has to make room.
            self.of(user)
            moved, _ = self._reads[user]
            moved[room] = position
        else:
            self._known_size += _move(known, room, position) + self._cut(user, known)
            self._shrink()
        self._wait(user, room, position)

    async def close(self) -> None:
        """Write what waits."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._write_task is not None:
            await self._write_task
        if self._waiting:
            await self._write()

    async def _read(self) -> None:
        # All that are asked for within a tick; many users come at once after a restart.
        users, self._asked = self._asked, []
        try:
            found = await self._store.cursors(users)
        except ActionError as error:
            for user in users:
                self._reads.pop(user)[1].fail(error)
            return
        for user in users:
            moved, pending = self._reads.pop(user)
            cursors = found[user]
            for room, position in moved.items():
                _move(cursors, room, position)
            self._cut(user, cursors)
            self._known[user] = cursors
            self._known_size += 1 + _size(cursors)
            settle_all(((pending, cursors),))
        self._shrink()

    def _shrink(self) -> None:
        while self._known_size > MOST_KNOWN and len(self._known) > 1:
            _, cursors = self._known.popitem(last=False)
            self._known_size -= 1 + _size(cursors)

    def _cut(self, user: str, cursors: dict[str, Position]) -> int:
        change = 0
        while len(cursors) > MOST_CURSORS:
            oldest = next(iter(cursors))
            change += _move(cursors, oldest, None)
            self._wait(user, oldest, None)
        return change

    def _wait(self, user: str, room: str, position: Position | None) -> None:
        moved = self._waiting.setdefault(user, {})
        if room not in moved:
            self._waiting_size += _size((room,))
        moved[room] = position
        if self._waiting_size > MOST_WAITING:
            self._waiting_size -= _size(self._waiting.pop(next(iter(self._waiting))))
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and self._write_task is None and not self._closing:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._every, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._write_task = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        self._writing, self._waiting, self._waiting_size = self._waiting, {}, 0
        try:
            await self._store.move_cursors(self._writing)
        except ActionError as error:
            if not self._failing:
                self._failing = True
                log.warning("read cursors wait until they can be stored: %s", error.message)
            self._wait_again()
        else:
            if self._failing:
                self._failing = False
                log.warning("read cursors are stored again")
        self._writing, self._write_task = {}, None
        if self._waiting:
            self._schedule()

    def _wait_again(self) -> None:
        newer, self._waiting = self._waiting, self._writing
        self._waiting_size = sum(map(_size, self._waiting.values()))
        for user, moved in newer.items():
            for room, position in moved.items():
                self._wait(user, room, position)


def _move(cursors: dict[str, Position], room: str, position: Position | None) -> int:
    """Move one of a user's cursors; return by how much their size changes."""
    before = cursors.pop(room, None)
    if position is not None:
        cursors[room] = position
    return _size((room,)) * ((position is not None) - (before is not None))


def _size(rooms: Iterable[str]) -> int:
    return sum(1 + len(room) // LONG for room in rooms)
