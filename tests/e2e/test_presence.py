"""See who types and who is there, through flapping connections and several devices."""

from pathlib import Path

import pytest
from chatserver_plugins.typing import TypingConfig, TypingPlugin

from chatserver.testing import ChatServer
from chatserver.testing.kit import Frame, Peer

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
    # On a busy machine an interval might end amid a test.
    return config(tmp_path, typing={"interval": 60})


async def enter(chat: ChatServer, name: str, room: str = "lobby") -> Peer:
    peer = await chat.connect(headers={"Authorization": f"Bearer {name}-token"})
    joined = await peer.request("join", room=room)
    assert joined["action"] == "joined"
    await peer.expect("notification", event="join", username=name)
    return peer


def listed(reply: Frame) -> list[dict[str, object]]:
    """Return the users on one page of who is there."""
    found = reply["users"]
    assert isinstance(found, list)
    return found


async def users(peer: Peer) -> dict[object, object]:
    """Return who is there, and with how many devices."""
    reply = await peer.request("presence", room="lobby")
    return {user["sender"]: user["devices"] for user in listed(reply)}


async def test_users_are_listed_once_with_their_devices(chat: ChatServer) -> None:
    ann = await enter(chat, "ann")
    await enter(chat, "bob")
    await enter(chat, "ann")
    both = listed(await ann.request("presence"))
    assert [(user["username"], user["devices"]) for user in both] == [("ann", 2), ("bob", 1)]
    assert str(both[0]["since"]) < str(both[1]["since"])


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


async def test_who_comes_back_in_time_and_leaves_for_good_is_told_once(tmp_path: Path) -> None:
    # Long enough to be back in time on a busy machine.
    async with ChatServer(config(tmp_path, presence={"grace": 2})) as chat:
        ann = await enter(chat, "ann")
        await users(ann)
        bob = await enter(chat, "bob")
        await ann.expect("presence", state="online")
        await bob.send("leave")
        await bob.request("join", room="lobby")
        await bob.close()
        await ann.expect("presence", state="offline", sender="bob")
        await ann.silent()


async def test_what_was_told_last_is_how_it_is(tmp_path: Path) -> None:
    """However short the grace time is, and whoever comes back just as it ends."""
    async with ChatServer(config(tmp_path, presence={"grace": 0.001})) as chat:
        ann = await enter(chat, "ann")
        await users(ann)
        bob = await enter(chat, "bob")
        for _ in range(50):
            await bob.request("leave")
            await bob.request("join", room="lobby")
        await bob.request("message", text="I am here")
        told: list[object] = []
        while (frame := await ann.receive())["action"] != "message":
            if frame["action"] == "presence":
                told.append(frame["state"])
        assert told[::2] == ["online"] * len(told[::2])
        assert told[1::2] == ["offline"] * len(told[1::2])
        assert told[-1] == "online"
        assert await users(ann) == {"ann": 1, "bob": 1}


async def test_who_is_renamed_while_away_has_the_new_name(tmp_path: Path) -> None:
    async with ChatServer(config(tmp_path, presence={"grace": 60})) as chat:
        ann = await enter(chat, "ann")
        bob = await chat.connect("bob", "lobby")
        await users(ann)
        await bob.request("join", room="tea")
        await bob.request("leave", room="lobby")
        await ann.expect("notification", event="leave", username="bob")
        await bob.request("register", username="robert")
        await ann.silent()
        away = listed(await ann.request("presence", room="lobby"))[-1]
        assert (away["username"], away["devices"]) == ("robert", 0)
        await bob.request("join", room="lobby")
        await ann.expect("notification", event="join", username="robert")
        await ann.silent()


async def test_a_guest_who_comes_back_under_another_name_is_listed_by_it(tmp_path: Path) -> None:
    async with ChatServer(config(tmp_path, presence={"grace": 60})) as chat:
        ann = await enter(chat, "ann")
        await users(ann)
        token = ""
        for name in ("bob", "robert"):
            guest = await chat.connect()
            token = str((await guest.request("hello", guest_token=token or None))["guest_token"])
            await guest.request("register", username=name)
            await guest.request("join", room="lobby")
            await guest.close()
            await ann.expect("notification", event="leave", username=name)
        away = listed(await ann.request("presence"))
        assert [user["username"] for user in away] == ["ann", "robert"]


async def test_who_stays_is_listed_whoever_goes_between_two_pages(tmp_path: Path) -> None:
    cut = {**config(tmp_path, presence={"grace": 0.001}), "limits": {"max_frame_out": 2048}}
    async with ChatServer(cut) as chat:
        peers = [await chat.connect(f"guest {number}", "lobby") for number in range(8)]
        watcher = peers[-1]
        first = await watcher.request("presence")
        await peers[0].close()
        await watcher.expect("presence", state="offline", username="guest 0")
        second = await watcher.request("presence", after=first["after"])
        names = [user["username"] for page in (first, second) for user in listed(page)]
    assert names == [f"guest {number}" for number in range(len(names))]
    assert len(listed(first)) < len(names)


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
            found += [user["username"] for user in listed(reply)]
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
    # What is told in two rooms may come in either order.
    shown = {str((await ann.expect("typing"))["room"]) for _ in range(2)}
    assert shown == {"lobby", "tea"}
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


async def test_typing_keeps_its_place_before_and_behind_a_message(chat: ChatServer) -> None:
    """Members take it off the screen when the message comes; what is typed next is shown again."""
    ann, bob = await enter(chat, "ann"), await enter(chat, "bob")
    await ann.expect("notification", event="join", username="bob")
    for action in ("typing", "message", "typing", "typing", "message", "typing"):
        await bob.send(action)
    told = [await ann.receive() for _ in range(5)]
    assert [frame["action"] for frame in told] == ["typing", "message"] * 2 + ["typing"]
    await ann.silent()


async def test_who_comes_back_and_types_is_shown_at_once(chat: ChatServer) -> None:
    ann, bob = await enter(chat, "ann"), await enter(chat, "bob")
    await bob.request("typing")
    await ann.expect("typing")
    await bob.request("leave")
    await bob.request("join", room="lobby")
    await bob.request("typing")
    await ann.expect("notification", event="join", username="bob")
    await ann.expect("typing")
