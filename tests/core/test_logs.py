"""Log lines say whom they are about, and nobody but the server writes them."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.config import LogConfig
from chatserver.logs import (
    CURRENT,
    TRACEBACKS,
    HumanFormatter,
    JsonFormatter,
    escape,
    set_up,
)
from chatserver.session import Identity, Session

NASTY = "eve\n2026-11-22T10:41:41.123Z ERROR chatserver faked\r\x1b[31m\u2028\u202e\0"
ALICE = Session("c0ffee01", Identity(user="alice"), "203.0.113.5")


@pytest.fixture(autouse=True)
def _keep_the_log_as_it_was() -> Iterator[None]:
    root, access = logging.getLogger(), logging.getLogger("aiohttp.access")
    handlers, level, access_level = root.handlers, root.level, access.level
    token = CURRENT.set(None)
    yield
    CURRENT.reset(token)
    root.handlers = handlers
    root.setLevel(level)
    access.setLevel(access_level)


def record(
    message: str,
    *args: object,
    session: Session | None = None,
    error: BaseException | None = None,
    level: int = logging.INFO,
) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("chatserver.hub", level, __file__, 1, message, args, info)
    if session is not None:
        made.session = session
    return made


def failure(message: str) -> BaseException:
    try:
        raise RuntimeError(message)
    except RuntimeError as error:
        return error


def test_a_line_for_people_has_time_level_logger_and_message() -> None:
    line = HumanFormatter().format(record("closing %d: %s", 3503, "kicked"))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    chatserver\.hub closing 3503: kicked", line
    )


def test_a_json_line_has_the_same() -> None:
    before = datetime.now().astimezone()
    line = json.loads(JsonFormatter().format(record("closing %d: %s", 3503, "kicked")))
    moment = datetime.fromisoformat(line.pop("time"))
    assert abs((moment - before).total_seconds()) < 60
    assert line == {"level": "info", "logger": "chatserver.hub", "message": "closing 3503: kicked"}


def test_a_line_says_which_connection_and_user_it_is_about() -> None:
    assert " chatserver.hub [c0ffee01 alice] gone" in HumanFormatter().format(
        record("gone", session=ALICE)
    )
    line = json.loads(JsonFormatter().format(record("gone", session=ALICE)))
    assert (line["connection"], line["user"]) == ("c0ffee01", "alice")


def test_a_line_is_about_the_session_whose_message_is_handled_unless_it_names_another() -> None:
    bob = Session("b0b", Identity(user="bob"), "")
    token = CURRENT.set(bob)
    assert "[b0b bob]" in HumanFormatter().format(record("failed"))
    assert "[c0ffee01 alice]" in HumanFormatter().format(record("failed", session=ALICE))
    assert json.loads(JsonFormatter().format(record("failed")))["connection"] == "b0b"
    CURRENT.reset(token)
    assert "[" not in HumanFormatter().format(record("failed"))
    assert "connection" not in json.loads(JsonFormatter().format(record("failed")))


def test_what_another_library_calls_a_session_is_not_ours() -> None:
    made = record("hello")
    made.session = "theirs"
    assert "[" not in HumanFormatter().format(made)
    assert "connection" not in json.loads(JsonFormatter().format(made))


def test_nobody_writes_lines_of_their_own() -> None:
    line = HumanFormatter().format(record("refused %s", NASTY, session=ALICE))
    assert line.isprintable()
    assert r"eve\n2026-11-22T10:41:41.123Z ERROR" in line
    assert r"\r\x1b[31m\u2028\u202e\x00" in line


def test_a_user_whose_id_changed_after_the_check_is_escaped_too() -> None:
    session = Session("c1", Identity(user="eve"), "")
    session.user.id = NASTY
    assert HumanFormatter().format(record("gone", session=session)).isprintable()


def test_a_traceback_stands_below_its_line_and_forges_none() -> None:
    text = HumanFormatter().format(record("%s failed", "message", error=failure(NASTY)))
    first, *below = text.split("\n")
    assert first.endswith("message failed")
    assert any("RuntimeError: eve" in line for line in below)
    assert any("in failure" in line for line in below)
    assert all(line.startswith("    ") and line.isprintable() for line in below)


def test_a_traceback_breaks_no_json_line() -> None:
    text = JsonFormatter().format(record("%s failed", "message", error=failure(NASTY)))
    assert text.isprintable()
    line = json.loads(text)
    assert line["message"] == "message failed"
    assert "RuntimeError: eve" in line["traceback"]


@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_is_logged_stays_one_line(message: str, user: str) -> None:
    session = Session("c1", Identity(user="eve"), "")
    session.user.id = user
    made = record("%s", message, session=session)
    assert HumanFormatter().format(made).isprintable()
    text = JsonFormatter().format(made)
    assert text.isprintable()
    line = json.loads(text)
    assert (line["message"], line["user"]) == (message, user)


@given(st.text(st.characters()))
def test_escaped_text_is_printable_and_tells_its_characters_apart(text: str) -> None:
    shown = escape(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


def test_ordinary_text_of_any_language_is_not_escaped() -> None:
    assert escape("häl lo 花子 😀") == "häl lo 花子 😀"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "config", "human"),
    [
        (Terminal(), LogConfig(), True),
        (io.StringIO(), LogConfig(), False),
        (Terminal(), LogConfig(format="json"), False),
        (io.StringIO(), LogConfig(format="human"), True),
    ],
)
def test_the_form_is_for_people_on_a_terminal(
    stream: io.StringIO, config: LogConfig, human: bool
) -> None:
    set_up(config, stream)
    logging.getLogger("chatserver.anything").info("hello %s", "you")
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("{") is not human
    assert "hello you" in line


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_decides_what_is_shown(level: str, shown: list[str]) -> None:
    stream = io.StringIO()
    set_up(LogConfig(level=level), stream)  # type: ignore[arg-type]  # one of the four words
    log = logging.getLogger("chatserver.anything")
    for word in ("debug", "info", "warning", "error"):
        log.log(getattr(logging, word.upper()), word)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines] == shown
    assert [line["level"] for line in lines] == shown


@pytest.mark.parametrize("access", [False, True])
def test_requests_are_logged_only_if_wanted(access: bool) -> None:
    stream = io.StringIO()
    set_up(LogConfig(access=access), stream)
    log = logging.getLogger("aiohttp.access")
    log.info("GET /")
    log.warning("odd request")
    lines = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert lines == ["GET /", "odd request"][not access :]


def test_setting_up_again_replaces_what_was_set_up() -> None:
    first, second = io.StringIO(), io.StringIO()
    set_up(LogConfig(), first)
    set_up(LogConfig(level="error"), second)
    log = logging.getLogger("chatserver.anything")
    log.info("quiet")
    log.error("loud")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1


def test_without_a_stream_the_log_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up(LogConfig(format="human"))
    logging.getLogger("chatserver.anything").warning("hello")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "WARNING chatserver.anything hello" in shown.err


def fail(kind: type[Exception]) -> BaseException:
    try:
        raise kind("on purpose")
    except kind as error:
        return error


def test_a_fault_that_happens_again_and_again_is_not_written_out_each_time() -> None:
    stream = io.StringIO()
    set_up(LogConfig(format="human"), stream)
    (handler,) = logging.getLogger().handlers
    minutes = [0] * 8 + [59, 60, 61]
    for second in minutes:
        for kind in (ValueError, KeyError):
            failed = record("%s failed", "dance", error=fail(kind), level=logging.ERROR)
            failed.created = 1_800_000_000.0 + second
            handler.handle(failed)
    lines = stream.getvalue().splitlines()
    assert sum(" ERROR " in line for line in lines) == 2 * len(minutes)
    for told in ("ValueError: on purpose", "KeyError: 'on purpose'"):
        short = f"chatserver.hub dance failed: {told} (with a traceback as before)"
        assert sum(line.endswith(short) for line in lines) == 4
        assert sum(line == f"    {told}" for line in lines) == TRACEBACKS + 2


def test_an_exception_that_cannot_be_told_is_told_nevertheless() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not me")

    formatter = JsonFormatter()
    for _ in range(TRACEBACKS + 1):
        line = json.loads(formatter.format(record("hi", error=fail(MuteError))))
    assert "traceback" not in line
    assert line["message"].startswith("hi: ")
    assert "MuteError" in line["message"]


def test_an_exception_that_was_not_raised_is_told() -> None:
    formatter = JsonFormatter()
    for _ in range(TRACEBACKS + 1):
        line = json.loads(formatter.format(record("hi", error=ValueError("new"))))
    assert line["traceback"] == "ValueError: new"
