"""Write batches of publications, each batch in one transaction."""

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from chatserver.config import StoreConfig
from chatserver.errors import ActionError
from chatserver.publications import Publication, Rules
from chatserver.stats import StoreStats
from chatserver.store import UNBOUNDED, Moves, Settlement, Stream
from chatserver.store.appending import WARY, Appender
from chatserver.store.cleaning import Cleaning
from chatserver.store.cursors import move_cursors
from chatserver.store.failures import DamagedIndex, is_of_disk
from chatserver.store.index import Index
from chatserver.store.ledger import Ledger
from chatserver.store.quota import Quota
from chatserver.store.retention import Retention
from chatserver.store.transactions import Transactions
from chatserver.store.wiping import Wiper

log = logging.getLogger("chatserver.store")

_NEWEST: Final = "SELECT coalesce(max(id), 0) FROM publication"


class Writer:
    """Own the connection that writes; used by one thread only.

    Args:
        connection: The file, opened for writing.
        rules: Tells how each room is kept.
        wiper: Wipes the file of what was removed.
        bounds: What there may be.

    Attributes:
        stats: What it has stored and refused.
        newest: The id of the last publication written.
        indexed: The id of the last one that searches find.
        renewing: Whether an index that was made anew has not caught up yet.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        rules: Rules,
        wiper: Wiper,
        bounds: StoreConfig = UNBOUNDED,
    ) -> None:
        self.stats = StoreStats()
        self._connection = connection
        self._ledger = Ledger(connection, rules)
        self._quota = Quota(connection, bounds)
        self._index = Index(connection)
        self._retention = Retention(connection, rules, self._index)
        self._appender = Appender(connection, self._ledger, self._quota, self._retention)
        self._transactions = Transactions(connection, self._forget)
        self._cleaning = Cleaning(connection, self._transactions, self._index, wiper)
        self.renewing = False
        self.newest: int = connection.execute(_NEWEST).fetchone()[0]
        self.indexed = self._index.mark
        if self.behind:
            self._quota.begin_behind(self.indexed)

    @property
    def refused(self) -> Mapping[Stream, ActionError]:
        """In which rooms whose publications the last batch had to leave out, and why."""
        return self._appender.refused

    @property
    def behind(self) -> int:
        """How many publications are still to be indexed, at most."""
        return self.newest - self.indexed if self.can_search else 0

    @property
    def can_search(self) -> bool:
        """Whether this SQLite can search."""
        return self._index.available

    def write(self, batch: Sequence[Publication]) -> list[Settlement]:
        """Commit a batch; all of it or nothing. Return one outcome for each, in order.

        What does not fit into the bounds is left out, and what the same user has behind it in the
        same room: see `refused`.

        Raises:
            sqlite3.Error: Nothing of it may be acknowledged.
        """
        started = perf_counter()
        # A change that was made before makes the batch wary, too late for the messages in it.
        wary = self._appender.wary > 0
        try:
            outcomes = self._transact(batch)
        except sqlite3.IntegrityError:
            if wary:
                raise
            self._appender.wary = WARY
            outcomes = self._transact(batch)
        self._count(outcomes, perf_counter() - started)
        stored = self._appender.stored
        self.newest = self._appender.last or self.newest
        if stored and self.can_search:
            self._quota.wait_for_index(stored / len(batch))
        self._retention.keep()
        self._ledger.shrink()
        return outcomes

    def take_floors(self) -> dict[str, int]:
        """Return the first offsets kept, of rooms in which that has changed since the last call."""
        floors, self._retention.floors = self._retention.floors, {}
        return floors

    def index(self) -> None:
        """Index some of what has been written; it can be lost, for it is done again then.

        Raises:
            sqlite3.Error: None of it has been done.
        """
        try:
            with self._healing():
                with self._transactions.around(relaxed=True):
                    mark = self._index.step()
                if self.behind:
                    self._quota.follow_index((self.newest - mark) / self.behind)
                self.indexed = mark
                if not self.behind:
                    self.renewing = False
        except sqlite3.Error:
            # The index does not grow as long as this goes on.
            self._quota.follow_index(0)
            raise

    def renew_index(self, found: DamagedIndex) -> None:
        """Make a damaged index anew; all messages wait to be indexed then.

        Unless that has been done already: what comes before all are indexed is raised again, for
        it is not the index then that is damaged.

        Args:
            found: What is wrong with it.

        Raises:
            sqlite3.Error: It is as it was.
        """
        if self.renewing:
            raise found
        used = self._quota.used
        # Before it is done: searches must not find nothing meanwhile.
        indexed, self.indexed = self.indexed, 0
        try:
            with self._transactions.around(relaxed=True):
                self._index.renew(found)
        except BaseException:
            self.indexed = indexed
            raise
        self._quota.renew_index(used)
        self.renewing = True

    def move_cursors(self, moves: Moves, now: float) -> None:
        """Commit how far users have read, without waiting for the disk.

        Args:
            moves: By user and room.
            now: Unix time in seconds.

        Raises:
            sqlite3.Error: Nothing has been noted.
        """
        with self._transactions.around(relaxed=True):
            move_cursors(self._connection, moves, now)

    def sweep(self, now: float) -> bool:
        """Remove some of what is too old; return whether there may be more.

        Args:
            now: Unix time in seconds.

        Raises:
            sqlite3.Error: Some may be removed nevertheless: see `take_floors`.
            OSError: The same; the file cannot be wiped.
        """
        more = True
        with self._healing():
            with self._transactions.around(relaxed=False):
                more = self._retention.sweep(now)
            self._retention.keep()
            # The floors of rooms may have changed.
            self._ledger.forget()
        try:
            return self._clean(now) or more
        except (sqlite3.Error, OSError) as error:
            # Told once all that is too old is gone.
            if not more or (isinstance(error, sqlite3.Error) and is_of_disk(error)):
                raise
            return True

    def remove_rooms(self, now: float) -> None:
        """Remove the rooms of which nothing is left, while nobody is in any; see `Retention`.

        Args:
            now: Unix time in seconds.

        Raises:
            sqlite3.Error: All are still there.
        """
        rooms = self._retention.empty_rooms(now)
        if rooms:
            # Those of a damaged index wait for the next start.
            with self._healing():
                with self._transactions.around(relaxed=False):
                    self._retention.remove(rooms)
                log.info("%d rooms of which nothing was left are removed", len(rooms))

    def _clean(self, now: float) -> bool:
        if self.behind and self._cleaning.begins(now):
            # What was erased may still have to leave the index.
            self.index()
            return True
        try:
            return self._cleaning.step(now)
        except DamagedIndex as found:
            self.renew_index(found)
            return True

    @contextmanager
    def _healing(self) -> Iterator[None]:
        # What is undone by that is done again the next time.
        try:
            yield
        except DamagedIndex as found:
            self.renew_index(found)

    def _forget(self) -> None:
        self._ledger.forget()
        self._quota.forget()
        self._retention.forget()

    def _count(self, outcomes: Sequence[Settlement], seconds: float) -> None:
        self.stats.commits.observe(seconds)
        self.stats.stored += self._appender.stored
        if self.refused:
            refusals = self.refused.values()
            self.stats.refused += sum(outcome in refusals for outcome in outcomes)

    def _transact(self, batch: Sequence[Publication]) -> list[Settlement]:
        try:
            relaxed = all(map(self._ledger.is_relaxed, {p.room for p in batch}))
            self._transactions.begin(relaxed=relaxed)
            outcomes = self._appender.append(batch)
            self._transactions.commit()
        except BaseException:
            self._transactions.undo()
            raise
        return outcomes
