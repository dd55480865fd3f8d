"""Run a chat as a process of its own: addresses, TLS, signals, and the order of an ending."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from ipaddress import ip_address
from types import FrameType
from typing import Final

import aiohttp
from aiohttp import web

from chatserver import __version__, tls
from chatserver.app import CHAT, create_app
from chatserver.chat import Chat
from chatserver.config.load import Settings
from chatserver.errors import ConfigError
from chatserver.logs import set_up
from chatserver.sockets import SocketFile, make_room, open_tcp, raise_file_limit, unix_failure
from chatserver.store.threads import leave_signals
from chatserver.tls import Tls
from chatserver.web.access import AccessLogger, BadRequestFilter

log = logging.getLogger("chatserver.server")

RESERVE: Final = 3.0
"""Seconds of `shutdown_grace` kept for what comes after the connections, at most half of it."""

Reload = Callable[[], Settings]
"""Read the configuration again."""


class Server:
    """Listen, serve until a signal, and end in order.

    Args:
        settings: The configuration.
        reload: Reads the configuration again on SIGHUP.

    Raises:
        ConfigError: Anything that would keep it from working.
    """

    def __init__(self, settings: Settings, reload: Reload) -> None:
        self._settings = settings
        self._config = settings.config.server
        self._reload_settings = reload
        self._hosts = hosts(settings)
        self._tls = Tls.of(settings)
        self._app = create_app(settings)
        self._file: SocketFile | None = None
        self._listeners: list[asyncio.Server] = []
        self._stop = asyncio.Event()
        self._ending = False

    @property
    def chat(self) -> Chat:
        """The chat that is served."""
        return self._app[CHAT]

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        What has not ended after `shutdown_grace` is ended with the process, exit code 1; so it is
        at once by a second signal.

        Raises:
            ConfigError: A plugin or middleware cannot start.
            StoreError: The store cannot be opened.
            OSError: An address cannot be listened on; the message says which.
        """
        grace = self._config.shutdown_grace
        reserve = min(RESERVE, grace / 2)
        logging.getLogger("aiohttp.server").addFilter(BadRequestFilter())
        runner = web.AppRunner(
            self._app,
            access_log_class=AccessLogger,
            keepalive_timeout=self._config.request_timeout,
            shutdown_timeout=reserve / 3,
        )
        raise_file_limit(self._config.max_connections)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(8, "chatserver", leave_signals))
        self._handle_signals(loop)
        try:
            await runner.setup()
            _spare_collections()
            await self._listen(runner)
            self._announce()
            await self._stop.wait()
            log.info("shutting down")
            self._stop_listening()
            await self.chat.drain(grace - reserve)
        finally:
            self._stop_listening()
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        config, loop = self._config, asyncio.get_running_loop()
        if runner.server is None:
            raise RuntimeError("set the runner up first")
        # Not aiohttp's sites: they leave a TLS handshake a minute.
        context = self._tls.context if self._tls else None
        patience = config.request_timeout if self._tls else None
        for opened in open_tcp(self._hosts, config.port, config.backlog):
            listener = await loop.create_server(
                runner.server,
                sock=opened,
                backlog=config.backlog,
                ssl=context,
                ssl_handshake_timeout=patience,
            )
            self._listeners.append(listener)
        if config.unix is not None:
            path = self._settings.path(config.unix)
            make_room(path)
            try:
                listener = await loop.create_unix_server(
                    runner.server,
                    path,
                    backlog=config.backlog,
                    ssl=context,
                    ssl_handshake_timeout=patience,
                )
            except OSError as error:
                raise unix_failure(path, error) from error
            self._listeners.append(listener)
            self._file = SocketFile(path)

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()
        if self._file is not None:
            self._file.remove()
            self._file = None

    @property
    def _addresses(self) -> list[str | tuple[str, int]]:
        return [opened.getsockname() for listener in self._listeners for opened in listener.sockets]

    def _announce(self) -> None:
        loop = type(asyncio.get_running_loop())
        log.info(
            "chatserver %s on Python %d.%d.%d, aiohttp %s, loop %s",
            __version__,
            *sys.version_info[:3],
            aiohttp.__version__,
            loop.__module__.partition(".")[0],
        )
        self._warn_if_open()
        scheme = "https" if self._tls else "http"
        for address in self._addresses:
            if isinstance(address, str):
                print(f"Listening on unix:{address}", flush=True)
            else:
                host, port = address[:2]
                shown = f"[{host}]" if ":" in host else host
                print(f"Listening on {scheme}://{shown}:{port}/", flush=True)

    def _warn_if_open(self) -> None:
        if any(middleware.authenticates for middleware in self.chat.middlewares):
            return
        reachable = [
            address[0]
            for address in self._addresses
            if not isinstance(address, str)
            and not ip_address(address[0].partition("%")[0]).is_loopback
        ]
        if reachable:
            log.warning(
                "ANYBODY WHO CAN REACH %s CAN CHAT HERE: no middleware authenticates; configure"
                " `auth` with tokens or jwt, or listen on localhost",
                ", ".join(reachable),
            )

    def _handle_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not the loop's own signal handlers: what blocks the loop would block those too. They run
        # between any two steps of any task; the context keeps their log lines from naming its user.
        context = copy_context()

        def end(number: int, frame: FrameType | None) -> None:
            if self._ending:
                _give_up("second signal: ending at once")
            self._ending = True
            loop.call_soon_threadsafe(self._stop.set, context=context)
            signal.setitimer(signal.ITIMER_REAL, self._config.shutdown_grace)

        def overdue(number: int, frame: FrameType | None) -> None:
            _give_up("not ended within shutdown_grace: ending at once")

        def reload(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.reload, context=context)

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGALRM, overdue)
        signal.signal(signal.SIGHUP, reload)

    def reload(self) -> None:
        """Read the configuration again; a wrong one is reported, and the old one stays."""
        try:
            settings = self._reload_settings()
            certificate = tls.load(settings)
            self.chat.reload(settings)
        except ConfigError as error:
            log.error("configuration not reloaded, the old one stays: %s", error)
            return
        except Exception:
            log.exception("configuration not reloaded, the old one stays")
            return
        if self._tls is not None and certificate is not None:
            self._tls.replace(certificate)
        set_up(settings.config.log)
        self._settings = settings
        log.info("configuration reloaded")


def hosts(settings: Settings) -> list[str]:
    """Return the hosts to listen on.

    Raises:
        ConfigError: One is empty, or there is neither a host nor a unix socket.
    """
    server = settings.config.server
    found = [server.host] if isinstance(server.host, str) else server.host
    where = settings.where(("server", "host"))
    if "" in found:
        raise ConfigError("server.host is empty; write 0.0.0.0 or :: for every address", where)
    if not found and server.unix is None:
        raise ConfigError("there is nothing to listen on; set server.host or server.unix", where)
    return found


def _give_up(why: str) -> None:
    try:
        log.warning(why)
        logging.shutdown()
    finally:
        os._exit(1)


def _spare_collections() -> None:
    """Let the garbage collector leave alone what start-up has made, and come less often.

    Messages leave no cycles behind; walking through all modules, connections and thousands of
    messages on their way to the store time and again cost a seventh of the server's time under
    load. So more may be made between two collections than is on its way. The process is ours here;
    an embedded chat does not.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
