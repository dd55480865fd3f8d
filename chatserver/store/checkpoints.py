"""Copy the log into the file on a thread of its own, while the writer goes on.

SQLite would do it on the writer's connection once the log is long. Storing would stand still then,
for as long as the disk takes for all of it.
"""

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Final

from chatserver.store.failures import code_of, describe
from chatserver.store.schema import connect
from chatserver.store.threads import leave_signals

log = logging.getLogger("chatserver.store")

PAGE: Final = 4096
"""Bytes of a page."""

PART: Final = 4000
"""Pages of the log, roughly counted, after which they are copied.

A page is copied once, however often it stands in them, as the ends of indexes do. Copying takes 4 %
of a busy server's time; 9 % with a quarter as many, and hardly less with twice as many, of which
the disk would get more to write at once.
"""

LONGEST: Final = 16_000
"""Pages of a log to which the writer copies what has come meanwhile, so that it is begun anew."""

_COPY: Final = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """Follow a writer and copy what it has written.

    Args:
        writing: The writer's connection, which no longer copies anything by itself.
        path: The file.
        timeout: Seconds to wait for another program's lock.
    """

    def __init__(self, writing: sqlite3.Connection, path: Path, timeout: float) -> None:
        writing.execute("PRAGMA wal_autocheckpoint = 0")
        self._writing = writing
        self._copying = connect(path, timeout)
        self._changes = 0
        self._pages = 0
        self._long = False
        self._failing = False
        self._unsynced: sqlite3.Error | None = None
        self._stopping = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chatserver-checkpoints")
        self._thread.daemon = True
        self._thread.start()

    def follow(self, stored: int) -> None:
        """Hear in the writer's thread that something may have been committed.

        Once the log is long it waits for the disk, for what has come since the last part: only
        where nothing is left to be copied does SQLite write from the log's beginning again.

        Args:
            stored: Bytes of the bodies in it.

        Raises:
            sqlite3.Error: What the log holds may not be on the disk: syncing it has failed, and the
                next commit would not be told.
        """
        self._copy_if_due(stored)
        if self._unsynced is not None:
            raise self._unsynced

    def close(self) -> None:
        """End the thread; called in the writer's, which closes its connection afterwards."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._copying.close()

    def _copy_if_due(self, stored: int) -> None:
        written = self._writing.total_changes - self._changes
        if not written:
            return
        self._changes += written
        # SQLite does not tell. A commit touches a few pages, and some four rows touch the same ones
        # but for their bodies.
        self._pages += 4 + written // 4 + stored // PAGE
        if self._long:
            self._long = False
            self._pages = 0
            self._copy(self._writing)
        elif self._pages >= PART:
            self._pages = 0
            self._wake.set()

    def _run(self) -> None:
        leave_signals()
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            try:
                self._copy_part()
            except Exception:
                log.exception("a part of the log could not be copied")

    def _copy_part(self) -> None:
        pages, copied = self._copy(self._copying)
        # While somebody reads old rows much is left, which the writer must not wait for.
        if pages >= LONGEST and pages - copied < PART:
            # Once more, so that less is left to the writer: it waits half as long for the disk.
            self._copy(self._copying)
            # Now it is the writer's turn, however much it has written meanwhile.
            self._wake.clear()
            self._long = True

    def _copy(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Copy what no reader still needs; return the log's pages, and how many of them are copied.

        None of them is known where another one is copying, which is as good.
        """
        if self._unsynced is not None:
            # What the disk may have lost must not get into the file.
            return 0, 0
        try:
            _, pages, copied = connection.execute(_COPY).fetchone()
        except sqlite3.Error as error:
            # What could not be written into the file stays in the log.
            if not self._failing:
                log.error("the log grows, for it cannot be copied: %s", describe(error))
            self._failing = True
            if code_of(error) == sqlite3.SQLITE_IOERR_FSYNC:
                self._unsynced = error
            return 0, 0
        if self._failing:
            self._failing = False
            log.warning("the log is copied again")
        return pages, copied
