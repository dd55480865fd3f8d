"""Serve the JavaScript module and its types, which pages of every origin may import."""

from importlib.resources import files
from typing import Final

from aiohttp import hdrs, web

HEADERS: Final = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.X_CONTENT_TYPE_OPTIONS: "nosniff",
    hdrs.CACHE_CONTROL: "no-cache",
}

_TYPES: Final = {"chatserver.js": "text/javascript", "chatserver.d.ts": "text/plain"}

_FILES: Final = {name: (files("chatserver.web") / "static" / name).read_bytes() for name in _TYPES}


def module_routes(prefix: str) -> list[web.RouteDef]:
    """Return a route for each of the files, below `prefix` + ``/static/``."""
    return [web.get(f"{prefix}/static/{name}", _file) for name in _TYPES]


async def _file(request: web.Request) -> web.Response:
    name = request.path.rpartition("/")[2]
    return web.Response(
        body=_FILES[name], content_type=_TYPES[name], charset="utf-8", headers=HEADERS
    )
