"""Name everything that can go wrong, as data.

The tree::

    ChatError
    ├── ConfigError     a wrong configuration, plugin or middleware; found at start-up
    ├── StoreError      a store that cannot be opened, such as one that is in use
    ├── Refused         an HTTP answer instead of an upgrade
    ├── ActionError     an error reply to one message
    └── Disconnect      the end of one connection

Codes are stable: clients decide by them, people read the messages.
"""

from enum import IntEnum, StrEnum


class ErrorCode(StrEnum):
    """List the codes of error replies; plugins add their own, dotted or plain."""

    BAD_JSON = "bad_json"
    BAD_MESSAGE = "bad_message"
    UNKNOWN_ACTION = "unknown_action"
    BAD_PAYLOAD = "bad_payload"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    NOT_REGISTERED = "not_registered"
    NAME_TAKEN = "name_taken"
    BAD_NAME = "bad_name"
    NOT_JOINED = "not_joined"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    DRAINING = "draining"
    INTERNAL_ERROR = "internal_error"


class CloseCode(IntEnum):
    """List the close codes of the protocol (docs/protocol.md); some never travel.

    Clients decide by range: 3000-3499 and 4000-4499 ask to reconnect, 3500-3999 and 4500-4999 to
    stop.
    """

    OK = 1000
    PROTOCOL_ERROR = 1002
    ABNORMAL = 1006
    BAD_TEXT = 1007
    TOO_BIG = 1009
    SHUTDOWN = 3001
    INTERNAL_ERROR = 3004
    EXPIRED = 3005
    SLOW_CONSUMER = 3008
    INSUFFICIENT_STATE = 3010
    RECONNECT = 3011
    NO_PONG = 3012
    TOO_MANY_REQUESTS = 3013
    INVALID_TOKEN = 3500
    BAD_MESSAGES = 3501
    NEVER_AUTHENTICATED = 3502
    KICKED = 3503
    CONNECTION_LIMIT = 3504
    BANNED = 3507


class ChatError(Exception):
    """Stand above every exception this package raises on purpose."""


class ConfigError(ChatError):
    """Report a configuration that cannot be used.

    Args:
        message: One line that says what is wrong and what to write instead.
        where: Its place, such as ``config.yaml:12:5``, an environment variable or a flag.
    """

    def __init__(self, message: str, where: str | None = None) -> None:
        super().__init__(message, where)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class StoreError(ChatError):
    """Report a store that cannot be opened; no change of the configuration is needed to mend it.

    Args:
        message: One line that says what is wrong and what to do.
    """


class Refused(ChatError):  # noqa: N818 - it reads as what happens: `raise Refused(401, ...)`
    """Answer a connecting client with plain HTTP instead of the upgrade.

    Args:
        status: HTTP status: 400, 401, 403, 429 or 503.
        text: The body, for people.
        reason: A short stable word for metrics and logs, such as ``origin``.
        retry_after: Seconds until another try makes sense, sent as ``Retry-After``.
    """

    def __init__(
        self, status: int, text: str, *, reason: str, retry_after: float | None = None
    ) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.reason = reason
        self.retry_after = retry_after


class ActionError(ChatError):
    """Answer one message with an error reply; the connection lives on.

    Args:
        code: A stable code, one of `ErrorCode` or a plugin's own.
        message: One sentence for people; says what to do where that helps.
        field: JSON path of the offending field, such as ``$.text``.
        retry_after: Seconds until the same message can succeed.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = str(code)
        self.message = message
        self.field = field
        self.retry_after = retry_after


class Disconnect(ChatError):  # noqa: N818 - an instruction, not a fault
    """End the connection from inside a handler or middleware.

    Args:
        code: Close code, one of `CloseCode` or 4000-4999.
        reason: Text for the close frame; cut to 123 bytes (RFC 6455, section 5.5).

    Raises:
        ValueError: A server may not send that code (RFC 6455, section 7.4).
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        if not (code == CloseCode.OK or 3000 <= code <= 4999):
            raise ValueError(f"{code} is no close code to send: use 1000 or 3000 to 4999")
        self.code = int(code)
        self.reason = reason
