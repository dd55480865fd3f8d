"""Serve the guide's samples with rooms, and do what it describes in clients of our own."""

import json
from collections.abc import Iterator
from typing import cast

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.guide import Sample, ask, drop, receive, samples


@pytest.fixture(scope="module")
def sample() -> Iterator[Sample]:
    """Give a function that starts the server of a sample, which the tests share."""
    with samples() as start:
        yield start


async def join(client: ClientConnection, room: str) -> int:
    """Join a room, expect the two frames of that, and return the number of members."""
    joined = await ask(client, action="join", room=room)
    assert joined["action"] == "joined"
    assert joined["room"] == room
    notification = await receive(client)
    assert notification["event"] == "join"
    assert notification["room"] == room
    return cast("int", joined["members"])


async def rooms(client: ClientConnection) -> dict[str, int]:
    listed = await ask(client, action="list_rooms")
    assert listed["action"] == "room_list"
    return cast("dict[str, int]", listed["rooms"])


# Rooms and groups


async def test_rooms_say_how_many_members_there_are(sample: Sample) -> None:
    url = sample("rooms").ws
    async with connect(url) as alice, connect(url) as bob:
        assert await join(alice, "counted") == 1
        assert await join(bob, "counted") == 2

        assert (await receive(alice))["text"] == "anonymous joined counted"


async def test_rooms_have_a_default(sample: Sample) -> None:
    async with connect(sample("rooms").ws) as client:
        assert (await ask(client, action="join"))["room"] == "default"


async def test_room_messages_name_the_connection_not_what_it_claims(sample: Sample) -> None:
    url = sample("rooms").ws
    async with connect(url) as alice, connect(url) as bob:
        user = (await ask(alice, action="hello"))["user"]
        await join(alice, "names")
        await join(bob, "names")
        await receive(alice)

        message = {"action": "message", "text": "hi", "sender": "bob", "username": "bob"}
        await alice.send(json.dumps(message))

        for client in (alice, bob):
            received = await receive(client)
            assert received["action"] == "message"
            assert received["room"] == "names"
            assert received["text"] == "hi"
            assert received["sender"] == user
            assert received["username"] == "anonymous"


async def test_room_messages_stay_in_their_room(sample: Sample) -> None:
    url = sample("rooms").ws
    async with connect(url) as alice, connect(url) as bob:
        await join(alice, "here")
        await join(bob, "there")

        assert (await ask(alice, action="message", text="only here"))["text"] == "only here"

        assert (await ask(bob, type="ping"))["type"] == "pong"


async def test_leaving_the_last_room_removes_it(sample: Sample) -> None:
    async with connect(sample("rooms").ws) as client:
        await join(client, "left")
        assert (await rooms(client))["left"] == 1

        assert (await ask(client, action="leave"))["action"] == "left"

        assert "left" not in await rooms(client)
        assert (await ask(client, action="leave")) == {"action": "left"}
        assert (await ask(client, action="message", text="?"))["code"] == "not_joined"


async def test_switching_rooms_leaves_the_one_before(sample: Sample) -> None:
    """The guide's sample keeps an empty room for ever here."""
    url = sample("rooms").ws
    async with connect(url) as alice, connect(url) as bob:
        await join(alice, "before")
        await join(bob, "before")
        await receive(alice)

        await join(alice, "after")
        assert (await receive(bob))["text"] == "anonymous left before"
        await join(bob, "after")

        listed = await rooms(bob)
        assert listed["after"] == 2
        assert "before" not in listed


async def test_a_dropped_connection_leaves_its_room(sample: Sample) -> None:
    server = sample("rooms")
    async with connect(server.ws) as alice, connect(server.ws) as bob:
        await join(alice, "dropped")
        await join(bob, "dropped")
        await drop(bob, server)

        await receive(alice)
        assert (await receive(alice))["text"] == "anonymous left dropped"
        assert (await rooms(alice))["dropped"] == 1


async def test_the_last_connection_to_drop_removes_the_room(sample: Sample) -> None:
    server = sample("rooms")
    async with connect(server.ws) as alice, connect(server.ws) as bob:
        await join(bob, "forgotten")
        await drop(bob, server)

        assert "forgotten" not in await rooms(alice)


# Full example


async def test_chat_asks_for_a_name_first(sample: Sample) -> None:
    async with connect(sample("chat").ws) as client:
        error = await ask(client, action="join", room="lobby")
        assert error["action"] == "error"
        assert error["message"] == "Register first"

        registered = await ask(client, action="register", username="alice")
        assert registered == {"action": "registered", "username": "alice"}
        assert await join(client, "lobby") == 1


async def test_chat_carries_names_and_comings_and_goings(sample: Sample) -> None:
    url = sample("chat").ws
    async with connect(url) as alice:
        async with connect(url) as bob:
            for client, name in ((alice, "alice"), (bob, "bob")):
                await ask(client, action="register", username=name)
                await join(client, "kitchen")
            assert (await receive(alice))["text"] == "bob joined kitchen"

            message = await ask(bob, action="message", text="hello", username="alice")
            assert message["username"] == "bob"
            assert message["text"] == "hello"
            assert message["room"] == "kitchen"
            assert message == await receive(alice)
            assert (await rooms(bob))["kitchen"] == 2
        left = await receive(alice)
        assert left["action"] == "notification"
        assert left["text"] == "bob left kitchen"


async def test_a_dropped_connection_leaves_all_its_rooms(sample: Sample) -> None:
    """The guide's server forgets all but the room joined last."""
    server = sample("chat")
    async with connect(server.ws) as alice, connect(server.ws) as bob:
        for client, name in ((alice, "alice"), (bob, "bob")):
            await ask(client, action="register", username=name)
        await join(alice, "first")
        await join(bob, "first")
        await receive(alice)
        await join(bob, "second")
        await drop(bob, server)

        assert (await receive(alice))["text"] == "bob left first"
        assert await rooms(alice) == {"first": 1}


async def test_two_may_use_one_name_as_in_the_guide(sample: Sample) -> None:
    url = sample("chat").ws
    async with connect(url) as one, connect(url) as other:
        for client in (one, other):
            registered = await ask(client, action="register", username="sam")
            assert registered == {"action": "registered", "username": "sam"}
