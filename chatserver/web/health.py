"""Answer health checks of process supervisors and load balancers."""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from chatserver.chat import Chat


def health_routes(chat: "Chat") -> list[web.RouteDef]:
    """Return ``/healthz`` (the process answers) and ``/readyz`` (it takes messages)."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if chat.hub.draining:
            return web.Response(status=503, text="draining\n")
        if chat.broker.failure is not None:
            return web.Response(status=503, text="storing has failed\n")
        return web.Response(text="ready\n")

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]
