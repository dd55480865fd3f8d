"""Keep how far users have read, in the store's file."""

import sqlite3
from typing import Final

from chatserver.positions import Position
from chatserver.store import CURSOR_LIFE, MOST_CURSORS, MOST_KEPT_CURSORS, Moves

TABLES: Final = (
    """CREATE TABLE cursor (
        user TEXT NOT NULL,
        room TEXT NOT NULL,
        epoch TEXT NOT NULL,
        offset INTEGER NOT NULL,
        moved INTEGER NOT NULL,
        PRIMARY KEY (user, room)
    ) WITHOUT ROWID""",
    "CREATE INDEX cursor_moved ON cursor (moved)",
)

_MOVE: Final = "INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?, ?)"
_FORGET: Final = "DELETE FROM cursor WHERE user = ? AND room = ?"
_OF: Final = "SELECT room, epoch, offset FROM cursor WHERE user = ? ORDER BY moved DESC LIMIT ?"
_SWEEP: Final = """DELETE FROM cursor WHERE (user, room) IN (
    SELECT user, room FROM cursor WHERE moved < ? LIMIT ?
)"""
_SWEEP_BEYOND: Final = """DELETE FROM cursor WHERE (user, room) IN (
    SELECT user, room FROM cursor ORDER BY moved
    LIMIT min(?, max(0, (SELECT count(*) FROM cursor) - ?))
)"""


def move_cursors(connection: sqlite3.Connection, moves: Moves, now: float) -> None:
    """Note where users have read to, within a transaction of the writer's.

    Args:
        connection: The writer's connection.
        moves: By user and room.
        now: Unix time in seconds.
    """
    moved: list[tuple[str, str, str, int, int]] = []
    forgotten: list[tuple[str, str]] = []
    for user, rooms in moves.items():
        for room, position in rooms.items():
            if position is None:
                forgotten.append((user, room))
            else:
                moved.append((user, room, position.epoch, position.offset, int(now)))
    connection.executemany(_MOVE, moved)
    connection.executemany(_FORGET, forgotten)


def cursors_of(connection: sqlite3.Connection, user: str) -> dict[str, Position]:
    """Return a user's cursors by room, the one moved last at the end."""
    rows = connection.execute(_OF, (user, MOST_CURSORS)).fetchall()
    return {room: Position(epoch, offset) for room, epoch, offset in reversed(rows)}


def sweep_cursors(
    connection: sqlite3.Connection, now: float, most: int, kept: int = MOST_KEPT_CURSORS
) -> int:
    """Forget cursors that have not been moved for long, or are too many; return how many.

    Args:
        connection: The writer's connection, within a transaction.
        now: Unix time in seconds.
        most: Cursors to forget at most, for each of the two reasons.
        kept: Cursors that may stay.
    """
    old = connection.execute(_SWEEP, (now - CURSOR_LIFE, most)).rowcount
    return max(old, connection.execute(_SWEEP_BEYOND, (most, kept)).rowcount)
