"""See who types and who is there, through flapping connections and several devices."""

from pathlib import Path

import pytest
from chatserver_plugins.typing import TypingConfig, TypingPlugin

from chatserver.testing import ChatServer
from chatserver.testing.kit import Peer

GRACE = 0.3


def config(tmp_path: Path, **plugins: object) -> dict[str, object]:
    tokens = [{"token": f"{name}-token", "user": name, "name": name} for name in ("ann", "bob")]
    return {
        "server": {"data_dir": str(tmp_path)},
        "middlewares": [{"auth": {"tokens": tokens, "anonymous": True}}],
        "plugins": {"presence": {"grace": GRACE}, **plugins},
    }


@pytest.fixture
def chat_config(tmp_path: Path) -> dict[str, object]:
    return config(tmp_path)


async def enter(chat: ChatServer, name: str, room: str = "lobby") -> Peer:
    peer = await chat.connect(headers={"Authorization": f"Bearer {name}-token"})
    joined = await peer.request("join", room=room)
    assert joined["action"] == "joined"
    await peer.expect("notification", event="join", username=name)
    return peer


async def users(peer: Peer) -> dict[object, object]:
    """Return who is there, and with how many devices."""
    reply = await peer.request("presence", room="lobby")
    listed = reply["users"]
    assert isinstance(listed, list)
    return {user["sender"]: user["devices"] for user in listed}


async def test_users_are_listed_once_with_their_devices(chat: ChatServer) -> None:
    ann = await enter(chat, "ann")
    await enter(chat, "bob")
    await enter(chat, "ann")
    reply = await ann.request("presence")
    listed = reply["users"]
    assert isinstance(listed, list)
    assert [(user["username"], user["devices"]) for user in listed] == [("ann", 2), ("bob", 1)]
    assert listed[0]["since"] < listed[1]["since"]


async def test_a_room_that_asked_hears_who_comes_and_who_is_gone(chat: ChatServer) -> None:
    ann = await enter(chat, "ann")
    await users(ann)
    bob = await enter(chat, "bob")
    came = await ann.expect("presence", state="online")
    assert (came["sender"], came["username"], came["room"]) == ("bob", "bob", "lobby")
    await bob.close()
    gone = await ann.expect("presence", state="offline")
    assert (gone["sender"], gone["username"]) == ("bob", "bob")
    assert "offset" not in gone
    assert await users(ann) == {"ann": 1}


async def test_a_room_that_did_not_ask_hears_nothing(chat: ChatServer) -> None:
    ann = await enter(chat, "ann")
    await enter(chat, "bob")
    await ann.expect("notification", event="join", username="bob")
    await ann.silent()


async def test_a_device_less_and_a_flapping_connection_are_not_mentioned(
    tmp_path: Path,
) -> None:
    async with ChatServer(config(tmp_path, presence={"grace": 60})) as chat:
        ann = await enter(chat, "ann")
        await users(ann)
        phone, desk = await enter(chat, "bob"), await enter(chat, "bob")
        await ann.expect("presence", state="online", sender="bob")
        await phone.close()
        await ann.expect("notification", event="leave")
        assert await users(ann) == {"ann": 1, "bob": 1}
        await desk.close()
        await ann.expect("notification", event="leave")
        assert await users(ann) == {"ann": 1, "bob": 0}
        await enter(chat, "bob")
        await ann.expect("notification", event="join")
        assert await users(ann) == {"ann": 1, "bob": 1}
        await ann.silent()


async def test_who_comes_back_in_time_and_leaves_for_good_is_told_once(chat: ChatServer) -> None:
    ann = await enter(chat, "ann")
    await users(ann)
    bob = await enter(chat, "bob")
    await ann.expect("presence", state="online")
    await bob.send("leave")
    await bob.request("join", room="lobby")
    await bob.close()
    await ann.expect("presence", state="offline", sender="bob")
    await ann.silent()


async def test_an_empty_room_forgets_that_it_was_watched(chat: ChatServer) -> None:
    watcher = await chat.connect("eve", "tea")
    await watcher.request("presence", room="tea")
    await watcher.close()
    ann = await enter(chat, "ann")
    await users(ann)
    passing = await enter(chat, "bob")
    await passing.close()
    # The grace time of eve began before that of bob.
    await ann.expect("presence", state="offline", sender="bob")
    first = await chat.connect("carol", "tea")
    await chat.connect("dave", "tea")
    await first.expect("notification", event="join", username="dave")
    await first.silent()


async def test_presence_needs_membership_and_the_right_to_read(chat: ChatServer) -> None:
    await enter(chat, "ann")
    eve = await chat.connect("eve", "tea")
    assert (await eve.request("presence", room="lobby"))["code"] == "not_joined"


async def test_a_long_list_is_cut_with_a_cursor(tmp_path: Path) -> None:
    cut = {**config(tmp_path), "limits": {"max_frame_out": 2048}}
    async with ChatServer(cut) as chat:
        peers = [await chat.connect(f"guest {number}", "lobby") for number in range(12)]
        found: list[object] = []
        after: object = 0
        while after is not None:
            reply = await peers[0].request("presence", after=after)
            listed = reply["users"]
            assert isinstance(listed, list)
            found += [user["username"] for user in listed]
            after = reply.get("after")
    assert found == [f"guest {number}" for number in range(12)]


async def test_typing_is_shown_and_never_kept(chat: ChatServer) -> None:
    ann, bob = await enter(chat, "ann"), await enter(chat, "bob")
    await bob.send("typing")
    shown = await ann.expect("typing", room="lobby")
    assert (shown["sender"], shown["username"]) == ("bob", "bob")
    assert "offset" not in shown
    assert (await ann.request("history"))["messages"] == []


async def test_typing_is_shown_once_an_interval_and_room(chat: ChatServer) -> None:
    ann, bob = await enter(chat, "ann"), await enter(chat, "bob")
    await ann.request("join", room="tea")
    await bob.request("join", room="tea")
    for room in ("lobby", "lobby", "tea", "lobby"):
        assert (await bob.request("typing", room=room))["action"] == "ok"
    await ann.expect("typing", room="lobby")
    await ann.expect("typing", room="tea")
    await ann.silent()
    assert (await bob.request("typing", room="elsewhere"))["code"] == "not_joined"


async def test_typing_is_shown_again_after_the_interval(tmp_path: Path) -> None:
    typing = TypingPlugin(TypingConfig(interval=2))
    typing.name = "typing"
    typing.clock = iter([0.0, 1.9, 2.0, 2.1]).__next__
    async with ChatServer(config(tmp_path), plugins=[typing]) as chat:
        ann, bob = await enter(chat, "ann"), await enter(chat, "bob")
        for _ in range(4):
            await bob.request("typing")
        await ann.expect("typing")
        await ann.expect("typing")
        await ann.silent()
