"""Open the store's file for a command, and make the files that commands write."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chatserver.errors import StoreError
from chatserver.store.lock import Lock
from chatserver.store.schema import close_file, connect, open_file, recognise, unusable
from chatserver.upkeep import UpkeepError

PATIENCE: Final = 10.0
"""Seconds to wait for another program's lock on the database."""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Have a connection that sees the file as it is now, also beside a running server.

    Args:
        path: The store's file.

    Raises:
        UpkeepError: There is none, or it is empty.
        StoreError: It is not ours, or of a newer version, or damaged, or cannot be read.
    """
    _require(path)
    connection = _opened(path)
    try:
        with failures(path):
            connection.execute("BEGIN")
            yield connection
            connection.execute("ROLLBACK")
    finally:
        connection.close()


@contextmanager
def writing(path: Path, *, make: bool = False) -> Iterator[sqlite3.Connection]:
    """Have the file to oneself, for one transaction or more; it is closed in order afterwards.

    Args:
        path: The store's file.
        make: Whether to make the file where there is none.

    Raises:
        UpkeepError: There is none.
        StoreError: A server has it, it is not ours, it is damaged, or cannot be written.
    """
    if make:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        _require(path)
    lock = Lock(path)
    try:
        connection = open_file(path, PATIENCE)
        try:
            with failures(path):
                yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            close_file(connection)
    finally:
        lock.close()


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Have a private file to fill, which becomes `target` once all of it is on disk.

    Args:
        target: Where it is to appear; there must be no such file.

    Raises:
        UpkeepError: The target exists, or the file cannot be written; nothing is left of it then.
    """
    if target.exists():
        raise UpkeepError(f"{target} exists already; choose another name")
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            yield part
            _sync(part)
            part.rename(target)
            _sync(target.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UpkeepError(
            f"{target} cannot be written ({error.strerror}); choose another place"
        ) from error


@contextmanager
def failures(path: Path) -> Iterator[None]:
    """Turn what SQLite complains of into one line.

    Raises:
        StoreError: Something went wrong with the file; the message says what to do.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise unusable(path, error) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> sqlite3.Connection:
    connection = None
    try:
        connection = connect(path, PATIENCE)
        connection.execute("PRAGMA query_only = ON")
        if not recognise(connection, path):
            raise UpkeepError(f"{path} is empty; a server has to have run with it once")
    except (sqlite3.Error, StoreError, UpkeepError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise unusable(path, error) from error
        raise
    return connection


def _require(path: Path) -> None:
    if not path.exists():
        raise UpkeepError(
            f"there is no {path}; say with --config which server's data is meant (server.data_dir)"
        )
