"""Keep together what is stored together, and hand on what became of it."""

import logging
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from chatserver.pending import Pending, settle_all
from chatserver.publications import Publication, Published
from chatserver.store import Settle, Settlement

log = logging.getLogger("chatserver.store")

_room = attrgetter("room")
_body = attrgetter("body")


class Batch:
    """Hold publications and, for each, who waits to hear of it and what they will hear.

    Lists side by side: a tuple for each publication would be made and looked into three times.

    Attributes:
        publications: In the order in which they are stored.
        waiting: The outcome that each one's author waits for.
        outcomes: What became of them; empty before.
    """

    __slots__ = ("outcomes", "publications", "waiting")

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self.waiting: list[Pending[Published]] = []
        self.outcomes: list[Settlement] = []

    @property
    def size(self) -> int:
        """Bytes of the bodies."""
        return sum(map(len, map(_body, self.publications)))

    def add(self, publication: Publication, waiting: Pending[Published]) -> None:
        """Add a publication and what its author waits for."""
        self.publications.append(publication)
        self.waiting.append(waiting)

    def extend(self, other: "Batch") -> None:
        """Add the publications of another one."""
        self.publications += other.publications
        self.waiting += other.waiting

    def cut(self, most: int) -> "Iterator[Batch]":
        """Cut into batches of so many at most."""
        for start in range(0, len(self.publications), most):
            part = Batch()
            part.publications = self.publications[start : start + most]
            part.waiting = self.waiting[start : start + most]
            part.outcomes = self.outcomes[start : start + most]
            yield part

    def hand_on(self, settle: Settle | None) -> None:
        """Settle room by room, as far as they follow each other, then tell those who wait."""
        start = 0
        for room, run in groupby(map(_room, self.publications)):
            end = start + len([*run])
            if settle is not None:
                try:
                    settle(room, self.publications[start:end], self.outcomes[start:end])
                except Exception:
                    log.exception("outcomes could not be handed on")
            start = end
        settle_all(zip(self.waiting, self.outcomes, strict=True))
