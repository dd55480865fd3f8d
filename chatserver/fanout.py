"""Write each event once for all members of a room, and all events of a tick in one go.

One system call costs about 5 µs, more than all Python around it; so what counts is how many there
are. Publishing only appends to the room's pending list. Once per tick of the loop each room that
has something pending joins it once, and the same bytes go to every member's transport: no task, no
await, no encoding and no copy per recipient.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol

from chatserver.rooms import Room
from chatserver.session import Session
from chatserver.stats import Stats

EARLY: Final = 256 * 1024
"""Pending bytes at which a room is flushed within the tick: bounds memory and one write's size."""

LONGEST_REST: Final = 0.002
"""Seconds for which publications are held back at most."""

SHORTEST_REST: Final = 0.001
"""Seconds that are worth a timer; below, the next tick will do."""

LOOK_EVERY: Final = 16
"""Rests of which one lasts to its end, to see how many publications come together in it."""


class Scheduled(Protocol):
    """What is to be called."""

    def cancel(self) -> None:
        """Have it not called any more."""


Schedule = Callable[[float, Callable[[], None]], Scheduled]
"""Call a function after some seconds; after 0, in the loop's next tick."""


class FanOut:
    """Flush the rooms that have something pending, once per tick.

    While much is written the flushes come in larger steps: after one that took long, publications
    are held back for as long again, 2 ms at most, so that more of them share a write; but no longer
    than until as many are there as usually come. Senders that wait for their own messages send
    nothing more then, and server and clients would wait for the clock. The first publication after
    a pause goes out at once.

    Args:
        schedule: Calls a function later, or in the next tick.
        stats: Where deliveries are counted.
        clock: Returns seconds.
    """

    def __init__(
        self, schedule: Schedule, stats: Stats, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._schedule = schedule
        self._stats = stats
        self._clock = clock
        self._rest_until = 0.0
        self._rests = 0
        self._held = 0
        self._usual = 0
        self._enough = 0
        self._looks = False
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
                self._schedule_flush()
            self._dirty.append(room)
        self._held += 1
        if self._held == self._enough:
            self._end_rest()
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
        self._stats.deliveries += len(room.pending) * len(room.members)
        frames, essential = room.frames()
        owed = None
        if room.newcomers:
            owed = {member: room.owed(member) for member in room.newcomers}
            self._stats.deliveries -= sum(room.newcomers.values())
        room.clear()
        if owed is None:
            for write in room.members.values():
                write(frames, essential)
        else:
            for member, write in room.members.items():
                write(*owed.get(member, (frames, essential)))

    def flush_all(self) -> None:
        """Write what is pending anywhere now."""
        started = self._clock()
        if self._looks:
            # Not at once less: one look may see few of many senders that do not wait.
            self._usual = max(self._held, self._usual * 7 // 8)
        self._held = 0
        dirty, self._dirty = self._dirty, []
        for room in dirty:
            self.flush(room)
        now = self._clock()
        self._rest_until = now + min(LONGEST_REST, now - started)

    def _schedule_flush(self) -> None:
        rest = self._rest_until - self._clock()
        self._enough, self._looks = 0, False
        if rest < SHORTEST_REST:
            rest = 0.0
        else:
            self._looks = self._rests % LOOK_EVERY == 0
            self._enough = 0 if self._looks else self._usual
            self._rests += 1
        self._scheduled = self._schedule(rest, self.flush_all)

    def _end_rest(self) -> None:
        self._scheduled.cancel()
        self._scheduled = self._schedule(0.0, self.flush_all)
