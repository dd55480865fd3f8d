"""Put the parts together, and be the face that an application talks to."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from msgspec import Struct, structs

from chatserver.addresses import Trusted
from chatserver.config.load import Settings
from chatserver.connection import Connection
from chatserver.dispatch import Dispatcher
from chatserver.endpoint import Endpoint, Identify, new_session
from chatserver.envelope import encode_event
from chatserver.errors import CloseCode, ConfigError
from chatserver.extension import AnyExtension
from chatserver.fold import Messages
from chatserver.frames import text_frame
from chatserver.hub import LocalHub
from chatserver.liveness import Sweeper
from chatserver.middleware import AnyMiddleware
from chatserver.pending import Pending
from chatserver.pipeline import Pipeline
from chatserver.plugin import AnyPlugin
from chatserver.publications import Published
from chatserver.registry import (
    configured_middlewares,
    load_broker,
    load_middlewares,
    load_plugins,
    make,
)
from chatserver.stats import Stats

log = logging.getLogger("chatserver")


class Member(Struct, frozen=True):
    """Describe one connection in a room.

    Attributes:
        user: User id.
        username: Display name.
        connection: The connection's id.
    """

    user: str
    username: str
    connection: str


class Chat:
    """Hold one chat server: its rooms, middlewares, plugins and connections.

    Args:
        settings: The configuration.
        plugins: Plugin instances added to the configured ones.
        middlewares: Middleware instances placed inside the configured ones.
        identify: The embedding app's own way to know who a request comes from.

    Raises:
        ConfigError: Anything that would keep it from working.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        plugins: Sequence[AnyPlugin] = (),
        middlewares: Sequence[AnyMiddleware] = (),
        identify: Identify | None = None,
    ) -> None:
        self.settings = settings
        self._running = settings.config
        self._started: list[AnyExtension] = []
        self.plugins = load_plugins(settings, plugins)
        self.middlewares = [*load_middlewares(settings), *middlewares]
        self.dispatcher = Dispatcher(self._extensions)
        plain = settings.config.chat.plain_text
        if plain is not None and plain.action not in self.dispatcher.offers:
            raise ConfigError(
                f"plain_text hands text to the action {plain.action!r}, which no plugin offers",
                settings.where(("chat", "plain_text", "action")),
            )
        self.stats = Stats()
        self.stats.offer(self.dispatcher.offers)
        self.broker = load_broker(settings)
        self.hub = LocalHub(
            settings.config,
            settings.path(settings.config.server.data_dir),
            self.broker,
            self.plugins,
            _schedule,
            self.stats,
        )
        self.sweeper = Sweeper(settings.config.limits, self.stats)
        self.endpoint = Endpoint(
            self.hub,
            Pipeline(self.middlewares, new_session, self.dispatcher.dispatch),
            self.sweeper,
            _trusted(settings),
            identify,
        )

    # The face: for the embedding app's handlers and background tasks

    def publish(
        self, room: str, event: str, /, *, ephemeral: bool = False, **fields: object
    ) -> Pending[Published]:
        """Send an event to a room; await the result where the room keeps a history.

        Args:
            room: The room's name; it need not have members.
            event: What the event is called.
            ephemeral: Never stored, and dropped for members that read slowly.
            fields: The event's own fields.

        Raises:
            ValueError: A field is one that only the server sets, or the room has no name.
            ActionError: ``too_large`` above 7/8 of `max_frame_out`.
        """
        return self.hub.publish(room, event, fields, ephemeral=ephemeral)

    def publish_to(self, user: str, event: str, /, **fields: object) -> int:
        """Send an event to all connections of a user id; return how many there were.

        Args:
            user: The user id.
            event: What the event is called.
            fields: The event's own fields; `room` and `offset` may be among them.

        Raises:
            ValueError: A field is one that only the server sets.
            ActionError: ``too_large`` above `max_frame_out`.
        """
        return self.hub.publish_to(user, event, **fields)

    def kick(self, user: str, code: int = CloseCode.KICKED, reason: str = "kicked") -> int:
        """Close all connections of a user id; return how many there were."""
        return self.hub.kick(user, code, reason)

    def members(self, room: str) -> list[Member]:
        """Return the connections in a room, in the order they joined."""
        return [
            Member(session.user.id, session.username, session.id)
            for session in self.hub.members(room)
        ]

    def history(
        self,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 50,
        max_bytes: int = 1024 * 1024,
    ) -> Pending[Messages | None]:
        """Read a room's messages as people read them; see `History.messages`.

        The outcome is None where the room keeps no history; it raises `ActionError`
        (``unavailable``).

        Raises:
            ValueError: `limit` is below 1.
        """
        if limit < 1:
            raise ValueError("limit is at least 1")
        return self.hub.history.messages(
            room, after=after, before=before, limit=limit, max_bytes=max_bytes
        )

    async def drain(self, grace: float | None = None) -> None:
        """Tell clients to reconnect elsewhere, settle what is pending, and close them in batches.

        New connections and messages are refused from now on. Calling it again waits for nothing.

        Args:
            grace: Seconds it may take; `shutdown_grace` by default.
        """
        if self.hub.draining:
            return
        self.hub.draining = True
        if not self.endpoint.connections:
            return
        grace = self.settings.config.server.shutdown_grace if grace is None else grace
        log.info("draining %d connections within %g s", len(self.endpoint.connections), grace)
        try:
            async with asyncio.timeout(grace):
                await self._say_goodbye(grace)
        except TimeoutError:
            log.warning("%d connections were cut off", len(self.endpoint.connections))
        for connection in list(self.endpoint.connections):
            connection.abort()

    # Life cycle: called by the application that serves it

    async def startup(self) -> None:
        """Start broker, plugins and middlewares, in this order.

        Raises:
            ConfigError: One of them does not start; those before it have been cleaned up.
            StoreError: The broker's store cannot be opened.
        """
        await self.hub.startup()
        try:
            for extension in self._extensions:
                await _start(extension, self.hub)
                self._started.append(extension)
        except BaseException:
            await self.cleanup()
            raise
        self.sweeper.start()

    async def cleanup(self) -> None:
        """Stop what `startup` started, in reverse order; a failure is logged and skipped."""
        self.sweeper.stop()
        while self._started:
            extension = self._started.pop()
            try:
                await extension.cleanup()
            except Exception:
                log.exception("cleanup of %s failed", extension.name)
        await self.hub.cleanup()

    def reload(self, settings: Settings) -> None:
        """Apply a new configuration to the middlewares, all of them or none.

        Raises:
            ConfigError: Something in it is wrong; nothing has been changed.
        """
        names = [name for _, name in configured_middlewares(settings)]
        live = {middleware.name: middleware for middleware in self.middlewares}
        if names != [name for _, name in configured_middlewares(self.settings)]:
            raise ConfigError(
                "adding, removing or moving middlewares needs a restart",
                settings.where("middlewares"),
            )
        changes = [
            (live[name], make(settings, type(live[name]), path, name).config)
            for path, name in configured_middlewares(settings)
        ]
        for middleware, config in changes:
            middleware.configure(config)
        old = self._running
        for section in ("server", "chat", "broker", "store", "rooms", "plugins"):
            if getattr(old, section) != getattr(settings.config, section):
                log.warning("changes of %s take effect after a restart", section)
        self.hub.config = structs.replace(self.hub.config, limits=settings.config.limits)
        self.broker.configure(self.hub.config)
        self.settings = settings

    @property
    def _extensions(self) -> Iterator[AnyExtension]:
        yield from self.plugins
        yield from self.middlewares

    async def _say_goodbye(self, grace: float) -> None:
        connections = list(self.endpoint.connections)
        spread = min(30_000, max(1000, 2 * len(connections)))
        for connection in connections:
            after = random.randint(100, spread)  # noqa: S311 - a spread, no secret
            event = encode_event({"action": "reconnect", "after_ms": after, "reason": "shutdown"})
            connection.write(text_frame(event))
        await asyncio.gather(*(self._dismiss(connection, grace / 2) for connection in connections))
        await self.endpoint.empty.wait()

    async def _dismiss(self, connection: Connection, patience: float) -> None:
        with suppress(TimeoutError):
            await connection.settle(patience)
        self.hub.flush()
        connection.close(CloseCode.SHUTDOWN, "shutdown")


def _trusted(settings: Settings) -> Trusted:
    try:
        return Trusted.of(settings.config.server.trusted_proxies)
    except ConfigError as error:
        where = settings.where(("server", "trusted_proxies"))
        raise ConfigError(error.message, where) from error


async def _start(extension: AnyExtension, hub: LocalHub) -> None:
    try:
        await extension.startup(hub)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{extension.name} does not start: {error!r}") from error


def _schedule(delay: float, call: Callable[[], None]) -> asyncio.Handle:
    loop = asyncio.get_running_loop()
    return loop.call_later(delay, call) if delay else loop.call_soon(call)
