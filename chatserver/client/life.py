"""Connect, greet, and connect again, as long as that makes sense."""

import asyncio
import itertools
import logging
import os
import socket
import ssl as tls
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSServerHandshakeError,
)
from aiohttp import ClientError as AiohttpError
from msgspec import Struct, ValidationError
from msgspec.structs import replace

from chatserver.client.backoff import Backoff
from chatserver.client.connection import Connection
from chatserver.client.errors import LostError, retry_after, retryable
from chatserver.client.events import Offline
from chatserver.client.replies import Refreshed, Registered, Welcome
from chatserver.client.tokens import GuestKeeper, TokenSource, fetch, refresh_in
from chatserver.client.verdicts import TLS_HANDSHAKE, Verdict, after_close, after_refusal
from chatserver.client.wire import Frame
from chatserver.errors import ActionError, CloseCode, ErrorCode

log = logging.getLogger("chatserver.client")

SUBPROTOCOL: Final = "chatserver.v1"

MAX_FRAME: Final = 16 * 1024 * 1024
"""Bytes of a frame that are read at all; the server's own limit is far below."""

CLOSE_TIMEOUT: Final = 2.0
"""Seconds the server has to answer a close."""


class Options(Struct, frozen=True, kw_only=True):
    """Hold what `chatserver.client.connect` is given."""

    url: str
    token: TokenSource | None
    guest: GuestKeeper
    headers: Mapping[str, str]
    proxy: str | None
    ssl: tls.SSLContext | bool
    timeout: float
    ping_interval: float
    backoff: Backoff


class Listener(Protocol):
    """What hears of the life; nothing here may wait, except `serve`."""

    def online(self, welcome: Welcome) -> None:
        """Hear that there is a connection and who we are, before anybody can use it."""

    async def serve(self, connection: Connection) -> None:
        """Work on the connection until it ends or this is cancelled."""

    def offline(self) -> None:
        """Hear that the connection is lost."""

    def waiting(self, event: Offline) -> None:
        """Hear when there will be another try, and why."""

    def event(self, frame: Frame, raw: str) -> None:
        """Take a frame that answers no request."""


class Life:
    """Have one connection after another, until one ends in a way that ends it all.

    Args:
        options: Where and how to connect.
        username: The name to register, if any.
        listener: Hears of it.

    Attributes:
        username: The name to register on the next connection.
        connection: The present one, once it is greeted; None while there is none.
    """

    def __init__(self, options: Options, username: str | None, listener: Listener) -> None:
        self.username = username
        self.connection: Connection | None = None
        self._options = options
        self._listener = listener
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._error: BaseException | None = None
        self._token: str | None = None
        self._known = False

    async def connected(self) -> Connection:
        """Wait for a connection that is greeted.

        Raises:
            ChatError: There will be none.
        """
        while self.connection is None:
            if self._error is not None:
                raise self._error
            await self._changed.wait()
        return self.connection

    def end(self, error: BaseException) -> None:
        """Tell everybody who waits for a connection that there will be none."""
        self._error = error
        self.connection = None
        self._changed.set()

    async def run(self) -> None:
        """Live until there is no use in connecting again.

        Raises:
            ChatError: Why.
            Exception: What the token source raised before there was any connection.
        """
        clock = asyncio.get_running_loop().time
        async with ClientSession() as http:
            while True:
                started = clock()
                verdict = await self._converse(http)
                if verdict.error is not None:
                    raise verdict.error
                self._options.backoff.held(clock() - started if verdict.code else 0.0)
                wait = self._wait(verdict)
                log.warning("%s; connecting again in %.1f s", verdict.reason, wait)
                self._listener.waiting(Offline(reason=verdict.reason, code=verdict.code, wait=wait))
                await asyncio.sleep(wait)

    def _wait(self, verdict: Verdict) -> float:
        if verdict.wait is not None:
            return verdict.wait
        return max(self._options.backoff.wait(), verdict.at_least)

    async def _converse(self, http: ClientSession) -> Verdict:
        try:
            async with asyncio.timeout(self._options.timeout):
                socket = await self._dial(http)
        except WSServerHandshakeError as refused:
            header = refused.headers.get("Retry-After") if refused.headers else None
            return after_refusal(refused.status, header, time.time(), known=self._known)
        except TimeoutError:
            return Verdict("The server does not answer")
        except ClientConnectorCertificateError as error:
            return after_close(TLS_HANDSHAKE, str(error))
        except (AiohttpError, OSError) as error:
            return Verdict(f"The server cannot be reached: {_cause(error)}")
        connection = Connection(next(self._numbers), socket, self._listener.event)
        attending = asyncio.create_task(self._attend(connection))
        try:
            verdict = await connection.run()
        finally:
            self.connection = None
            self._changed.clear()
            self._listener.offline()
            attending.cancel()
            await asyncio.wait({attending})
            await connection.close()
        if not attending.cancelled():
            attending.result()
        return verdict

    async def _dial(self, http: ClientSession) -> ClientWebSocketResponse:
        options = self._options
        headers = dict(options.headers)
        if options.token is not None:
            self._token = await fetch(options.token)
            headers["Authorization"] = f"Bearer {self._token}"
        return await http.ws_connect(
            options.url,
            headers=headers,
            protocols=(SUBPROTOCOL,),
            proxy=options.proxy,
            ssl=options.ssl,
            heartbeat=options.ping_interval,
            max_msg_size=MAX_FRAME,
            timeout=ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
        )

    async def _attend(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(self._options.timeout):
                welcome = await self._greet(connection)
            self._known = True
            self._listener.online(welcome)
            self.connection = connection
            self._changed.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listener.serve(connection))
                group.create_task(self._keep_token(connection, welcome))
        except LostError:
            pass  # the reader knows why
        except TimeoutError:
            connection.leave(Verdict("The server does not answer"))
        except ActionError as error:
            lasting = None if retryable(error) else error
            connection.leave(Verdict(error.message, error=lasting, wait=retry_after(error)))
        except ValidationError as error:
            why = f"The server does not speak {SUBPROTOCOL} as we know it: {error}"
            connection.leave(after_close(CloseCode.PROTOCOL_ERROR, why))
        except Exception:
            connection.leave(Verdict("The client failed"))
            raise

    async def _greet(self, connection: Connection) -> Welcome:
        guest = self._options.guest
        kept = guest.load() if self._options.token is None else None
        try:
            reply = await connection.request("hello", {"guest_token": kept} if kept else {})
        except ActionError as error:
            if not kept or error.code != ErrorCode.UNAUTHORIZED:
                raise
            # Another server, or one that has lost its key: we are somebody else from now on.
            reply = await connection.request("hello", {})
        welcome = reply.to(Welcome)
        if welcome.guest_token and welcome.guest_token != kept:
            guest.save(welcome.guest_token)
        if self.username in (None, welcome.username):
            return welcome
        registered = await connection.request("register", {"username": self.username})
        return replace(welcome, username=registered.to(Registered).username)

    async def _keep_token(self, connection: Connection, welcome: Welcome) -> None:
        source = self._options.token
        if source is None or isinstance(source, str):
            return
        ahead = datetime.fromisoformat(welcome.time).timestamp() - time.time()
        token = self._token
        try:
            while True:
                # The first time it is the token we came with: the answer tells how long it lives.
                reply = await connection.request("refresh", {"token": token})
                expires = reply.to(Refreshed).expires
                if expires is None:
                    return
                await asyncio.sleep(refresh_in(expires - time.time() - ahead))
                token = self._token = await fetch(source)
        except (ActionError, LostError) as error:
            log.debug("the token is not refreshed: %s", error)
        except Exception:
            log.warning("no newer token can be had; the present one may expire", exc_info=True)


def _cause(error: Exception) -> str:
    """Say why in the system's words; aiohttp's and asyncio's are about their sockets."""
    if not isinstance(error, ClientConnectorError):
        return str(error)
    cause = error.os_error
    if cause.errno is None or isinstance(cause, socket.gaierror | tls.SSLError):
        return cause.strerror or str(cause)
    return os.strerror(cause.errno)
