"""Settle outcomes that are still on their way, in the order the messages came."""

import asyncio
from collections import deque
from collections.abc import Callable

from chatserver.context import Awaited
from chatserver.envelope import Envelope
from chatserver.session import Place

Settle = Callable[[Envelope, Awaited, Place], None]
"""Do something about one message, from some place, with an outcome that is there."""


class Acknowledgements:
    """Queue the outcomes of one connection; the first unfinished one holds back the later ones.

    Args:
        settle: Answers a message.
        foresee: Hears of an outcome that is there but has to wait for its turn, at least once.
        most: Outcomes that may be on their way; reading stops until one is settled.
    """

    __slots__ = ("_foresee", "_most", "_queue", "_room", "_settle")

    def __init__(self, settle: Settle, foresee: Settle, most: int) -> None:
        self._settle = settle
        self._foresee = foresee
        self._most = most
        self._queue: deque[tuple[Envelope, Awaited, Place]] = deque()
        self._room = asyncio.Event()

    def add(self, envelope: Envelope, outcome: Awaited, place: Place) -> bool:
        """Queue an outcome; it is settled as soon as all before it are.

        Return whether as many are on their way now as may be; see `room`.
        """
        if outcome.is_done and not self._queue:
            self._settle(envelope, outcome, place)
            return False
        self._queue.append((envelope, outcome, place))
        outcome.when_done(self)
        return len(self._queue) >= self._most

    async def room(self) -> None:
        """Wait until another outcome may be added."""
        while len(self._queue) >= self._most:
            self._room.clear()
            await self._room.wait()

    async def empty(self) -> None:
        """Wait until all outcomes are settled."""
        while self._queue:
            self._room.clear()
            await self._room.wait()

    def abandon(self) -> None:
        """Forget what is on its way; there is nobody left to answer."""
        self._queue.clear()
        self._room.set()

    def __call__(self) -> None:
        """Settle what can be, as an outcome has come.

        A bound method would be made for each outcome, to be called once for all that come together.
        """
        queue, settle = self._queue, self._settle
        while queue and queue[0][1].is_done:
            envelope, outcome, place = queue.popleft()
            settle(envelope, outcome, place)
        for envelope, outcome, place in queue:
            if outcome.is_done:
                self._foresee(envelope, outcome, place)
        self._room.set()
