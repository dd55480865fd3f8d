"""Format log lines: for people on a terminal, as JSON otherwise.

Each line says which connection and user it is about. Control characters in user text are escaped,
so that nobody can write lines of their own into the log; tokens and message texts are not logged.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Final

from chatserver.config import LogConfig
from chatserver.session import Session

CURRENT: Final[ContextVar[Session | None]] = ContextVar("chatserver_session", default=None)
"""The session whose messages the running task handles."""


class _Formatter(logging.Formatter):
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
        line = (
            f"{self.time(record)} {record.levelname:<7} {record.name}{about}"
            f" {escape(record.getMessage())}"
        )
        if record.exc_info:
            # Indented, so that no exception's text can pass for a line of the log.
            below = self.formatException(record.exc_info).split("\n")
            line = "\n    ".join((line, *map(escape, below)))
        return line


class JsonFormatter(_Formatter):
    """Write one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": self.time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        session = self.about(record)
        if session is not None:
            line |= {"connection": session.id, "user": session.user.id}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
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
