"""Own one WebSocket: read frames and run messages through the pipeline.

aiohttp keeps the handshake and the framing; what goes out is the `Outlet`'s, time is the `Pulse`'s.
The bounds and their verdicts are listed in docs/message_path.md.
"""

import asyncio
import logging
from time import perf_counter
from typing import Final

from aiohttp import WebSocketError, WSMessage, WSMsgType
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import WebSocketResponse

from chatserver.acknowledgements import Acknowledgements
from chatserver.context import Awaited, Context
from chatserver.envelope import Envelope, NotJsonError, address_of, parse, plain_text, printable
from chatserver.errors import ActionError, CloseCode, Disconnect, ErrorCode
from chatserver.frames import close_answer, close_frame, pong_frame
from chatserver.hub import LocalHub
from chatserver.inbox import Inbox
from chatserver.latch import RETRYABLE, Latch
from chatserver.liveness import Sweeper
from chatserver.logs import CURRENT
from chatserver.pending import Pending
from chatserver.pipeline import Pipeline
from chatserver.publications import Published
from chatserver.pulse import Doing, Pulse
from chatserver.session import Place, Session

log = logging.getLogger("chatserver.connection")

# Looking a member up in its Enum takes ten times as long as a name does.
TEXT: Final = WSMsgType.TEXT
READING: Final = Doing.READING
HANDLING: Final = Doing.HANDLING

FAIRNESS: Final = 64
"""Messages one connection may have handled in a row before others get a turn."""

UNREADABLE: Final = Envelope("action", None, None, "", 0)
"""Stands for a frame of which nothing could be read."""

PLAIN: Final = Envelope("action", None, None, "", 0, plain=True)
"""The same where clients speak plain text."""

FAILED: Final = ActionError(ErrorCode.INTERNAL_ERROR, "Something went wrong on the server")
OVERDUE: Final = ActionError(
    ErrorCode.TIMEOUT, "The server took too long; what you asked for may have been done"
)


class Connection(Pulse):
    """Run the read loop of a session and be its sink.

    Args:
        session: Who is connected.
        hub: The rooms of this process.
        pipeline: The composed middlewares.
        sweeper: Looks after silence and timeouts.
        socket: The WebSocket, already prepared.
        writer: What `prepare` returned.
        transport: The transport below it.
    """

    __slots__ = (
        "_acknowledgements",
        "_bad",
        "_hub",
        "_latch",
        "_pipeline",
        "_writer",
    )

    def __init__(
        self,
        session: Session,
        hub: LocalHub,
        pipeline: Pipeline,
        sweeper: Sweeper,
        socket: WebSocketResponse,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
    ) -> None:
        plain = hub.config.chat.plain_text
        prefix = plain.prefix if plain else ""
        super().__init__(session, socket, transport, hub.config.limits, prefix, hub.stats, sweeper)
        self._hub = hub
        self._pipeline = pipeline
        self._writer = writer
        self._acknowledgements: Acknowledgements | None = None
        self._latch: Latch | None = None
        self._bad = 0

    async def run(self) -> None:
        """Handle frames until the connection ends, whatever the way; then clean up."""
        CURRENT.set(self._session)
        self._session.sink = self
        self._hub.attach(self._session)
        self._sweeper.watched[self] = None
        self._stats.accepted += 1
        log.info("connected from %s", self._session.remote or "a unix socket")
        try:
            await self._read()
        finally:
            del self._sweeper.watched[self]
            self._hub.drop(self._session)
            self.release()
            self._end_pulse()
            log.info("disconnected")

    async def settle(self, patience: float) -> None:
        """Wait until everything the client has sent so far is answered.

        Args:
            patience: Seconds it may take.

        Raises:
            TimeoutError: It took longer.
        """
        if self.closing:
            return
        async with asyncio.timeout(patience):
            await self._reach_mark()
            if self._acknowledgements is not None:
                await self._acknowledgements.empty()

    def check(self, now: float, wall: float) -> None:
        """Act on what has taken too long; called by the sweeper."""
        super().check(now, wall)
        if self._acknowledgements is not None and self._transport.is_closing():
            self._acknowledgements.abandon()

    async def _read(self) -> None:
        receive, arrived, take = Inbox.of(self._socket)
        sweeper, buffered = self._sweeper, self._transport.get_write_buffer_size
        in_a_row = 0
        while True:
            # Not a method of the inbox: this is done for every message.
            if not arrived:
                in_a_row = 0
                message = await receive()
            elif in_a_row == FAIRNESS:
                in_a_row = 0
                await asyncio.sleep(0)
                continue
            else:
                in_a_row += 1
                message = await (take() if arrived[0][0].type is TEXT else receive())
            self._seen = sweeper.now
            kind, data, _ = message
            if kind is TEXT:
                if self._probe is not None:
                    self._show_life()
                if not self.closing:
                    await self._text(data)
            elif kind is WSMsgType.PING or kind is WSMsgType.PONG or kind is WSMsgType.BINARY:
                self._show_life()
                if not self.closing:
                    self._other(kind, data)
            else:
                self._ended(message)
                return
            if buffered() > self._limits.slow_soft:
                await self._catch_up()

    async def _text(self, raw: str) -> None:
        session, pipeline, stats = self._session, self._pipeline, self._stats
        stats.messages_in += 1
        stats.bytes_in += len(raw)
        started = perf_counter()
        place = session.place
        self._since = self._sweeper.now
        self._doing = HANDLING
        envelope = UNREADABLE
        full = False
        try:
            for charge in pipeline.charges:
                charge(session, len(raw))
            try:
                envelope = parse(raw)
            except NotJsonError as error:
                envelope = self._plain(raw, error)
            self._bad = 0
            if self._hub.draining:
                raise ActionError(
                    ErrorCode.DRAINING, "The server is shutting down; connect again in a moment"
                )
            if self._latch:
                self._latch.check(raw, place)
            # Not called as a method, which it is not: see docs/message_path.md, "What it costs".
            handle = pipeline.message
            outcome = await handle(Context(session, self._hub, envelope))
            session.greeted = True
            if isinstance(outcome, Pending):
                full = self._settle(envelope, outcome, place)
            elif outcome is not None:
                self.answer(envelope, outcome)
        except ActionError as error:
            if envelope is UNREADABLE:
                envelope = self._address(raw)
                self._count_bad(error)
            self.refuse(envelope, error)
            self._close_latch(raw, place, error)
        except Disconnect as end:
            self.close(end.code, end.reason)
        except asyncio.CancelledError:
            overdue = self._overdue
            if self._is_ending():
                raise
            if overdue:
                log.error("%s took longer than action_timeout", printable(envelope.action))
            else:
                log.exception("%s was cancelled from within", printable(envelope.action))
            self.refuse(envelope, OVERDUE if overdue else FAILED)
        except Exception:
            log.exception("%s failed", printable(envelope.action))
            self.refuse(envelope, FAILED)
        if self._overdue and self._is_ending():
            raise asyncio.CancelledError
        self._doing = READING
        stats.timing(envelope.action).observe(perf_counter() - started)
        if full and self._acknowledgements is not None:
            self._doing = Doing.ACKNOWLEDGING
            await self._acknowledgements.room()
            self._doing = READING

    def _other(self, kind: WSMsgType, data: bytes) -> None:
        self._stats.bytes_in += len(data)
        self._stats.messages_in += kind is WSMsgType.BINARY
        if kind is WSMsgType.PONG and self._has_answered(data):
            return  # What we asked for costs the client nothing.
        try:
            for charge in self._pipeline.charges:
                charge(self._session, len(data))
            if kind is WSMsgType.PING:
                self.write(pong_frame(data))
            elif kind is WSMsgType.BINARY:
                raise ActionError(ErrorCode.BAD_MESSAGE, "Send text frames, not binary ones")
        except ActionError as error:
            if kind is WSMsgType.BINARY:
                self._count_bad(error)
                self.refuse(UNREADABLE, error)
        except Disconnect as end:
            self.close(end.code, end.reason)
        except Exception:
            log.exception("a frame could not be handled")
            self.refuse(UNREADABLE, FAILED)

    def _settle(self, envelope: Envelope, outcome: Awaited, place: Place) -> bool:
        if outcome.is_done:
            self._foresee(envelope, outcome, place, late=False)
        if self._acknowledgements is None:
            self._acknowledgements = Acknowledgements(
                self._answer_pending, self._foresee, self._limits.max_in_flight
            )
        return self._acknowledgements.add(envelope, outcome, place)

    def _answer_pending(self, envelope: Envelope, outcome: Awaited, place: Place) -> None:
        try:
            result = outcome.result()
            if isinstance(result, Published):
                self.acknowledge(envelope, result)
            elif result is not None:
                self.answer(envelope, result)
        except ActionError as error:
            self.refuse(envelope, error)
            self._close_latch(envelope.raw, place, error, late=True)
        except (Exception, asyncio.CancelledError):
            log.exception("%s failed", printable(envelope.action))
            self.refuse(envelope, FAILED)

    def _foresee(
        self, envelope: Envelope, outcome: Awaited, place: Place, *, late: bool = True
    ) -> None:
        if isinstance(outcome.error, ActionError):
            self._close_latch(envelope.raw, place, outcome.error, late=late)

    def _close_latch(
        self, raw: str, place: Place, error: ActionError, *, late: bool = False
    ) -> None:
        if error.code in RETRYABLE:
            self._latch = self._latch or Latch()
            self._latch.refused(raw, place, error, late=late)

    def _plain(self, raw: str, error: NotJsonError) -> Envelope:
        plain = self._hub.config.chat.plain_text
        if plain is None:
            raise error
        return plain_text(raw, plain.action)

    def _address(self, raw: str) -> Envelope:
        found = address_of(raw)
        if found is not None:
            return found
        return UNREADABLE if self._hub.config.chat.plain_text is None else PLAIN

    def _count_bad(self, error: ActionError) -> None:
        if error.code == ErrorCode.RATE_LIMITED:
            return
        self._bad += 1
        if self._bad >= self._limits.max_bad_frames:
            self.refuse(UNREADABLE, error)
            self.close(CloseCode.BAD_MESSAGES, f"{self._bad} bad messages in a row")

    def _ended(self, message: WSMessage) -> None:
        if message.type is WSMsgType.CLOSE:
            log.debug("closed by the peer: %s", message.data)
            if not self.closing:
                # aiohttp says 0 for a close frame without a code.
                answer = close_answer(message.data) if message.data else CloseCode.OK
                self.finish(close_frame(answer))
        elif isinstance(message.data, WebSocketError):
            self._stats.closes[message.data.code] += 1
            log.info("closed %d: %s", message.data.code, message.data)
        else:
            log.debug("connection lost")

    async def _catch_up(self) -> None:
        self._doing = Doing.CATCHING_UP
        try:
            await self._writer.drain()
        except ConnectionError:
            log.debug("connection lost while behind")
        self._doing = READING
        self._since = self._sweeper.now
