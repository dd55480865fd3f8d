"""Read pages of history on a connection and a thread of their own."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from chatserver.publications import Page, Publication, RoomState
from chatserver.store.failures import judge
from chatserver.store.ledger import FIND_ROOM
from chatserver.store.schema import connect

T = TypeVar("T")

_AFTER = """SELECT user, cid, timestamp, target, kind, body FROM publication
    WHERE room = ? AND offset >= ? AND offset <= ? ORDER BY offset LIMIT ?"""
_BEFORE = """SELECT user, cid, timestamp, target, kind, body FROM publication
    WHERE room = ? AND offset >= ? AND offset <= ? ORDER BY offset DESC LIMIT ?"""

_Row = tuple[str, str | None, str, int | None, str, bytes | None]


class Reader:
    """Answer reads one after another, each from one snapshot of the file.

    Args:
        path: The file, already set up.
        timeout: Seconds to wait for another program's lock.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chatserver-reader")
        self._connection = connect(path, timeout)
        self._connection.execute("PRAGMA query_only = ON")

    async def close(self) -> None:
        """Finish the reads that are asked for, then close."""
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

    def _find(self, room: str) -> tuple[RoomState, int]:
        row = self._connection.execute(FIND_ROOM, (room,)).fetchone()
        if row is None:
            return RoomState(), 0
        number, epoch, floor, top, _ = row
        return RoomState(epoch, top, floor), number

    async def _run(self, read: Callable[[], T]) -> T:
        def snapshot() -> T:
            self._connection.execute("BEGIN")
            try:
                return read()
            finally:
                self._connection.execute("ROLLBACK")

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, snapshot)
        except sqlite3.Error as error:
            raise judge(error).error from error


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
