"""The numbers on the metrics page, after traffic that is known to the last message."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from prometheus_client.parser import text_string_to_metric_families

import chatserver
from chatserver.testing import ChatServer, Peer
from chatserver.web.metrics import OTHER
from tests.e2e.raw import RawClient

CUT_OFF_WITHIN = 30.0
"""Seconds: the kernel takes megabytes for whoever does not read before the server notices."""
CONFIG: dict[str, object] = {
    "middlewares": [{"auth": {"anonymous": True, "tokens": ["known"]}}, "size_limit"]
}


class Metrics(dict[tuple[str, tuple[tuple[str, str], ...]], float]):
    """Hold the samples of one reading by name and labels."""

    def value(self, name: str, **labels: str) -> float:
        """Return one sample; what has no sample is 0."""
        return self.get((f"chatserver_{name}", tuple(sorted(labels.items()))), 0)

    def labels(self, name: str, label: str) -> set[str]:
        """Return all values of a label."""
        return {dict(labels)[label] for found, labels in self if found == f"chatserver_{name}"}


async def read(http: ClientSession, path: str = "/metrics") -> Metrics:
    async with http.get(path) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    metrics = Metrics()
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in metrics
            metrics[key] = sample.value
    return metrics


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with ChatServer(CONFIG) as running:
        yield running


async def test_a_conversation_in_numbers(server: ChatServer) -> None:
    began = time.monotonic()
    alice = await server.connect("alice", "lobby")
    bob = await server.connect("bob", "lobby", "den")
    before = await read(server.http)
    assert before.value("connections") == 2
    assert before.value("users") == 2
    assert before.value("rooms") == 2
    assert before.value("accepted_total") == 2
    assert before.value("draining") == 0
    # register and join from alice, the same and another join from bob
    assert before.value("messages_in_total") == 5
    assert before.value("replies_total") == 5
    assert before.value("handler_seconds_count", action="join") == 3
    # alice's join to herself, bob's to both, bob's to the den
    assert before.value("events_total") == 3
    assert before.value("messages_out_total") == 4

    said = json.dumps({"action": "message", "room": "lobby", "text": "hello"})
    for _ in range(10):
        await bob.socket.send_str(said)
    received = 0
    for _ in range(10):
        event = await alice.expect("message")
        received += len(json.dumps(event, separators=(",", ":"))) + 2
        await bob.expect("message")
    after = await read(server.http)

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert grown("messages_in_total") == 10
    assert grown("received_bytes_total") == 10 * len(said)
    assert grown("events_total") == 10
    assert grown("messages_out_total") == 20
    assert grown("replies_total") == 0
    # Events above 125 bytes have two more bytes of frame header.
    assert grown("sent_bytes_total") == 2 * (received + 10 * 2)
    assert grown("handler_seconds_count", action="message") == 10
    assert grown("handler_seconds_bucket", action="message", le="+Inf") == 10
    assert 0 < grown("handler_seconds_sum", action="message") < time.monotonic() - began

    await bob.close()
    await alice.expect("notification", text="bob left lobby")
    left = await read(server.http)
    assert (left.value("connections"), left.value("rooms")) == (1, 1)
    assert left.value("accepted_total") == 2


async def test_what_is_stored_in_numbers() -> None:
    began = time.monotonic()
    async with ChatServer({"store": {"max_rooms": 1}}) as server:
        alice = await server.connect("alice", "lobby", "den")
        for number in range(10):
            sent = {"room": "lobby", "text": "hello", "cid": f"c-{number % 5}"}
            assert (await alice.request("message", **sent))["action"] == "sent"
        refused = await alice.request("message", room="den", text="hello")
        assert refused["code"] == "unavailable"
        metrics = await read(server.http)
        assert metrics.value("stored_total") == 5
        assert metrics.value("store_refused_total") == 1
        assert metrics.value("store_commit_seconds_count") == 11
        assert 0 < metrics.value("store_commit_seconds_sum") < time.monotonic() - began
        assert metrics.value("store_bytes") > 4096
        assert metrics.value("store_queued") == 0
        assert metrics.value("store_failed") == 0


async def test_a_server_that_stores_nothing_has_no_such_numbers() -> None:
    async with ChatServer({"broker": "memory"}) as server:
        await server.connect("alice", "lobby")
        assert not [name for name, _ in await read(server.http) if "store" in name]


async def test_what_is_refused_is_counted_by_reason(server: ChatServer) -> None:
    for headers in ({"Authorization": "Bearer wrong"}, {"Sec-WebSocket-Protocol": "mqtt"}):
        async with server.http.get("/ws", headers=headers) as response:
            assert response.status in (400, 401)
    peer = await server.connect()
    await peer.request("message", text="not in a room")
    await peer.request("no.such.action")
    await peer.socket.send_str("no json")
    await peer.socket.send_bytes(b"binary")
    assert (await peer.expect("error", code="bad_message"))["code"] == "bad_message"
    await peer.request("ping")

    metrics = await read(server.http)
    assert metrics.value("refusals_total", reason="auth") == 1
    assert metrics.value("refusals_total", reason="subprotocol") == 1
    assert metrics.labels("refusals_total", "reason") == {"auth", "subprotocol"}
    for code in ("not_joined", "unknown_action", "bad_json", "bad_message"):
        assert metrics.value("errors_total", code=code) == 1
    assert metrics.value("replies_total") == 5


async def test_every_frame_is_a_message_in(server: ChatServer) -> None:
    peer = await server.connect()
    await peer.socket.send_str("no json")
    await peer.socket.send_bytes(b"binary")
    await peer.request("ping")
    metrics = await read(server.http)
    assert metrics.value("messages_in_total") == 3
    assert metrics.value("received_bytes_total") > 3


async def test_hostile_names_make_no_labels(server: ChatServer) -> None:
    known = (await read(server.http)).labels("handler_seconds_count", "action")
    assert {"message", "join", "ping", OTHER} <= known
    peer = await server.connect()
    for number in range(200):
        await peer.send(f'evil{number}"}} 1\n# HELP \\', room=f"room {number}\n")
        await peer.send("chat", user=f"user{number}", text="x")
    await peer.request("ping")
    metrics = await read(server.http)
    assert metrics.labels("handler_seconds_count", "action") == known
    assert metrics.value("handler_seconds_count", action=OTHER) == 200
    assert metrics.value("handler_seconds_count", action="chat") == 200
    assert metrics.labels("errors_total", "code") == {"unknown_action"}


async def test_closes_are_counted_by_code(server: ChatServer) -> None:
    kicked = await server.connect("kicked")
    oversize = await server.connect()
    await oversize.socket.send_str("x" * (2**20 + 1))
    assert await oversize.closed() in (1006, 1009)  # The rest of the frame may cause a reset.
    server.chat.kick(str((await kicked.request("hello"))["user"]))
    assert await kicked.closed() == 3503
    metrics = await read(server.http)
    assert metrics.value("closes_total", code="3503") == 1
    assert metrics.value("closes_total", code="1009") == 1


async def test_slow_readers_are_counted() -> None:
    limits = {"slow_soft": 65536, "slow_hard": 65536}
    async with ChatServer({"limits": limits, "middlewares": []}) as server:
        talker = await server.connect("talker", "lobby")
        port = int(server.url.rpartition(":")[2])
        deaf = await asyncio.to_thread(RawClient, port, receive_buffer=4096)
        with deaf:
            deaf.send_text('{"action": "register", "username": "deaf"}')
            deaf.send_text('{"action": "join", "room": "lobby"}')
            await talker.expect("notification", text="deaf joined lobby")
            async with asyncio.timeout(CUT_OFF_WITHIN):
                while (await read(server.http)).value("slow_closes_total") == 0:
                    await talker.request("message", text="x" * 60_000)
        metrics = await read(server.http)
        assert metrics.value("slow_closes_total") == 1
        assert metrics.value("closes_total", code="3008") == 1


async def test_two_chats_in_one_application_count_by_themselves(tmp_path: Path) -> None:
    app = web.Application()
    for name in "ab":
        key = web.AppKey(f"chat {name}", chatserver.Chat)
        config = {"server": {"data_dir": str(tmp_path / name)}}
        chatserver.setup(app, config, prefix=f"/{name}", key=key, metrics=True)
    async with ChatServer(app=app) as server:
        peer: Peer = await server.connect("alice", "lobby", path="/a/ws")
        first, second = await read(server.http, "/a/metrics"), await read(server.http, "/b/metrics")
        assert (first.value("connections"), second.value("connections")) == (1, 0)
        assert (first.value("messages_in_total"), second.value("messages_in_total")) == (2, 0)
        async with server.http.get("/metrics") as response:
            assert response.status == 404
        await peer.close()
