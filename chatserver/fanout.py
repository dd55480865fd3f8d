"""Write each event once for all members of a room, and all events of a tick in one go.

One system call costs about 5 µs, more than all Python around it; so what counts is how many there
are. Publishing only appends to the room's pending list. Once per tick of the loop each room that
has something pending joins it once, and the same bytes go to every member's transport: no task, no
await, no encoding and no copy per recipient.
"""

from collections.abc import Callable

from chatserver.rooms import Room
from chatserver.session import Session
from chatserver.stats import Stats

EARLY = 256 * 1024
"""Pending bytes at which a room is flushed within the tick: bounds memory and one write's size."""


class FanOut:
    """Flush the rooms that have something pending, once per tick.

    Args:
        call_soon: Calls a function in the loop's next tick.
        stats: Where deliveries are counted.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], stats: Stats) -> None:
        self._call_soon = call_soon
        self._stats = stats
        self._dirty: list[Room[Session]] = []

    def publish(self, room: Room[Session], frame: bytes, droppable: bool = False) -> None:
        """Have a frame written to the room's members at the end of this tick; O(1).

        Args:
            room: The room.
            frame: One whole WebSocket frame.
            droppable: Whether members that read slowly may miss it.
        """
        if not room.pending:
            if not self._dirty:
                self._call_soon(self._flush_dirty)
            self._dirty.append(room)
        if droppable:
            room.droppable.append(len(room.pending))
        room.pending.append(frame)
        room.pending_size += len(frame)
        if room.pending_size >= EARLY:
            self.flush(room)

    def flush(self, room: Room[Session]) -> None:
        """Write what is pending for one room now."""
        if not room.pending:
            return
        frames, essential = room.frames()
        missed = sum(room.newcomers.values())
        owed = {member: room.owed(member) for member in room.newcomers}
        self._stats.deliveries += len(room.pending) * len(room.members) - missed
        room.clear()
        if owed:
            for member, write in room.members.items():
                write(*owed.get(member, (frames, essential)))
        else:
            for write in room.members.values():
                write(frames, essential)

    def _flush_dirty(self) -> None:
        dirty, self._dirty = self._dirty, []
        for room in dirty:
            self.flush(room)
