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
        droppable: Which of `pending` may be dropped, by index.
        newcomers: Members who came in this tick, and how many of `pending` were before them.
    """

    __slots__ = (
        "__weakref__",
        "droppable",
        "members",
        "name",
        "newcomers",
        "pending",
        "pending_size",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[M, Write] = {}
        self.pending: list[bytes] = []
        self.pending_size = 0
        self.droppable: list[int] = []
        self.newcomers: dict[M, int] = {}

    def add(self, member: M, write: Write) -> None:
        """Let a member in; what is pending by now is not for it."""
        self.members[member] = write
        if self.pending:
            self.newcomers[member] = len(self.pending)

    def remove(self, member: M) -> None:
        """Let a member go."""
        del self.members[member]
        self.newcomers.pop(member, None)

    def owed(self, member: M) -> tuple[bytes, bytes | None]:
        """Return what is pending for one member; see `frames`."""
        return self.frames(self.newcomers.get(member, 0))

    def catch_up(self, member: M) -> tuple[bytes, bytes | None]:
        """Return what is pending for one member, who will not be owed it any more."""
        owed = self.owed(member)
        self.newcomers[member] = len(self.pending)
        return owed

    def frames(self, start: int = 0) -> tuple[bytes, bytes | None]:
        """Join what is pending from a place on: all of it; and what may not be dropped, if less."""
        frames = self.pending[start:] if start else self.pending
        joined = frames[0] if len(frames) == 1 else b"".join(frames)
        if not self.droppable:
            return joined, None
        droppable = set(self.droppable)
        return joined, b"".join(
            frame for index, frame in enumerate(frames, start) if index not in droppable
        )

    def clear(self) -> None:
        """Forget what was pending; it has been written."""
        self.pending = []
        self.pending_size = 0
        if self.droppable:
            self.droppable = []
        if self.newcomers:
            self.newcomers = {}


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
        if member in room.members:
            room.members[member] = write
        else:
            room.add(member, write)
        return room

    def remove(self, member: M, name: str) -> None:
        """End a membership; the last one ends the room."""
        room = self._joined[member].pop(name)
        if not self._joined[member]:
            del self._joined[member]
        room.remove(member)
        if not room.members:
            del self._rooms[name]

    def joined(self, member: M) -> dict[str, Room[M]]:
        """Return a member's rooms by name, last joined at the end; not to be changed."""
        return self._joined.get(member, {})

    def sizes(self) -> dict[str, int]:
        """Return each room's number of members."""
        return {name: len(room.members) for name, room in self._rooms.items()}
