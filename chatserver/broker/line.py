"""Keep what is not stored in its place among what is being stored."""

from collections import deque
from collections.abc import Iterator
from typing import Final

from chatserver.publications import Publication
from chatserver.store import Store

MOST: Final = 1000
"""Publications that may wait in one room; beyond, the earliest of them goes before its turn."""


class Line:
    """Count one room's publications on their way to the store, and hold back what came after.

    Args:
        store: Where they go.
        now: The time, in seconds, on the clock that `since` is compared with.

    Attributes:
        store: As given.
        since: When it began, or something last came back.
        appended: How many have gone to the store.
        settled: How many of them have come back.
        waiting: Publications and how many stored ones go before each.
    """

    __slots__ = ("appended", "settled", "since", "store", "waiting")

    def __init__(self, store: Store, now: float) -> None:
        self.store = store
        self.since = now
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
