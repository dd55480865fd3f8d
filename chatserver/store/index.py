"""Keep the words of messages in a full-text index, behind the commits.

An entry has the id of its message. Ids only rise, so the index follows them: it holds what was
stored up to its mark, which is written together with the entries. After a crash it goes on there.
"""

import logging
import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from chatserver.store.failures import DamagedIndex, index_only
from chatserver.store.levels import count_levels, without_empty_levels
from chatserver.store.rows import NOTE_REMOVAL
from chatserver.store.schema import renew_index
from chatserver.store.words import in_rooms, words

log = logging.getLogger("chatserver.store")

STEP: Final = 256
"""Publications that one step looks at, at most."""

STEP_BYTES: Final = 128 * 1024
"""Bytes of bodies after which a step ends: messages may wait some milliseconds for one."""

MOST_LEVELS: Final = 32
"""Levels of the index beyond which empty ones are taken out, before a merge begins."""

# One row for a whole step: each row fetched is a wait for the interpreter's lock. A NUL separates
# the bodies, for JSON has none.
_NEXT: Final = """SELECT max(id), count(target), CAST(group_concat(
    CASE WHEN kind = 'message' AND target IS NULL AND NOT instr(body, x'00')
    THEN id || ' ' || room || ' ' || body END, char(0)
) AS BLOB) FROM (
    SELECT *, sum(size) OVER (ORDER BY id) - size AS before FROM (
        SELECT id, room, target, kind, body, coalesce(length(body), 0) AS size
        FROM publication WHERE id > ? ORDER BY id LIMIT ?
    )
) WHERE before < ?"""
_CHANGES: Final = """SELECT t.id, t.room, t.body IS NULL, c.kind, c.body FROM publication c
    JOIN publication t ON t.room = c.room AND t.offset = c.target
    WHERE c.id > ? AND c.id <= ? AND t.kind = 'message' AND t.target IS NULL ORDER BY c.id"""
_OF_USER: Final = "SELECT id FROM publication WHERE user = ?"
_FIRST_KEPT: Final = """SELECT id FROM publication
    WHERE room = ? AND offset >= ? ORDER BY offset LIMIT 1"""
_TRIM: Final = """DELETE FROM search WHERE rowid IN (
    SELECT rowid FROM search WHERE search MATCH ? AND rowid < ? ORDER BY rowid LIMIT ?
)"""
_REMOVE: Final = """DELETE FROM search
    WHERE rowid IN (SELECT rowid FROM search WHERE search MATCH ?)"""
_DELETE: Final = "DELETE FROM search WHERE rowid = ?"
_INSERT: Final = "INSERT INTO search (rowid, room, text) VALUES "
_STRUCTURE: Final = "SELECT block FROM search_data WHERE id = 10"
_SET_STRUCTURE: Final = "UPDATE search_data SET block = ? WHERE id = 10"
_MERGE: Final = "INSERT INTO search (search, rank) VALUES ('merge', ?)"


class _Body(Struct):
    text: object = None


_decoder: Final = msgspec.json.Decoder(_Body)


class Index:
    """Follow the publications, within the transactions of a connection that writes.

    Each method raises `DamagedIndex` where it finds that, also the `COMMIT` may: see `renew`.

    Args:
        connection: The connection.

    Attributes:
        available: Whether this SQLite can search; otherwise the index stays as it is.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.available = _usable(connection)

    @property
    def mark(self) -> int:
        """The id of the last publication that has been indexed."""
        row = self._connection.execute("SELECT id FROM indexed").fetchone()
        number: int = row[0]
        return number

    def step(self) -> int:
        """Index some of the publications behind the mark, and move it; return where it is."""
        mark = self.mark
        last, changes, messages = self._connection.execute(
            _NEXT, (mark, STEP, STEP_BYTES)
        ).fetchone()
        if last is None:
            return mark
        if messages:
            self._add(messages)
        if changes:
            self._change(mark, last)
        self._flush()
        self._connection.execute("UPDATE indexed SET id = ?", (last,))
        number: int = last
        return number

    def trim(self, room: int, most: int) -> int:
        """Remove entries of what a room no longer keeps; return how many.

        Args:
            room: The room's number.
            most: How many to remove at most; the rest goes the next time.
        """
        row = self._connection.execute(
            "SELECT floor FROM room WHERE id = ? AND floor > index_floor", (room,)
        ).fetchone()
        if row is None or not self.available:
            return 0
        (floor,) = row
        kept = self._connection.execute(_FIRST_KEPT, (room, floor)).fetchone()
        before = self.mark + 1 if kept is None else kept[0]
        removed = self._execute(_TRIM, (in_rooms([room]), before, most))
        if removed:
            self._note_removal()
        if removed < most:
            self._connection.execute("UPDATE room SET index_floor = ? WHERE id = ?", (floor, room))
        return removed

    def remove(self, rooms: Sequence[int]) -> None:
        """Remove whatever there is of some rooms, by number."""
        if self.available:
            for room in rooms:
                if self._execute(_REMOVE, (in_rooms([room]),)):
                    self._note_removal()

    def erase(self, user: str) -> None:
        """Remove the entries of what a user has written."""
        if self.available:
            for number in self._connection.execute(_OF_USER, (user,)).fetchall():
                self._execute(_DELETE, number)
            self._note_removal()

    def renew(self, found: DamagedIndex) -> None:
        """Begin anew with nothing; see `renew_index`."""
        renew_index(self._connection, found)

    def drop_levels(self) -> None:
        """Take empty levels out of the index, for each beginning of a merge adds one.

        In a transaction of its own: FTS5 looks how the index is built when its own begins.
        """
        if not self.available:
            return
        (structure,) = self._connection.execute(_STRUCTURE).fetchone() or (b"",)
        if count_levels(structure) <= MOST_LEVELS:
            return
        with index_only():
            self._connection.execute(_SET_STRUCTURE, (without_empty_levels(structure),))

    def merge(self, pages: int) -> bool:
        """Rewrite some of the index, to have it in one piece; return whether there is more.

        What was removed is still in there until then, only marked as removed.

        Args:
            pages: How many to write, more or less; a negative number begins anew.
        """
        if not self.available:
            return False
        before = self._connection.total_changes
        self._execute(_MERGE, (pages,))
        return pages < 0 or self._connection.total_changes - before > 1

    def _add(self, messages: bytes) -> None:
        values: list[int | str] = []
        for message in messages.split(b"\0"):
            number, room, body = message.split(b" ", 2)
            text = _text(body)
            if text is not None:
                values += (int(number), room.decode(), text)
        if values:
            self._execute(_INSERT + ", ".join(["(?, ?, ?)"] * (len(values) // 3)), values)

    def _change(self, mark: int, last: int) -> None:
        for number, room, erased, kind, body in self._connection.execute(
            _CHANGES, (mark, last)
        ).fetchall():
            text = _text(body) if kind == "edit" and body else None
            if erased or text is not None:
                removed = self._execute(_DELETE, (number,))
                if erased and removed:
                    self._note_removal()
            if not erased and text is not None:
                self._execute(f"{_INSERT}(?, ?, ?)", (number, str(room), text))

    def _note_removal(self) -> None:
        self._flush()
        self._connection.execute(NOTE_REMOVAL)

    def _flush(self) -> None:
        # FTS5 writes what it has gathered at the next savepoint, also at that of a statement about
        # something else, which would seem to be damaged then.
        self._execute("SAVEPOINT gathered")
        self._execute("RELEASE gathered")

    def _execute(self, statement: str, values: Sequence[int | str] = ()) -> int:
        with index_only():
            return self._connection.execute(statement, values).rowcount


def _usable(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT rowid FROM search LIMIT 1")
    except sqlite3.OperationalError as error:
        log.warning("messages cannot be searched: %s", error)
        return False
    return True


def _text(body: bytes) -> str | None:
    """Return a message's text as it is indexed; None where it has none."""
    try:
        text = _decoder.decode(body).text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return words(text) if isinstance(text, str) else None
