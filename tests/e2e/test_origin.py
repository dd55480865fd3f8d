"""Which pages may connect, asked over real sockets by an independent client."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from chatserver import Identity
from chatserver.app import setup
from chatserver.config.load import Settings
from chatserver.testing import ChatServer

Serve = Callable[..., AbstractAsyncContextManager[ChatServer]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    @asynccontextmanager
    async def serve(
        origin: dict[str, object] | None = None, trusted_proxies: Sequence[str] = ()
    ) -> AsyncIterator[ChatServer]:
        server = {"data_dir": str(tmp_path), "trusted_proxies": list(trusted_proxies)}
        async with ChatServer({"server": server, "middlewares": [{"origin": origin}]}) as running:
            yield running

    return serve


async def upgrade(
    server: ChatServer,
    *origins: str,
    host: str = "127.0.0.1",
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[int, str]:
    """Try to connect; return status and body, 101 and nothing where it worked."""
    port = int(server.url.rpartition(":")[2])
    first, rest = (Origin(origins[0]), origins[1:]) if origins else (None, ())
    try:
        async with connect(
            f"ws://{host}:{port}/ws",
            host="127.0.0.1",
            port=port,
            proxy=None,
            origin=first,
            additional_headers=[*headers, *(("Origin", other) for other in rest)],
        ):
            return 101, ""
    except InvalidStatus as refused:
        return refused.response.status_code, (refused.response.body or b"").decode()


async def probe(server: ChatServer, **headers: str) -> tuple[int, str]:
    """Ask with a plain GET whether one could connect."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with server.http.get("/ws", headers=named) as answer:
        return answer.status, await answer.text()


async def test_only_pages_of_the_same_origin_connect(serve: Serve) -> None:
    async with serve() as server:
        assert await upgrade(server, server.url) == (101, "")
        status, text = await upgrade(server, "https://evil.example")
        assert status == 403
        assert "https://evil.example" in text
        assert await upgrade(server) == (101, "")


@pytest.mark.parametrize("origins", [["null"], ["same", "same"], ["same", "https://evil.example"]])
async def test_null_and_several_origins_are_refused(serve: Serve, origins: list[str]) -> None:
    async with serve({"allow": ["*"]}) as server:
        named = [server.url if origin == "same" else origin for origin in origins]
        assert (await upgrade(server, *named))[0] == 403


async def test_a_plain_get_learns_the_same(serve: Serve) -> None:
    async with serve() as server:
        assert (await probe(server))[0] == 426
        assert (await probe(server, Origin=server.url))[0] == 426
        refused = await upgrade(server, "https://evil.example")
        assert await probe(server, Origin="https://evil.example") == refused


async def test_configured_pages_connect(serve: Serve) -> None:
    async with serve({"allow": ["https://*.example.com", "http://localhost:3000"]}) as server:
        assert (await upgrade(server, "https://app.example.com"))[0] == 101
        assert (await upgrade(server, "http://localhost:3000"))[0] == 101
        assert (await upgrade(server, "https://example.com"))[0] == 403
        assert (await upgrade(server, "http://localhost:3001"))[0] == 403


async def test_a_name_rebound_to_loopback_is_refused(serve: Serve) -> None:
    async with serve({"allowed_hosts": ["chat.example"]}) as server:
        port = server.url.rpartition(":")[2]
        status, text = await upgrade(server, f"http://evil.example:{port}", host="evil.example")
        assert status == 403
        assert "allowed_hosts" in text
        assert (await probe(server, Host="evil.example"))[0] == 403
        for name in ("localhost", "chat.example"):
            assert (await upgrade(server, f"http://{name}:{port}", host=name))[0] == 101


async def test_a_trusted_proxy_says_what_the_page_sees(serve: Serve) -> None:
    said = [
        ("X-Forwarded-For", "203.0.113.5"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "chat.example"),
    ]
    hosts: dict[str, object] = {"allowed_hosts": ["chat.example"]}
    async with serve(hosts, trusted_proxies=["127.0.0.1"]) as server:
        assert (await upgrade(server, "https://chat.example", headers=said))[0] == 101
        assert (await upgrade(server, "http://chat.example", headers=said))[0] == 403
        assert (await upgrade(server, server.url, headers=said))[0] == 403
    async with serve(hosts) as server:
        status, text = await upgrade(server, "https://chat.example", headers=said)
        assert status == 403
        assert "trusted_proxies" in text


async def test_a_cookie_identity_is_for_pages_only(tmp_path: Path) -> None:
    async def identity(request: web.Request) -> Identity | None:
        return Identity(user="mary") if "session" in request.cookies else None

    app = web.Application()
    config: dict[str, object] = {"server": {"data_dir": str(tmp_path)}, "middlewares": ["origin"]}
    setup(app, config, prefix="", identity=identity)
    cookie = ("Cookie", "session=mary")
    async with ChatServer(app=app) as server:
        assert (await upgrade(server, server.url, headers=[cookie]))[0] == 101
        assert (await upgrade(server, "https://evil.example", headers=[cookie]))[0] == 403
        status, text = await upgrade(server, headers=[cookie])
        assert status == 403
        assert "Origin" in text
        assert (await upgrade(server))[0] == 101
        same = {"Cookie": "session=mary", "Sec_Fetch_Site": "same-origin"}
        assert (await probe(server, **same))[0] == 426
        assert (await probe(server, **{**same, "Sec_Fetch_Site": "cross-site"}))[0] == 403


async def test_origins_can_be_changed_while_it_runs(serve: Serve) -> None:
    async with serve() as server:
        page = "https://app.example.com"
        assert (await upgrade(server, page))[0] == 403
        config = {"middlewares": [{"origin": {"allow": [page]}}]}
        server.chat.reload(Settings.from_data(config))
        assert (await upgrade(server, page))[0] == 101
