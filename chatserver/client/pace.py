"""Keep below a rate that is known only from refusals."""

from typing import Final

HEADROOM: Final = 1.25
"""How much slower than the server allows; joins and pings count as well."""

MEMORY: Final = 60.0
"""Seconds without a refusal after which the server may be tried at full speed again."""


class Pace:
    """Space messages out once the server has refused one as too fast.

    A token bucket that is empty asks for a wait of at most one token's time. The longest wait of
    those that were refused together therefore tells the rate. Refusals are few then, which matters:
    a server closes the connections of those who collect them.
    """

    def __init__(self) -> None:
        self.next_time = 0.0
        self._interval = 0.0
        self._refused_at = float("-inf")

    def sent(self, now: float) -> None:
        """Note that a message goes out."""
        if now - self._refused_at > MEMORY:
            self._interval = 0.0
        self.next_time = now + self._interval

    def refused(self, sent: float, wait: float, now: float) -> None:
        """Note a refusal.

        Args:
            sent: When the message had gone out; behind an earlier refusal, the pace was still too
                fast and is halved.
            wait: The seconds that the server asks for.
            now: The time.
        """
        interval = HEADROOM * wait
        if sent > self._refused_at:
            self._refused_at = now
            interval = max(interval, 2 * self._interval)
        self._interval = max(self._interval, interval)
        self.next_time = max(self.next_time, now + wait)
