"""Say what an error of SQLite means for messages and for the store."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct

from chatserver.errors import ActionError, ErrorCode
from chatserver.store import unavailable

log = logging.getLogger("chatserver.store")

# A full file system shows here as well: the index of the log cannot grow.
_FULL: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FATAL: Final = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}
# FTS5 finds a row where its damaged structure says that there is none.
_DAMAGED_INDEX: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT}


class DamagedIndex(sqlite3.DatabaseError):
    """Tell that the search index is not what was written, as far as known nothing else."""


class Verdict(Struct, frozen=True):
    """Tell what to answer and whether to go on.

    Attributes:
        error: The answer to the messages that were not stored.
        fatal: Whether nothing may be stored any more: what the disk has is no longer known.
        log: What to tell the operator.
    """

    error: ActionError
    fatal: bool
    log: str


FAULT: Final = Verdict(
    ActionError(ErrorCode.INTERNAL_ERROR, "That could not be stored"),
    fatal=False,
    log="messages are refused after a fault in the store",
)
"""For what is no error of SQLite: a fault in our own code."""


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's extended result code."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code


@contextmanager
def index_only() -> Iterator[None]:
    """Know what is damaged, around what reads and writes nothing but the search index.

    Raises:
        DamagedIndex: The index is.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if code_of(error) & 0xFF not in _DAMAGED_INDEX:
            raise
        damage = DamagedIndex(str(error))
        damage.sqlite_errorcode = code_of(error)
        damage.sqlite_errorname = getattr(error, "sqlite_errorname", type(error).__name__)
        raise damage from error


def describe(error: sqlite3.Error) -> str:
    """Return an error with its name in SQLite, for the operator."""
    return f"{error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})"


def judge(error: sqlite3.Error) -> Verdict:
    """Judge a failed transaction."""
    code = code_of(error)
    detail = describe(error)
    if _is_full(code):
        return Verdict(
            unavailable("The server has no space left to store messages; try again later", 5),
            False,
            f"no space left to store messages; they are refused until there is: {detail}",
        )
    if code & 0xFF in _BUSY:
        return Verdict(
            unavailable("The server cannot store messages right now; try again", 1),
            False,
            f"another program has locked the database; messages are refused meanwhile: {detail}",
        )
    if code & 0xFF in _FATAL:
        return Verdict(
            broken(),
            True,
            f"STORING HAS FAILED and is off until a restart: {detail}; check the disk first",
        )
    return Verdict(
        ActionError(ErrorCode.INTERNAL_ERROR, "That could not be stored"),
        False,
        f"messages could not be stored: {detail}",
    )


def unreadable(error: sqlite3.Error) -> ActionError:
    """Return the answer to a read that has failed; the operator is told what will not pass."""
    code = code_of(error)
    if _is_full(code) or code & 0xFF in _BUSY:
        return unavailable("The history cannot be read right now; try again", 1)
    if code & 0xFF in _FATAL:
        log.critical("A HISTORY CANNOT BE READ: %s; check the disk first", describe(error))
        return unavailable(
            "That part of the history cannot be read; it needs the server's operator", 60
        )
    log.error("a history could not be read: %s", describe(error))
    return ActionError(ErrorCode.INTERNAL_ERROR, "The history could not be read")


def is_of_disk(error: sqlite3.Error) -> bool:
    """Tell whether the disk has failed; what it has is no longer known, whatever was written."""
    code = code_of(error)
    return code & 0xFF == sqlite3.SQLITE_IOERR and code not in _FULL


def broken() -> ActionError:
    """Return the refusal of everything that comes after the medium has failed."""
    return unavailable("The server can no longer store messages; it needs its operator", 60)


def _is_full(code: int) -> bool:
    return code in _FULL or code & 0xFF in _FULL
