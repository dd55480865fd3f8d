"""Run a chat on a free port and talk to it as a client would."""

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from tempfile import gettempdir
from types import TracebackType
from typing import Final, Self

from aiohttp import ClientSession, ClientWebSocketResponse, WSMessage, WSMsgType, web

from chatserver.app import CHAT, Source, create_app
from chatserver.chat import Chat
from chatserver.config.load import Settings, settings_of
from chatserver.middleware import AnyMiddleware
from chatserver.plugin import AnyPlugin

DEADLINE: Final = 15.0
"""Seconds after which something expected is missing."""

Frame = dict[str, object]
"""One JSON object from the server."""


class Peer:
    """Be one client; made by `ChatServer.connect`. It reads all the time, as good clients do.

    Args:
        socket: The open WebSocket.

    Attributes:
        socket: The same, for tests that send raw frames.
    """

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self._inbox: asyncio.Queue[WSMessage] = asyncio.Queue()
        self._backlog: list[Frame] = []
        self._ids = itertools.count(1)
        self._reader = asyncio.create_task(self._read())

    async def send(self, action: str, **payload: object) -> None:
        """Send a message without an id."""
        await self.socket.send_str(json.dumps({"action": action, **payload}))

    async def request(self, action: str, **payload: object) -> Frame:
        """Send a message with an id and return its reply, an error reply as well."""
        number = f"request-{next(self._ids)}"
        await self.send(action, id=number, **payload)
        return await self._next(lambda frame: frame.get("id") == number, f"a reply to {action}")

    async def expect(self, action: str, **fields: object) -> Frame:
        """Return the next frame of this name and these fields; others before it are skipped.

        Raises:
            AssertionError: It did not come within `DEADLINE` seconds.
        """
        wanted = {"action": action, **fields}
        return await self._next(
            lambda frame: all(frame.get(key) == value for key, value in wanted.items()),
            str(wanted),
            skip=True,
        )

    async def receive(self) -> Frame:
        """Return the next frame, whatever it is.

        Raises:
            AssertionError: None came within `DEADLINE` seconds.
        """
        return self._backlog.pop(0) if self._backlog else await self._receive("a frame")

    async def receive_text(self, what: str = "a text") -> str:
        """Return the next text message as it is, for servers that speak plain text."""
        try:
            async with asyncio.timeout(DEADLINE):
                message = await self._inbox.get()
        except TimeoutError:
            raise AssertionError(f"{what} did not come within {DEADLINE:g} s") from None
        if message.type is not WSMsgType.TEXT:
            self._inbox.put_nowait(message)
            raise AssertionError(f"{what} did not come: the connection ended ({message})")
        return str(message.data)

    async def silent(self) -> None:
        """Check that nothing has been sent to this client, by having a ping overtake nothing.

        Raises:
            AssertionError: Something came before the pong.
        """
        number = f"silent-{next(self._ids)}"
        await self.send("ping", id=number)
        frame = await self.receive()
        if frame.get("id") != number:
            raise AssertionError(f"expected silence, got {frame}")

    async def closed(self) -> int:
        """Wait until the server closes the connection and return the close code."""
        async with asyncio.timeout(DEADLINE):
            await asyncio.shield(self._reader)
        return self.socket.close_code or 1006

    async def close(self) -> None:
        """Leave."""
        await self.socket.close()
        await self._reader

    async def _read(self) -> None:
        while True:
            message = await self.socket.receive()
            self._inbox.put_nowait(message)
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return

    async def _next(
        self, matches: Callable[[Frame], bool], what: str, *, skip: bool = False
    ) -> Frame:
        for index, frame in enumerate(self._backlog):
            if matches(frame):
                del self._backlog[0 if skip else index : index + 1]
                return frame
        if skip:
            self._backlog.clear()
        while True:
            frame = await self._receive(what)
            if matches(frame):
                return frame
            if not skip:
                self._backlog.append(frame)

    async def _receive(self, what: str) -> Frame:
        frame: Frame = json.loads(await self.receive_text(what))
        return frame


class ChatServer:
    """Serve a chat on a free port of the loopback interface.

    Its data folder is a temporary one, unless the configuration names another.

    Args:
        config: The configuration; the address in it is not used.
        plugins: Plugin instances added to the configured ones.
        middlewares: Middleware instances placed inside the configured ones.
        app: An application that has a chat already; instead of the other arguments.

    Attributes:
        url: Where it listens, such as ``http://127.0.0.1:4711``.
    """

    def __init__(
        self,
        config: Source = None,
        *,
        plugins: Sequence[AnyPlugin] = (),
        middlewares: Sequence[AnyMiddleware] = (),
        app: web.Application | None = None,
    ) -> None:
        self._folder = Path(gettempdir(), f"chatserver-{token_hex(8)}")
        self.app = app or create_app(
            _kept_in(self._folder, config), plugins=plugins, middlewares=middlewares
        )
        self.url = ""
        self._runner = web.AppRunner(self.app, shutdown_timeout=1.0)
        self._http: ClientSession | None = None
        self._peers: list[Peer] = []

    @property
    def chat(self) -> Chat:
        """The chat's face: publish, kick, members, drain."""
        return self.app[CHAT]

    @property
    def http(self) -> ClientSession:
        """A client session whose requests go to the server."""
        if self._http is None:
            raise RuntimeError("enter the server with `async with` first")
        return self._http

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._http = ClientSession(self.url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for peer in self._peers:
            await peer.close()
        await self.http.close()
        await self._runner.cleanup()
        rmtree(self._folder, ignore_errors=True)

    async def connect(
        self,
        name: str | None = None,
        *rooms: str,
        path: str = "/ws",
        headers: dict[str, str] | None = None,
        protocols: Sequence[str] = (),
    ) -> Peer:
        """Connect a client; with a name it registers, with rooms it joins them one by one.

        It stays connected until it is closed or the server ends, also when nobody holds it.
        """
        socket = await self.http.ws_connect(
            path, headers=headers, protocols=protocols, autoping=True, max_msg_size=0
        )
        peer = Peer(socket)
        self._peers.append(peer)
        if name is not None:
            await _succeed(peer, "register", username=name)
        for room in rooms:
            await _succeed(peer, "join", room=room)
            await peer.expect("notification", room=room, event="join", username=name)
        return peer


def _kept_in(folder: Path, config: Source) -> Settings:
    settings = settings_of(config)
    path = ("server", "data_dir")
    if settings.document.at(path) is not None:
        return settings
    return Settings(settings.document.overlay(path, str(folder), "chatserver.testing"))


async def _succeed(peer: Peer, action: str, **payload: object) -> None:
    reply = await peer.request(action, **payload)
    if reply["action"] == "error":
        raise AssertionError(f"{action} failed: {reply}")
