"""Let nothing stay of what was removed: not in the index, not in the log, not in the file.

A round takes it from all three, in small steps: the search index, where it is only marked as
removed, is merged into one piece; then the log is emptied, and the file wiped. The file itself
knows whether a round is to come (`indexed.unclean`): 0 where nothing was removed, 2 where nothing
was since the round began, else 1. So it comes after a restart as well.
"""

import sqlite3
from collections.abc import Iterator
from time import perf_counter
from typing import Final

from chatserver.store.index import Index
from chatserver.store.transactions import Transactions
from chatserver.store.wiping import Wiper

MERGED: Final = 64
"""Pages of the index that one step writes, more or less."""

WIPED: Final = 1024
"""Pages of the file that one step looks through, and waits for the disk once."""

TRIES: Final = 5
"""Times that the log is tried to be emptied, before the next try is left to the next sweep."""

REST: Final = 50
"""Times the seconds it took that a round rests before the next."""


class Cleaning:
    """Clean the file behind a connection that writes, in its thread.

    Args:
        connection: The connection.
        transactions: Those of it.
        index: The search index.
        wiper: Wipes the file.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        transactions: Transactions,
        index: Index,
        wiper: Wiper,
    ) -> None:
        self._connection = connection
        self._transactions = transactions
        self._index = index
        self._wiper = wiper
        self._round: Iterator[bool] | None = None
        self._cost = 0.0
        self._rests_until = 0.0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left of what was removed."""
        row = self._connection.execute("SELECT unclean FROM indexed").fetchone()
        return not row[0]

    def begins(self, now: float) -> bool:
        """Tell whether the next step begins a round.

        Args:
            now: Unix time in seconds.
        """
        return self._round is None and now >= self._rests_until and not self.is_done

    def step(self, now: float) -> bool:
        """Do some of it; return whether to go on at once.

        A program that reads old rows puts it off, for as long as an export takes.

        Args:
            now: Unix time in seconds.

        Raises:
            DamagedIndex: The index. Whatever is raised, the round begins anew.
            sqlite3.Error: The file cannot be written.
            OSError: The file cannot be wiped.
        """
        if self.begins(now):
            self._round = self._steps()
        if self._round is None:
            return False
        began = perf_counter()
        try:
            goes_on = next(self._round, None)
        except BaseException:
            self._round = None
            self._cost = 0.0
            raise
        self._cost += perf_counter() - began
        if goes_on is None:
            self._round = None
            self._rests_until = now + REST * self._cost
            self._cost = 0.0
        return bool(goes_on)

    def _steps(self) -> Iterator[bool]:
        self._index.drop_levels()
        with self._transactions.around(relaxed=True):
            self._connection.execute("UPDATE indexed SET unclean = 2")
            # A negative number begins: it takes everything there is into the merge.
            more = self._index.merge(-MERGED)
        while more:
            yield True
            with self._transactions.around(relaxed=True):
                more = self._index.merge(MERGED)
        page, more = 0, True
        while more:
            yield True
            tries = 0
            while not self._transactions.empty_log():
                # A search is over soon, an export is not.
                tries += 1
                yield tries % TRIES > 0
            with self._transactions.around(relaxed=True):
                wiped, more = self._wiper.wipe(page, WIPED)
            if wiped:
                # What the connection has in memory would bring back what was there.
                self._connection.execute("PRAGMA shrink_memory")
            page += WIPED
        with self._transactions.around(relaxed=True):
            self._connection.execute("UPDATE indexed SET unclean = 0 WHERE unclean = 2")
