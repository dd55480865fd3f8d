"""Answer the WebSocket endpoint: let a client in or not, then hand over to its connection."""

import asyncio
import logging
import math
import socket as sockets
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Final

from aiohttp import hdrs, web

from chatserver.addresses import Trusted, find_client
from chatserver.connection import Connection
from chatserver.context import Handshake
from chatserver.errors import Disconnect, Refused
from chatserver.hub import LocalHub
from chatserver.liveness import Sweeper
from chatserver.outlet import CLOSE_TIMEOUT
from chatserver.pipeline import Pipeline
from chatserver.session import GUEST_PREFIX, Identity, Session

log = logging.getLogger("chatserver.endpoint")

SUBPROTOCOL: Final = "chatserver.v1"
"""The one subprotocol spoken; `bearer.…` beside it carries a token."""

RECEIVE_BUFFER: Final = 256 * 1024
"""Bytes of a peer's input the kernel may hold for us."""

USER_TIMEOUT: Final = 20_000
"""Milliseconds the kernel lets written data go unacknowledged (TCP_USER_TIMEOUT, RFC 5482)."""

READABLE: Final = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: hdrs.RETRY_AFTER,
}
"""Lets pages of every origin read why they are refused. Such requests come without cookies."""

Identify = Callable[[web.Request], Awaitable[Identity | None]]
"""How an embedding app says who a request comes from."""


async def new_session(handshake: Handshake) -> Session:
    """Make the session of an accepted handshake; the core of the connect onion."""
    identity = handshake.identity or Identity(user=GUEST_PREFIX + token_hex(16), guest=True)
    session = Session(token_hex(8), identity, handshake.remote)
    session.max_message_size = handshake.max_message_size
    return session


class Endpoint:
    """Serve upgrades, and plain GETs that ask why an upgrade was refused.

    Args:
        hub: The rooms of this process.
        pipeline: The composed middlewares.
        sweeper: Watches the connections.
        trusted: The proxies to believe.
        identify: The embedding app's own way to know who a request comes from.

    Attributes:
        connections: The live connections.
        empty: Set whenever the last of them has ended.
    """

    def __init__(
        self,
        hub: LocalHub,
        pipeline: Pipeline,
        sweeper: Sweeper,
        trusted: Trusted,
        identify: Identify | None,
    ) -> None:
        self.connections: set[Connection] = set()
        self.empty = asyncio.Event()
        self._hub = hub
        self._pipeline = pipeline
        self._sweeper = sweeper
        self._identify = identify
        self._trusted = trusted

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Upgrade a request, or answer it with plain HTTP that says why not."""
        upgrade = wants_upgrade(request)
        admitted = await self._admit(request, probe=not upgrade)
        if isinstance(admitted, web.Response):
            return admitted
        if not upgrade:
            return web.Response(
                status=426,
                text="This is a WebSocket endpoint; connect to it with ws:// or wss://\n",
                headers={**READABLE, hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade"},
            )
        return await self._serve(request, *admitted)

    async def refusal(self, request: web.Request) -> web.Response | None:
        """Return the answer to a plain request of somebody who may not connect, None if they may.

        It costs what a handshake costs, tokens of the rate limit included.
        """
        admitted = await self._admit(request, probe=True)
        return admitted if isinstance(admitted, web.Response) else None

    async def _admit(
        self, request: web.Request, *, probe: bool
    ) -> tuple[Handshake, Session] | web.Response:
        remote = request.remote
        try:
            self._check_capacity()
            handshake = await self._handshake(request, probe=probe)
            remote = handshake.remote
            session = await self._pipeline.connect(handshake)
            # Again: others may have come, or the end, while this one was looked at.
            self._check_capacity()
            self._check_user(session)
        except Refused as refusal:
            self._hub.stats.refusals[refusal.reason] += 1
            log.info("refused %s: %s %s", remote, refusal.status, refusal.reason)
            return _refusal(refusal)
        return handshake, session

    async def _serve(
        self, request: web.Request, handshake: Handshake, session: Session
    ) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            return _gone()
        response = web.WebSocketResponse(
            autoping=False,
            autoclose=False,
            compress=False,
            max_msg_size=handshake.max_frame + 1,
            protocols=(SUBPROTOCOL,) if handshake.subprotocols else (),
            timeout=CLOSE_TIMEOUT,
        )
        try:
            writer = await response.prepare(request)
        except ConnectionError:
            return _gone()
        _bound_socket(transport)
        connection = Connection(
            session, self._hub, self._pipeline, self._sweeper, response, writer, transport
        )
        self.connections.add(connection)
        self.empty.clear()
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)
            if not self.connections:
                self.empty.set()
        return response

    async def _handshake(self, request: web.Request, *, probe: bool) -> Handshake:
        transport = request.transport
        peer = transport.get_extra_info("peername") if transport else None
        local = transport.get_extra_info("sockname") if transport else None
        client = find_client(self._trusted, _address(peer), request.headers, tls=request.secure)
        offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
        subprotocols = tuple(filter(None, (part.strip() for part in offered.split(","))))
        if subprotocols and SUBPROTOCOL not in subprotocols:
            raise Refused(
                400, f"Offer the subprotocol {SUBPROTOCOL}, or none\n", reason="subprotocol"
            )
        if not request.headers.get(hdrs.SEC_WEBSOCKET_KEY, "").isascii():
            raise Refused(400, "Sec-WebSocket-Key is not base64\n", reason="handshake")
        return Handshake(
            headers=request.headers,
            query=request.query,
            remote=client.remote,
            local=_address(local),
            scheme=client.scheme,
            host=client.host,
            subprotocols=subprotocols,
            probe=probe,
            identity=await self._identify(request) if self._identify else None,
        )

    def _check_capacity(self) -> None:
        if self._hub.draining:
            raise Refused(503, "The server is shutting down\n", reason="draining", retry_after=5)
        if len(self.connections) >= self._hub.config.server.max_connections:
            raise Refused(503, "The server is full\n", reason="max_connections", retry_after=5)

    def _check_user(self, session: Session) -> None:
        try:
            self._hub.check_connections(session.identity.user)
        except Disconnect as limit:
            raise Refused(
                429, f"{limit.reason}\n", reason="max_connections_per_user", retry_after=30
            ) from None


async def preflight(_: web.Request) -> web.Response:
    """Let pages of other origins ask with a token why they are refused (Fetch, section 3.3)."""
    return web.Response(
        status=204,
        headers={
            **READABLE,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: hdrs.AUTHORIZATION,
            hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
        },
    )


def wants_upgrade(request: web.Request) -> bool:
    """Return whether a request asks for a WebSocket."""
    return request.headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"


def _refusal(refusal: Refused) -> web.Response:
    headers = {**READABLE, hdrs.CACHE_CONTROL: "no-store"}
    if refusal.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(math.ceil(refusal.retry_after))
    if refusal.status == 401:
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return web.Response(status=refusal.status, text=refusal.text, headers=headers)


def _gone() -> web.Response:
    # Nobody reads this: the client went while it was looked at.
    return web.Response(status=400)


def _address(name: object) -> str:
    return str(name[0]) if isinstance(name, tuple) else ""


def _bound_socket(transport: asyncio.Transport) -> None:
    socket = transport.get_extra_info("socket")
    socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, RECEIVE_BUFFER)
    if hasattr(sockets, "TCP_USER_TIMEOUT") and socket.family != sockets.AF_UNIX:
        socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, USER_TIMEOUT)
