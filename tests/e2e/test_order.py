"""Messages that a client sends without waiting are stored in their order, whatever is refused."""

import itertools
import threading
from collections.abc import Sequence
from typing import Final

import pytest
from chatserver_middlewares.rate_limit import RateLimitMiddleware

from chatserver.publications import Publication
from chatserver.store import Settlement, indexing
from chatserver.store.writer import Writer
from chatserver.testing import ChatServer, Frame, Peer

COUNT: Final = 300


LIMITS: Final = {"connection": {"rate": 1, "burst": 20}, "max_strikes": 10_000}


@pytest.fixture
def chat_config() -> dict[str, object]:
    return {"middlewares": [{"rate_limit": {**LIMITS, "user": None, "ip": None}}]}


async def send_all(peer: Peer, numbers: list[int], padding: str = "") -> list[Frame]:
    """Send messages at once, and return their answers in the order they came."""
    for number in numbers:
        text = f"{number}{padding}"
        await peer.send("message", id=number, room="lobby", text=text, cid=f"c-{number}")
    answers: list[Frame] = []
    while len(answers) < len(numbers):
        frame = await peer.receive()
        if "id" in frame:
            answers.append(frame)
    return answers


async def test_refused_messages_are_not_overtaken(chat: ChatServer) -> None:
    # As much time passes from one message to the next on every machine: half a token's.
    waited, looks = 0, itertools.count()
    for middleware in chat.chat.middlewares:
        if isinstance(middleware, RateLimitMiddleware):
            middleware.clock = lambda: waited + next(looks) / 2
    peer = await chat.connect("ann", "lobby")
    numbers = list(range(COUNT))
    rounds = 0
    while numbers:
        waited += 20
        answers = await send_all(peer, numbers)
        refused = [each["id"] for each in answers if each["action"] == "error"]
        stored = [each["id"] for each in answers if each["action"] == "sent"]
        assert {each["code"] for each in answers if each["id"] in refused} <= {"rate_limited"}
        assert stored == numbers[: len(stored)]
        numbers = numbers[len(stored) :]
        rounds += 1
    assert rounds > 1
    bob = await chat.connect("bob")
    joined = await bob.request("join", room="lobby", last=COUNT)
    messages = joined["messages"]
    assert isinstance(messages, list)
    assert [each["text"] for each in messages] == [str(number) for number in range(COUNT)]


@pytest.fixture
def slow_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be indexed unless somebody searches: then there would be space again."""
    monkeypatch.setattr(indexing, "GATHER", 600.0)


@pytest.mark.usefixtures("slow_index")
async def test_messages_that_the_store_refuses_are_not_overtaken() -> None:
    """Small messages behind large ones may still fit."""
    config = {"middlewares": [], "store": {"max_store_bytes": 2**20}}
    async with ChatServer(config) as server:
        peer = await server.connect("ann", "lobby")
        answers = await send_all(peer, list(range(100)), "x" * 30_000)
        stored = [each["id"] for each in answers if each["action"] == "sent"]
        assert stored == list(range(len(stored)))
        assert 5 < len(stored) < 15
        refused = await send_all(peer, [200, 201])
        assert [each["code"] for each in refused] == ["unavailable"] * 2


@pytest.mark.usefixtures("slow_index")
async def test_a_full_store_takes_deletions() -> None:
    config = {"middlewares": [], "store": {"max_store_bytes": 2**20}}
    async with ChatServer(config) as server:
        peer = await server.connect("ann", "lobby")
        answers = await send_all(peer, list(range(100)), "x" * 30_000)
        assert answers[-1]["code"] == "unavailable"
        await peer.send("message", id=200, room="lobby", text="x" * 30_000, cid="c-200")
        await peer.send("delete", id=201, room="lobby", offset=1, cid="d-1")
        assert (await peer.expect("error"))["id"] == 200
        assert (await peer.expect("sent"))["id"] == 201


async def test_a_refusal_holds_the_room_that_was_meant_when_the_message_came() -> None:
    async with ChatServer({"middlewares": [], "store": {"max_rooms": 1}}) as server:
        peer = await server.connect("ann", "kept")
        assert (await peer.request("message", text="first", cid="1"))["action"] == "sent"
        await peer.request("join", room="refused")
        await peer.send("message", id=2, text="for want of a room", cid="2")
        await peer.send("join", id=3, room="kept")
        assert (await peer.expect("error"))["code"] == "unavailable"
        sent = await peer.request("message", room="kept", text="second", cid="3")
        assert sent["action"] == "sent"
        behind = await peer.request("message", room="refused", text="behind", cid="4")
        assert behind["code"] == "unavailable"


async def test_who_becomes_another_user_is_not_held_by_what_the_guest_was_refused() -> None:
    tokens = [{"token": "a", "user": "alice", "name": "Alice"}]
    config = {
        "chat": {"require_username": False},
        "middlewares": [{"auth": {"anonymous": True, "tokens": tokens}}],
        "store": {"max_rooms_per_user": 1},
    }
    async with ChatServer(config) as server:
        peer = await server.connect()
        for cid, room, answer in (("1", "one", "sent"), ("2", "two", "error")):
            await peer.request("join", room=room)
            told = await peer.request("message", text="a guest", cid=cid)
            assert told["action"] == answer
        assert (await peer.request("hello", token="a"))["action"] == "welcome"
        await peer.request("join", room="two")
        assert (await peer.request("message", text="Alice", cid="3"))["action"] == "sent"


async def test_reading_goes_on_without_the_disk_up_to_64_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = Writer.write
    disk = threading.Event()

    def waiting(writer: Writer, batch: Sequence[Publication]) -> list[Settlement]:
        assert disk.wait(10)
        return write(writer, batch)

    async with ChatServer({"middlewares": []}) as server:
        peer, other = [await server.connect(name, "lobby") for name in ("ann", "bob")]
        monkeypatch.setattr(Writer, "write", waiting)
        for number in range(63):
            await peer.send("message", id=number, text=str(number), cid=f"c-{number}")
        assert (await peer.request("ping"))["action"] == "pong"
        for number in range(63, 100):
            await peer.send("message", id=number, text=str(number), cid=f"c-{number}")
        stats = server.chat.broker.stats
        while stats is None or stats.queued < 64:
            await other.request("ping")
            stats = server.chat.broker.stats
        await other.request("ping")
        assert stats.queued == 64, "more than may be in flight"
        disk.set()
        answers = [await peer.expect("sent") for _ in range(100)]
    assert [each["id"] for each in answers] == list(range(100))
    assert [each["offset"] for each in answers] == list(range(1, 101))


async def test_a_message_that_a_fault_has_ended_holds_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = Writer.write

    def faulty(writer: Writer, batch: Sequence[Publication]) -> list[Settlement]:
        if any(b"cursed" in each.body for each in batch):
            raise RuntimeError("a fault in the store")
        return write(writer, batch)

    async with ChatServer({"middlewares": []}) as server:
        peer = await server.connect("ann", "lobby")
        monkeypatch.setattr(Writer, "write", faulty)
        (failed,) = await send_all(peer, [1], " is cursed")
        assert (failed["action"], failed["code"]) == ("error", "internal_error")
        (stored,) = await send_all(peer, [2])
        monkeypatch.undo()
        (again,) = await send_all(peer, [1], " is cursed")
        assert (stored["offset"], again["offset"], "duplicate" in again) == (1, 2, False)
