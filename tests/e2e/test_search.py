"""Finding what was said, in the rooms one may read and in no others."""

import asyncio
import signal
from pathlib import Path

import pytest

from chatserver.testing import ChatServer, Peer
from tests.e2e.callers import call, configure
from tests.e2e.process import ServerProcess
from tests.e2e.streams import guarded
from tests.e2e.test_history import HERE, kept

ANN = {"Authorization": "Bearer ann-token"}


async def enter(server: ChatServer, user: str, *rooms: str) -> Peer:
    peer = await server.connect(headers={"Authorization": f"Bearer {user}-token"})
    for room in rooms:
        assert (await peer.request("join", room=room))["action"] == "joined"
    return peer


async def found(peer: Peer, text: str, **fields: object) -> list[str]:
    """Search; return where and what was found, the newest first."""
    return places(await peer.request("search", text=text, **fields))


def places(reply: dict[str, object]) -> list[str]:
    assert reply["action"] == "search", reply
    results = reply["results"]
    assert isinstance(results, list)
    return [f"{each['room']} {each['offset']}: {each['text']}" for each in results]


async def test_what_was_said_is_found_as_history_gives_it(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann = await enter(server, "ann", "lobby")
        await ann.request("message", text="Good morning", cid="c-1")
        await ann.request("message", text="Good night")
        reply = await ann.request("search", text="MORNING good")
        page = await ann.request("history", since=0, limit=1)
        assert (reply["results"], reply["more"]) == (page["messages"], False)
        assert "next" not in reply


async def test_direct_rooms_are_searched_by_their_two_users_only(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, bob, eve = [await enter(server, user) for user in ("ann", "bob", "eve")]
        sent = await ann.request("direct", to="bob", text="secret plans")
        for peer in (ann, bob):
            assert await found(peer, "plans") == [f"{sent['room']} 1: secret plans"]
        assert await found(eve, "plans") == []


async def test_one_searches_the_rooms_one_is_in_and_no_others(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann = await enter(server, "ann", "tea", "lobby")
        for room in ("tea", "lobby"):
            await ann.request("message", room=room, text=f"hello {room}")
        bob = await enter(server, "bob", "lobby")
        assert await found(ann, "hello") == ["lobby 1: hello lobby", "tea 1: hello tea"]
        assert await found(ann, "hello", room="tea") == ["tea 1: hello tea"]
        assert await found(bob, "hello") == ["lobby 1: hello lobby"]
        for tried in (
            "hello tea",
            "tea",
            'hello" OR room : "1',
            "room:1 OR hello",
            "text:hello OR",
        ):
            assert not [each for each in await found(bob, tried) if "tea" in each], tried
        assert (await bob.request("search", text="hello", room="tea"))["code"] == "not_joined"
        await ann.request("leave", room="tea")
        assert await found(ann, "hello") == ["lobby 1: hello lobby"]
        eve = await enter(server, "eve")
        assert await found(eve, "hello") == []


async def test_rooms_one_may_not_read_are_left_out(tmp_path: Path) -> None:
    rights = {"*": ["join", "write"], "lobby": ["join", "write", "read"]}
    token = {"token": "ann-token", "user": "ann", "name": "ann", "rights": rights}
    auth = {"auth": {"anonymous": False, "tokens": [token]}}
    async with kept(tmp_path, middlewares=[auth]) as server:
        ann = await enter(server, "ann", "tea", "lobby")
        for room in ("tea", "lobby"):
            await ann.request("message", room=room, text="hello")
        assert await found(ann, "hello") == ["lobby 1: hello"]
        assert (await ann.request("search", text="hello", room="tea"))["code"] == "forbidden"


async def test_results_come_in_pages_below_the_largest_frame(tmp_path: Path) -> None:
    async with kept(tmp_path, limits={"max_frame_out": 16384}) as server:
        ann = await enter(server, "ann", "lobby")
        for number in range(12):
            await ann.request("message", text=f"hello {number} " + "é" * 1500)
        seen: list[str] = []
        cursor: dict[str, object] = {}
        while True:
            reply = await ann.request("search", text="hello", limit=100, **cursor)
            seen += places(reply)
            assert ("next" in reply) is reply["more"]
            if not reply["more"]:
                break
            cursor = {"before": reply["next"]}
        assert [each.split()[1] for each in seen] == [f"{offset}:" for offset in range(12, 0, -1)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("text", ""), ("text", "x" * 257), ("limit", 0), ("limit", 101), ("before", -1)],
)
async def test_limits_of_a_search(tmp_path: Path, field: str, value: object) -> None:
    async with kept(tmp_path) as server:
        ann = await enter(server, "ann", "lobby")
        asked = {"text": "hello", field: value}
        refused = await ann.request("search", **asked)
        assert (refused["code"], refused["field"]) == ("bad_payload", f"$.{field}")


async def test_rooms_that_are_not_kept_on_disk_have_no_results(tmp_path: Path) -> None:
    rooms = [{"match": "memory", "durability": "memory"}, {"match": "none", "durability": "none"}]
    async with kept(tmp_path, rooms=rooms) as server:
        ann = await enter(server, "ann", "memory", "none", "lobby")
        for room in ("memory", "none", "lobby"):
            await ann.request("message", room=room, text="hello")
        assert await found(ann, "hello") == ["lobby 1: hello"]
        assert await found(ann, "hello", room="memory") == []


async def test_searches_cost_more_than_messages(tmp_path: Path) -> None:
    limit = {"connection": {"rate": 0.01, "burst": 25}}
    async with kept(tmp_path, middlewares=[{"rate_limit": limit}]) as server:
        ann = await server.connect()
        replies = await asyncio.gather(*(ann.request("search", text="hello") for _ in range(3)))
        assert [each.get("code") for each in replies] == [None, None, "rate_limited"]


def test_what_was_said_is_found_after_a_kill(tmp_path: Path) -> None:
    config = configure(tmp_path, server={"data_dir": "data"}, **guarded("ann"))
    with ServerProcess(config, env=HERE) as server, call(server.ws, headers=ANN) as ann:
        ann.ask("join", room="lobby")
        for number in range(300):
            ann.ask("message", text=f"hello number{number}")
        server.signal(signal.SIGKILL)
        server.wait()
    with ServerProcess(config, env=HERE) as server, call(server.ws, headers=ANN) as ann:
        ann.ask("join", room="lobby")
        for number in (0, 150, 299):
            reply = ann.ask("search", text=f"number{number} ")
            assert places(reply) == [f"lobby {number + 1}: hello number{number}"]
