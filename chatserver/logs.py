"""Format log lines: for people on a terminal, as JSON otherwise.

Each line says which connection and user it is about. Control characters in user text are escaped,
so that nobody can write lines of their own into the log; tokens and message texts are not logged.
"""

import json
import logging
import sys
from collections import Counter
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import format_exception_only, walk_tb
from types import CodeType
from typing import IO, Final

from chatserver.config import LogConfig
from chatserver.session import Session

CURRENT: Final[ContextVar[Session | None]] = ContextVar("chatserver_session", default=None)
"""The session whose messages the running task handles."""


TRACEBACKS: Final = 5
"""Tracebacks of one fault that are written within a minute."""


class Faults:
    """Count where exceptions were raised within a minute.

    Where a plugin fails, clients may have it fail again as often as their rate limits let them: the
    log is not to grow by a traceback each time.
    """

    def __init__(self) -> None:
        self._seen: Counter[tuple[type, CodeType, int]] = Counter()
        self._ends = 0.0

    def is_known(self, error: BaseException, now: float) -> bool:
        """Tell whether its traceback has been written often enough; count it.

        Args:
            error: The exception.
            now: Unix time in seconds.
        """
        if now >= self._ends:
            self._ends = now + 60
            self._seen.clear()
        places = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
        if not places:
            return False
        fault = type(error), *places[-1]
        self._seen[fault] += 1
        return self._seen[fault] > TRACEBACKS


class _Formatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._faults = Faults()

    def told(self, record: logging.LogRecord) -> tuple[str, str | None]:
        """Return the message, and the traceback to write with it, if any."""
        message, error = record.getMessage(), record.exc_info and record.exc_info[1]
        if not record.exc_info or error is None:
            return message, None
        if self._faults.is_known(error, record.created):
            what = format_exception_only(error)[0].rstrip()
            return f"{message}: {what} (with a traceback as before)", None
        return message, self.formatException(record.exc_info)

    def about(self, record: logging.LogRecord) -> Session | None:
        session = getattr(record, "session", None) or CURRENT.get()
        return session if isinstance(session, Session) else None

    def time(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class HumanFormatter(_Formatter):
    """Write ``time LEVEL logger [connection user] message``, a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        session = self.about(record)
        about = f" [{session.id} {escape(session.user.id)}]" if session else ""
        message, traceback = self.told(record)
        time = self.time(record)
        line = f"{time} {record.levelname:<7} {record.name}{about} {escape(message)}"
        if traceback is not None:
            # Indented, so that no exception's text can pass for a line of the log.
            line = "\n    ".join((line, *map(escape, traceback.split("\n"))))
        return line


class JsonFormatter(_Formatter):
    """Write one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        message, traceback = self.told(record)
        line = {
            "time": self.time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        session = self.about(record)
        if session is not None:
            line |= {"connection": session.id, "user": session.user.id}
        if traceback is not None:
            line["traceback"] = traceback
        return json.dumps(line)


def escape(text: str) -> str:
    """Return text with control and other unprintable characters as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def set_up(config: LogConfig, stream: IO[str] | None = None) -> None:
    """Send the process's log to a stream; only the server process does this, not an embedded chat.

    Args:
        config: Level and format; on SIGHUP new ones replace the old.
        stream: Where to; standard error by default.
    """
    stream = stream or sys.stderr
    human = config.format == "human" or (config.format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter() if human else JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(config.level.upper())
    logging.getLogger("aiohttp.access").setLevel("INFO" if config.access else "WARNING")
