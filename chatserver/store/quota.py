"""Refuse what would make the store larger than it may be; part of the writer's transactions."""

import logging
import sqlite3
from collections.abc import Sequence
from typing import Final

from chatserver.config import StoreConfig
from chatserver.errors import ActionError
from chatserver.publications import Publication
from chatserver.store import TOO_MANY_ROOMS, too_many_of_user

log = logging.getLogger("chatserver.store")

ROW: Final = 400
"""Bytes that a publication takes in the file beside its body, with its share of the indexes."""

INDEX: Final = 3
"""Times the bytes of its body that a message may take in the search index, where words are rare."""

_USED: Final = """SELECT (page_count - freelist_count) * page_size
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""
_BODIES: Final = "SELECT coalesce(sum(length(body)), 0) FROM publication WHERE id > ?"
_ROOMS: Final = "SELECT count(*) FROM room"
_ROOMS_OF_USER: Final = "SELECT count(*) FROM room WHERE creator = ?"


class Quota:
    """Know how many rooms and bytes there are, and how many there may be.

    What it holds is only right while every transaction is committed: `forget` after a failure.

    Args:
        connection: The writer's connection.
        bounds: What there may be.
    """

    def __init__(self, connection: sqlite3.Connection, bounds: StoreConfig) -> None:
        self._connection = connection
        self._bounds = bounds
        self._rooms: int | None = None
        self._left = 0
        self._unindexed = 0.0
        self._asked = 0
        self._full = False
        self._crowded = False

    @property
    def used(self) -> int:
        """How many bytes of the file are in use."""
        return self._ask(_USED)

    def space(self, batch: Sequence[Publication]) -> int | None:
        """Return the bytes that are left where a batch may not fit into the file, else None.

        Measures only then; how much a publication takes is its `cost`. What waits to be indexed
        is as good as there.
        """
        most = self._bounds.max_store_bytes
        if most is None:
            return None
        bodies = sum([len(each.body) for each in batch])
        self._asked = INDEX * bodies
        size = cost(bodies, len(batch))
        if size > self._left:
            free = most - self.used - int(self._unindexed)
            # Measured again after an eighth: how much the index takes differs.
            self._left = free if free < 8 * size else free // 8
            self._note(full=size > free, ample=free - size > most // 100)
            if size > free:
                self._left = 0
                return free
        self._left -= size
        return None

    def wait_for_index(self, share: float) -> None:
        """Count in what the last batch will take in the search index.

        Args:
            share: How much of the batch is stored, at most 1.
        """
        self._unindexed += share * self._asked

    def follow_index(self, share: float) -> None:
        """Count out what has been indexed.

        Args:
            share: How much still waits of what did, less than 1. Bytes are taken to be alike in
                all, for nobody remembers each batch.
        """
        self._unindexed *= share

    def begin_behind(self, mark: int) -> None:
        """Measure what waits to be indexed; many messages take about as much again there.

        Args:
            mark: The id of the last publication that has been indexed.
        """
        if self._bounds.max_store_bytes is not None:
            self._unindexed = self._ask(_BODIES, mark)

    def renew_index(self, used: int) -> None:
        """Count in what an index that is made anew will take: what it took.

        Args:
            used: How many bytes were in use before.
        """
        self._unindexed += used - self.used

    def _note(self, *, full: bool, ample: bool) -> None:
        if full and not self._full:
            log.error("the store has its store.max_store_bytes; messages are refused")
            self._full = True
        elif self._full and ample:
            log.warning("there is space below store.max_store_bytes again")
            self._full = False

    def add_room(self, creator: str | None) -> ActionError | None:
        """Count one more room in, or return why there may not be one.

        Args:
            creator: Whose message makes it; None for the server's own, which no user answers for.
        """
        if self._rooms is None:
            self._rooms = self._ask(_ROOMS)
        bounds = self._bounds
        crowded = bounds.max_rooms is not None and self._rooms >= bounds.max_rooms
        if crowded and not self._crowded:
            log.error("there are store.max_rooms rooms; messages to new ones are refused")
        self._crowded = crowded
        if crowded:
            return TOO_MANY_ROOMS
        most = bounds.max_rooms_per_user
        if creator is not None and most is not None and self._ask(_ROOMS_OF_USER, creator) >= most:
            return too_many_of_user(most)
        self._rooms += 1
        return None

    def remove_room(self) -> None:
        """Count a room out again that was counted in."""
        self._rooms = None

    def forget(self) -> None:
        """Begin anew from the file."""
        self._rooms = None
        self._left = 0

    def _ask(self, question: str, *values: str | int) -> int:
        number: int = self._connection.execute(question, values).fetchone()[0]
        return number


def cost(bodies: int, count: int = 1) -> int:
    """Return the bytes of the file that publications take at most, with their words in the index.

    Args:
        bodies: Bytes of their bodies.
        count: How many there are.
    """
    return count * ROW + (1 + INDEX) * bodies
