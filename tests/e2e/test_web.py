"""What the server answers over plain HTTP: the page, its files, health, and what is not there."""

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from yarl import URL

import chatserver
from chatserver.testing import ChatServer


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with ChatServer() as running:
        yield running


async def test_the_page_may_use_its_own_files_only(server: ChatServer) -> None:
    async with server.http.get("/") as response:
        page = await response.text()
        assert response.status == 200
        assert response.content_type == "text/html"
        headers = response.headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", page)

    files = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert files
    for file in files:
        async with server.http.get(URL("/").join(URL(file))) as response:
            assert response.status == 200
            assert response.content_type in ("text/css", "text/javascript", "image/svg+xml")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert await response.read()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/", 200),
        ("POST", "/", 405),
        ("DELETE", "/ws", 405),
        ("POST", "/metrics", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/healthz/", 404),
        ("GET", "/ws", 426),
        ("HEAD", "/ws", 426),
        ("GET", "/static/", 404),
        ("GET", "/static/no.js", 404),
        ("GET", "/static/../pages.py", 404),
        ("GET", "/static/..%2fpages.py", 404),
        ("GET", "/static/%2e%2e/%2e%2e/server.py", 404),
        ("GET", "/static/..%5cpages.py", 404),
        ("GET", "/static/%2e%2e%2ftemplates%2fchat.html", 404),
        ("GET", "/static//etc/passwd", 404),
        ("GET", "/static/%2fetc%2fpasswd", 404),
        ("GET", "/static/chat.css%00.js", 404),
        ("POST", "/static/chat.css", 405),
    ],
)
async def test_status(server: ChatServer, method: str, path: str, status: int) -> None:
    url = URL(f"{server.url}{path}", encoded=True)
    async with server.http.request(method, url, allow_redirects=False) as response:
        assert response.status == status
        body = await response.text()
        assert "import" not in body
        assert bool(body) == (method != "HEAD")


async def test_pages_of_other_origins_may_import_the_module(server: ChatServer) -> None:
    for name, kind in (("chatserver.js", "text/javascript"), ("chatserver.d.ts", "text/plain")):
        async with server.http.get(f"/static/{name}") as response:
            assert (response.status, response.content_type) == (200, kind)
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "export" in await response.text()
    async with server.http.get("/static/chat.js") as response:
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_pages_of_other_origins_may_ask_why_they_are_refused(server: ChatServer) -> None:
    async with server.http.options("/ws") as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Headers"] == "Authorization"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    for origin, status in (("https://elsewhere.example", 403), (server.url, 426)):
        async with server.http.get("/ws", headers={"Origin": str(origin)}) as response:
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.headers["Access-Control-Expose-Headers"] == "Retry-After"
            assert "Access-Control-Allow-Credentials" not in response.headers


async def test_the_module_is_there_without_the_page() -> None:
    app = web.Application()
    chatserver.setup(app, {"broker": "memory"}, prefix="/talk")
    async with (
        ChatServer(app=app) as server,
        server.http.get("/talk/static/chatserver.js") as response,
    ):
        assert response.status == 200


async def test_health_and_readiness(server: ChatServer) -> None:
    for path, text in (("/healthz", "ok\n"), ("/readyz", "ready\n")):
        async with server.http.get(path) as response:
            assert (response.status, await response.text()) == (200, text)
    await server.chat.drain()
    for path, status, text in (("/healthz", 200, "ok\n"), ("/readyz", 503, "draining\n")):
        async with server.http.get(path) as response:
            assert (response.status, await response.text()) == (status, text)
