"""Run a chat as a process of its own: addresses, TLS, signals, and the order of an ending."""

import asyncio
import errno
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from chatserver.app import CHAT, create_app
from chatserver.chat import Chat
from chatserver.config.load import Settings
from chatserver.errors import ConfigError
from chatserver.logs import escape, set_level

log = logging.getLogger("chatserver.server")

Reload = Callable[[], Settings]
"""Read the configuration again."""


class AccessLogger(AbstractAccessLogger):
    """Log requests without their query strings, which may hold tokens."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log one request."""
        self.logger.info(
            "%s %s %s %d %d %.3f",
            request.remote or "unix",
            request.method,
            escape(request.path),
            response.status,
            response.body_length,
            time,
        )


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
        self._reload_settings = reload
        self._tls = tls_context(settings)
        self._app = create_app(settings)
        self._stop = asyncio.Event()

    @property
    def chat(self) -> Chat:
        """The chat that is served."""
        return self._app[CHAT]

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; the second signal ends the process at once.

        Raises:
            ConfigError: A plugin or middleware cannot start.
            OSError: An address cannot be listened on; the message says which.
        """
        server = self._settings.config.server
        runner = web.AppRunner(
            self._app,
            access_log_class=AccessLogger,
            keepalive_timeout=server.request_timeout,
            shutdown_timeout=1.0,
        )
        await runner.setup()
        try:
            self._handle_signals()
            sites = await self._listen(runner)
            for url in self._urls(runner):
                print(f"Listening on {url}", flush=True)
            self._warn_if_open(runner)
            await self._stop.wait()
            log.info("shutting down")
            for site in sites:
                await site.stop()
            await self.chat.drain()
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> list[web.BaseSite]:
        server = self._settings.config.server
        hosts = [server.host] if isinstance(server.host, str) else server.host
        sites: list[web.BaseSite] = [
            web.TCPSite(runner, host, server.port, ssl_context=self._tls, backlog=server.backlog)
            for host in hosts
        ]
        if server.unix is not None:
            path = self._settings.path(server.unix)
            _remove_stale(path)
            sites.append(web.UnixSite(runner, path, ssl_context=self._tls, backlog=server.backlog))
        for site in sites:
            try:
                await site.start()
            except OSError as error:
                raise OSError(
                    error.errno, f"cannot listen on {site.name}: {_reason(error)}"
                ) from error
        return sites

    def _urls(self, runner: web.AppRunner) -> list[str]:
        scheme = "https" if self._tls else "http"
        found = []
        for address in runner.addresses:
            if isinstance(address, str):
                found.append(f"unix:{address}")
            else:
                host, port = address[:2]
                found.append(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/")
        return found

    def _warn_if_open(self, runner: web.AppRunner) -> None:
        if any(middleware.authenticates for middleware in self.chat.middlewares):
            return
        reachable = [
            address[0]
            for address in runner.addresses
            if not isinstance(address, str)
            and not ip_address(address[0].partition("%")[0]).is_loopback
        ]
        if reachable:
            log.warning(
                "ANYBODY WHO CAN REACH %s CAN CHAT HERE: no middleware authenticates; configure"
                " `auth` with tokens or jwt, or listen on localhost",
                ", ".join(reachable),
            )

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def _end(self) -> None:
        if self._stop.is_set():
            log.warning("second signal: ending at once")
            logging.shutdown()
            os._exit(1)
        self._stop.set()

    def reload(self) -> None:
        """Read the configuration again; a wrong one is reported, and the old one stays."""
        try:
            settings = self._reload_settings()
            fresh = tls_context(settings)
            self.chat.reload(settings)
        except ConfigError as error:
            log.error("configuration not reloaded, the old one stays: %s", error)
            return
        if self._tls is not None and fresh is not None:
            _load_chain(self._tls, settings)
        set_level(settings.config.log)
        self._settings = settings
        log.info("configuration reloaded")


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of the configuration, or None without TLS.

    Raises:
        ConfigError: Certificate or key cannot be used.
    """
    if settings.config.server.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_chain(context, settings)
    return context


def _load_chain(context: ssl.SSLContext, settings: Settings) -> None:
    tls = settings.config.server.tls
    if tls is None:
        return
    certificate, key = settings.path(tls.certificate), settings.path(tls.key)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"TLS cannot use certificate {certificate} with key {key}: {error}",
            settings.where(("server", "tls")),
        ) from error


def _remove_stale(path: Path) -> None:
    if path.is_socket():
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        finally:
            probe.close()


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use; stop the other server or choose another port"
    return os.strerror(error.errno) if error.errno else str(error)
