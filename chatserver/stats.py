"""Count what happens, as plain numbers that cost nothing on the way of a message.

The metrics page reads them when it is asked (`chatserver.web.metrics`).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Final

BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Upper bounds of the handler time histogram, in seconds."""

SHORTEST: Final = BUCKETS[0]
"""The bound below which most durations are."""


class Timing:
    """Count durations in buckets.

    Attributes:
        counts: Durations per bucket, not cumulated; the last one is above all bounds.
        total: Sum of all durations, in seconds.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        # Most are short, and the search is one more thing for the processor to fetch.
        self.counts[bisect_left(BUCKETS, seconds) if seconds > SHORTEST else 0] += 1
        self.total += seconds


class StoreStats:
    """Hold the counters of a store; its writer counts in a thread of its own.

    Attributes:
        stored: Publications stored.
        refused: Publications refused because they would exceed a bound.
        commits: How long a batch took, from the first statement to the end of its commit.
        queued: Publications that wait to be stored.
        size: Bytes of the store's files.
    """

    def __init__(self) -> None:
        self.stored = 0
        self.refused = 0
        self.commits = Timing()
        self.queued = 0
        self.size = 0


class Stats:
    """Hold the counters of one chat.

    Attributes:
        accepted: Connections that were upgraded.
        messages_in: Text and binary frames received.
        bytes_in: Their characters (text) or bytes (binary).
        events: Events published to rooms and users.
        deliveries: Events handed to members' transports, one for each member.
        bytes_out: Bytes handed to transports.
        replies: Replies and error replies sent.
        handled: Handler time per action on offer.
        unknown: Time spent on everything else: bad frames and unknown actions.
        refusals: Handshakes refused, by reason.
        errors: Error replies, by code.
        closes: Connections closed by the server, by close code.
        slow: Connections cut off because they did not read.
        lag: Longest time the event loop was blocked since the last reading, in seconds.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.messages_in = 0
        self.bytes_in = 0
        self.events = 0
        self.deliveries = 0
        self.bytes_out = 0
        self.replies = 0
        self.slow = 0
        self.lag = 0.0
        self.handled: dict[str, Timing] = {}
        self.unknown = Timing()
        self.refusals: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.closes: Counter[int] = Counter()

    def offer(self, actions: Iterable[str]) -> None:
        """Keep handler times for each of these actions."""
        self.handled = {action: Timing() for action in actions}

    def timing(self, action: str | None) -> Timing:
        """Return where the time of a message counts; names that nobody offers count as one."""
        return self.handled.get(action or "", self.unknown)
