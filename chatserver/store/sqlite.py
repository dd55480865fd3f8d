"""Keep publications in one SQLite file: a thread each for writing, reading and searching."""

import asyncio
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import time

from chatserver.config import StoreConfig
from chatserver.errors import ActionError, ErrorCode, StoreError
from chatserver.fold import Messages, Reactions
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import (
    Found,
    Page,
    Publication,
    Published,
    RoomState,
    Rules,
    Unread,
)
from chatserver.stats import StoreStats
from chatserver.store import UNBOUNDED, Moves, Settle, Store, Trimmed
from chatserver.store.checkpoints import Checkpoints
from chatserver.store.committer import Committer
from chatserver.store.lock import Lock
from chatserver.store.reader import Reader
from chatserver.store.schema import open_file, unusable
from chatserver.store.searcher import Searcher
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer


class SqliteStore(Store):
    """Implement the store; see there for what is promised.

    Everything queued is committed as one transaction and synced once, so that waiting for the disk
    costs a message little.

    Args:
        path: The file; made if it does not exist, with its folder.
        bounds: What there may be.
        most: Publications that may wait to be stored; more are refused.
        most_bytes: Bytes of bodies that may wait.
        patience: Seconds to wait for another program that has locked the file.
    """

    def __init__(
        self,
        path: Path,
        bounds: StoreConfig = UNBOUNDED,
        *,
        most: int = 16_384,
        most_bytes: int = 64 * 1024 * 1024,
        patience: float = 2,
    ) -> None:
        self._path = path
        self._bounds = bounds
        self._most = most
        self._most_bytes = most_bytes
        self._patience = patience
        self._wiper = Wiper(path)

    @property
    def failure(self) -> str | None:
        """Why nothing is stored any more until a restart; None while all is well."""
        return self._committer.failure

    @property
    def stats(self) -> StoreStats:
        """What has been stored so far, and how large the file is with its log."""
        stats = self._committer.stats
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        stats.size = sum(file.stat().st_size for file in files if file.exists())
        return stats

    async def startup(
        self, rules: Rules, trimmed: Trimmed | None = None, settle: Settle | None = None
    ) -> None:
        """Lock the file, open it and start the threads; see `Store.startup`."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self._path.parent} cannot be made: {error.strerror}; choose another folder"
            ) from error
        try:
            connection, writer, checkpoints = await asyncio.to_thread(self._open, rules)
        except sqlite3.Error as error:
            raise unusable(self._path, error) from error
        self._can_search = writer.can_search
        self._committer = Committer(
            connection,
            writer,
            checkpoints,
            self._most,
            self._most_bytes,
            trimmed,
            settle,
        )

    async def cleanup(self) -> None:
        """Write what is queued, close the file and free it for others.

        Where it is cancelled, all of that may still go on; called again, it waits for that.
        """
        await self._searcher.close()
        await self._reader.close()
        await self._committer.close()
        self._wiper.close()
        self._lock.close()

    def _open(self, rules: Rules) -> tuple[sqlite3.Connection, Writer, Checkpoints]:
        # All in one go, in a thread: whoever stops waiting for it closes nothing that is in use.
        with ExitStack() as opened:
            self._lock = Lock(self._path)
            opened.callback(self._lock.close)
            connection = open_file(self._path, self._patience)
            opened.callback(connection.close)
            writer = Writer(connection, rules, self._wiper, self._bounds)
            writer.remove_rooms(time())
            self._reader = Reader(self._path, self._patience)
            self._searcher = Searcher(
                self._path,
                self._patience,
                lambda: self._committer.reached(),
                lambda found: self._committer.renew_index(found),
            )
            checkpoints = Checkpoints(connection, self._path, self._patience)
            opened.pop_all()
        return connection, writer, checkpoints

    def append(self, publication: Publication) -> Pending[Published]:
        """Queue a publication; see `Store.append`."""
        return self._committer.append(publication)

    async def read(self, room: str, after: int, limit: int, max_bytes: int) -> Page:
        """Read forwards; see `Store.read`."""
        return await self._reader.after(room, after, limit, max_bytes)

    async def read_before(self, room: str, before: int | None, limit: int, max_bytes: int) -> Page:
        """Read backwards; see `Store.read_before`."""
        return await self._reader.before(room, before, limit, max_bytes)

    async def messages(
        self, room: str, after: int | None, before: int | None, limit: int, max_bytes: int
    ) -> Messages:
        """Read messages as people read them; see `Store.messages`."""
        return await self._reader.messages(room, after, before, limit, max_bytes)

    async def thread(
        self, room: str, root: int, after: int, limit: int, max_bytes: int
    ) -> Messages:
        """Read a message and what answers it; see `Store.thread`."""
        return await self._reader.thread(room, root, after, limit, max_bytes)

    async def pinned(self, room: str, before: int | None, limit: int, max_bytes: int) -> Messages:
        """Read the messages that are pinned; see `Store.pinned`."""
        return await self._reader.pinned(room, before, limit, max_bytes)

    async def reactions(self, room: str, offset: int) -> Reactions | None:
        """Return all who have reacted to a message; see `Store.reactions`."""
        return await self._reader.reactions(room, offset)

    async def state(self, room: str) -> RoomState:
        """Return epoch, top and oldest offset of a room."""
        return await self._reader.state(room)

    async def search(
        self,
        rooms: Collection[str],
        text: str,
        *,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Found:
        """Find messages by their words; see `Store.search`."""
        if not self._can_search:
            raise ActionError(
                ErrorCode.UNAVAILABLE,
                "This server cannot search: its SQLite was built without FTS5",
            )
        return await self._searcher.search(rooms, text, before, limit, max_bytes)

    async def unread(self, room: str, user: str, after: int) -> Unread:
        """Count what a user has not read; see `Store.unread`."""
        return await self._reader.unread(room, user, after)

    async def direct_rooms(self, user: str, after: str, limit: int) -> list[str]:
        """Return the direct rooms of a user; see `Store.direct_rooms`."""
        return await self._reader.direct_rooms(user, after, limit)

    async def cursors(self, users: Sequence[str]) -> dict[str, dict[str, Position]]:
        """Return how far users have read; see `Store.cursors`."""
        return await self._reader.cursors(users)

    async def move_cursors(self, moves: Moves) -> None:
        """Note how far users have read; see `Store.move_cursors`."""
        await self._committer.move_cursors(moves)
