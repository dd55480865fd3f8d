"""How much may be sent, how fast and how large, tried over real sockets."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from chatserver_middlewares.rate_limit import RateLimitMiddleware

from chatserver import Identity
from chatserver.app import setup
from chatserver.config.load import Settings
from chatserver.testing import ChatServer
from tests.e2e.raw import RawClient, frame

Serve = Callable[..., AbstractAsyncContextManager[ChatServer]]

OFF: dict[str, object] = {"connection": None, "user": None, "ip": None, "handshake": None}
SLOW = {"rate": 0.01, "burst": 5}
PING, PONG = 9, 10


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    @asynccontextmanager
    async def serve(
        rate_limit: dict[str, object] | None = None,
        size_limit: dict[str, object] | None = None,
        trusted_proxies: Sequence[str] = (),
    ) -> AsyncIterator[ChatServer]:
        config: dict[str, object] = {
            "server": {"data_dir": str(tmp_path), "trusted_proxies": list(trusted_proxies)},
            "middlewares": [
                {"rate_limit": {**OFF, **(rate_limit or {})}},
                {"size_limit": size_limit},
            ],
        }
        async with ChatServer(config) as running:
            yield running

    return serve


class Watch:
    """Be a clock that stands still unless it is told to go on."""

    def __init__(self, server: ChatServer) -> None:
        self.now = 0.0
        for middleware in server.chat.middlewares:
            if isinstance(middleware, RateLimitMiddleware):
                middleware.clock = self

    def __call__(self) -> float:
        return self.now


async def talk(server: ChatServer, conversation: Callable[[RawClient], None]) -> None:
    """Run a blocking conversation beside the server's loop."""

    def run() -> None:
        with RawClient(int(server.url.rpartition(":")[2])) as client:
            conversation(client)

    await asyncio.to_thread(run)


async def knock(server: ChatServer, *, upgrade: bool = True, **headers: str) -> tuple[int, int]:
    """Ask to be let in; return the status and the seconds in Retry-After, 0 without."""
    wanted = {name.replace("_", "-"): value for name, value in headers.items()}
    if upgrade:
        wanted |= {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
    async with server.http.get("/ws", headers=wanted) as answer:
        return answer.status, int(answer.headers.get("Retry-After", 0))


async def test_too_many_handshakes_get_429(serve: Serve) -> None:
    async with serve({"handshake": {"rate": 0.4, "burst": 2}}) as server:
        watch = Watch(server)
        assert await knock(server, upgrade=False) == (426, 0)
        assert (await knock(server))[0] == 101
        assert await knock(server) == (429, 3)
        assert await knock(server, upgrade=False) == (429, 3)
        watch.now += 2.5
        assert (await knock(server))[0] == 101


async def test_addresses_behind_a_trusted_proxy_are_counted_apart(serve: Serve) -> None:
    limits: dict[str, object] = {"handshake": {"rate": 0.01, "burst": 1}}
    async with serve(limits, trusted_proxies=["127.0.0.0/8"]) as server:
        assert (await knock(server, X_Forwarded_For="203.0.113.5"))[0] == 101
        assert (await knock(server, X_Forwarded_For="198.51.100.7, 203.0.113.5"))[0] == 429
        assert (await knock(server, Forwarded="for=203.0.113.5:4711"))[0] == 429
        assert (await knock(server, Forwarded='for="[2001:db8::1]"'))[0] == 101
        assert (await knock(server, Forwarded='for="[2001:db8::2]"'))[0] == 429
    async with serve(limits) as server:
        assert (await knock(server, X_Forwarded_For="203.0.113.5"))[0] == 101
        assert (await knock(server, X_Forwarded_For="203.0.113.6"))[0] == 429


async def test_a_refused_message_says_which_and_how_long(serve: Serve) -> None:
    async with serve({"connection": {"rate": 2, "burst": 3}, "max_strikes": 100}) as server:
        watch = Watch(server)
        peer = await server.connect()
        for _ in range(3):
            assert (await peer.request("ping"))["action"] == "pong"
        refused = await peer.request("ping")
        assert refused["action"] == "error"
        assert refused["code"] == "rate_limited"
        assert refused["retry_after"] == 0.5
        watch.now += 0.5
        assert (await peer.request("ping"))["action"] == "pong"


async def test_dear_actions_run_out_sooner(serve: Serve) -> None:
    costs = {"list_rooms": 5}
    async with serve({"connection": {"rate": 1, "burst": 11}, "costs": costs}) as server:
        Watch(server)
        peer = await server.connect()
        for _ in range(2):
            assert (await peer.request("list_rooms"))["action"] == "room_list"
        refused = await peer.request("list_rooms")
        assert refused["code"] == "rate_limited"
        assert refused["retry_after"] == 5


async def test_every_kind_of_frame_is_charged(serve: Serve) -> None:
    async with serve({"connection": SLOW}) as server:
        Watch(server)

        def conversation(client: RawClient) -> None:
            client.send_frame(PING, b"1")
            client.send_frame(PONG)
            client.send_frame(2, b"binary")
            client.send_text("no json")
            client.send_frame(PING, b"2")
            for _ in range(100):
                client.send_frame(PING, b"unanswered")
            client.send_text('{"action":"ping","id":7}')
            pongs: list[bytes] = []
            codes: list[object] = []
            while "rate_limited" not in codes:
                opcode, payload = client.receive_frame()
                if opcode == PONG:
                    pongs.append(payload)
                else:
                    codes.append(json.loads(payload)["code"])
            assert json.loads(payload)["id"] == 7
            assert codes == ["bad_message", "bad_json", "rate_limited"]
            assert pongs == [b"1", b"2"]

        await talk(server, conversation)


@pytest.mark.parametrize("sent", [(PING, b""), (1, b'{"action":"ping"}'), (1, b"{"), (2, b"x")])
async def test_persistent_offenders_are_closed_3013(serve: Serve, sent: tuple[int, bytes]) -> None:
    limits = {"connection": {"rate": 100, "burst": 1}, "max_strikes": 5}
    async with serve(limits) as server:
        other = await server.connect()

        def conversation(client: RawClient) -> None:
            try:
                for _ in range(200):
                    client.socket.sendall(frame(*sent) * 100)
            except ConnectionError:
                pass  # it was closed while we were sending: what we are here for
            assert client.close_code() in (3013, 1006)

        await talk(server, conversation)
        assert server.chat.stats.closes[3013] == 1
        assert (await other.request("ping"))["action"] == "pong"


async def test_a_burst_is_forgiven(serve: Serve) -> None:
    async with serve({"connection": {"rate": 10, "burst": 20}, "max_strikes": 1}) as server:
        watch = Watch(server)
        peer = await server.connect()
        for _ in range(300):
            await peer.send("ping")
        assert (await peer.request("ping"))["code"] == "rate_limited"
        watch.now += 0.1
        assert (await peer.request("ping"))["action"] == "pong"


async def test_a_user_cannot_reconnect_to_get_more(tmp_path: Path) -> None:
    async def identity(request: web.Request) -> Identity | None:
        return Identity(user=request.headers["X-User"])

    app = web.Application()
    config: dict[str, object] = {
        "server": {"data_dir": str(tmp_path)},
        "middlewares": [{"rate_limit": {**OFF, "user": SLOW}}],
    }
    setup(app, config, prefix="", identity=identity)
    async with ChatServer(app=app) as server:
        peer = await server.connect(headers={"X-User": "mary"})
        for _ in range(5):
            assert (await peer.request("ping"))["action"] == "pong"
        await peer.close()
        again = await server.connect(headers={"X-User": "mary"})
        assert (await again.request("ping"))["code"] == "rate_limited"
        other = await server.connect(headers={"X-User": "john"})
        assert (await other.request("ping"))["action"] == "pong"


async def test_limits_can_be_changed_while_it_runs(serve: Serve) -> None:
    async with serve({"connection": SLOW, "max_strikes": 100}) as server:
        Watch(server)
        peer = await server.connect()
        for _ in range(5):
            assert (await peer.request("echo", text="x" * 2000))["action"] == "echo"
        assert (await peer.request("ping"))["code"] == "rate_limited"
        rates = {**OFF, "connection": {"rate": 1, "burst": 6}, "max_strikes": 100}
        sizes = {"max_message_size": 1024}
        config = {"middlewares": [{"rate_limit": rates}, {"size_limit": sizes}]}
        server.chat.reload(Settings.from_data(config))
        await peer.send("echo", text="x" * 2000)
        assert (await peer.expect("error"))["code"] == "too_large"
        assert (await peer.request("ping"))["code"] == "rate_limited"


async def test_the_size_limit_is_announced_and_soft(serve: Serve) -> None:
    async with serve(size_limit={"max_message_size": 2048, "actions": {"chat": 512}}) as server:
        peer = await server.connect()
        welcome = await peer.request("hello")
        limits = welcome["limits"]
        assert isinstance(limits, dict)
        assert limits["max_message_size"] == 2048
        for text in ("x" * 2048, "ü" * 1100):
            await peer.socket.send_str(json.dumps({"action": "echo", "text": text}))
            error = await peer.expect("error")
            assert error["code"] == "too_large"
            assert "2048" in str(error["message"])
        too_long = await peer.request("chat", text="x" * 512)
        assert too_long["code"] == "too_large"
        assert "512" in str(too_long["message"])
        assert (await peer.request("echo", text="x" * 1900))["action"] == "echo"


async def test_above_the_hard_limit_the_connection_ends_with_1009(serve: Serve) -> None:
    async with serve(size_limit={"max_message_size": 1024, "hard_limit": 4096}) as server:
        other = await server.connect()

        def conversation(client: RawClient) -> None:
            client.send_text("x" * 4096)
            opcode, payload = client.receive_frame()
            assert (opcode, json.loads(payload)["code"]) == (1, "too_large")
            # Only the head of a frame that is too large, so that nothing unread causes a reset.
            client.socket.sendall(bytes([0x81, 0x80 | 126]) + struct.pack("!H", 4097) + b"mask")
            assert client.close_code() == 1009

        await talk(server, conversation)
        assert (await other.request("ping"))["action"] == "pong"


async def test_a_message_in_fragments_counts_as_a_whole(serve: Serve) -> None:
    async with serve(size_limit={"max_message_size": 1024, "hard_limit": 4096}) as server:

        def conversation(client: RawClient) -> None:
            client.send_frame(1, b"x" * 2048, fin=False)
            client.send_frame(0, b"x" * 2048, fin=False)
            client.send_frame(0, b"x")
            assert client.close_code() == 1009

        await talk(server, conversation)
