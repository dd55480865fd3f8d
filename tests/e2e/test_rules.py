"""Rooms that the configuration does not open to everybody."""

from typing import Final

import pytest

from chatserver.testing import ChatServer, Peer
from tests.e2e.streams import guarded

ROOMS: Final = [
    {"match": "staff-*", "join": ["ann", "bob"], "read": ["ann"]},
    {"match": "news", "write": ["ann"], "recovery_limit": 2},
    {"match": "members", "join": "users"},
    {"match": "closed", "join": "nobody"},
]


@pytest.fixture
def chat_config() -> dict[str, object]:
    return {**guarded("ann", "bob", "eve"), "rooms": ROOMS}


async def come(chat: ChatServer, user: str) -> Peer:
    return await chat.connect(headers={"Authorization": f"Bearer {user}-token"})


async def refused(peer: Peer, action: str, **payload: object) -> bool:
    reply = await peer.request(action, **payload)
    assert reply["action"] != "error" or reply["code"] == "forbidden", reply
    return reply["action"] == "error"


async def test_who_may_not_join_is_refused_and_not_shown_the_room(chat: ChatServer) -> None:
    ann, eve = await come(chat, "ann"), await come(chat, "eve")
    guest = await chat.connect("guest")
    for room in ("staff-north", "members"):
        assert not await refused(ann, "join", room=room)
    assert await refused(eve, "join", room="staff-north")
    assert not await refused(eve, "join", room="members")
    assert await refused(guest, "join", room="members")
    assert await refused(ann, "join", room="closed")

    assert (await ann.request("list_rooms"))["rooms"] == {"staff-north": 1, "members": 2}
    assert (await eve.request("list_rooms"))["rooms"] == {"members": 2}
    assert (await guest.request("list_rooms"))["rooms"] == {}


async def test_who_may_not_read_hears_only_what_is_said_now(chat: ChatServer) -> None:
    ann, bob = await come(chat, "ann"), await come(chat, "bob")
    await ann.request("join", room="staff-south")
    await ann.request("message", text="before")
    assert await refused(bob, "join", room="staff-south", last=1)
    assert not await refused(bob, "join", room="staff-south")
    assert await refused(bob, "history")
    assert await refused(bob, "members")
    await ann.request("message", text="now")
    assert (await bob.expect("message"))["text"] == "now"
    assert not await refused(ann, "history")


async def test_who_may_not_write_is_refused(chat: ChatServer) -> None:
    ann, eve = await come(chat, "ann"), await come(chat, "eve")
    for peer in (ann, eve):
        await peer.request("join", room="news")
    assert await refused(eve, "message", text="me too")
    assert not await refused(ann, "message", text="good news")
    assert (await eve.expect("message"))["text"] == "good news"


async def test_a_room_can_have_recovery_limits_of_its_own(chat: ChatServer) -> None:
    ann, eve = await come(chat, "ann"), await come(chat, "eve")
    for room in ("news", "lobby"):
        await ann.request("join", room=room)
        for text in ("one", "two", "three"):
            last = await ann.request("message", text=text, room=room)
        epoch = last["epoch"]
        for offset, recovered in ((0, room == "lobby"), (1, True)):
            since = {"offset": offset, "epoch": epoch}
            joined = await eve.request("join", room=room, since=since)
            assert joined["recovered"] is recovered


async def test_who_becomes_a_user_is_judged_anew(chat: ChatServer) -> None:
    ann = await come(chat, "ann")
    await ann.request("join", room="members")
    guest = await chat.connect("guest")
    assert await refused(guest, "join", room="members")
    assert (await guest.request("hello", token="eve-token"))["user"] == "eve"
    assert not await refused(guest, "join", room="members")
