"""Keep messages until they are acknowledged, and say which may be sent now.

It knows no connection and no clock: whoever sends tells it what happened and when.
"""

from bisect import insort
from collections import deque
from typing import Final

from msgspec import Struct

from chatserver.client.errors import OutboxFullError, retry_after
from chatserver.client.pace import Pace
from chatserver.errors import ActionError, ErrorCode

NEVER: Final = float("inf")
WINDOW: Final = 64
"""Messages in flight where the server does not say how many it allows."""


class Letter(Struct, order=True, eq=True):
    """Hold one message; letters are ordered by their numbers.

    Attributes:
        number: Counts the messages of this client.
        room: Where it goes.
        cid: What makes it safe to be sent again.
        text: What it says.
        reply_to: The offset of the message it answers, if any.
        sent: When it was sent last, by the clock of whoever sends; None before that.
    """

    number: int
    room: str
    cid: str
    text: str
    reply_to: int | None = None
    sent: float | None = None


class _Line:
    """The messages of one room, in order."""

    __slots__ = ("flying", "held_until", "shut", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Letter] = deque()
        self.flying: deque[Letter] = deque()
        self.held_until = 0.0
        self.shut = False

    @property
    def in_order(self) -> bool:
        # Behind a refused letter others may still fly; it goes out again once they have landed.
        return not self.flying or self.flying[-1].number < self.waiting[0].number


class Outbox:
    """Send the messages of each room in order, and again until they are acknowledged.

    A refused message goes back to its place, and those of its room that were refused behind it
    follow it again. Rooms do not wait for each other, except where all of them have to.

    Args:
        capacity: Messages it keeps, waiting or in flight.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lines: dict[str, _Line] = {}
        self._size = 0
        self._flying = 0
        self._most = WINDOW
        self._held_until = 0.0
        self._pace = Pace()

    @property
    def _free_at(self) -> float:
        return max(self._held_until, self._pace.next_time)

    def __len__(self) -> int:
        return self._size

    def add(self, letter: Letter) -> None:
        """Put a message at the end of its room's line.

        Raises:
            OutboxFullError: There are `capacity` of them.
        """
        if self._size >= self._capacity:
            raise OutboxFullError(self._capacity)
        self._size += 1
        self._line(letter.room).waiting.append(letter)

    def take(self, now: float) -> Letter | None:
        """Return the message to send now, which is in flight from here on, or None."""
        if now < self._free_at or self._flying >= self._most:
            return None
        ready = [
            line
            for line in self._lines.values()
            if line.waiting and not line.shut and now >= line.held_until and line.in_order
        ]
        if not ready:
            return None
        line = min(ready, key=lambda each: each.waiting[0])
        letter = line.waiting.popleft()
        letter.sent = now
        self._pace.sent(now)
        line.flying.append(letter)
        self._flying += 1
        return letter

    def next_time(self, now: float) -> float | None:
        """Return when a wait ends that keeps messages back; None where none does."""
        ends = [line.held_until for line in self._lines.values() if line.waiting]
        ends = [max(end, self._free_at) for end in ends]
        return min((end for end in ends if now < end < NEVER), default=None)

    def settle(self, letter: Letter) -> None:
        """Forget a message: it is acknowledged, refused for good, or nobody wants it any more."""
        line = self._lines.get(letter.room)
        if line is None:
            return
        if letter in line.flying:
            line.flying.remove(letter)
            self._flying -= 1
        elif letter in line.waiting:
            line.waiting.remove(letter)
        else:
            return
        self._size -= 1
        self._tidy(letter.room)

    def refuse(self, letter: Letter, error: ActionError, now: float) -> None:
        """Put a message back that was refused for now, and keep to the wait that the error names.

        `rate_limited` holds all rooms up and sets the pace of what follows; `draining` holds them
        up until the connection is lost.
        """
        line = self._lines.get(letter.room)
        if line is None or letter not in line.flying or letter.sent is None:
            return
        line.flying.remove(letter)
        self._flying -= 1
        insort(line.waiting, letter)
        wait = retry_after(error)
        if error.code == ErrorCode.DRAINING:
            self._held_until = NEVER
        elif error.code == ErrorCode.RATE_LIMITED:
            self._pace.refused(letter.sent, wait, now)
        else:
            line.held_until = max(line.held_until, now + wait)

    def lose(self) -> None:
        """Put all messages in flight back: their connection is lost."""
        for line in self._lines.values():
            line.waiting = deque(sorted((*line.flying, *line.waiting)))
            line.flying.clear()
        self._flying = 0
        self._held_until = 0.0

    def allow(self, in_flight: int) -> None:
        """Take the number of messages that the server allows in flight."""
        self._most = max(1, in_flight)

    def shut(self, room: str) -> None:
        """Keep a room's messages back: it is not joined."""
        self._line(room).shut = True

    def open(self, room: str) -> None:
        """Let a room's messages go."""
        self._line(room).shut = False
        self._tidy(room)

    def letters(self, room: str | None = None) -> list[Letter]:
        """List the messages it keeps, of one room or all."""
        return [
            letter
            for name, line in self._lines.items()
            if room in (None, name)
            for letter in (*line.flying, *line.waiting)
        ]

    def _line(self, room: str) -> _Line:
        return self._lines.setdefault(room, _Line())

    def _tidy(self, room: str) -> None:
        line = self._lines[room]
        if not line.waiting and not line.flying and not line.shut:
            del self._lines[room]
