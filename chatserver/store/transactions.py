"""Begin, commit and undo on the connection that writes."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from chatserver.store.failures import index_only

log = logging.getLogger("chatserver.store")

LOG_PATIENCE: Final = 50
"""Milliseconds for which the log's readers are waited for before it is emptied."""


class Transactions:
    """Have one transaction after the other.

    Args:
        connection: The file, opened for writing.
        undone: Is called where one is undone: what was remembered of the file may be wrong then.
    """

    def __init__(
        self, connection: sqlite3.Connection, undone: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = connection
        self._undone = undone
        self._relaxed = False

    @contextmanager
    def around(self, *, relaxed: bool) -> Iterator[None]:
        """Begin; commit what is done within, or undo it where that fails.

        Args:
            relaxed: Whether not to wait for the disk.

        Raises:
            DamagedIndex: The search index, which writes what it has gathered at the commit.
            sqlite3.Error: Nothing of it has been done.
        """
        try:
            self.begin(relaxed=relaxed)
            yield
            with index_only():
                self.commit()
        except BaseException:
            self.undo()
            raise

    def begin(self, *, relaxed: bool) -> None:
        """Begin by hand, where each microsecond counts; see `around`."""
        if relaxed is not self._relaxed:
            mode = "NORMAL" if relaxed else "FULL"
            self._connection.execute(f"PRAGMA synchronous = {mode}")
            self._relaxed = relaxed
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit what was done since `begin`."""
        self._connection.execute("COMMIT")

    def undo(self) -> None:
        """Undo what was done since `begin`, whether or not SQLite has done so already."""
        self._undone()
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                log.error("the transaction could not be rolled back: %s", error)

    def empty_log(self) -> bool:
        """Take from the log what was erased; return whether that has been done.

        A reader of old rows puts it off, for as long as an export takes; nothing is stored while
        it is waited for.
        """
        (patience,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
        self._connection.execute(f"PRAGMA busy_timeout = {LOG_PATIENCE}")
        try:
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {patience}")
        return not busy
