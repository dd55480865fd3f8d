"""Watch all connections with one timer: silence, stalled writes, overdue handlers, expiry.

One timer for all is cheaper than one for each, and its clock stands still while the event loop is
blocked, so that a handler that blocks does not cost other people their connections.
"""

import asyncio
import logging
from time import time
from typing import Protocol

from chatserver.config import LimitsConfig
from chatserver.stats import Stats

log = logging.getLogger("chatserver.liveness")

BLOCKED = 1.0
"""Seconds the loop may be late before it is reported as blocked."""


class Watched(Protocol):
    """Be looked at by the sweeper once per sweep."""

    def check(self, now: float, wall: float) -> None:
        """Look at the time.

        Args:
            now: The sweeper's clock, in seconds.
            wall: Unix time, in seconds.
        """


class Sweeper:
    """Call `check` of everything watched, about once a second.

    Args:
        limits: Timeouts; the shortest decides how often to look.
        stats: Where a blocked loop is noted.

    Attributes:
        now: Seconds that passed while the loop was running; what idle times are measured in.
        watched: What is looked at.
    """

    def __init__(self, limits: LimitsConfig, stats: Stats) -> None:
        shortest = min(
            limits.ping_interval, limits.ping_timeout, limits.action_timeout, limits.slow_timeout
        )
        self.interval = min(1.0, shortest / 4)
        self.now = 1.0
        self.watched: dict[Watched, None] = {}
        self._stats = stats
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to sweep in the running loop."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.interval, self._sweep, loop, loop.time())

    def stop(self) -> None:
        """Stop sweeping."""
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self, loop: asyncio.AbstractEventLoop, before: float) -> None:
        late = loop.time() - before - self.interval
        if late > self._stats.lag:
            self._stats.lag = late
        if late > BLOCKED:
            log.warning(
                "the event loop was blocked for %.1f s; look for a handler that waits", late
            )
        self.now += self.interval
        wall = time()
        for watched in list(self.watched):
            try:
                watched.check(self.now, wall)
            except Exception:
                log.exception("looking after %r failed", watched)
        self._timer = loop.call_later(self.interval, self._sweep, loop, loop.time())
