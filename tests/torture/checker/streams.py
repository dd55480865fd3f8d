"""Read what the SQLite file has of each room."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.torture.checker.journals import Frame


@dataclass(frozen=True)
class Row:
    """Hold one publication of the log.

    Attributes:
        offset: Its place.
        user: Its author.
        cid: The author's id for it.
        target: The offset of the publication that it changes, for edits and their like.
        event: What members get of it, without the offset.
        size: Bytes of that.
    """

    offset: int
    user: str
    cid: str | None
    target: int | None
    event: Frame
    size: int

    @property
    def frame(self) -> Frame:
        """The event as members get it."""
        return {**self.event, "offset": self.offset}

    def __str__(self) -> str:
        event = json.dumps(self.event, ensure_ascii=False)
        return f"the log, {self.offset}: {self.user} {self.cid} {event}"


@dataclass(frozen=True)
class Stream:
    """Hold one room's log.

    Attributes:
        room: The room's name.
        epoch: The incarnation.
        rows: What it has, by offset.
    """

    room: str
    epoch: str
    rows: tuple[Row, ...]

    @cached_property
    def by_offset(self) -> dict[int, Row]:
        """Rows by place."""
        return {row.offset: row for row in self.rows}

    @cached_property
    def by_cid(self) -> dict[tuple[str, str], Row]:
        """Rows by user and cid."""
        return {(row.user, row.cid): row for row in self.rows if row.cid is not None}

    @property
    def top(self) -> int:
        """The last offset; 0 where there is none."""
        return self.rows[-1].offset if self.rows else 0

    def row(self, offset: int) -> str:
        """Return for people what stands at an offset."""
        found = self.by_offset.get(offset)
        return (
            f"the log, {offset}: nothing (its top is {self.top})" if found is None else str(found)
        )

    def is_folded(self, offset: int) -> bool:
        """Whether pages may leave this place out, because it only changes another."""
        row = self.by_offset.get(offset)
        return row is not None and row.target is not None


def read_streams(file: Path) -> dict[str, Stream]:
    """Return the rooms of a file by name."""
    with closing(sqlite3.connect(file)) as connection:
        return {
            name: Stream(name, epoch, tuple(_rows(connection, number)))
            for number, name, epoch in connection.execute("SELECT id, name, epoch FROM room")
        }


def _rows(connection: sqlite3.Connection, room: int) -> list[Row]:
    found = connection.execute(
        "SELECT offset, user, cid, target, body FROM publication WHERE room = ?"
        " ORDER BY offset, id",
        (room,),
    )
    return [
        Row(offset, user, cid, target, json.loads(body or b"{}"), len(body or b""))
        for offset, user, cid, target, body in found
    ]
