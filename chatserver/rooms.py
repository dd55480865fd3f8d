"""Keep who is in which room, and what is about to be written to each room."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

M = TypeVar("M", bound=Hashable)

Write = Callable[[bytes, bytes | None], None]
"""Write frames to one member; the second argument leaves out what may be dropped."""


class Room(Generic[M]):
    """Hold the members of a room and the frames they are to get.

    Attributes:
        name: The room's name.
        members: Each member and how to write to it, in the order they joined.
        pending: Frames published in this tick of the loop.
        pending_size: Bytes of `pending`.
        essential: Those of `pending` that may not be dropped; None where that is all of them.
    """

    __slots__ = ("essential", "members", "name", "pending", "pending_size")

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[M, Write] = {}
        self.pending: list[bytes] = []
        self.pending_size = 0
        self.essential: list[bytes] | None = None


class RoomTable(Generic[M]):
    """Keep both directions of membership in step; a room exists while it has members."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room[M]] = {}
        self._joined: dict[M, dict[str, Room[M]]] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, name: str) -> Room[M] | None:
        """Return a room with members, by name."""
        return self._rooms.get(name)

    def add(self, member: M, name: str, write: Write) -> Room[M]:
        """Make `member` one of the room's, last joined; adding again only moves it there."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name)
        joined = self._joined.setdefault(member, {})
        joined.pop(name, None)
        joined[name] = room
        room.members[member] = write
        return room

    def remove(self, member: M, name: str) -> None:
        """End a membership; the last one ends the room."""
        room = self._joined[member].pop(name)
        if not self._joined[member]:
            del self._joined[member]
        del room.members[member]
        if not room.members:
            del self._rooms[name]

    def joined(self, member: M) -> dict[str, Room[M]]:
        """Return a member's rooms by name, last joined at the end; not to be changed."""
        return self._joined.get(member, {})

    def sizes(self) -> dict[str, int]:
        """Return each room's number of members."""
        return {name: len(room.members) for name, room in self._rooms.items()}
