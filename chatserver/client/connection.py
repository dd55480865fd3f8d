"""Own one WebSocket to the server: read frames, and match replies with requests."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import ClientError as AiohttpError
from aiohttp import ClientWebSocketResponse, WSMsgType
from msgspec import DecodeError
from msgspec.json import encode
from msgspec.structs import replace

from chatserver.client.errors import LostError
from chatserver.client.replies import Reply
from chatserver.client.verdicts import Verdict, after_close
from chatserver.client.wire import Frame, read_error, read_frame, read_return
from chatserver.errors import ActionError, CloseCode

log = logging.getLogger("chatserver.client.frames")
"""Shows every frame at level DEBUG."""

_SECRET: Final = frozenset({"hello", "welcome", "refresh"})
"""Frames that carry tokens are shown by their names only."""

Answer = Reply | ActionError | LostError
"""What becomes of a request."""

OnAnswer = Callable[[Answer], None]
"""Called by the reader, before it looks at the next frame; it must not wait for anything."""

OnEvent = Callable[[Frame, str], None]
"""The same for frames that answer nothing; a `Frame` without an action is plain text."""


class Connection:
    """Read one WebSocket until it ends.

    Args:
        number: Tells it from others in the log.
        socket: The WebSocket, open.
        on_event: Takes what answers no request.
    """

    def __init__(self, number: int, socket: ClientWebSocketResponse, on_event: OnEvent) -> None:
        self._number = number
        self._socket = socket
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._asked: dict[int | str, OnAnswer] = {}
        self._limit = asyncio.timeout(None)
        self._return_at: float | None = None
        self._left = Verdict("The server asked us to connect again", CloseCode.RECONNECT, wait=0.0)
        self._over = asyncio.Event()

    async def run(self) -> Verdict:
        """Read until the connection ends, and tell why; whatever is unanswered then is lost.

        A server that shuts down says when to come back, and closes before that. Close frames can
        get lost, so the connection ends at that time in any case.
        """
        clock = asyncio.get_running_loop().time
        try:
            async with self._limit:
                verdict = await self._read()
        except TimeoutError:
            return self._left
        else:
            if self._return_at is not None:
                verdict = replace(verdict, wait=max(0.0, self._return_at - clock()))
            return verdict
        finally:
            self._over.set()
            asked, self._asked = self._asked, {}
            for on_answer in asked.values():
                on_answer(LostError())

    def leave(self, verdict: Verdict) -> None:
        """End the connection for a reason of our own, which `run` returns."""
        self._left = verdict
        self._end_at(asyncio.get_running_loop().time())

    async def over(self) -> None:
        """Wait for the end."""
        await self._over.wait()

    async def close(self) -> None:
        """Close it with 1000; the server has 2 s to answer."""
        await self._socket.close()

    async def ask(self, action: str, fields: Mapping[str, object], on_answer: OnAnswer) -> None:
        """Send a request; its answer goes to `on_answer`.

        Raises:
            LostError: The connection is lost already; `on_answer` is not called then.
        """
        if self._over.is_set():
            raise LostError
        number = next(self._ids)
        text = encode({"action": action, "id": number, **fields}).decode()
        log.debug("#%d > %s", self._number, action if action in _SECRET else text)
        self._asked[number] = on_answer
        try:
            await self._socket.send_str(text)
        except (AiohttpError, OSError):
            if self._asked.pop(number, None) is not None:
                raise LostError from None

    async def request(
        self,
        action: str,
        fields: Mapping[str, object],
        at_once: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Send a request and return the reply.

        Args:
            action: What is asked for.
            fields: The action's own fields.
            at_once: Takes the reply before the next frame is looked at.

        Raises:
            ActionError: The server refuses it.
            LostError: The connection broke first.
        """
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def settle(answer: Answer) -> None:
            if reply.done():
                return
            if not isinstance(answer, Reply):
                reply.set_exception(answer)
                return
            try:
                if at_once is not None:
                    at_once(answer)
                reply.set_result(answer)
            except DecodeError as error:
                reply.set_exception(error)

        await self.ask(action, fields, settle)
        return await reply

    async def _read(self) -> Verdict:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.TEXT:
                self._take(message.data)
            elif message.type is WSMsgType.CLOSE:
                return after_close(message.data or CloseCode.OK, message.extra or "")
            elif message.type is not WSMsgType.BINARY:
                # Whatever aiohttp says of it: a connection that ended without a close is lost.
                return after_close(CloseCode.ABNORMAL, "The connection was lost")

    def _take(self, raw: str) -> None:
        try:
            frame = read_frame(raw)
        except DecodeError:
            frame = Frame()
        log.debug("#%d < %s", self._number, frame.action if frame.action in _SECRET else raw)
        if frame.id is None:
            if frame.action == "reconnect":
                self._return_at = asyncio.get_running_loop().time() + read_return(raw)
                self._end_at(self._return_at)
            else:
                self._on_event(frame, raw)
            return
        on_answer = self._asked.pop(frame.id, None)
        if on_answer is None:
            return  # nobody waits for it any more
        on_answer(read_error(raw) if frame.action == "error" else Reply(frame.action or "", raw))

    def _end_at(self, when: float) -> None:
        if not self._over.is_set() and not self._limit.expired():
            self._limit.reschedule(when)
