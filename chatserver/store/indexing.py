"""Decide when the writer's thread goes on indexing, and let searches wait for it.

A message is stored, acknowledged and delivered without its words in the index. They follow when the
thread has nothing else to do, many messages at a time, with a small part of its time while it has,
and at once where somebody searches.
"""

import asyncio
import logging
import math
import sqlite3
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from chatserver.errors import ActionError, ErrorCode
from chatserver.store import unavailable
from chatserver.store.failures import DamagedIndex, judge
from chatserver.store.index import STEP
from chatserver.store.writer import Writer

log = logging.getLogger("chatserver.store")

GATHER: Final = 1.0
"""Seconds for which few messages wait for others to be indexed with them."""

QUIET: Final = 0.02
"""Seconds without anything to store after which indexing has the thread for itself."""

REST: Final = 9
"""Times as long as it took that a step rests, unless all is quiet: a tenth of the time is its."""

LONG_REST: Final = 49
"""The same while few messages wait: a fiftieth of the time."""

FEW_BEHIND: Final = 50_000
"""Messages that are indexed within a second once somebody searches."""

MOST_BEHIND: Final = 1_000_000
"""Messages that may wait to be indexed; beyond, indexing takes turns with storing."""

RETRY: Final = 5.0
"""Seconds to wait after a failure, such as a full disk."""


class Indexing:
    """Follow a writer with the index.

    Args:
        writer: Indexes, on its thread.
        stop: Stops everything where an error says that the disk has failed, and tells whether.
    """

    def __init__(self, writer: Writer, stop: Callable[[sqlite3.Error], bool]) -> None:
        self._writer = writer
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._asked: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._gathers_until = math.inf
        # Who begins has clients that come back all at once.
        self._rests_until = self._quiet_from = monotonic() + GATHER
        self._fails_until = 0.0
        self._found: DamagedIndex | None = None

    # In the loop

    def renew(self, found: DamagedIndex) -> None:
        """Have the index made anew, in which a search has found damage; wake the thread then."""
        self._found = found

    def reached(self) -> "asyncio.Future[None]":
        """Return what is done once all that is stored now is in the index; wake the thread then.

        Its outcome raises `ActionError` (``unavailable``) where indexing fails.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        if self._writer.behind <= 0 and self._found is None:
            future.set_result(None)
        elif monotonic() < self._fails_until:
            _refuse(future)
        else:
            self._asked.append((self._writer.newest, future))
        return future

    # In the thread

    @property
    def due(self) -> float:
        """When there is something to do, on the monotonic clock."""
        behind = self._writer.behind
        if self._asked or self._found:
            return self._fails_until
        if behind <= 0:
            self._gathers_until = math.inf
        elif behind >= STEP:
            self._gathers_until = 0.0
        elif self._gathers_until == math.inf:
            self._gathers_until = monotonic() + GATHER
        turn = min(self._rests_until, self._quiet_from)
        return max(self._gathers_until, turn, self._fails_until)

    def follow(self, stored: int) -> None:
        """Index while more is waiting to be stored, where that cannot be put off.

        Args:
            stored: How many publications have just been stored.
        """
        now = monotonic()
        self._quiet_from = now + QUIET
        if now < self._fails_until:
            return
        if self._writer.behind > MOST_BEHIND:
            for _ in range(1 + 2 * stored // STEP):
                self.step()
        elif self._asked or self._found:
            self.step()

    def step(self) -> None:
        """Index some, and tell those who wait for it."""
        began = monotonic()
        try:
            if self._found is not None:
                self._renew(self._found)
            elif self._writer.behind > 0:
                self._writer.index()
        except sqlite3.Error as error:
            if not self._stop(error):
                verdict = judge(error)
                # A full or locked file is told of where messages are refused.
                known = verdict.error.code == ErrorCode.UNAVAILABLE and not verdict.fatal
                level = logging.INFO if known else logging.ERROR
                log.log(level, "messages wait to be indexed: %s", error)
            self._fail()
        except Exception:
            log.exception("messages could not be indexed")
            self._fail()
        now = monotonic()
        rest = LONG_REST if self._writer.behind < FEW_BEHIND else REST
        self._rests_until = now + rest * (now - began)
        while self._asked and self._asked[0][0] <= self._writer.indexed:
            _, future = self._asked.popleft()
            self._loop.call_soon_threadsafe(_succeed, future)

    def _renew(self, found: DamagedIndex) -> None:
        try:
            # Searches that were under way while it was made anew tell of what it was before.
            if not self._writer.renewing:
                self._writer.renew_index(found)
        finally:
            self._found = None

    def _fail(self) -> None:
        self._fails_until = monotonic() + RETRY
        while self._asked:
            _, future = self._asked.popleft()
            self._loop.call_soon_threadsafe(_refuse, future)


def unsearchable() -> ActionError:
    """Return the refusal of searches while the index cannot be read or written."""
    return unavailable("Messages cannot be searched right now; try again", RETRY)


def _succeed(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _refuse(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_exception(unsearchable())
