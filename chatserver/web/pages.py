"""Render pages, and serve the chat page's files."""

from importlib.resources import files
from typing import TYPE_CHECKING, Final

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web

from chatserver import __version__

if TYPE_CHECKING:
    from chatserver.chat import Chat

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of every page: own files only, nothing inline, no frames."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    hdrs.X_CONTENT_TYPE_OPTIONS: "nosniff",
    hdrs.CACHE_CONTROL: "no-cache",
}


class Pages:
    """Render the pages of one chat with an environment of its own.

    Args:
        app: The application that serves them.
        key: The chat's key; several chats in one application do not share an environment.
        prefix: Where the chat is mounted.
    """

    def __init__(self, app: web.Application, key: "web.AppKey[Chat]", prefix: str) -> None:
        self._prefix = prefix
        self._key = web.AppKey(f"chatserver.jinja.{key}", jinja2.Environment)
        aiohttp_jinja2.setup(
            app,
            app_key=self._key,
            loader=jinja2.PackageLoader("chatserver.web", "templates"),
            autoescape=True,
        )

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the static files."""
        return [static_route(self._prefix, "static"), static_route(self._prefix, "static/page")]

    def chat(self, request: web.Request) -> web.Response:
        """Render the chat page; links are relative to where the request found it."""
        return self.render(request, "chat.html", request.path.removesuffix("/"))

    def render(self, request: web.Request, template: str, base: str) -> web.Response:
        """Render a page.

        Args:
            request: What asked for it.
            template: The file's name.
            base: The path below which the request found the chat, without a slash at its end.
        """
        response = aiohttp_jinja2.render_template(
            template,
            request,
            {
                "title": "chatserver",
                "base": base,
                "static": f"{base}/static",
                "socket": f"{base}/ws",
                "version": __version__,
            },
            app_key=self._key,
        )
        response.headers.update(HEADERS)
        return response


def static_route(prefix: str, folder: str) -> web.RouteDef:
    """Return the route of a folder's files; they are read once, here.

    Args:
        prefix: Where the chat is mounted.
        folder: The folder in this package, which is the path below the prefix as well.
    """
    contents = {
        file.name: file.read_bytes()
        for file in files("chatserver.web").joinpath(folder).iterdir()
        if file.name.rpartition(".")[2] in _TYPES
    }

    async def static(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in contents:
            raise web.HTTPNotFound
        kind = _TYPES[name.rpartition(".")[2]]
        return web.Response(
            body=contents[name], content_type=kind, charset="utf-8", headers=HEADERS
        )

    return web.get(f"{prefix}/{folder}/{{name}}", static)


_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
