"""A server that says what a test tells it to, for what the real one does not do on demand."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from ssl import SSLContext
from types import TracebackType
from typing import Final, Self

from aiohttp import WSMsgType, web

from chatserver.client import Backoff

DEADLINE: Final = 20.0

Frame = dict[str, object]
Answer = Callable[[Frame], Frame | None]
"""Makes the reply to a request; None leaves it unanswered."""

WELCOME: Final = {
    "action": "welcome",
    "user": "guest:1",
    "time": "2026-11-22T10:41:41.000Z",
    "limits": {"max_message_size": 65536, "max_in_flight": 64},
}


def at_once() -> Backoff:
    """Make waits that are short and jittered no further."""
    return Backoff(0.01, 0.02)


def error(code: str, **more: object) -> Frame:
    return {"action": "error", "code": code, "message": f"It is {code}", **more}


def joined(**more: object) -> Frame:
    return {"action": "joined", "room": "lobby", "members": 1, "messages": [], **more}


def message(offset: int | None = None, **more: object) -> Frame:
    """Make an event of the lobby; its text is its offset."""
    fields = {"action": "message", "room": "lobby", "text": str(offset), "timestamp": "now"}
    return {**fields, **more} if offset is None else {**fields, "offset": offset, **more}


class Scripted:
    """Serve one client at a time.

    Args:
        tls: A context to serve TLS with.

    Attributes:
        answers: What requests are answered by action; unknown ones with ``unknown_action``.
        refusal: The HTTP answer to the next handshakes instead of the upgrade: status and headers.
        headers: Those of each handshake.
        asked: All requests, as they came.
        pongs: Whether pings are answered.
    """

    def __init__(self, tls: SSLContext | None = None) -> None:
        self._tls = tls
        self.answers: dict[str, Answer] = {
            "hello": lambda _: dict(WELCOME),
            "join": lambda _: joined(),
            "leave": lambda _: {"action": "left", "room": "lobby"},
        }
        self.refusal: tuple[int, dict[str, str]] | None = None
        self.headers: list[Mapping[str, str]] = []
        self.asked: list[Frame] = []
        self.pongs = True
        self._unseen: deque[Frame] = deque()
        self._stirred = asyncio.Condition()
        self._socket: web.WebSocketResponse | None = None
        self._transport: asyncio.Transport | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/ws", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'wss' if self._tls else 'ws'}://{host}:{port}/ws"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def socket(self) -> web.WebSocketResponse:
        assert self._socket is not None
        return self._socket

    async def say(self, **frame: object) -> None:
        """Send a frame to the client."""
        await self.socket.send_str(json.dumps(frame))

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection."""
        await self.socket.close(code=code, message=reason.encode())

    def cut(self) -> None:
        """End the connection without a close."""
        assert self._transport is not None
        self._transport.abort()

    async def ended(self) -> int | None:
        """Wait for the client's close, and return its code."""
        async with asyncio.timeout(DEADLINE), self._stirred:
            await self._stirred.wait_for(lambda: self.socket.closed)
        return self.socket.close_code

    async def request(self, action: str) -> Frame:
        """Return the next request of that action; others before it are skipped."""
        async with asyncio.timeout(DEADLINE), self._stirred:
            while True:
                while self._unseen:
                    frame = self._unseen.popleft()
                    if frame["action"] == action:
                        return frame
                await self._stirred.wait()

    async def handshakes(self, count: int) -> None:
        """Wait until there were so many handshakes."""
        async with asyncio.timeout(DEADLINE), self._stirred:
            await self._stirred.wait_for(lambda: len(self.headers) >= count)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        async with self._stirred:
            self.headers.append(dict(request.headers))
            self._stirred.notify_all()
        if self.refusal is not None:
            status, headers = self.refusal
            return web.Response(status=status, headers=headers)
        socket = self._socket = web.WebSocketResponse(
            protocols=("chatserver.v1",), autoping=self.pongs
        )
        self._transport = request.transport
        await socket.prepare(request)
        async for incoming in socket:
            if incoming.type is WSMsgType.TEXT:
                await self._take(socket, json.loads(incoming.data))
        async with self._stirred:
            self._stirred.notify_all()
        return socket

    async def _take(self, socket: web.WebSocketResponse, frame: Frame) -> None:
        make = self.answers.get(str(frame["action"]))
        answer = error("unknown_action") if make is None else make(frame)
        async with self._stirred:
            self.asked.append(frame)
            self._unseen.append(frame)
            self._stirred.notify_all()
        if answer is not None:
            await socket.send_str(json.dumps({**answer, "id": frame["id"]}))
