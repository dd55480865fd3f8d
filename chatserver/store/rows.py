"""Insert rows and find used `cid`s, many with one statement.

A statement lets go of the interpreter's lock and has to win it back from a busy event loop; so a
batch is few statements with many rows each, not many statements.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

Value = str | int | bytes | None
"""What a column holds."""

WIDTH: Final = 9
"""Values of a publication: room, offset, user, cid, checksum, timestamp, target, kind, body."""

Reply = tuple[int, int, int]
"""Room, the offset that is answered, and the offset of the answer."""

Key = tuple[int, str, str]
"""What makes a `cid` unique: room, user, cid."""

Receipt = tuple[int, str, int | None]
"""What a `cid` was used for: offset, timestamp, checksum."""

# For each parameter that is neither a number nor text sqlite3 looks for an adapter, and to find
# none takes a quarter of the time of an insert. These change nothing.
_NOTHING: Final[dict[None, None]] = {}
sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(type(None), _NOTHING.get)

_KEY_WIDTH: Final = 3

SIZES: Final = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of the prepared statements; a batch is cut into these."""

# A statement that may fail halfway keeps a journal of its own, unless failing ends the transaction.
_INSERT: Final = {
    size * WIDTH: "INSERT OR ROLLBACK INTO publication"  # noqa: S608 - question marks
    " (room, offset, user, cid, checksum, timestamp, target, kind, body) VALUES "
    + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * size)
    for size in SIZES
}
_INSERT_REPLY: Final = "INSERT INTO reply (room, root, offset) VALUES (?, ?, ?)"
_FIND: Final = {
    size * _KEY_WIDTH: "WITH asked (room, user, cid) AS (VALUES "  # noqa: S608 - question marks
    + ", ".join(["(?, ?, ?)"] * size)
    + ") SELECT p.room, p.user, p.cid, p.offset, p.timestamp, p.checksum FROM asked"
    " CROSS JOIN publication p ON p.room = asked.room AND p.user = asked.user"
    " AND p.cid = asked.cid"
    for size in SIZES
}


def insert(connection: sqlite3.Connection, values: Sequence[Value]) -> int:
    """Insert publications; return the id of the last one, 0 where there is none.

    Args:
        connection: The file, in a transaction.
        values: `WIDTH` of them for each; a tuple for each that is unpacked here costs more.

    Raises:
        sqlite3.IntegrityError: A place or a `cid` is taken; the transaction is over then.
    """
    last = 0
    for part in cut(values, WIDTH):
        last = row_id(connection.execute(_INSERT[len(part)], part))
    return last


def insert_replies(connection: sqlite3.Connection, replies: Sequence[Reply]) -> None:
    """Note which messages answer which."""
    if replies:
        connection.executemany(_INSERT_REPLY, replies)


def find_receipts(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Receipt]:
    """Return what those of these keys that are in use were used for."""
    found: dict[Key, Receipt] = {}
    for part in cut(list(chain.from_iterable(keys)), _KEY_WIDTH):
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
