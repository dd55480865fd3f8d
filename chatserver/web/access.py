"""Log HTTP requests without what may be a secret in them: query strings, headers."""

import logging

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from chatserver.logs import escape


class AccessLogger(AbstractAccessLogger):
    """Log requests without their query strings, which may hold tokens."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log one request."""
        self.logger.info(
            "%s %s %s %d %d %.3f",
            request.remote or "unix",
            request.method,
            escape(request.path),
            response.status,
            response.body_length,
            time,
        )


class BadRequestFilter(logging.Filter):
    """Make one line at level info of a request that cannot be read.

    aiohttp logs it as an error with a traceback that quotes the request, tokens and all.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change such a record; leave it out where the level is above info."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        record.msg = f"{record.getMessage()}: {type(error).__name__}"
        record.args = ()
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
        return logging.getLogger(record.name).isEnabledFor(logging.INFO)
