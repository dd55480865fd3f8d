"""What SQLite's errors mean for messages and for the store."""

import sqlite3

import pytest

from chatserver.store.failures import judge, unreadable


def error(code: int) -> sqlite3.OperationalError:
    made = sqlite3.OperationalError("what SQLite said")
    made.sqlite_errorcode = code
    made.sqlite_errorname = f"CODE_{code}"
    return made


@pytest.mark.parametrize(
    ("code", "reply", "fatal"),
    [
        (sqlite3.SQLITE_FULL, "unavailable", False),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "unavailable", False),
        (sqlite3.SQLITE_BUSY, "unavailable", False),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "unavailable", False),
        (sqlite3.SQLITE_LOCKED, "unavailable", False),
        (sqlite3.SQLITE_IOERR, "unavailable", True),
        (sqlite3.SQLITE_IOERR_FSYNC, "unavailable", True),
        (sqlite3.SQLITE_IOERR_WRITE, "unavailable", True),
        (sqlite3.SQLITE_CORRUPT, "unavailable", True),
        (sqlite3.SQLITE_READONLY, "unavailable", True),
        (sqlite3.SQLITE_CANTOPEN, "unavailable", True),
        (sqlite3.SQLITE_CONSTRAINT, "internal_error", False),
        (sqlite3.SQLITE_ERROR, "internal_error", False),
    ],
)
def test_each_error_has_its_answer(code: int, reply: str, fatal: bool) -> None:
    verdict = judge(error(code))
    assert (verdict.error.code, verdict.fatal) == (reply, fatal)
    assert (verdict.error.retry_after is not None) == (reply == "unavailable")
    assert f"what SQLite said (CODE_{code})" in verdict.log
    assert "SQLite" not in verdict.error.message, "clients need not know"


def test_an_error_without_a_code_is_one_of_ours() -> None:
    verdict = judge(sqlite3.ProgrammingError("a closed connection"))
    assert (verdict.error.code, verdict.fatal) == ("internal_error", False)
    assert "a closed connection (ProgrammingError)" in verdict.log


@pytest.mark.parametrize(
    ("code", "reply", "logged"),
    [
        (sqlite3.SQLITE_FULL, "unavailable", None),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "unavailable", None),
        (sqlite3.SQLITE_BUSY, "unavailable", None),
        (sqlite3.SQLITE_IOERR_READ, "unavailable", "CRITICAL"),
        (sqlite3.SQLITE_CORRUPT, "unavailable", "CRITICAL"),
        (sqlite3.SQLITE_ERROR, "internal_error", "ERROR"),
    ],
)
def test_a_read_that_fails_says_nothing_of_storing(
    code: int, reply: str, logged: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    answer = unreadable(error(code))
    assert answer.code == reply
    assert (answer.retry_after is not None) == (reply == "unavailable")
    assert "read" in answer.message
    assert "store" not in answer.message
    assert [each.levelname for each in caplog.records] == ([] if logged is None else [logged])
    if logged is not None:
        assert f"what SQLite said (CODE_{code})" in caplog.text
