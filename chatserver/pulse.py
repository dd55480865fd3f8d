"""Feel whether a peer is alive, and whether its read loop gets on.

The sweeper calls `check` about once a second; all time here is measured by its clock, which stands
still while the event loop is blocked.
"""

import asyncio
import logging
from enum import Enum
from typing import Final

from aiohttp.web import WebSocketResponse

from chatserver.config import LimitsConfig
from chatserver.errors import CloseCode
from chatserver.frames import ping_frame
from chatserver.liveness import Sweeper
from chatserver.outlet import CLOSE_TIMEOUT, Outlet
from chatserver.session import Session
from chatserver.stats import Stats

log = logging.getLogger("chatserver.connection")

MARK: Final = b"mark"
"""The payload of the ping whose pong marks a place in the client's stream."""


class Doing(Enum):
    """Tell what a read loop is about; the sweeper judges the time by it."""

    READING = "reading"
    HANDLING = "handling"
    ACKNOWLEDGING = "waiting until another outcome may be on its way"
    CATCHING_UP = "waiting until the peer has read"


class Pulse(Outlet):
    """Be the half of a connection that watches the time.

    Args:
        session: Who is connected.
        socket: The WebSocket, already prepared.
        transport: The transport below it.
        limits: Timeouts, and bounds for a peer that reads slowly.
        prefix: What stands before the text of a reply to plain text.
        stats: Where writes are counted.
        sweeper: Whose clock counts.
    """

    __slots__ = (
        "_doing",
        "_mark",
        "_overdue",
        "_pinged",
        "_pings",
        "_probe",
        "_seen",
        "_since",
        "_sweeper",
        "_task",
    )

    def __init__(
        self,
        session: Session,
        socket: WebSocketResponse,
        transport: asyncio.Transport,
        limits: LimitsConfig,
        prefix: str,
        stats: Stats,
        sweeper: Sweeper,
    ) -> None:
        super().__init__(session, socket, transport, limits, prefix, stats)
        self._sweeper = sweeper
        self._task = asyncio.current_task()
        self._doing = Doing.READING
        self._since = self._seen = sweeper.now
        self._pinged = 0.0
        self._pings = 0
        self._overdue = False
        self._probe: asyncio.Future[bool] | None = None
        self._mark: asyncio.Event | None = None

    async def probe(self, patience: float) -> bool:
        """Ping the peer and return whether it showed life in time; see `Sink.probe`."""
        if self.closing:
            return False
        if self._doing is not Doing.READING:
            return True
        probe = self._probe
        if probe is None:
            probe = self._probe = self._loop.create_future()
            self._ping()
        await asyncio.wait([probe], timeout=patience)
        return probe.done() and probe.result()

    def check(self, now: float, wall: float) -> None:
        """Act on what has taken too long; called by the sweeper."""
        limits, doing = self._limits, self._doing
        if doing is Doing.HANDLING and now - self._since >= limits.action_timeout:
            self._cancel_handler()
        if self.closing:
            return
        self.check_stall(now)
        if self._session.closes_at is not None and wall >= self._session.closes_at:
            self.close(self._session.closes_with, self._session.closes_with.name.lower())
        elif doing is not Doing.READING:
            self._pinged = 0.0
        elif self._pinged:
            if self._seen >= self._pinged:
                self._pinged = 0.0
            elif now - self._pinged >= limits.ping_timeout:
                self.close(CloseCode.NO_PONG, "no pong")
        elif now - max(self._seen, self._since) >= limits.ping_interval:
            self._pinged = now
            self._ping()

    async def _reach_mark(self) -> None:
        """Wait until all that the client has sent so far has been handled.

        A client that says nothing while its read loop is reading gets 2 s.
        """
        self._mark = asyncio.Event()
        self._ping(MARK)
        while not await _happens(self._mark, CLOSE_TIMEOUT) and self._doing is not Doing.READING:
            log.debug("still %s", self._doing.value, extra={"session": self._session})

    def _has_answered(self, pong: bytes) -> bool:
        """Take a pong; tell whether it answers a ping of ours."""
        if not self._pings:
            return False
        self._pings -= 1
        if pong == MARK and self._mark is not None:
            self._mark.set()
        return True

    def _end_pulse(self) -> None:
        """Let go of everybody who waits for a sign of life."""
        self._show_life(alive=False)
        if self._mark is not None:
            self._mark.set()

    def _ping(self, payload: bytes = b"") -> None:
        self._pings += 1
        self.write(ping_frame(payload))

    def _show_life(self, *, alive: bool = True) -> None:
        if self._probe is not None:
            if not self._probe.done():
                self._probe.set_result(alive)
            self._probe = None

    def _cancel_handler(self) -> None:
        if self._task is not None and not self._overdue:
            self._overdue = True
            self._task.cancel()

    def _is_ending(self) -> bool:
        """Take back the sweeper's cancel; tell whether anybody else wants the task to end."""
        if self._task is None:
            return False
        if self._overdue:
            self._overdue = False
            self._task.uncancel()
        return self._task.cancelling() > 0


async def _happens(event: asyncio.Event, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            return await event.wait()
    except TimeoutError:
        return False
