"""Remove what rooms need not keep any longer.

A room's floor rises; offsets are never given again, because the top is written down with it. What
falls below the floor goes, or stays as a stub while its `cid` may still be retried. The newest row
of the file never goes, so that no id is given again.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from chatserver.publications import Rules
from chatserver.store import CID_LIFE, slack
from chatserver.store.cursors import sweep_cursors
from chatserver.store.index import Index
from chatserver.store.ledger import FIND_ROOM, Room
from chatserver.store.rows import NOTE_REMOVAL

AT_ONCE: Final = 2000
"""Rows that one transaction removes at most, so that no message waits long behind it."""

# What tells that nothing is to be done comes with it: in most rooms there is nothing.
_NEXT_ROOMS: Final = """SELECT id, name, floor > index_floor, (
    SELECT timestamp FROM publication p WHERE p.room = room.id AND p.offset >= floor
    ORDER BY p.offset LIMIT 1
) FROM room WHERE id > ? ORDER BY id LIMIT 200"""
_FIRST_YOUNG: Final = """SELECT offset FROM publication
    WHERE room = ? AND offset >= ? AND offset < ? AND timestamp >= ? ORDER BY offset LIMIT 1"""
_DROP: Final = """DELETE FROM publication WHERE room = ? AND offset >= ? AND offset < ?
    AND cid IS NULL AND id < (SELECT max(id) FROM publication)"""
_STUB: Final = """UPDATE publication SET kind = NULL, target = NULL, body = NULL
    WHERE room = ? AND offset >= ? AND offset < ?"""
# Most rooms have a publication, nothing was erased in them, and no change has outlived its message:
# the indexes alone tell that.
_EMPTY_ROOMS: Final = """SELECT id FROM room
    WHERE NOT EXISTS (SELECT 1 FROM publication p WHERE p.room = room.id)
    UNION SELECT room FROM (
        SELECT DISTINCT room FROM publication INDEXED BY publication_erased
        WHERE body IS NULL AND kind IS NOT NULL
        UNION SELECT id FROM room WHERE floor > 1 AND EXISTS (
            SELECT 1 FROM publication c WHERE c.room = room.id AND c.target < floor
        )
    ) doubtful WHERE NOT EXISTS (
        SELECT 1 FROM publication p WHERE p.room = doubtful.room AND (
            p.target IS NULL AND p.body IS NOT NULL
            OR p.cid IS NOT NULL AND p.timestamp >= ?
            OR p.id = (SELECT max(id) FROM publication)
        )
    )"""
_DROP_ROOM: Final = (
    "DELETE FROM publication WHERE room = ?",
    "DELETE FROM reply WHERE room = ?",
    "DELETE FROM room WHERE id = ?",
)
_DROP_REPLIES: Final = "DELETE FROM reply WHERE room = ? AND offset >= ? AND offset < ?"
_DROP_STUBS: Final = """DELETE FROM publication WHERE id IN (
    SELECT id FROM publication WHERE kind IS NULL AND timestamp < ?
    AND id < (SELECT max(id) FROM publication) LIMIT ?
)"""


class Retention:
    """Trim rooms, always within a transaction of the writer's.

    Args:
        connection: The writer's connection.
        rules: Tells how each room is kept.
        index: Has the words of what is removed.

    Attributes:
        floors: The first offsets kept, of rooms in which that has changed since it was emptied.
    """

    def __init__(self, connection: sqlite3.Connection, rules: Rules, index: Index) -> None:
        self._connection = connection
        self._rules = rules
        self._index = index
        self._swept = 0
        self._raised: dict[str, int] = {}
        self.floors: dict[str, int] = {}

    def trim(self, rooms: Iterable[Room], added: int) -> None:
        """Remove what is beyond the rooms' lengths, once there is enough of it to be worth it.

        A length that is new or shorter leaves more than goes at once to later batches, and to the
        sweep.

        Args:
            rooms: Those that something was added to.
            added: Rows that the transaction adds: so many may go beside `AT_ONCE`, so that
                rooms do not grow however large the batches are.
        """
        left = AT_ONCE + added
        for room in rooms:
            length = room.keeping.length
            if length is not None and room.top - room.floor + 1 >= length + slack(length):
                left -= self._raise_floor(room, room.top - length + 1, left)

    def sweep(self, now: float) -> bool:
        """Go on through all rooms, removing what is too old; return whether it is worth going on.

        Args:
            now: Unix time in seconds.
        """
        left = AT_ONCE
        rooms = self._connection.execute(_NEXT_ROOMS, (self._swept,)).fetchall()
        for number, name, is_behind, oldest in rooms:
            removed = self._sweep_room(name, oldest, now, left)
            left -= removed
            if removed or is_behind:
                left -= self._index.trim(number, max(0, left))
            if left <= 0:
                return True
            self._swept = number
        if rooms:
            return True
        self._swept = 0
        stubs = (stamp(now - CID_LIFE), AT_ONCE)
        dropped = self._connection.execute(_DROP_STUBS, stubs).rowcount
        return AT_ONCE in (dropped, sweep_cursors(self._connection, now, AT_ONCE))

    def keep(self) -> None:
        """Add to the floors what was removed: it is committed."""
        self.floors |= self._raised
        self._raised = {}

    def forget(self) -> None:
        """Forget what was removed since: it is still there."""
        self._raised = {}

    def empty_rooms(self, now: float) -> list[int]:
        """Find the rooms in which no message is left, nor a `cid` that may still be retried.

        What was deleted or erased is no message any longer, and a change is none.

        Args:
            now: Unix time in seconds.
        """
        rows = self._connection.execute(_EMPTY_ROOMS, (stamp(now - CID_LIFE),)).fetchall()
        return [number for (number,) in rows]

    def remove(self, rooms: Sequence[int]) -> None:
        """Remove rooms, so that their names may begin a new stream, under a new epoch.

        Nobody may know them: neither members nor what is in memory.
        """
        for statement in _DROP_ROOM:
            self._connection.executemany(statement, [(room,) for room in rooms])
        self._index.remove(rooms)

    def _sweep_room(self, name: str, oldest: str | None, now: float, most: int) -> int:
        keeping = self._rules(name)
        limit = None if keeping.age is None else stamp(now - keeping.age)
        is_young = limit is None or oldest is None or oldest >= limit
        if keeping.length is None and is_young:
            return 0
        number, epoch, floor, top, _ = self._connection.execute(FIND_ROOM, (name,)).fetchone()
        room = Room(name, keeping, number, epoch, floor, top)
        target = floor
        if keeping.length is not None:
            target = max(target, top - keeping.length + 1)
        if limit is not None:
            # No further than one transaction removes: the rest is looked at in its own turn.
            end = min(top + 1, target + most)
            young = self._connection.execute(_FIRST_YOUNG, (number, target, end, limit)).fetchone()
            target = end if young is None else young[0]
        return self._raise_floor(room, target, most)

    def _raise_floor(self, room: Room, target: int, most: int) -> int:
        floor = min(target, room.floor + most)
        if floor <= room.floor:
            return 0
        bounds = (room.number, room.floor, floor)
        self._connection.execute(_DROP, bounds)
        self._connection.execute(_STUB, bounds)
        self._connection.execute(_DROP_REPLIES, bounds)
        self._connection.execute(NOTE_REMOVAL)
        self._connection.execute(
            "UPDATE room SET floor = ?, top = ? WHERE id = ?", (floor, room.top, room.number)
        )
        removed = floor - room.floor
        room.floor = self._raised[room.name] = floor
        return removed


def stamp(time: float) -> str:
    """Return Unix time as the wire has it, so that it compares with timestamps."""
    text = datetime.fromtimestamp(max(0.0, time), UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
