"""Search on a connection and a thread of their own: a slow search holds up nothing else."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from chatserver.errors import ActionError, ErrorCode
from chatserver.publications import Found
from chatserver.store import stopping, unavailable
from chatserver.store.failures import DamagedIndex, code_of, index_only, unreadable
from chatserver.store.indexing import unsearchable
from chatserver.store.messages import folded
from chatserver.store.schema import connect
from chatserver.store.threads import leave_signals
from chatserver.store.words import match

MOST_WAITING: Final = 16
"""Searches that may wait for their turn."""

TURN: Final = 5.0
"""Seconds that a search waits for its turn, behind those of other users, and for the index."""

PATIENCE: Final = 2.0
"""Seconds that a search takes then."""

_FIND: Final = """SELECT p.id, p.room, p.offset, p.body
FROM search CROSS JOIN publication p ON p.id = search.rowid
WHERE search MATCH ? AND search.rowid < ? AND p.kind = 'message' AND p.body IS NOT NULL
ORDER BY search.rowid DESC LIMIT ?"""

_COUNT: Final = "SELECT count(*) FROM search WHERE search MATCH ? AND rowid < ?"

_END: Final = 2**63 - 1
"""Behind every publication."""


class Searcher:
    """Answer searches one after another.

    Args:
        path: The file, already set up.
        timeout: Seconds to wait for another program's lock.
        reached: Returns what is awaited until all that is stored now is indexed.
        renew: Is told where the index is damaged.
    """

    def __init__(
        self,
        path: Path,
        timeout: float,
        reached: Callable[[], Awaitable[None]],
        renew: Callable[[DamagedIndex], None],
    ) -> None:
        self._thread = ThreadPoolExecutor(1, "chatserver-searcher", leave_signals)
        self._connection = connect(path, timeout)
        self._connection.execute("PRAGMA query_only = ON")
        self._reached = reached
        self._renew = renew
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._closing = False

    async def close(self) -> None:
        """Interrupt the search that is going on, refuse those that wait, then close."""
        if not self._closing:
            self._closing = True
            self._connection.interrupt()
        async with self._turn:
            await asyncio.to_thread(self._thread.shutdown)
            self._connection.close()

    async def search(
        self, rooms: Collection[str], text: str, before: int | None, limit: int, max_bytes: int
    ) -> Found:
        """Search; see `Store.search`."""
        if self._waiting >= MOST_WAITING:
            raise unavailable("Too many searches are waiting; try again", 1)
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN) as patience, self._turn:
                await self._reached()
                patience.reschedule(None)
                start = _END if before is None else before
                return await self._run(rooms, text, start, limit, max_bytes)
        except TimeoutError:
            raise unavailable("The server has too much to do to search; try again", 1) from None
        finally:
            self._waiting -= 1

    async def _run(
        self, rooms: Collection[str], text: str, before: int, limit: int, max_bytes: int
    ) -> Found:
        self._check_open()
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(PATIENCE, self._connection.interrupt)
        try:
            return await loop.run_in_executor(
                self._thread, self._find, rooms, text, before, limit, max_bytes
            )
        except DamagedIndex as found:
            self._renew(found)
            raise unsearchable() from found
        except sqlite3.Error as error:
            if code_of(error) == sqlite3.SQLITE_INTERRUPT:
                self._check_open()
                raise ActionError(
                    ErrorCode.TIMEOUT,
                    "That takes too long to be found; look for something less common",
                ) from None
            raise unreadable(error) from error
        finally:
            alarm.cancel()

    def _check_open(self) -> None:
        if self._closing:
            raise stopping()

    def _find(
        self, rooms: Collection[str], text: str, before: int, limit: int, max_bytes: int
    ) -> Found:
        numbers = [
            number
            for name in rooms
            for (number,) in self._connection.execute("SELECT id FROM room WHERE name = ?", (name,))
        ]
        query = match(numbers, text) if numbers else None
        if query is None:
            return Found([])
        try:
            return self._follow(query, before, limit, max_bytes)
        except sqlite3.DatabaseError as error:
            if code_of(error) & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            with index_only():
                if code_of(error) == sqlite3.SQLITE_CORRUPT_VTAB:
                    raise
                # It may be the publications that are damaged; these are not looked at here. Where
                # that takes too long it is as if they were.
                with suppress(sqlite3.OperationalError):
                    self._connection.execute(_COUNT, (query, before)).fetchone()
            raise

    def _follow(self, query: str, before: int, limit: int, max_bytes: int) -> Found:
        found: list[bytes] = []
        last, size = before, 0
        for number, room, offset, body in self._connection.execute(
            _FIND, (query, before, limit + 1)
        ):
            event = folded(self._connection, room, offset, body)
            size += len(event)
            if len(found) == limit or (found and size > max_bytes):
                return Found(found, last)
            found.append(event)
            last = number
        return Found(found)
