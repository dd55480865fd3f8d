"""Write rooms and what they keep as JSON lines."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Raw

from chatserver.rights import room_pattern
from chatserver.store.ledger import FIND_ROOM
from chatserver.upkeep.files import reading
from chatserver.upkeep.lines import ERASED, FORMAT, Header, PublicationLine, RoomLine, encode
from chatserver.upkeep.progress import Progress

_ROWS: Final = """SELECT offset, timestamp, body, kind, user, cid, checksum, target
    FROM publication WHERE room = ? ORDER BY offset"""


def export(path: Path, out: BinaryIO, pattern: str, now: str, progress: Progress) -> int:
    """Write the rooms whose names match, as they are at this moment; return how many messages.

    Reads row by row, so that memory does not grow with the file. A server may go on writing; its
    log file is not shortened meanwhile.

    Args:
        path: The store's file.
        out: Where the lines go.
        pattern: Names of rooms; ``*`` stands for any number of characters.
        now: The time, as RFC 3339.
        progress: Is told how many publications have been written.

    Raises:
        UpkeepError: There is no such file, or it is empty.
        StoreError: It is not ours, or cannot be read.
        OSError: `out` cannot be written.
    """
    written = 0
    with reading(path) as connection:
        out.write(encode(Header(FORMAT, now)) + b"\n")
        for name, number, floor, top in _rooms(connection, pattern):
            out.write(encode(RoomLine(name, floor, top)) + b"\n")
            for offset, timestamp, body, kind, user, cid, checksum, target in connection.execute(
                _ROWS, (number,)
            ):
                event = ERASED if body is None else Raw(body)
                line = PublicationLine(
                    name, offset, timestamp, event, kind, user, cid, checksum, target
                )
                out.write(encode(line) + b"\n")
                written += 1
                progress.reach(written)
    out.flush()
    return written


def size(path: Path) -> int:
    """Return about how many publications the file holds, without counting them."""
    with reading(path) as connection:
        row = connection.execute("SELECT coalesce(max(id), 0) FROM publication").fetchone()
    most: int = row[0]
    return most


def _rooms(connection: sqlite3.Connection, pattern: str) -> Iterator[tuple[str, int, int, int]]:
    matches = room_pattern(pattern).fullmatch
    for (name,) in connection.execute("SELECT name FROM room ORDER BY name").fetchall():
        if matches(name):
            number, _, floor, top, _ = connection.execute(FIND_ROOM, (name,)).fetchone()
            yield name, number, floor, top
