"""Decide what the end of a connection, or a refused handshake, means for the client."""

from email.utils import parsedate_to_datetime
from typing import Final

from msgspec import Struct

from chatserver.client.errors import ClosedError, HandshakeError
from chatserver.errors import ChatError, CloseCode

PAUSE: Final = 5.0
"""Seconds to wait at least after 3013, whose sender has been too fast for a while."""

TLS_HANDSHAKE: Final = 1015
"""Stands for a certificate that is not trusted (RFC 6455, section 7.4.1); it never travels."""

_FAULTS: Final = frozenset({1000, 1002, 1003, 1007, 1008, 1009, 1010, TLS_HANDSHAKE})
"""Closes that the next connection would only repeat, 1000 among them: the server is done."""

_TRANSIENT: Final = frozenset({408, 425, 429, *range(500, 600)})
"""HTTP statuses of a server, or of a proxy before it, that may be better in a moment."""

_OURS: Final = frozenset({401, 403})
"""HTTP statuses by which a server refuses the client, wherever it connects."""

_REFUSALS: Final = {
    400: "The server does not take this for a WebSocket handshake of chatserver.v1",
    401: "The token is missing, wrong or expired",
    403: "The server does not let this client in",
    404: "There is no chat at this address",
}


class Verdict(Struct, frozen=True):
    """Say what to do now that there is no connection.

    Attributes:
        reason: Why there is none, for people.
        code: The close code, or None where the connection was never open.
        error: What everybody is told where the client does not come back; None where it does.
        wait: Seconds to wait before it does; None leaves that to the back-off.
        at_least: Seconds to wait at least, where the back-off decides.
    """

    reason: str
    code: int | None = None
    error: ChatError | None = None
    wait: float | None = None
    at_least: float = 0.0


def after_close(code: int, reason: str) -> Verdict:
    """Judge a close code by its range, so that unknown ones make no difference."""
    reason = reason or f"The connection was closed ({code})"
    if code in _FAULTS or 3500 <= code <= 3999 or 4500 <= code <= 4999:
        return Verdict(reason, code, ClosedError(code, reason))
    pause = PAUSE if code == CloseCode.TOO_MANY_REQUESTS else 0.0
    return Verdict(reason, code, at_least=pause)


def after_refusal(
    status: int, retry_after: str | None, now: float, *, known: bool = False
) -> Verdict:
    """Judge the HTTP answer that a client got instead of the upgrade.

    Where there has been a chat, its absence passes: some proxies answer 404 during a deployment.

    Args:
        status: The HTTP status.
        retry_after: The header of that name, in seconds or as a date (RFC 9110, section 10.2.3).
        now: Unix time.
        known: Whether the client has been connected there before.
    """
    if status in _TRANSIENT:
        return Verdict(f"The server is busy (HTTP {status})", wait=_seconds(retry_after, now))
    message = _REFUSALS.get(status, "The server does not speak WebSocket here")
    if known and status not in _OURS:
        return Verdict(f"{message} (HTTP {status})")
    return Verdict(message, error=HandshakeError(status, message))


def _seconds(header: str | None, now: float) -> float | None:
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except ValueError:
        return None
