"""Write timestamps the way the wire has them."""

from collections.abc import Callable
from datetime import UTC, datetime

_MILLISECONDS = tuple(f"{number:03d}Z" for number in range(1000))


class Stamper:
    """Format the time as RFC 3339 in UTC with milliseconds; the seconds are formatted once each.

    Args:
        now: Returns Unix time in seconds.
    """

    __slots__ = ("_now", "_prefix", "_second")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._second = -1
        self._prefix = ""

    def __call__(self) -> str:
        """Return the time now, such as ``2026-11-22T10:41:41.123Z``."""
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return self._prefix + _MILLISECONDS[int((now - second) * 1000)]
