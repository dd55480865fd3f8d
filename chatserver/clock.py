"""Write timestamps the way the wire has them."""

from collections.abc import Callable
from datetime import UTC, datetime


class Stamper:
    """Format the time as RFC 3339 in UTC with milliseconds; each of them is formatted once.

    Args:
        now: Returns Unix time in seconds.
    """

    __slots__ = ("_from", "_now", "_second", "_start", "_text", "_until")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._from = self._until = 0.0
        self._second = -1
        self._start = ""
        self._text = ""

    def stamp(self) -> str:
        """Return the time now, such as ``2026-11-22T10:41:41.123Z``."""
        read = self._now
        now = read()
        if not self._from <= now < self._until:
            millisecond = int(now * 1000)
            self._from, self._until = millisecond / 1000, (millisecond + 1) / 1000
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                self._start = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            self._text = f"{self._start}.{rest:03d}Z"
        return self._text
