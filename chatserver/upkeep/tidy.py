"""Erase users, begin new epochs, give space back, and copy the file."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from chatserver.store.cleaning import Cleaning
from chatserver.store.failures import DamagedIndex
from chatserver.store.index import Index
from chatserver.store.rows import NOTE_REMOVAL
from chatserver.store.schema import mend, new_epoch
from chatserver.store.transactions import Transactions
from chatserver.store.wiping import Wiper
from chatserver.upkeep import UpkeepError
from chatserver.upkeep.files import appearing, failures, reading, writing
from chatserver.upkeep.progress import Progress

PAGES: Final = 256
"""Pages that a backup copies between two looks at its progress."""

_SIZE: Final = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
_HAS_INDEX: Final = "SELECT 1 FROM sqlite_master WHERE name = 'search_data'"
_DROP_STUBS: Final = """DELETE FROM publication WHERE kind IS NULL AND cid IS NULL
    AND id < (SELECT max(id) FROM publication)"""


def erase(path: Path, user: str) -> int:
    """Erase all that a user has written, and forget who wrote it; return how many messages.

    The messages stay in their places as deleted ones. What others wrote stays, also to this user;
    the names of direct rooms have the user's id in them and stay. Merges the whole search index,
    and looks through the whole file, for what was removed must not stay in unused parts of it.

    Args:
        path: The store's file.
        user: The user id.

    Raises:
        UpkeepError: There is no such file, or no user id, or a search index and no FTS5; or all
            is erased but for what another program still reads, or what could not be wiped.
        StoreError: A server has the file, it is not ours, or it fails.
    """
    if not user:
        # In the file, no user stands for the server itself, and for whoever was erased.
        raise UpkeepError("an empty user id is nobody's; give the one that `sender` has")
    with closing(Wiper(path)) as wiper, writing(path) as connection:
        transactions = Transactions(connection)
        index = Index(connection)
        if not index.available and connection.execute(_HAS_INDEX).fetchone():
            raise UpkeepError(
                "nothing is erased: the SQLite of this Python has no FTS5, and the words would stay"
                " in the search index; use a Python that has it, as the server's once had"
            )
        cleaning = Cleaning(connection, transactions, index, wiper)
        erased = 0
        try:
            erased += _erase(connection, transactions, index, user)
            _clean(connection, cleaning)
        except DamagedIndex as found:
            with transactions.around(relaxed=False):
                index.renew(found)
            erased += _erase(connection, transactions, index, user)
            _clean(connection, cleaning)
    return erased


def reset_epochs(path: Path) -> int:
    """Give every room a new epoch; return how many rooms.

    For a file that was copied back: clients that have seen what came after the copy was made then
    ask anew instead of taking other messages for those.

    Args:
        path: The store's file.

    Raises:
        UpkeepError: There is no such file.
        StoreError: A server has the file, it is not ours, or it fails.
    """
    with writing(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        rooms = connection.execute("SELECT id FROM room").fetchall()
        connection.executemany(
            "UPDATE room SET epoch = ? WHERE id = ?", [(new_epoch(), room) for (room,) in rooms]
        )
        connection.execute("COMMIT")
    return len(rooms)


def vacuum(path: Path) -> tuple[int, int]:
    """Write the file anew without the space that is free; return its bytes before and after.

    Needs twice as much free space as the file has bytes, beside it.

    Args:
        path: The store's file.

    Raises:
        UpkeepError: There is no such file, or another program reads it.
        StoreError: A server has the file, it is not ours, it fails, or there is no space.
    """
    with writing(path) as connection:
        (before,) = connection.execute(_SIZE).fetchone()
        _rewrite(connection, path)
        (after,) = connection.execute(_SIZE).fetchone()
    return before, after


def backup(path: Path, target: Path, progress: Progress) -> int:
    """Copy the file as it is at this moment, also beside a running server; return its bytes.

    The copy is checked before it appears, which reads all of it once more. A search index that is
    found damaged then is an empty one in the copy, and made of the messages once a server has it.

    Args:
        path: The store's file.
        target: Where the copy goes; there must be no such file. It appears when it is complete.
        progress: Is told how many pages have been copied.

    Raises:
        UpkeepError: The target exists or cannot be written, or there is no such file, or it is
            damaged; there is no copy then.
        StoreError: One of the two fails.
    """
    with appearing(target) as part:
        copy = sqlite3.connect(part, isolation_level=None)
        try:
            with reading(path) as source:
                # Reading pins the moment: what is committed from now on is not copied.
                source.execute("SELECT count(*) FROM room").fetchone()
                with failures(part):
                    source.backup(
                        copy,
                        pages=PAGES,
                        progress=lambda _, left, pages: progress.reach(pages - left),
                    )
            # A server's log grows for as long as its file is read, so the copy is looked at.
            with failures(part):
                copy.execute("PRAGMA secure_delete = ON")
                found = mend(copy)
                if found is not None:
                    raise UpkeepError(
                        f"{path} is damaged ({found}), so there is no copy;"
                        " check the disk, and put an earlier backup back"
                    )
                # No server runs on the copy.
                copy.execute("DELETE FROM running")
        finally:
            copy.close()
    return target.stat().st_size


def pages(path: Path) -> int:
    """Return how many pages the file has."""
    with reading(path) as connection:
        count: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return count


def _erase(
    connection: sqlite3.Connection, transactions: Transactions, index: Index, user: str
) -> int:
    with transactions.around(relaxed=False):
        index.erase(user)
        connection.execute(
            "DELETE FROM reply WHERE (room, offset) IN"
            " (SELECT room, offset FROM publication WHERE user = ?)",
            (user,),
        )
        erased = connection.execute(
            "UPDATE publication SET body = NULL, user = '', cid = NULL, checksum = NULL"
            " WHERE user = ?",
            (user,),
        ).rowcount
        # What is below the floor was kept for its `cid` only.
        connection.execute(_DROP_STUBS)
        connection.execute("UPDATE room SET creator = NULL WHERE creator = ?", (user,))
        connection.execute("DELETE FROM cursor WHERE user = ?", (user,))
        connection.execute(NOTE_REMOVAL)
    return erased


def _clean(connection: sqlite3.Connection, cleaning: Cleaning) -> None:
    # Cleaning itself does not wait for whoever reads the file.
    _shorten(connection)
    try:
        while cleaning.step(0):
            pass
    except OSError as error:
        raise UpkeepError(
            "it is done, but what is gone may be left in unused parts of the file:"
            f" {error.strerror}; a server tries again, or give the command again"
        ) from error
    if not cleaning.is_done:
        raise _still_read()


def _rewrite(connection: sqlite3.Connection, path: Path) -> None:
    # SQLite makes a copy, and writes it back through the log, which is to have nothing else.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if "SQLITE_TMPDIR" not in os.environ:
        # Where it would put the copy there may be no space, nor the right to write. It asks the
        # whole process, and takes no folder that it cannot write to or name.
        folder = str(path.parent.absolute()).replace("'", "''")
        with suppress(sqlite3.Error, UnicodeEncodeError):
            connection.execute(f"PRAGMA temp_store_directory = '{folder}'")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store_directory = ''")
    _shorten(connection)


def _shorten(connection: sqlite3.Connection) -> None:
    # What was erased is still in the log.
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise _still_read()


def _still_read() -> UpkeepError:
    return UpkeepError(
        "it is done, but another program reads the file, and what is gone stays in its log;"
        " end that program (a backup or export?) and give the command again"
    )
