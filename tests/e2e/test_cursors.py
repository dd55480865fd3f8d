"""Up to where users have read: on all their connections, over reconnects, restarts and kills."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatserver.testing import ChatServer, Peer
from tests.core.stores import opened
from tests.e2e.callers import DEADLINE, Caller, call, configure
from tests.e2e.process import ServerProcess
from tests.e2e.streams import guarded

HERE = {"CHATSERVER_SERVER__DATA_DIR": None}


def kept(folder: Path, **sections: object) -> ChatServer:
    """Return a server that keeps its rooms in a folder."""
    server = {"data_dir": str(folder / "data")}
    return ChatServer({"server": server, **guarded("ann", "bob", "eve"), **sections})


async def arrive(server: ChatServer, user: str) -> Peer:
    return await server.connect(headers={"Authorization": f"Bearer {user}-token"})


async def enter(server: ChatServer, user: str, **join: object) -> tuple[Peer, dict[str, object]]:
    """Connect a user and join the lobby; return what `joined` says."""
    peer = await arrive(server, user)
    return peer, await peer.request("join", **{"room": "lobby", **join})


async def say(peer: Peer, count: int, room: str = "lobby") -> None:
    for number in range(count):
        assert (await peer.request("message", text=str(number), room=room))["action"] == "sent"


def reading(frame: dict[str, object]) -> tuple[object, object, object]:
    return frame["offset"], frame["read"], frame["unread"]


async def rooms(peer: Peer, **fields: object) -> dict[str, dict[str, object]]:
    """Ask for the peer's rooms, page by page."""
    found: dict[str, dict[str, object]] = {}
    page = await peer.request("rooms", **fields)
    while True:
        assert page["action"] == "rooms", page
        listed = page["rooms"]
        assert isinstance(listed, list)
        found |= {each["room"]: each for each in listed}
        if not page.get("more"):
            return found
        page = await peer.request("rooms", after=page["after"])


async def test_what_was_said_while_away_is_unread(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, joined = await enter(server, "ann")
        assert reading(joined) == (0, 0, 0)
        await say(ann, 3)
        bob, joined = await enter(server, "bob")
        assert reading(joined) == (3, 3, 0), "who comes first has nothing to catch up on"
        await bob.close()
        await say(ann, 2)
        bob, joined = await enter(server, "bob")
        assert reading(joined) == (5, 3, 2)
        assert await bob.request("read", offset=4) == {
            "action": "read",
            "id": "request-2",
            "room": "lobby",
            "offset": 4,
        }
        await bob.close()
    async with kept(tmp_path) as server:
        bob, joined = await enter(server, "bob", last=1)
        assert reading(joined) == (5, 4, 1)
        ann, joined = await enter(server, "ann")
        assert reading(joined) == (5, 0, 0), "one's own messages are not unread"


async def test_the_other_connections_hear_what_was_read(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, 3)
        phone, laptop, eve = [await arrive(server, user) for user in ("bob", "bob", "eve")]
        await phone.request("join", room="lobby")
        await phone.request("read", offset=2)
        event = await laptop.receive()
        assert [event[key] for key in ("action", "room", "offset")] == ["read", "lobby", 2]
        await phone.request("read", offset=1, room="lobby")
        assert (await laptop.receive())["offset"] == 1, "back again, if the user wants it so"
        assert (await phone.request("read", offset=99))["offset"] == 3, "up to the last one"
        assert (await laptop.receive())["offset"] == 3
        await phone.expect("notification")
        await phone.silent()
        await eve.silent()


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_leaving_forgets_unless_another_connection_stays(
    tmp_path: Path, elsewhere: bool
) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        bob, _ = await enter(server, "bob")
        if elsewhere:
            await enter(server, "bob")
        await bob.request("leave")
        await say(ann, 2)
        _, joined = await enter(server, "bob")
        assert reading(joined) == ((2, 0, 2) if elsewhere else (2, 2, 0))


async def test_a_guest_is_remembered_once_it_can_come_back(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        guest = await server.connect("gus", "lobby")
        assert (await guest.request("read", offset=0))["code"] == "forbidden"
        assert "read" not in (await rooms(guest))["lobby"]
        token = (await guest.request("hello"))["guest_token"]
        await guest.request("join", room="lobby")
        await guest.close()
        await say(ann, 2)
    async with kept(tmp_path) as server:
        guest = await server.connect()
        await guest.request("hello", guest_token=token)
        await guest.request("register", username="gus")
        assert reading(await guest.request("join", room="lobby")) == (2, 0, 2)


async def test_nothing_is_noted_where_nothing_was_said(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann = await arrive(server, "ann")
        for number in range(20):
            read = await ann.request("read", room=f"dm:ann:nobody {number}", offset=7)
            assert (read["action"], read["offset"]) == ("read", 0)
        assert await rooms(ann) == {}
        await ann.request("direct", to="bob", text="tea?")
        await ann.request("read", room="dm:ann:bob", offset=1)
        assert (await rooms(ann))["dm:ann:bob"]["read"] == 1
    async with opened(tmp_path / "data" / "chat.db") as store:
        assert list((await store.cursors(["ann"]))["ann"]) == ["dm:ann:bob"]


async def test_one_s_rooms(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        bob, eve = await arrive(server, "bob"), await arrive(server, "eve")
        for room in ("lobby", "tea", "off"):
            await bob.request("join", room=room)
        await bob.request("leave", room="off")
        await bob.close()
        await say(ann, 2)
        await ann.request("direct", to="bob", text="psst")
        await eve.request("direct", to="ann", text="not for bob")
        bob = await arrive(server, "bob")
        await bob.request("join", room="new")
        found = await rooms(bob)
        assert list(found) == ["dm:ann:bob", "lobby", "new", "tea"]
        brief = {
            room: (each["members"], each["offset"], each["read"], each["unread"])
            for room, each in found.items()
        }
        assert brief == {
            "dm:ann:bob": (2, 1, 0, 1),
            "lobby": (1, 2, 0, 2),
            "new": (1, 0, 0, 0),
            "tea": (0, 0, 0, 0),
        }
        (last,) = await history(ann, "lobby", limit=1)
        assert found["lobby"]["last"] == last
        assert "last" not in found["tea"]
        await bob.request("read", room="dm:ann:bob", offset=1)
        assert (await rooms(bob))["dm:ann:bob"]["unread"] == 0
        assert set(await rooms(eve)) == {"dm:ann:eve"}
        await ann.request("edit", room="lobby", offset=2, text="better")
        newest = (await rooms(bob))["lobby"]["last"]
        assert isinstance(newest, dict)
        assert newest["text"] == "better"


async def history(peer: Peer, room: str, **fields: object) -> list[object]:
    page = await peer.request("history", room=room, **fields)
    messages = page["messages"]
    assert isinstance(messages, list)
    return messages


async def test_many_rooms_come_in_pages(tmp_path: Path) -> None:
    limits = {"max_frame_out": 16384}
    async with kept(tmp_path, limits=limits, chat={"max_rooms": 200}) as server:
        ann = await arrive(server, "ann")
        for number in range(70):
            await ann.request("direct", to=f"user-{number}", text="x" * 1500)
            await ann.request("join", room=f"room-{number}")
        await ann.request("message", room="room-7", text="y" * 3000)
        found = await rooms(ann)
        assert len(found) == 140
        assert list(found) == sorted(found)
        assert "last" in found["dm:ann:user-1"]
        assert "last" not in found["room-7"], "it would take too much of the page"


async def test_what_one_may_not_read_is_not_told(tmp_path: Path) -> None:
    rights = {"lobby": ["join", "read", "write"], "mute": ["join"]}
    tokens = [
        {"token": "ann-token", "user": "ann", "name": "ann"},
        {"token": "bob-token", "user": "bob", "name": "bob", "rights": rights},
        {"token": "later", "user": "bob", "name": "bob", "rights": {"mute": ["join"]}},
    ]
    auth = {"auth": {"anonymous": False, "tokens": tokens}}
    async with kept(tmp_path, middlewares=[auth]) as server:
        bob = await arrive(server, "bob")
        for room in ("lobby", "mute"):
            joined = await bob.request("join", room=room)
            assert ("unread" in joined) is (room == "lobby")
        assert (await bob.request("read", room="mute", offset=0))["code"] == "forbidden"
        assert (await bob.request("read", room="tea", offset=0))["code"] == "not_joined"
        assert (await rooms(bob))["mute"] == {"room": "mute", "members": 1}
        await bob.close()
        later = await server.connect(headers={"Authorization": "Bearer later"})
        assert list(await rooms(later)) == []


@pytest.mark.parametrize("broker", ["memory", "embedded"])
async def test_rooms_without_a_history_have_nothing_unread(tmp_path: Path, broker: str) -> None:
    sections: dict[str, object] = {"broker": broker}
    if broker == "embedded":
        sections["rooms"] = [{"match": "*", "durability": "none"}]
    async with kept(tmp_path, **sections) as server:
        ann, joined = await enter(server, "ann")
        assert joined.keys().isdisjoint({"read", "unread"})
        assert (await ann.request("read", offset=0))["code"] == "not_found"
        assert await rooms(ann) == {"lobby": {"room": "lobby", "members": 1}}
        await ann.request("leave")
        assert await rooms(ann) == {}


async def test_another_epoch_begins_with_nothing_unread(tmp_path: Path) -> None:
    sections = {"rooms": [{"match": "*", "durability": "memory"}]}
    async with kept(tmp_path, **sections) as server:
        ann, _ = await enter(server, "ann")
        bob, _ = await enter(server, "bob")
        await say(ann, 5)
        await bob.request("read", offset=4)
    async with kept(tmp_path, **sections) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, 7)
        _, joined = await enter(server, "bob")
        assert reading(joined) == (7, 7, 0)


async def test_there_is_an_end_to_counting(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        bob, _ = await enter(server, "bob")
        await bob.close()
        for number in range(1100):
            await ann.send("message", text=str(number))
        await say(ann, 1)
        _, joined = await enter(server, "bob")
        assert reading(joined) == (1101, 0, 1000)
    async with kept(tmp_path) as server:
        bob, joined = await enter(server, "bob")
        assert reading(joined) == (1101, 0, 1000)
        await bob.request("read", offset=200)
        assert (await rooms(bob))["lobby"]["unread"] == 901


async def test_what_is_unread_agrees_with_where_the_room_stands(tmp_path: Path) -> None:
    """Also where memory knows nothing of the room yet, and others write meanwhile."""
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await enter(server, "bob")
        await say(ann, 100)
    async with kept(tmp_path) as server:
        peers = [await arrive(server, "ann") for _ in range(2)]
        readers = [await arrive(server, "bob") for _ in range(30)]
        kinds: list[dict[str, object]] = [{}, {"last": 5}, {"since": {"offset": 0, "epoch": ""}}]
        async with asyncio.TaskGroup() as group:
            for peer in peers:
                await peer.send("join", room="lobby")
            asked = []
            for number, reader in enumerate(readers):
                how = kinds[number % 3]
                asked.append(group.create_task(reader.request("join", room="lobby", **how)))
                for peer in peers:
                    for _ in range(10):
                        await peer.send("message", text="hi")
                await asyncio.sleep(0)
        for task in asked:
            offset, read, unread = reading(task.result())
            assert (read, unread) == (0, offset)


def test_a_stop_keeps_cursors_and_a_kill_takes_only_the_last_second(tmp_path: Path) -> None:
    config = configure(tmp_path, server={"data_dir": "data"}, **guarded("ann", "bob"))
    with (
        ServerProcess(config, env=HERE) as server,
        visit(server, "ann") as ann,
        visit(server, "bob") as bob,
    ):
        for number in range(5):
            ann.ask("message", text=str(number))
        bob.ask("read", offset=2)
    with ServerProcess(config, env=HERE) as server, visit(server, "bob") as bob:
        assert reading(bob.ask("join", room="lobby")) == (5, 2, 3)
        bob.ask("read", offset=4)
        server.signal(signal.SIGKILL)
        server.wait(DEADLINE)
    with ServerProcess(config, env=HERE) as server, visit(server, "bob") as bob:
        assert reading(bob.ask("join", room="lobby")) in [(5, 2, 3), (5, 4, 1)]


@contextmanager
def visit(server: ServerProcess, user: str) -> Iterator[Caller]:
    """Call on a server as a user, in the lobby."""
    with call(server.ws, headers={"Authorization": f"Bearer {user}-token"}) as caller:
        assert caller.ask("join", room="lobby")["action"] == "joined"
        yield caller
