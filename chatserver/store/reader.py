"""Read pages of history on a connection and a thread of their own."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final, TypeVar

from chatserver.errors import ActionError
from chatserver.fold import Messages, Reactions
from chatserver.positions import Position
from chatserver.publications import (
    MOST_UNREAD,
    UNREAD_WITHIN,
    Page,
    Publication,
    RoomState,
    Unread,
)
from chatserver.store import stopping, unavailable
from chatserver.store.cursors import cursors_of
from chatserver.store.direct import direct_rooms_of
from chatserver.store.failures import code_of, unreadable
from chatserver.store.ledger import FIND_ROOM
from chatserver.store.messages import (
    read_after,
    read_before,
    read_pinned,
    read_reactions,
    read_thread,
)
from chatserver.store.schema import connect
from chatserver.store.threads import leave_signals

T = TypeVar("T")

MOST_WAITING: Final = 1000
"""Reads that may wait for their turn."""

PATIENCE: Final = 5.0
"""Seconds that a read may take, with the wait for its turn."""

STEPS: Final = 10_000
"""Steps of SQLite's, a millisecond or less, between two looks at the time."""

_AFTER = """SELECT user, cid, timestamp, target, kind, body FROM publication
    WHERE room = ? AND offset >= ? AND offset <= ? ORDER BY offset LIMIT ?"""
_BEFORE = """SELECT user, cid, timestamp, target, kind, body FROM publication
    WHERE room = ? AND offset >= ? AND offset <= ? ORDER BY offset DESC LIMIT ?"""

_UNREAD = """SELECT count(*) FROM (
    SELECT 1 FROM publication WHERE room = ? AND offset > ?
    AND target IS NULL AND body IS NOT NULL AND user <> ? LIMIT ?
)"""

_Row = tuple[str, str | None, str, int | None, str, bytes | None]


class Reader:
    """Answer reads one after another, each from one snapshot of the file.

    Args:
        path: The file, already set up.
        timeout: Seconds to wait for another program's lock.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._thread = ThreadPoolExecutor(1, "chatserver-reader", leave_signals)
        self._connection = connect(path, timeout)
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.set_progress_handler(self._overdue, STEPS)
        self._until = 0.0
        self._waiting = 0
        self._closing = False

    async def close(self) -> None:
        """Finish the reads that are asked for, then close."""
        self._closing = True
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()

    async def state(self, room: str) -> RoomState:
        """Return epoch, top and oldest offset; see `Store.state`."""
        return await self._run(lambda: self._find(room)[0])

    async def after(self, room: str, after: int, limit: int, max_bytes: int) -> Page:
        """Read forwards; see `Store.read`."""

        def read() -> Page:
            state, number = self._find(room)
            first = max(after + 1, state.oldest)
            rows = self._connection.execute(
                _AFTER, (number, first, state.top, min(limit, state.top))
            )
            found = _take(room, rows, max_bytes)
            return Page(state, first, found, first + len(found) <= state.top)

        return await self._run(read)

    async def before(self, room: str, before: int | None, limit: int, max_bytes: int) -> Page:
        """Read backwards; see `Store.read_before`."""

        def read() -> Page:
            state, number = self._find(room)
            last = state.top if before is None else min(before - 1, state.top)
            rows = self._connection.execute(
                _BEFORE, (number, state.oldest, last, min(limit, state.top))
            )
            found = _take(room, rows, max_bytes)
            found.reverse()
            first = last - len(found) + 1
            return Page(state, first, found, first > state.oldest)

        return await self._run(read)

    async def messages(
        self, room: str, after: int | None, before: int | None, limit: int, max_bytes: int
    ) -> Messages:
        """Read messages as people read them; see `Store.messages`."""

        def read() -> Messages:
            state, number = self._find(room)
            if after is None:
                return read_before(self._connection, number, state, before, limit, max_bytes)
            return read_after(self._connection, number, state, after, limit, max_bytes)

        return await self._run(read)

    async def thread(
        self, room: str, root: int, after: int, limit: int, max_bytes: int
    ) -> Messages:
        """Read a message and what answers it; see `Store.thread`."""

        def read() -> Messages:
            state, number = self._find(room)
            return read_thread(self._connection, number, state, root, after, limit, max_bytes)

        return await self._run(read)

    async def pinned(self, room: str, before: int | None, limit: int, max_bytes: int) -> Messages:
        """Read the messages that are pinned; see `Store.pinned`."""

        def read() -> Messages:
            state, number = self._find(room)
            return read_pinned(self._connection, number, state, before, limit, max_bytes)

        return await self._run(read)

    async def reactions(self, room: str, offset: int) -> Reactions | None:
        """Return all who have reacted to a message; see `Store.reactions`."""

        def read() -> Reactions | None:
            state, number = self._find(room)
            return read_reactions(self._connection, number, state, offset)

        return await self._run(read)

    async def unread(self, room: str, user: str, after: int) -> Unread:
        """Count what a user has not read; see `Store.unread`."""

        def read() -> Unread:
            state, number = self._find(room)
            behind = max(after, state.oldest - 1, state.top - UNREAD_WITHIN)
            asked = (number, behind, user, MOST_UNREAD)
            return Unread(self._connection.execute(_UNREAD, asked).fetchone()[0], state.top)

        return await self._run(read)

    async def direct_rooms(self, user: str, after: str, limit: int) -> list[str]:
        """Return the direct rooms of a user; see `Store.direct_rooms`."""
        return await self._run(lambda: direct_rooms_of(self._connection, user, after, limit))

    async def cursors(self, users: Sequence[str]) -> dict[str, dict[str, Position]]:
        """Return how far users have read; see `Store.cursors`."""
        return await self._run(lambda: {user: cursors_of(self._connection, user) for user in users})

    def _find(self, room: str) -> tuple[RoomState, int]:
        row = self._connection.execute(FIND_ROOM, (room,)).fetchone()
        if row is None:
            return RoomState(), 0
        number, epoch, floor, top, _ = row
        return RoomState(epoch, top, floor), number

    async def _run(self, read: Callable[[], T]) -> T:
        until = monotonic() + PATIENCE

        def snapshot() -> T:
            self._until = until
            if self._overdue():
                raise _too_slow()
            try:
                self._connection.execute("BEGIN")
                return read()
            finally:
                # Ending is no part of the read: interrupted, it would leave no room for another.
                self._until = inf
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

        if self._closing:
            raise stopping()
        if self._waiting >= MOST_WAITING:
            raise unavailable("Too much of the history is being read; try again", 1)
        self._waiting += 1
        reading = asyncio.get_running_loop().run_in_executor(self._thread, snapshot)
        reading.add_done_callback(self._ended)
        try:
            # The disk may hang as well, and the thread with it.
            async with asyncio.timeout(PATIENCE):
                return await reading
        except TimeoutError:
            raise _too_slow() from None
        except sqlite3.Error as error:
            if code_of(error) == sqlite3.SQLITE_INTERRUPT:
                raise _too_slow() from None
            raise unreadable(error) from error

    def _overdue(self) -> bool:
        return monotonic() > self._until

    def _ended(self, reading: "asyncio.Future[T]") -> None:
        # Who asked may have gone before its turn; the read was still there.
        self._waiting -= 1


def _too_slow() -> ActionError:
    return unavailable("The history cannot be read right now; try again", 1)


def _take(room: str, rows: Iterable[_Row], max_bytes: int) -> list[Publication]:
    found: list[Publication] = []
    size = 0
    for user, cid, timestamp, target, kind, body in rows:
        size += len(body or b"")
        if found and size > max_bytes:
            break
        found.append(
            Publication(room, body or b"", timestamp, user or None, cid, kind=kind, target=target)
        )
    return found
