"""Keep what is not stored in its place among what is being stored."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Final

from chatserver.publications import Publication
from chatserver.store import Store

MOST: Final = 1000
"""Publications that may wait in one room; beyond, the earliest of them goes before its turn."""

SETTLING: Final = 2.0
"""Seconds after which nobody waits any longer for a store from which nothing comes back."""


class Line:
    """Count one room's publications on their way to the store, and hold back what came after.

    Args:
        store: Where they go.

    Attributes:
        store: As given.
        appended: How many have gone to the store.
        settled: How many of them have come back.
        waiting: Publications and how many stored ones go before each.
    """

    __slots__ = ("_news", "_since", "appended", "settled", "store", "waiting")

    def __init__(self, store: Store) -> None:
        self.store = store
        self._since = monotonic()
        self._news: asyncio.Event | None = None
        self.appended = 0
        self.settled = 0
        self.waiting: deque[tuple[int, Publication]] = deque()

    def wait(self, publication: Publication) -> Publication | None:
        """Hold one back until all that were appended so far have come back.

        Return the earliest where one too many waits: none is lost, and none overtakes another.
        """
        self.waiting.append((self.appended, publication))
        return self.waiting.popleft()[1] if len(self.waiting) > MOST else None

    def due(self) -> Iterator[Publication]:
        """Iterate over those whose turn has come; they wait no longer."""
        while self.waiting and self.waiting[0][0] <= self.settled:
            yield self.waiting.popleft()[1]

    def tell(self) -> None:
        """Tell those who wait that something has come back."""
        self._since = monotonic()
        if self._news is not None:
            self._news.set()
            self._news = None

    async def news(self) -> None:
        """Wait until something comes back, up to `SETTLING` after the last time."""
        self._news = self._news or asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._since + SETTLING - monotonic()):
                await self._news.wait()
