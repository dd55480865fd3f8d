"""Read rooms and what they keep from the lines of an export."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from chatserver.envelope import DECODE_ERRORS, encode_event
from chatserver.fold import answered
from chatserver.store.retention import stamp
from chatserver.store.rows import ANY, Reply, Value, insert, insert_replies, row_id
from chatserver.store.schema import new_epoch
from chatserver.upkeep import UpkeepError
from chatserver.upkeep.files import writing
from chatserver.upkeep.lines import FORMAT, Header, PublicationLine, RoomLine, decode
from chatserver.upkeep.progress import Progress

AT_ONCE: Final = 1000
"""Rows handed to SQLite together."""

_ROOM: Final = "INSERT INTO room (name, epoch, floor, top) VALUES (?, ?, ?, ?)"


class Loaded(Struct, frozen=True):
    """Count what was imported."""

    rooms: int
    publications: int


def load(path: Path, lines: Iterable[bytes], progress: Progress) -> Loaded:
    """Add the rooms of an export to a store, all of them or none.

    Offsets, authors and `cid`s stay; each room begins a new epoch, since clients may have seen
    another continuation of it. The whole import is one transaction.

    Args:
        path: The store's file; made where there is none.
        lines: The export's lines.
        progress: Is told how many bytes have been read.

    Raises:
        UpkeepError: A line is not as an export has it, or a room exists already; nothing has been
            imported then.
        StoreError: A server has the file, it is not ours, or it fails; nothing is imported either.
    """
    with writing(path, make=True) as connection:
        connection.execute("BEGIN IMMEDIATE")
        loading = _Loading(connection)
        read = 0
        for number, line in enumerate(lines, 1):
            read += len(line)
            progress.reach(read)
            if not line.isspace():
                loading.take(number, line)
        loaded = loading.end()
        connection.execute("COMMIT")
    return loaded


class _Loading:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._began = False
        self._line = 0
        self._room: RoomLine | None = None
        self._number = 0
        self._last = 0
        self._kept = 0
        self._values: list[Value] = []
        self._replies: list[Reply] = []
        self._rooms = 0
        self._publications = 0

    def take(self, number: int, text: bytes) -> None:
        self._line = number
        try:
            line = decode(text)
        except DECODE_ERRORS as error:
            raise self._error(str(error)) from None
        if isinstance(line, Header):
            self._begin(line)
        elif not self._began:
            raise self._error("this is no export; its first line says what it is")
        elif isinstance(line, RoomLine):
            self._end_room()
            self._begin_room(line)
        else:
            self._add(line)

    def end(self) -> Loaded:
        if not self._began:
            raise UpkeepError("there is nothing in it; an export has at least its first line")
        self._end_room()
        return Loaded(self._rooms, self._publications)

    def _begin(self, line: Header) -> None:
        if self._began:
            raise self._error("a second export begins here; import one after the other")
        if line.format != FORMAT:
            raise self._error(f"format {line.format} is not known here, only {FORMAT}")
        self._began = True

    def _begin_room(self, line: RoomLine) -> None:
        if not (1 <= line.floor <= line.top + 1 < 2**62 and line.room):
            raise self._error("a room needs a name, and 1 <= floor <= top + 1")
        try:
            cursor = self._connection.execute(_ROOM, (line.room, new_epoch(), line.floor, line.top))
        except sqlite3.IntegrityError:
            raise self._error(
                f"the room {line.room!r} exists already; import into an empty store, or export"
                " other rooms with --room"
            ) from None
        self._room, self._number, self._last, self._kept = line, row_id(cursor), 0, 0
        self._rooms += 1

    def _end_room(self) -> None:
        self._flush()
        room = self._room
        if room is not None and self._kept != room.top - room.floor + 1:
            raise self._error(
                f"{room.room!r} has {self._kept} publications from {room.floor} to {room.top};"
                " the export is cut off or was changed"
            )

    def _add(self, line: PublicationLine) -> None:
        room = self._room
        if room is None or line.room != room.room:
            raise self._error("a publication has to follow the line of its room")
        if not self._last < line.offset <= room.top:
            raise self._error(f"the offset {line.offset} does not follow {self._last}")
        if not _is_timestamp(line.timestamp):
            raise self._error(f"the timestamp {line.timestamp!r} is not as the server writes it")
        if line.checksum is not None and not 0 <= line.checksum < 2**32:
            raise self._error(f"the checksum {line.checksum} is none of 32 bits")
        if line.target is not None and not 1 <= line.target < line.offset:
            raise self._error(f"the target {line.target} does not lie before its change")
        kept = line.offset >= room.floor
        if kept and line.kind is None:
            raise self._error("a publication that is kept needs its `kind`")
        body = self._body(line)
        if not kept and (line.kind, line.target, body) != (None, None, None):
            raise self._error(f"only the `cid` is kept of what lies before {room.floor}")
        self._last = line.offset
        self._kept += kept
        self._publications += 1
        root = answered(body or b"")
        if root is not None:
            self._replies.append((self._number, root, line.offset))
        self._values += (
            self._number,
            line.offset,
            line.user,
            line.cid,
            line.checksum,
            line.timestamp,
            body,
            line.kind,
            line.target,
        )
        if len(self._values) == AT_ONCE * ANY:
            self._flush()

    def _body(self, line: PublicationLine) -> bytes | None:
        try:
            event = msgspec.json.decode(line.event, type=dict[str, object] | None)
        except DECODE_ERRORS as error:
            raise self._error(f"`event` is no event: {error}") from None
        if event is None:
            return None
        if not event or "offset" in event:
            raise self._error("`event` is empty, or has an `offset` of its own")
        # As the server writes it: without white space, so that an offset can be put at its end.
        return encode_event(event)

    def _flush(self) -> None:
        try:
            insert(self._connection, self._values, ANY)
        except sqlite3.IntegrityError:
            raise self._error("before this line, one user has the same cid twice") from None
        insert_replies(self._connection, self._replies)
        self._values.clear()
        self._replies.clear()

    def _error(self, message: str) -> UpkeepError:
        return UpkeepError(f"line {self._line}: {message}")


def _is_timestamp(text: str) -> bool:
    try:
        return stamp(datetime.fromisoformat(text).timestamp()) == text
    except (ValueError, OverflowError):
        return False
