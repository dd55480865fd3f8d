"""Write to one peer: whole frames, straight to the transport, in one order, within bounds.

Replies are queued for the end of the tick and go out before any later event of a room. A peer that
does not read first loses what may be dropped, then its connection: nothing else is ever skipped.
"""

import asyncio
import logging
from typing import Final

from aiohttp.web import WebSocketResponse

from chatserver.config import LimitsConfig
from chatserver.envelope import Envelope, Sent, SentByType, encode, encode_error, encode_sent
from chatserver.errors import ActionError, CloseCode, ErrorCode
from chatserver.frames import close_frame, text_frame
from chatserver.publications import Published
from chatserver.session import Reply, Session
from chatserver.stats import Stats

log = logging.getLogger("chatserver.connection")

CLOSE_TIMEOUT: Final = 2.0
"""Seconds a peer has to answer a close frame and to read what is left, before the abort."""

EARLY: Final = 64 * 1024
"""Bytes of queued replies that are written without waiting for the end of the tick."""


class Outlet:
    """Be the writing half of a connection.

    Args:
        session: Who is connected.
        socket: The WebSocket, already prepared.
        transport: The transport below it; aiohttp forgets it when the peer is gone.
        limits: Bounds for a peer that reads slowly.
        prefix: What stands before the text of a reply to plain text.
        stats: Where writes are counted.

    Attributes:
        closing: Whether a close frame has been written or the connection given up.
    """

    __slots__ = (
        "_give_up",
        "_limits",
        "_loop",
        "_prefix",
        "_replies",
        "_replies_size",
        "_session",
        "_socket",
        "_stalled_since",
        "_stats",
        "_transport",
        "closing",
    )

    def __init__(
        self,
        session: Session,
        socket: WebSocketResponse,
        transport: asyncio.Transport,
        limits: LimitsConfig,
        prefix: str,
        stats: Stats,
    ) -> None:
        self.closing = False
        self._session = session
        self._socket = socket
        self._transport = transport
        self._limits = limits
        self._prefix = prefix
        self._stats = stats
        self._loop = asyncio.get_running_loop()
        self._replies: list[bytes] = []
        self._replies_size = 0
        self._stalled_since = 0.0
        self._give_up: asyncio.TimerHandle | None = None

    def write(self, frames: bytes, essential: bytes | None = None) -> None:
        """Write whole frames, after the replies queued so far; see `Sink.write`."""
        transport = self._transport
        if self.closing or transport.is_closing() or self._socket.closed:
            self._replies.clear()
            self._replies_size = 0
            return
        buffered = transport.get_write_buffer_size()
        if buffered > self._limits.slow_soft:
            if buffered > self._limits.slow_hard:
                self._evict(f"{buffered} bytes unread")
                return
            if essential is not None:
                frames = essential
        if self._replies:
            self._stats.replies += len(self._replies)
            frames = b"".join((*self._replies, frames))
            self._replies.clear()
            self._replies_size = 0
        self._stats.bytes_out += len(frames)
        transport.write(frames)

    def answer(self, envelope: Envelope, reply: Reply) -> None:
        """Queue the reply to a message."""
        if envelope.plain:
            self._queue(f"{self._prefix}{reply.fields.get('text', reply.action)}".encode())
            return
        payload = encode(envelope.key, reply.action, envelope.id, reply.fields)
        if len(payload) > self._limits.max_frame_out:
            message = f"The answer is larger than {self._limits.max_frame_out} bytes"
            self.refuse(envelope, ActionError(ErrorCode.TOO_LARGE, message))
            return
        self._queue(payload)

    def acknowledge(self, envelope: Envelope, published: Published) -> None:
        """Queue the answer to a message that was published, where the client gave it an id."""
        if envelope.id is not None:
            sent = Sent if envelope.key == "action" else SentByType
            position = published.position
            self._queue(
                encode_sent(
                    sent(
                        envelope.id,
                        published.room,
                        published.timestamp,
                        None if position is None else position.offset,
                        None if position is None else position.epoch,
                        published.cid,
                        published.duplicate,
                    )
                )
            )

    def refuse(self, envelope: Envelope, error: ActionError) -> None:
        """Queue the error reply to a message."""
        self._stats.errors[error.code] += 1
        if envelope.plain:
            self._queue(f"Error: {error.message}".encode())
            return
        self._queue(encode_error(envelope.key, envelope.id, error))

    def close(self, code: int, reason: str = "") -> None:
        """Write a close frame and give the peer 2 s to answer it."""
        if self.closing:
            return
        self._stats.closes[int(code)] += 1
        log.info(
            "closing %d: %s", code, reason or "no reason given", extra={"session": self._session}
        )
        self.finish(close_frame(code, reason))
        self._give_up = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)

    def finish(self, last: bytes) -> None:
        """Write queued replies and a last frame; nothing can be written after it."""
        self.write(last)
        self.closing = True

    def release(self) -> None:
        """Close the transport; what the peer does not read within 2 s is dropped."""
        self.closing = True
        transport = self._transport
        if self._give_up is not None:
            self._give_up.cancel()
        # Once, and not after aiohttp: asyncio's TLS transport forgets itself in a second close.
        if not transport.is_closing():
            unread = transport.get_write_buffer_size()
            transport.close()
            if unread:
                self._loop.call_later(CLOSE_TIMEOUT, transport.abort)

    def abort(self) -> None:
        """Drop the connection without a word."""
        self.closing = True
        self._transport.abort()

    def check_stall(self, now: float) -> None:
        """Give up a peer that has left too much unread for too long."""
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() <= self._limits.slow_soft:
            self._stalled_since = 0.0
        elif not self._stalled_since:
            self._stalled_since = now
        elif now - self._stalled_since >= self._limits.slow_timeout and not self.closing:
            self._evict(f"nothing read for {self._limits.slow_timeout:g} s")

    def _queue(self, payload: bytes) -> None:
        if not self._replies:
            self._loop.call_soon(self._flush)
        self._replies.append(text_frame(payload))
        self._replies_size += len(payload)
        if self._replies_size >= EARLY:
            self._flush()

    def _flush(self) -> None:
        if self._replies:
            self.write(b"")

    def _evict(self, why: str) -> None:
        self._stats.slow += 1
        self._stats.closes[CloseCode.SLOW_CONSUMER] += 1
        log.warning("cut off a slow reader: %s", why, extra={"session": self._session})
        self.abort()
