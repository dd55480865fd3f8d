"""Create, recognise, check and migrate the file.

Publications lie in the order they were stored, whatever their room: with many rooms in a batch
that dirties few pages, and takes a third less CPU than keeping each room together. What retention
has removed may stay as a stub, without body and kind, for its `cid`. What messages answer stands in
a table of its own, so that those that answer nothing pay nothing. The search index has a row for
each message, with the publication's id; an id is never given again.
"""

import logging
import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from chatserver.errors import StoreError
from chatserver.store import cursors, direct
from chatserver.store.failures import DamagedIndex, code_of, describe, index_only

log = logging.getLogger("chatserver.store")

APPLICATION_ID: Final = 0x63686174
"""Marks the file as ours: "chat" in ASCII."""

OLDEST_SQLITE: Final = (3, 32)
"""The first that takes as many parameters in a statement as the writer uses."""

_FIRST: Final = (
    """CREATE TABLE room (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        epoch TEXT NOT NULL,
        floor INTEGER NOT NULL DEFAULT 1,
        top INTEGER NOT NULL DEFAULT 0,
        relaxed INTEGER NOT NULL DEFAULT 0,
        creator TEXT,
        index_floor INTEGER NOT NULL DEFAULT 1
    )""",
    "CREATE INDEX room_creator ON room (creator) WHERE creator IS NOT NULL",
    """CREATE TABLE publication (
        id INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        user TEXT NOT NULL,
        cid TEXT,
        checksum INTEGER,
        timestamp TEXT NOT NULL,
        target INTEGER,
        kind TEXT,
        body BLOB
    )""",
    "CREATE UNIQUE INDEX publication_place ON publication (room, offset)",
    "CREATE UNIQUE INDEX publication_cid ON publication (room, user, cid) WHERE cid IS NOT NULL",
    "CREATE INDEX publication_target ON publication (room, target, kind) WHERE target IS NOT NULL",
    """CREATE INDEX publication_pin ON publication (room, target)
        WHERE kind = 'pin' AND body IS NOT NULL""",
    "CREATE INDEX publication_stub ON publication (timestamp) WHERE kind IS NULL",
    """CREATE INDEX publication_erased ON publication (room, kind, body)
        WHERE body IS NULL AND kind IS NOT NULL""",
    """CREATE TABLE reply (
        room INTEGER NOT NULL,
        root INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        PRIMARY KEY (room, root, offset)
    ) WITHOUT ROWID""",
    "CREATE INDEX reply_place ON reply (room, offset)",
    direct.INDEX,
    *cursors.TABLES,
    "CREATE TABLE running (since TEXT NOT NULL)",
    "CREATE TABLE indexed (id INTEGER NOT NULL, unclean INTEGER NOT NULL)",
    "INSERT INTO indexed VALUES (0, 0)",
)

MIGRATIONS: Final = (_FIRST,)
"""Statements that lead from each version to the next; the file's version is how many it has had."""

SEARCH: Final = """CREATE VIRTUAL TABLE search USING fts5(
    room, text, columnsize = 0,
    tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co M*'"
)"""
"""The search index. Vowel signs are part of a word (M*); nothing is ranked, so no sizes."""


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a connection of our settings.

    Args:
        path: The file.
        timeout: Seconds to wait for another program's lock.

    Raises:
        sqlite3.Error: It cannot be opened, or is no database.
    """
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    try:
        connection.execute("PRAGMA cache_size = -16384")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_file(path: Path, timeout: float) -> sqlite3.Connection:
    """Open the file for writing: recognise it, migrate it, check it after an unclean stop.

    Raises:
        StoreError: It cannot be used; the message says what to do.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(f"SQLite is {sqlite3.sqlite_version}; the store needs 3.32 or newer")
    connection = None
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = connect(path, timeout)
        recognise(connection, path)
        _set_up(connection, path)
        _migrate(connection)
        _make_index(connection)
        _mark_running(connection, path)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise unusable(path, error) from error
    except StoreError:
        if connection is not None:
            connection.close()
        raise
    return connection


def close_file(connection: sqlite3.Connection) -> None:
    """Note a clean stop and close; all is on disk then."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE room SET relaxed = 0 WHERE relaxed")
    connection.execute("DELETE FROM running")
    connection.execute("COMMIT")
    connection.close()


def recognise(connection: sqlite3.Connection, path: Path) -> bool:
    """Check whose file it is; return False where it is empty and can become ours.

    Raises:
        StoreError: It is another program's, or a newer version's.
        sqlite3.Error: It is no database, or cannot be read.
    """
    application = _pragma(connection, "application_id")
    if application != APPLICATION_ID:
        if application or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StoreError(
                f"{path} is a database of another program; choose another file for the store"
            )
        return False
    version = _pragma(connection, "user_version")
    if isinstance(version, int) and version > len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by a newer chatserver (schema {version}, this one knows"
            f" {len(MIGRATIONS)}); install that version, or choose another file"
        )
    return True


def damage(connection: sqlite3.Connection) -> str | None:
    """Look for damage, and return the first found for people; reads the whole file.

    It is how the file is built that is looked at: another letter in a message is not found.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    # SQLite tells some of it in several lines.
    found = " ".join(str(_pragma(connection, "quick_check(1)")).split())
    return None if found == "ok" else found


def mend(connection: sqlite3.Connection) -> str | None:
    """Look for damage; make a search index anew that has it, and return what else is found.

    Newer versions of SQLite (3.44) look into the index as well.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    found = damage(connection)
    if found is not None and "fts5" in found.lower():
        _renew_index(connection, DamagedIndex(found))
        found = damage(connection)
    return found


def new_epoch() -> str:
    """Return a name for a new incarnation of a stream."""
    return secrets.token_hex(6)


def renew_index(connection: sqlite3.Connection, found: DamagedIndex) -> None:
    """Make a damaged search index anew, empty, within a transaction.

    All messages wait to be indexed then: its mark is where it was at the very first.

    Args:
        connection: The file.
        found: What is wrong with it, for the operator.

    Raises:
        sqlite3.Error: More is damaged than FTS5 can tell, or the file cannot be written.
    """
    # Where FTS5 cannot read what it has, it does not drop it either; so it is to have nothing.
    connection.execute("INSERT OR REPLACE INTO search_data VALUES (10, x'00000000000000')")
    connection.execute("DROP TABLE search")
    connection.execute(SEARCH)
    connection.execute("UPDATE indexed SET id = 0, unclean = 1")
    log.error("the search index is damaged and made anew: %s; check the disk", describe(found))


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return None if row is None else row[0]


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    mode = _pragma(connection, "journal_mode = WAL")
    if mode != "wal":
        raise StoreError(f"{path} cannot have a write-ahead log; keep the store on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    # At 64 MiB the log is copied into the file, each page once, however often it was written. A
    # server does it earlier, see `Checkpoints`. The last batch may make the log longer than that.
    connection.execute("PRAGMA wal_autocheckpoint = 16000")
    connection.execute("PRAGMA journal_size_limit = 134217728")


def _migrate(connection: sqlite3.Connection) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _make_index(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'search'").fetchone():
        _heal_index(connection)
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(SEARCH)
        connection.execute("UPDATE indexed SET id = 0")
    except sqlite3.OperationalError as error:
        connection.execute("ROLLBACK")
        if "no such module" not in str(error):
            raise
    else:
        connection.execute("COMMIT")


def _heal_index(connection: sqlite3.Connection) -> None:
    try:
        with index_only():
            connection.execute("SELECT rowid FROM search LIMIT 1")
    except DamagedIndex as found:
        _renew_index(connection, found)
    except sqlite3.OperationalError as error:
        # Without FTS5, or in another version's index, nobody can tell; messages are stored anyway.
        if code_of(error) != sqlite3.SQLITE_ERROR:
            raise


def _renew_index(connection: sqlite3.Connection, found: DamagedIndex) -> None:
    connection.execute("BEGIN IMMEDIATE")
    renew_index(connection, found)
    connection.execute("COMMIT")
    # What was to be erased from it goes now.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _mark_running(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT 1 FROM running").fetchone():
        log.warning("%s was not closed; checking it", path)
        found = mend(connection)
        if found is not None:
            raise _damaged(path, found)
        _renew_epochs(connection)
        # The log may have what was erased just before the end.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM running")
    connection.execute("INSERT INTO running VALUES (datetime('now'))")
    connection.execute("COMMIT")


def _renew_epochs(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    rooms = connection.execute("SELECT id FROM room WHERE relaxed").fetchall()
    for (room,) in rooms:
        connection.execute(
            "UPDATE room SET epoch = ?, relaxed = 0 WHERE id = ?", (new_epoch(), room)
        )
    connection.execute("COMMIT")
    if rooms:
        log.warning("%d rooms of relaxed durability begin a new epoch", len(rooms))


def _damaged(path: Path, found: str) -> StoreError:
    return StoreError(f"{path} is damaged ({found}); restore it from a backup, or move it away")


def unusable(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """Say why the file cannot be opened, and what to do."""
    if isinstance(error, OSError):
        return StoreError(f"{path} cannot be made: {error.strerror}; choose another folder")
    match code_of(error) & 0xFF:
        case sqlite3.SQLITE_NOTADB:
            return StoreError(f"{path} is no chat database; choose another file for the store")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(f"{path} is locked by another program; close that one first")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StoreError(
                f"{path} cannot be written to; give the server the right to write to it"
            )
        case sqlite3.SQLITE_CORRUPT:
            return _damaged(path, str(error))
        case sqlite3.SQLITE_FULL:
            return StoreError(f"{path} cannot be written to: the disk is full; make space first")
        case sqlite3.SQLITE_IOERR:
            return StoreError(
                f"{path} cannot be read or written: {describe(error)}; check the disk, and whether"
                " it is full"
            )
    return StoreError(f"{path} cannot be used: {error}")
