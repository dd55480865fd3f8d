"""Name the points at which a server can be made to kill itself, and how each is found."""

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from chatserver import hub
from chatserver.config import StoreConfig
from chatserver.fanout import FanOut
from chatserver.outlet import Outlet
from chatserver.publications import Rules
from chatserver.rooms import Room
from chatserver.session import Session
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer
from tests.torture.planting import plant

Reached = Callable[[], None]
"""Tell that a point is reached; returns, unless this was the time to die."""

Hear = Callable[[str], None]
"""Take a statement of the writer."""


def _deaf(statement: str) -> None:
    return


class Tap:
    """Stand before the writer's connection and hear its statements.

    Args:
        connection: The connection.
        before: Called with each statement before it is executed.
        after: Called with it afterwards.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        before: Hear = _deaf,
        after: Hear = _deaf,
    ) -> None:
        self._connection = connection
        self._before = before
        self._after = after

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        self._before(statement)
        cursor = self._connection.execute(statement, values)
        self._after(statement)
        return cursor

    def executemany(self, statement: str, rows: Sequence[Sequence[object]]) -> sqlite3.Cursor:
        self._before(statement)
        cursor = self._connection.executemany(statement, rows)
        self._after(statement)
        return cursor

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def _tap(before: Hear = _deaf, after: Hear = _deaf) -> None:
    init = Writer.__init__

    def tapped(
        writer: Writer,
        connection: sqlite3.Connection,
        rules: Rules,
        wiper: Wiper,
        bounds: StoreConfig,
    ) -> None:
        tap = cast("sqlite3.Connection", Tap(connection, before, after))
        init(writer, tap, rules, wiper, bounds)

    plant(Writer, "__init__", tapped)


def before_commit(reached: Reached) -> None:
    """All rows of a batch are written, none is committed."""

    def before(statement: str) -> None:
        if statement == "COMMIT":
            reached()

    _tap(before=before)


def mid_batch(reached: Reached) -> None:
    """The first rows of a batch are written."""

    def after(statement: str) -> None:
        if "INTO publication" in statement:
            reached()

    _tap(after=after)


def after_commit(reached: Reached) -> None:
    """A batch is committed, nobody knows."""

    def after(statement: str) -> None:
        if statement == "COMMIT":
            reached()

    _tap(after=after)


def checkpoint(reached: Reached) -> None:
    """The main file is being written from the log: it has changed and is not synced yet."""
    init = Writer.__init__

    def tapped(
        writer: Writer,
        connection: sqlite3.Connection,
        rules: Rules,
        wiper: Wiper,
        bounds: StoreConfig,
    ) -> None:
        file = Path(connection.execute("PRAGMA database_list").fetchone()[2])

        def after(statement: str) -> None:
            if statement == "COMMIT":
                changed = file.stat().st_mtime_ns
                ended = threading.Event()
                watch = threading.Thread(target=_watch, args=(file, changed, ended, reached))
                watch.start()
                connection.execute("PRAGMA wal_checkpoint(FULL)")
                ended.set()
                watch.join()

        tap = cast("sqlite3.Connection", Tap(connection, after=after))
        init(writer, tap, rules, wiper, bounds)

    plant(Writer, "__init__", tapped)


def _watch(file: Path, changed: int, ended: threading.Event, reached: Reached) -> None:
    while not ended.is_set():
        if file.stat().st_mtime_ns != changed:
            reached()
            return


def after_ack(reached: Reached) -> None:
    """An acknowledgement is written to its connection."""
    write = Outlet.write

    def written(outlet: Outlet, frames: bytes, essential: bytes | None = None) -> None:
        acknowledges = any(b'"sent"' in reply for reply in outlet._replies)
        write(outlet, frames, essential)
        if acknowledges:
            reached()

    plant(Outlet, "write", written)


def mid_broadcast(reached: Reached) -> None:
    """Half of a room's members are sent a publication, the others are not."""

    class Breaking(FanOut):
        def flush(self, room: Room[Session]) -> None:
            members = room.members
            if len(members) > 1 and any(b'"offset"' in frame for frame in room.pending):
                middle = list(members)[len(members) // 2]
                write = members[middle]

                def break_off(frames: bytes, essential: bytes | None) -> None:
                    reached()
                    write(frames, essential)

                room.members = {**members, middle: break_off}
            super().flush(room)
            room.members = members

    plant(hub, "FanOut", Breaking)


POINTS: Final[Mapping[str, Callable[[Reached], None]]] = {
    each.__name__: each
    for each in (before_commit, mid_batch, after_commit, checkpoint, after_ack, mid_broadcast)
}


def arm(point: str, times: int) -> None:
    """Have this process kill itself when a point is reached for the n-th time."""
    left = times

    def reached() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    POINTS[point](reached)
