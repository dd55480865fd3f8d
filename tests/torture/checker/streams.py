"""Read what the SQLite file has of each room."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping
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
        timestamp: When, also where the event is gone.
        gone: Whether the file has no event, because it was erased or trimmed.
    """

    offset: int
    user: str
    cid: str | None
    target: int | None
    event: Frame
    size: int
    timestamp: str
    gone: bool = False

    @property
    def frame(self) -> Frame:
        """The event as members get it."""
        return {**self.event, "offset": self.offset}

    def reads(self, event: Frame) -> bool:
        """Whether all that is given of an event is in this one."""
        return event.items() <= self.event.items()

    def __str__(self) -> str:
        event = json.dumps(self.event, ensure_ascii=False)
        return f"the log, {self.offset}: {self.user} {self.cid} {event}"


@dataclass(frozen=True)
class Stream:
    """Hold one room's log.

    Attributes:
        room: The room's name.
        epoch: The incarnation.
        rows: What it has, by offset. Rows below the floor stay for their cids, a day at least.
        floor: The first offset that is kept.
        length: Publications that have to be kept at least; None keeps all.
        relaxed: Whether it may have another epoch after each kill.
    """

    room: str
    epoch: str
    rows: tuple[Row, ...]
    floor: int = 1
    length: int | None = None
    relaxed: bool = False

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

    @cached_property
    def changes(self) -> Mapping[int, list[Row]]:
        """Changes by the offset of what they change."""
        found: defaultdict[int, list[Row]] = defaultdict(list)
        for row in self.rows:
            if row.target is not None:
                found[row.target].append(row)
        return found

    @cached_property
    def deletions(self) -> Mapping[int, Row]:
        """The first deletion of each message that was deleted."""
        return {
            target: deletions[0]
            for target, changes in self.changes.items()
            if (deletions := [each for each in changes if each.event.get("action") == "delete"])
        }

    def deletion_of(self, row: Row) -> Row | None:
        """The deletion that erases a publication."""
        found = self.deletions.get(row.offset if row.target is None else row.target)
        return found if found is not None and found.offset > row.offset else None

    def must_have(self, top: int) -> int:
        """Return the first offset that has to be kept when a room ends at `top`."""
        return 1 if self.length is None else max(1, top - self.length + 1)


def read_streams(
    file: Path, lengths: Mapping[str, int], relaxed: Collection[str]
) -> dict[str, Stream]:
    """Return the rooms of a file by name.

    Args:
        file: The server's file.
        lengths: How many publications rooms have to keep; those not named have to keep all.
        relaxed: Rooms that may have another epoch after each kill.
    """
    with closing(sqlite3.connect(file)) as connection:
        return {
            name: Stream(
                *(name, epoch, tuple(_rows(connection, number)), floor),
                length=lengths.get(name),
                relaxed=name in relaxed,
            )
            for number, name, epoch, floor in connection.execute(
                "SELECT id, name, epoch, floor FROM room"
            )
        }


def _rows(connection: sqlite3.Connection, room: int) -> list[Row]:
    found = connection.execute(
        "SELECT offset, user, cid, target, body, timestamp FROM publication WHERE room = ?"
        " ORDER BY offset, id",
        (room,),
    )
    return [
        Row(
            *(offset, user, cid, target, json.loads(body or b"{}"), len(body or b"")),
            timestamp=timestamp,
            gone=not body,
        )
        for offset, user, cid, target, body, timestamp in found
    ]
