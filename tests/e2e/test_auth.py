"""Who is let in, asked over real sockets by an independent client."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from chatserver import liveness
from chatserver.testing import ChatServer
from tests.middlewares.issuer import RSA, SECRET, base64url, jwk, key_set, sign

DEADLINE = 20.0
TOKENS: list[object] = [
    "secret-token-123",
    {"token": "alice-1", "user": "alice", "name": "Alice"},
    {"token": "bob-1", "user": "bob", "rights": {"lobby": ["join", "read"]}},
]
JWT = {"algorithms": ["HS256"], "secret": SECRET}

Frame = dict[str, object]
Serve = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    @asynccontextmanager
    async def serve(**auth: object) -> AsyncIterator[str]:
        config: dict[str, object] = {
            "server": {"data_dir": str(tmp_path / "data")},
            "middlewares": ["origin", {"auth": {"tokens": TOKENS, "jwt": JWT, **auth}}],
        }
        async with ChatServer(config) as server:
            yield server.url.replace("http://", "ws://")

    return serve


class Clock:
    """Be what ends connections in time: the real time, and as much more as the test has passed.

    Attributes:
        ahead: Seconds passed.
    """

    def __init__(self) -> None:
        self.ahead = 0.0
        self._looked = asyncio.Event()

    def __call__(self) -> float:
        self._looked.set()
        return time.time() + self.ahead

    async def looked_at(self) -> None:
        """Wait until all connections were looked after at this time."""
        self._looked.clear()
        async with asyncio.timeout(DEADLINE):
            await self._looked.wait()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(liveness, "time", clock)
    return clock


def open_socket(
    url: str, token: str | None = None, *, protocols: Sequence[str] = ()
) -> AbstractAsyncContextManager[ClientConnection]:
    return connect(
        url,
        additional_headers={} if token is None else {"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol(name) for name in protocols] or None,
        proxy=None,
    )


async def ask(socket: ClientConnection, action: str, **payload: object) -> Frame:
    await socket.send(json.dumps({"action": action, "id": 1, **payload}))
    async with asyncio.timeout(DEADLINE):
        while True:
            frame: Frame = json.loads(await socket.recv())
            if frame.get("id") == 1:
                return frame


async def close_code(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(DEADLINE):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


async def refusal(url: str, token: str | None = None, *, protocols: Sequence[str] = ()) -> int:
    with pytest.raises(InvalidStatus) as caught:
        async with open_socket(url, token, protocols=protocols):
            pass
    response = caught.value.response
    if response.status_code == 401:
        assert response.body == b"Invalid token\n"
    return response.status_code


def until(seconds: float, sub: str = "carol", **claims: object) -> str:
    return sign({"sub": sub, "exp": time.time() + seconds, **claims})


async def test_strangers_are_refused_before_the_upgrade(serve: Serve) -> None:
    async with serve() as url:
        for path in ("", "/", "/ws"):
            assert await refusal(url + path) == 401
            assert await refusal(url + path, "wrong") == 401
            assert await refusal(url + path, until(-1)) == 401
        assert await refusal(f"{url}/ws?token=secret-token-123") == 401


async def test_a_plain_get_learns_the_same(serve: Serve) -> None:
    async with serve() as url:
        http = url.replace("ws://", "http://")
        async with ClientSession() as session:
            async with session.get(f"{http}/ws") as refused:
                assert (refused.status, await refused.text()) == (401, "Invalid token\n")
            headers = {"Authorization": "Bearer alice-1"}
            async with session.get(f"{http}/ws", headers=headers) as allowed:
                assert allowed.status == 426


async def test_a_header_carries_a_token(serve: Serve) -> None:
    async with serve() as url, open_socket(url, "alice-1") as socket:
        welcome = await ask(socket, "hello")
        assert (welcome["user"], welcome["username"]) == ("alice", "Alice")
        assert "guest_token" not in welcome
        assert (await ask(socket, "register", username="Bob"))["code"] == "forbidden"


async def test_the_query_carries_a_token_where_allowed(serve: Serve) -> None:
    async with serve(query=True) as url:
        async with open_socket(f"{url}?token=secret-token-123") as socket:
            assert str((await ask(socket, "hello"))["user"]).startswith("token:")
        assert await refusal(f"{url}?token=secret-token-12") == 401
        assert await refusal(f"{url}?token=secret-token-123", "alice-1") == 401


async def test_a_subprotocol_carries_a_token_and_is_not_echoed(serve: Serve) -> None:
    bearer = f"bearer.{base64url(until(60).encode())}"
    async with serve() as url:
        async with open_socket(url, protocols=["chatserver.v1", bearer]) as socket:
            assert socket.subprotocol == "chatserver.v1"
            assert (await ask(socket, "hello"))["user"] == "carol"
        async with open_socket(url, protocols=[bearer, "chatserver.v1"]) as socket:
            assert socket.subprotocol == "chatserver.v1"
        wrong = f"bearer.{base64url(b'wrong')}"
        assert await refusal(url, protocols=["chatserver.v1", wrong]) == 401


async def test_no_token_gets_into_the_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        async with serve(query=True) as url:
            async with open_socket(f"{url}?token=secret-token-123"):
                pass
            async with open_socket(url, "alice-1") as socket:
                await ask(socket, "refresh", token="hidden-token")
            await refusal(f"{url}?token=hidden-token")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("chats")]
    assert any("refused" in line for line in ours)
    for line in ours:
        for secret in ("secret-token-123", "alice-1", "hidden-token"):
            assert secret not in line


async def test_rights_come_from_the_token(serve: Serve) -> None:
    async with serve() as url:
        async with open_socket(url, "bob-1") as socket:
            await ask(socket, "register", username="Bob")
            assert (await ask(socket, "join", room="other"))["code"] == "forbidden"
            assert (await ask(socket, "join", room="lobby"))["action"] == "joined"
            assert (await ask(socket, "message", text="hi"))["code"] == "forbidden"
        token = until(60, rooms={"team-*": ["join", "read", "write"]}, name="Carol")
        async with open_socket(url, token) as socket:
            assert (await ask(socket, "join", room="lobby"))["code"] == "forbidden"
            assert (await ask(socket, "join", room="team-red"))["action"] == "joined"
            assert (await ask(socket, "message", text="hi"))["action"] == "sent"


async def test_a_connection_ends_with_its_token(serve: Serve, clock: Clock) -> None:
    async with serve() as url, open_socket(url, until(60)) as socket:
        await clock.looked_at()
        assert (await ask(socket, "ping"))["action"] == "pong"
        clock.ahead = 60
        assert await close_code(socket) == 3005


async def test_refresh_prolongs_it(serve: Serve, clock: Clock) -> None:
    async with serve() as url, open_socket(url, until(60)) as socket:
        exp = int(time.time()) + 3600
        newer = sign({"sub": "carol", "exp": exp})
        assert (await ask(socket, "refresh", token=until(60, "dave")))["code"] == "forbidden"
        assert (await ask(socket, "refresh", token="wrong"))["code"] == "unauthorized"
        assert (await ask(socket, "refresh"))["code"] == "bad_payload"
        assert await ask(socket, "refresh", token=newer) == {
            "action": "refreshed",
            "id": 1,
            "expires": exp,
        }
        clock.ahead = 60
        await clock.looked_at()
        assert (await ask(socket, "ping"))["action"] == "pong"


async def test_late_authentication(serve: Serve) -> None:
    async with serve(late=True) as url, open_socket(url) as socket:
        for action in ("ping", "echo", "register", "join", "refresh", "nonsense", "hello"):
            assert (await ask(socket, action, token=None))["code"] == "unauthorized"
        welcome = await ask(socket, "hello", token="alice-1")
        assert (welcome["action"], welcome["user"]) == ("welcome", "alice")
        assert (await ask(socket, "join", room="lobby"))["action"] == "joined"
        assert (await ask(socket, "hello", token="bob-1"))["code"] == "forbidden"


async def test_a_late_token_may_end_as_well(serve: Serve, clock: Clock) -> None:
    async with serve(late=True) as url, open_socket(url) as socket:
        assert (await ask(socket, "hello", token=until(60)))["user"] == "carol"
        clock.ahead = 60
        assert await close_code(socket) == 3005


async def test_a_wrong_late_token_closes(serve: Serve) -> None:
    async with serve(late=True) as url, open_socket(url) as socket:
        await socket.send(json.dumps({"action": "hello", "token": "wrong"}))
        assert await close_code(socket) == 3500


async def test_late_authentication_does_not_wait_for_ever(serve: Serve, clock: Clock) -> None:
    async with (
        serve(late=True, late_timeout=60) as url,
        open_socket(url) as good,
        open_socket(url) as silent,
        open_socket(url) as chatty,
    ):
        assert (await ask(good, "hello", token="alice-1"))["action"] == "welcome"
        assert (await ask(chatty, "ping"))["code"] == "unauthorized"
        clock.ahead = 60
        assert await close_code(silent) == 3502
        assert await close_code(chatty) == 3502
        assert (await ask(good, "ping"))["action"] == "pong"


async def test_guests_where_they_are_allowed(serve: Serve) -> None:
    async with serve(anonymous=True) as url:
        async with open_socket(url) as socket:
            welcome = await ask(socket, "hello")
            assert str(welcome["user"]).startswith("guest:")
            assert (await ask(socket, "hello", token="wrong"))["code"] == "unauthorized"
            assert (await ask(socket, "refresh", token="alice-1"))["code"] == "forbidden"
            upgraded = await ask(
                socket, "hello", token="alice-1", guest_token=welcome["guest_token"]
            )
            assert (upgraded["user"], upgraded["username"]) == ("alice", "Alice")
        assert await refusal(url, "wrong") == 401


async def test_published_keys(serve: Serve) -> None:
    published = web.Application()

    async def keys(request: web.Request) -> web.Response:
        return web.Response(body=key_set(jwk(RSA, "k1")))

    published.router.add_get("/keys", keys)
    async with TestServer(published, host="127.0.0.1") as issuer:
        jwt = {"algorithms": ["RS256"], "jwks_url": str(issuer.make_url("/keys"))}
        claims = {"sub": "carol", "exp": time.time() + 60}
        async with serve(jwt=jwt) as url:
            async with open_socket(url, sign(claims, RSA, "RS256", kid="k1")) as socket:
                assert (await ask(socket, "hello"))["user"] == "carol"
            assert await refusal(url, sign(claims)) == 401
            assert await refusal(url, sign(claims, RSA, "RS256", kid="k2")) == 401


async def test_keys_that_cannot_be_had_do_not_keep_the_server_down(
    serve: Serve, unused_tcp_port: int
) -> None:
    jwt = {"algorithms": ["RS256"], "jwks_url": f"http://127.0.0.1:{unused_tcp_port}/"}
    token = sign({"sub": "carol", "exp": time.time() + 60}, RSA, "RS256")
    async with serve(jwt=jwt) as url:
        assert await refusal(url, token) == 503
        async with open_socket(url, "alice-1") as socket:
            assert (await ask(socket, "refresh", token=token))["code"] == "unavailable"
