"""Name what can go wrong for a client.

The tree, below `chatserver.errors.ChatError`::

    ChatError
    ├── ActionError             an error reply of the server: `code`, `message`, `retry_after`
    └── ClientError
        ├── HandshakeError      the server refuses the connection; `status` is HTTP's
        ├── ClosedError         the conversation is over: closed for good, or by the client itself
        ├── LostError           the connection broke before the reply came
        └── OutboxFullError     too many messages wait for their acknowledgement
"""

from typing import Final

from chatserver.errors import ActionError, ChatError, ErrorCode

RETRY_AFTER: Final = 1.0
"""Seconds to wait after a refusal that says nothing about it."""

MOST_WAIT: Final = 3600.0
"""Seconds to wait at most, whatever a refusal says."""

_RETRYABLE: Final = frozenset(
    {ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.TIMEOUT, ErrorCode.DRAINING}
)


class ClientError(ChatError):
    """Stand above what only a client can raise."""


class HandshakeError(ClientError):
    """Report that the server refuses to let this client in, and would refuse it again.

    Args:
        status: The HTTP status, such as 401 or 403.
        message: One line for people.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} (HTTP {self.status})"


class ClosedError(ClientError):
    """Report that the conversation is over and nobody connects again.

    Args:
        code: The close code (docs/protocol.md, "Close codes"); 1000 where the client closed it.
        reason: What the server said, or why.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"The conversation is over: {self.reason} ({self.code})"


class LostError(ClientError):
    """Report that the connection broke before the reply came: it may have been done, or not."""

    def __init__(self, message: str = "The connection was lost before the reply came") -> None:
        super().__init__(message)


class OutboxFullError(ClientError):
    """Report that `max_outbox` messages wait for their acknowledgement; this one was not taken."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.capacity = capacity

    def __str__(self) -> str:
        return f"{self.capacity} messages wait for their acknowledgement; send this one later"


def retryable(error: ActionError) -> bool:
    """Tell whether the same request can succeed later (docs/protocol.md, "Error codes")."""
    return error.code in _RETRYABLE


def retry_after(error: ActionError) -> float:
    """Return the seconds to wait before a refused request is sent again."""
    asked = error.retry_after or 0.0
    # A wait that is none would have the request sent again and again without one.
    return min(asked, MOST_WAIT) if asked > 0 else RETRY_AFTER
