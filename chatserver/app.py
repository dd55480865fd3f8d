"""Serve a chat with aiohttp: as an application of its own, or inside somebody else's."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from chatserver.chat import Chat
from chatserver.config import Config
from chatserver.config.load import Settings, settings_of
from chatserver.endpoint import Identify, preflight, wants_upgrade
from chatserver.errors import ConfigError
from chatserver.middleware import AnyMiddleware
from chatserver.plugin import AnyPlugin
from chatserver.web.console import console_routes
from chatserver.web.health import health_routes
from chatserver.web.metrics import metrics_routes
from chatserver.web.module import module_routes
from chatserver.web.pages import Pages

CHAT: Final = web.AppKey("chatserver.CHAT", Chat)
"""Where an application finds its chat: ``request.app[chatserver.CHAT]``."""

Source = Settings | Config | Mapping[str, object] | str | Path | None
"""A configuration: a file, plain data, typed sections, or None for the defaults."""


def create_app(
    config: Source = None,
    *,
    identity: Identify | None = None,
    plugins: Sequence[AnyPlugin] = (),
    middlewares: Sequence[AnyMiddleware] = (),
) -> web.Application:
    """Make an application that serves the chat, its pages, health checks and metrics.

    Args:
        config: The configuration.
        identity: Says who a request comes from, before the upgrade; None makes it a guest's.
        plugins: Plugin instances added to the configured ones.
        middlewares: Middleware instances placed inside the configured ones.

    Raises:
        ConfigError: Anything that would keep it from working.
    """
    app = web.Application()
    _mount(
        app,
        Chat(settings_of(config), plugins=plugins, middlewares=middlewares, identify=identity),
        CHAT,
        prefix="",
        pages=True,
        metrics=True,
        health=True,
    )
    return app


def setup(
    app: web.Application,
    config: Source = None,
    *,
    prefix: str = "/chat",
    identity: Identify | None = None,
    key: web.AppKey[Chat] = CHAT,
    pages: bool = False,
    metrics: bool = False,
    plugins: Sequence[AnyPlugin] = (),
    middlewares: Sequence[AnyMiddleware] = (),
) -> Chat:
    """Add a chat to an application; it starts, drains and ends with it.

    Serves `prefix`, `prefix` + ``/``, `prefix` + ``/ws`` and, below `prefix` + ``/static/``, the
    JavaScript module. An application that wants every message it has accepted to be acknowledged
    calls ``await chat.drain()`` before it shuts down.

    Args:
        app: The application, not yet running.
        config: The configuration; its `server` section's addresses are not used.
        prefix: Where the chat is mounted; an empty one mounts it at the root.
        identity: Says who a request comes from, before the upgrade; None makes it a guest's.
        key: Where the application keeps the chat; a second chat needs a key of its own, and a
            `data_dir` of its own.
        pages: Whether to serve the chat page at the prefix and, unless `server.console` is off, the
            developers' console below it.
        metrics: Whether to serve ``/metrics`` below the prefix.
        plugins: Plugin instances added to the configured ones.
        middlewares: Middleware instances placed inside the configured ones.

    Raises:
        ConfigError: Anything that would keep it from working, such as a route already taken.
    """
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ConfigError(f"the prefix {prefix!r} must begin with a slash and not end with one")
    if key in app:
        raise ConfigError(f"this application has a chat under {key} already; give another `key`")
    chat = Chat(settings_of(config), plugins=plugins, middlewares=middlewares, identify=identity)
    _mount(app, chat, key, prefix=prefix, pages=pages, metrics=metrics, health=False)
    return chat


def _mount(
    app: web.Application,
    chat: Chat,
    key: web.AppKey[Chat],
    *,
    prefix: str,
    pages: bool,
    metrics: bool,
    health: bool,
) -> None:
    page = Pages(app, key, prefix) if pages else None

    async def root(request: web.Request) -> web.StreamResponse:
        if page is None or wants_upgrade(request):
            return await chat.endpoint.handle(request)
        return page.chat(request)

    routes = [web.get(path, root) for path in ((prefix, f"{prefix}/") if prefix else ("/",))]
    routes.append(web.get(f"{prefix}/ws", chat.endpoint.handle))
    routes.append(web.options(f"{prefix}/ws", preflight))
    routes += module_routes(prefix)
    if page is not None:
        routes += page.routes()
        if chat.settings.config.server.console:
            routes += console_routes(chat, page, prefix)
    if metrics:
        routes += metrics_routes(chat, prefix)
    if health:
        routes += health_routes(chat)
    taken = {resource.canonical for resource in app.router.resources()}
    _claim(taken, routes, "")
    for plugin in chat.plugins:
        added = [_below(prefix, route) for route in plugin.routes()]
        _claim(taken, added, f" of the plugin {plugin.name!r}")
        routes += added
    app.add_routes(routes)
    app[key] = chat

    async def lifespan(_: web.Application) -> AsyncIterator[None]:
        await chat.startup()
        yield
        await chat.cleanup()

    async def drain(_: web.Application) -> None:
        await chat.drain()

    app.cleanup_ctx.append(lifespan)
    app.on_shutdown.append(drain)


def _claim(taken: set[str], routes: Sequence[web.RouteDef], owner: str) -> None:
    for route in routes:
        if route.path in taken:
            raise ConfigError(
                f"the route {route.path}{owner} is taken already; change it or the `prefix`"
            )
    taken |= {route.path for route in routes}


def _below(prefix: str, route: web.AbstractRouteDef) -> web.RouteDef:
    if not isinstance(route, web.RouteDef):
        raise ConfigError(f"a plugin's route must be a web.RouteDef, not {route!r}")
    return web.RouteDef(route.method, prefix + route.path, route.handler, route.kwargs)
