"""Check who may be called what, and who somebody is after a reconnect."""

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.protocol import State

from chatserver.testing import ChatServer


async def test_register_answers_the_normalised_name(chat: ChatServer) -> None:
    peer = await chat.connect()
    assert (await peer.request("register", username=" \uff21lice "))["username"] == "Alice"
    assert (await peer.request("hello"))["username"] == "Alice"


@pytest.mark.parametrize(
    "name", ["", "   ", "a" * 65, "a\u200bb", "a\u202eb", "a\nb", "a\u0007", "\u3164", "x\ufe0f"]
)
async def test_deceptive_names_are_refused(chat: ChatServer, name: str) -> None:
    peer = await chat.connect()
    refused = await peer.request("register", username=name)
    assert refused["code"] == "bad_name"
    assert refused["field"] == "$.username"
    await peer.request("register", username="fine")
    assert (await peer.request("join", room=name or " "))["code"] == "bad_name"


async def test_a_name_is_taken_whatever_its_case(chat: ChatServer) -> None:
    await chat.connect("Alice")
    other = await chat.connect()
    refused = await other.request("register", username="ALICE")
    assert refused["code"] == "name_taken"
    assert (await other.request("register", username="bob"))["action"] == "registered"


async def test_nobody_is_called_like_those_without_a_name(chat: ChatServer) -> None:
    peer = await chat.connect()
    assert (await peer.request("register", username="Anonymous"))["code"] == "name_taken"


async def test_a_name_is_free_again_when_its_user_is_gone(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")
    watcher = await chat.connect("watcher", "lobby")
    await alice.close()
    await watcher.expect("notification", text="alice left lobby")
    assert (await watcher.request("register", username="alice"))["action"] == "registered"


async def test_names_need_not_be_unique_when_configured_so() -> None:
    async with ChatServer({"chat": {"unique_names": False}}) as chat:
        await chat.connect("alice", "lobby")
        await chat.connect("alice", "lobby")
        assert len(chat.chat.members("lobby")) == 2


async def test_renaming_tells_every_joined_room_once(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "one", "two")
    bob = await chat.connect("bob", "one")
    await alice.request("register", username="alicia")
    notice = await bob.expect("notification", event="rename")
    assert notice["username"] == "alicia"
    assert notice["old"] == "alice"
    assert notice["room"] == "one"
    assert notice["text"] == "alice is now alicia"
    await bob.silent()
    await alice.expect("notification", event="rename", room="one")
    await alice.expect("notification", event="rename", room="two")
    await alice.silent()
    await bob.request("register", username="alice")


async def test_registering_the_same_name_again_is_no_rename(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")
    assert (await alice.request("register", username="alice"))["username"] == "alice"
    await alice.silent()


async def test_a_silent_holder_loses_the_name() -> None:
    async with ChatServer({"limits": {"name_timeout": 0.2}}) as chat:
        watcher = await chat.connect("watcher", "lobby")
        host, port = chat.url.removeprefix("http://").split(":")
        holder = await connect(f"ws://{host}:{port}/ws", ping_interval=None)
        await holder.send('{"action":"register","username":"alice","id":1}')
        await holder.send('{"action":"join","room":"lobby"}')
        await watcher.expect("notification", text="alice joined lobby")
        holder.transport.pause_reading()

        claimant = await chat.connect()
        await claimant.send("register", username="Alice", id="claim")
        await claimant.send("ping", id="later")

        first = await claimant.receive()
        assert first == {"action": "registered", "id": "claim", "username": "Alice"}
        assert (await claimant.receive())["id"] == "later"
        await watcher.expect("notification", text="alice left lobby")
        holder.transport.resume_reading()
        await holder.wait_closed()
        assert holder.state is State.CLOSED
        assert holder.close_code == 3012


async def test_a_guest_token_brings_back_the_user_even_after_a_restart(tmp_path: Path) -> None:
    config = {"server": {"data_dir": str(tmp_path / "data")}}
    async with ChatServer(config) as chat:
        welcome = await (await chat.connect()).request("hello")
        assert str(welcome["user"]).startswith("guest:")
    assert (tmp_path / "data" / "guest.key").stat().st_mode & 0o777 == 0o600
    async with ChatServer(config) as chat:
        peer = await chat.connect()
        again = await peer.request("hello", guest_token=welcome["guest_token"])
        assert again["user"] == welcome["user"]
        assert again["guest_token"] == welcome["guest_token"]


async def test_a_guest_token_is_taken_first_or_not_at_all(chat: ChatServer) -> None:
    token = (await (await chat.connect()).request("hello"))["guest_token"]
    late = await chat.connect("late")
    assert (await late.request("hello", guest_token=token))["code"] == "conflict"


async def test_a_made_up_guest_token_is_refused(chat: ChatServer) -> None:
    peer = await chat.connect()
    token = str((await peer.request("hello"))["guest_token"])
    forged = token.replace("guest:", "guest:0", 1)
    other = await chat.connect()
    assert (await other.request("hello", guest_token=forged))["code"] == "unauthorized"
    assert (await other.request("hello", guest_token="\u00e9"))["code"] == "unauthorized"


async def test_connections_of_one_user_share_the_name(chat: ChatServer) -> None:
    first = await chat.connect()
    welcome = await first.request("hello")
    await first.request("register", username="alice")
    second = await chat.connect()
    again = await second.request("hello", guest_token=welcome["guest_token"])
    assert again["username"] == "alice"
    await first.close()
    third = await chat.connect()
    async with asyncio.timeout(20):
        taken = await third.request("register", username="alice")
    assert taken["code"] == "name_taken"


async def test_welcome_tells_the_limits(chat: ChatServer) -> None:
    welcome = await (await chat.connect()).request("hello")
    assert welcome["action"] == "welcome"
    limits = welcome["limits"]
    assert isinstance(limits, dict)
    assert limits["max_message_size"] == 65536
    assert limits["max_rooms"] == 100
    assert welcome["ping_interval"] == 20
    assert {"session", "user", "server", "version", "time"} <= set(welcome)
