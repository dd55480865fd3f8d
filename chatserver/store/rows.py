"""Insert rows and find used `cid`s, many with one statement, and erase.

A statement lets go of the interpreter's lock and has to win it back from a busy event loop; so a
batch is few statements with many rows each, not many statements.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from chatserver.publications import Publication

Value = str | int | bytes | None
"""What a column holds."""

MESSAGE: Final = 7
"""Values of a message: room, offset, user, cid, checksum, timestamp, body."""

ANY: Final = 9
"""Values of any publication: those of a message, then kind and target."""

Reply = tuple[int, int, int]
"""Room, the offset that is answered, and the offset of the answer."""

Key = tuple[int, str, str]
"""What makes a `cid` unique: room, user, cid."""

Receipt = tuple[int, str, int | None]
"""What a `cid` was used for: offset, timestamp, checksum."""

# For each parameter that is neither a number nor text sqlite3 looks for an adapter, and to find
# none takes a quarter of the time of an insert. These change nothing, also where they are seen by
# everybody else in the process.
_NOTHING: Final[dict[None, None]] = {}
sqlite3.register_adapter(bytes, bytes.__bytes__)
sqlite3.register_adapter(type(None), _NOTHING.get)

SIZES: Final = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of the prepared statements; a batch is cut into these."""

# A statement that may fail halfway keeps a journal of its own, unless failing ends the transaction.
_INSERT: Final = {
    (width, size * width): "INSERT OR ROLLBACK INTO publication"  # noqa: S608 - only question marks are put in
    f" (room, offset, user, cid, checksum, timestamp, body, {names}) VALUES "
    + ", ".join([f"(?, ?, ?, ?, ?, ?, ?, {values})"] * size)
    for width, names, values in ((MESSAGE, "kind", "'message'"), (ANY, "kind, target", "?, ?"))
    for size in SIZES
}
_INSERT_REPLY: Final = "INSERT INTO reply (room, root, offset) VALUES (?, ?, ?)"
_ERASE: Final = "UPDATE publication SET body = NULL WHERE room = ? AND offset = ?"
_ERASE_CHANGES: Final = (
    "UPDATE publication SET body = NULL WHERE room = ? AND target = ? AND offset < ?"
)
_FORGET_REPLY: Final = "DELETE FROM reply WHERE room = ? AND offset = ?"
NOTE_REMOVAL: Final = "UPDATE indexed SET unclean = 1 WHERE unclean != 1"
"""Has what was removed cleaned away; see `Cleaning`."""
_FIND: Final = {
    3 * size: "WITH asked (room, user, cid) AS (VALUES "  # noqa: S608 - only question marks are put in
    + ", ".join(["(?, ?, ?)"] * size)
    + ") SELECT p.room, p.user, p.cid, p.offset, p.timestamp, p.checksum FROM asked"
    " CROSS JOIN publication p ON p.room = asked.room AND p.user = asked.user"
    " AND p.cid = asked.cid"
    for size in SIZES
}


def width_of(batch: Iterable[Publication]) -> int:
    """Return how many values of each are to be inserted: fewer where all are messages.

    What need not be bound saves a twentieth of the time of an insert.
    """
    for each in batch:
        if each.target is not None or each.kind != "message":
            return ANY
    return MESSAGE


def insert(connection: sqlite3.Connection, values: Sequence[Value], width: int) -> int:
    """Insert publications; return the id of the last one, 0 where there is none.

    Args:
        connection: The file, in a transaction.
        values: Those of one after the other; a tuple for each that is unpacked here costs more.
        width: How many each has, `MESSAGE` or `ANY`.

    Raises:
        sqlite3.IntegrityError: A place or a `cid` is taken; the transaction is over then.
    """
    last = 0
    for part in cut(values, width):
        last = row_id(connection.execute(_INSERT[width, len(part)], part))
    return last


def insert_replies(connection: sqlite3.Connection, replies: Sequence[Reply]) -> None:
    """Note which messages answer which."""
    if replies:
        connection.executemany(_INSERT_REPLY, replies)


def erase(connection: sqlite3.Connection, room: int, target: int, eraser: int) -> None:
    """Empty a publication and its changes.

    Args:
        connection: The file, in a transaction.
        room: The room's number.
        target: The offset of the publication.
        eraser: The offset up to which what changes it is emptied.
    """
    connection.execute(_ERASE, (room, target))
    connection.execute(_ERASE_CHANGES, (room, target, eraser))
    # Whoever reads a thread would look at each of its deleted messages.
    connection.execute(_FORGET_REPLY, (room, target))
    connection.execute(NOTE_REMOVAL)


def find_receipts(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Receipt]:
    """Return what those of these keys that are in use were used for."""
    found: dict[Key, Receipt] = {}
    for part in cut(list(chain.from_iterable(keys)), 3):
        for number, user, cid, offset, timestamp, checksum in connection.execute(
            _FIND[len(part)], part
        ):
            found[number, user, cid] = (offset, timestamp, checksum)
    return found


def row_id(inserted: sqlite3.Cursor) -> int:
    """Return the id that the last inserted row got."""
    assert inserted.lastrowid is not None  # noqa: S101 - None is for other statements
    return inserted.lastrowid


def cut(values: Sequence[Value], width: int) -> Iterator[Sequence[Value]]:
    """Cut the values of rows into parts for which there are prepared statements.

    Args:
        values: Of one row after the other.
        width: Values of a row.
    """
    start = 0
    for size in SIZES:
        part = size * width
        while len(values) - start >= part:
            yield values[start : start + part]
            start += part
