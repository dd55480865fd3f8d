"""Keep what is not stored in its place among what is being stored."""

from collections import deque
from typing import Final

from chatserver.publications import Publication

MOST: Final = 1000
"""Publications that may wait in one room; beyond, they go out of turn or, if ephemeral, nowhere."""


class Line:
    """Count one room's publications on their way to the store, and hold back what came after.

    Attributes:
        waiting: Publications and how many stored ones go before each.
    """

    __slots__ = ("_appended", "_settled", "waiting")

    def __init__(self) -> None:
        self._appended = 0
        self._settled = 0
        self.waiting: deque[tuple[int, Publication]] = deque()

    @property
    def empty(self) -> bool:
        """Whether nothing is on its way."""
        return self._appended == self._settled

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return len(self.waiting) >= MOST

    def appended(self) -> None:
        """Count one that goes to the store."""
        self._appended += 1

    def settled(self) -> None:
        """Count one that has come back."""
        self._settled += 1

    def wait(self, publication: Publication) -> None:
        """Hold one back until all that were appended so far have come back."""
        self.waiting.append((self._appended, publication))

    def next(self) -> Publication | None:
        """Return one whose turn has come."""
        if self.waiting and self.waiting[0][0] <= self._settled:
            return self.waiting.popleft()[1]
        return None
