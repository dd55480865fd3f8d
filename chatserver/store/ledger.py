"""Remember the writer's rooms: number, epoch, what is kept, and the last offset given."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from chatserver.positions import Position
from chatserver.publications import Durability, Keeping, Publication, Rules, checksum_of
from chatserver.store import CONFLICT, Settlement, Stored
from chatserver.store.rows import Receipt, row_id
from chatserver.store.schema import new_epoch

REMEMBERED: Final = 20_000
"""Rooms at which the ledger begins anew."""

FIND_ROOM: Final = """SELECT id, epoch, floor, max(top, coalesce((
    SELECT p.offset FROM publication p WHERE p.room = room.id ORDER BY p.offset DESC LIMIT 1
), 0)), relaxed FROM room WHERE name = ?"""
"""A room by name; its top counts whatever retention has left."""


class Room:
    """Hold what the writer knows about a room.

    Attributes:
        name: The room's name.
        keeping: How it is kept.
        number: The room's number in the file.
        epoch: The incarnation of the stream.
        floor: The first offset still kept.
        top: The last offset given.
        relaxed: Whether the file says that it was written without waiting for the disk.
    """

    __slots__ = ("epoch", "floor", "keeping", "name", "number", "relaxed", "top")

    def __init__(
        self,
        name: str,
        keeping: Keeping,
        number: int,
        epoch: str,
        floor: int = 1,
        top: int = 0,
        relaxed: bool = False,
    ) -> None:
        self.name = name
        self.keeping = keeping
        self.number = number
        self.epoch = epoch
        self.floor = floor
        self.top = top
        self.relaxed = relaxed

    @property
    def is_relaxed(self) -> bool:
        """Whether its messages are acknowledged before they are on disk."""
        return self.keeping.durability is Durability.RELAXED


class Ledger:
    """Find rooms by name, in memory or in the file, and create them.

    What it holds is only right while every transaction is committed: `forget` after a failure.

    Args:
        connection: The writer's connection.
        rules: Tells how each room is kept.
    """

    def __init__(self, connection: sqlite3.Connection, rules: Rules) -> None:
        self._connection = connection
        self._rules = rules
        self._rooms: dict[str, Room] = {}

    def find(self, name: str) -> Room | None:
        """Return a room, or None where nothing was ever published to it."""
        room = self._rooms.get(name)
        if room is None:
            row = self._connection.execute(FIND_ROOM, (name,)).fetchone()
            if row is not None:
                number, epoch, floor, top, relaxed = row
                room = Room(name, self._rules(name), number, epoch, floor, top, bool(relaxed))
                self._rooms[name] = room
        return room

    def create(self, name: str, creator: str | None) -> Room:
        """Create a room within the transaction that has its first publication, which is whose."""
        keeping = self._rules(name)
        epoch = new_epoch()
        relaxed = keeping.durability is Durability.RELAXED
        cursor = self._connection.execute(
            "INSERT INTO room (name, epoch, relaxed, creator) VALUES (?, ?, ?, ?)",
            (name, epoch, relaxed, creator),
        )
        room = Room(name, keeping, row_id(cursor), epoch, relaxed=relaxed)
        self._rooms[name] = room
        return room

    def remove(self, room: Room) -> None:
        """Remove a room within the transaction that was to have its first publication."""
        self._connection.execute("DELETE FROM room WHERE id = ?", (room.number,))
        del self._rooms[room.name]

    def is_relaxed(self, name: str) -> bool:
        """Tell whether a publication to this room need not wait for the disk.

        The first one has to: it notes in the file that the room is relaxed, and that note decides
        about the epoch after a power loss.
        """
        room = self.find(name)
        return room is not None and room.relaxed and room.is_relaxed

    def forget(self) -> None:
        """Begin anew from the file."""
        self._rooms.clear()

    def shrink(self) -> None:
        """Bound the memory taken."""
        if len(self._rooms) > REMEMBERED:
            self._rooms.clear()


def again(room: Room, publication: Publication, receipt: Receipt) -> Settlement:
    """Return what becomes of a publication whose `cid` was used before in its room.

    Args:
        room: The room.
        publication: It has been sent again, or is another one.
        receipt: What its `cid` was used for.
    """
    offset, timestamp, checksum = receipt
    if checksum != checksum_of(publication):
        return CONFLICT
    position = Position(room.epoch, offset)
    return Stored(publication.room, timestamp, position, duplicate=True, cid=publication.cid)


def tops(rooms: Mapping[str, Room]) -> dict[str, int]:
    """Return the last offset given in each of these rooms."""
    return {name: room.top for name, room in rooms.items()}
