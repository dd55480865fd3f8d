"""The client's face, against the real server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from chatserver.client import (
    ActionError,
    ChatClient,
    Event,
    Joined,
    Message,
    Reaction,
    RoomEvent,
    connect,
)
from chatserver.client.tokens import GuestMemory
from chatserver.testing import ChatServer


@pytest_asyncio.fixture
async def alice(tmp_path: Path) -> AsyncIterator[ChatClient]:
    """Alice, in a lobby that all moderate and in which she has said five things."""
    config = {
        "broker": "embedded",
        "server": {"data_dir": str(tmp_path)},
        "rooms": [{"match": "*", "moderate": "everyone"}],
    }
    async with (
        ChatServer(config) as server,
        connect(f"{server.url}/ws", username="alice") as chat,
        chat.join("lobby"),
    ):
        for number in range(5):
            await chat.publish("lobby", f"lunch {number}")
        yield chat


def texts(events: Sequence[RoomEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Message)]


async def test_history_is_read_both_ways(alice: ChatClient) -> None:
    page = await alice.history("lobby", limit=2)
    assert (texts(page.events), page.more) == (["lunch 3", "lunch 4"], True)
    assert (page.oldest, page.position.offset) == (1, 5)
    page = await alice.history("lobby", before=4, limit=10)
    assert (texts(page.events), page.more) == (["lunch 0", "lunch 1", "lunch 2"], False)
    page = await alice.history("lobby", since=4)
    assert texts(page.events) == ["lunch 4"]


async def test_a_message_tells_what_has_become_of_it(alice: ChatClient) -> None:
    await alice.request("edit", room="lobby", offset=5, text="dinner")
    await alice.request("react", room="lobby", offset=5, emoji="+1")
    page = await alice.history("lobby", limit=1)
    (message,) = page.events
    assert isinstance(message, Message)
    assert (message.text, message.pinned) == ("dinner", False)
    assert message.edited is not None
    assert message.reactions == {"+1": Reaction(1, [str(alice.user)])}
    page = await alice.history("lobby", before=page.next, limit=1)
    assert texts(page.events) == ["lunch 3"]


async def test_a_thread_is_read_by_its_first_message(alice: ChatClient) -> None:
    await alice.publish("lobby", "soup", reply_to=2)
    page = await alice.history("lobby", thread=2)
    assert texts(page.events) == ["lunch 1", "soup"]
    page = await alice.history("lobby", thread=2, since=2)
    assert texts(page.events) == ["soup"]


async def test_pins_are_read_by_pages(alice: ChatClient) -> None:
    for offset in (1, 2, 5):
        await alice.request("pin", room="lobby", offset=offset)
    page = await alice.history("lobby", pinned=True, limit=2)
    assert (texts(page.events), page.more) == (["lunch 1", "lunch 4"], True)
    page = await alice.history("lobby", pinned=True, before=page.next)
    assert (texts(page.events), page.more) == (["lunch 0"], False)
    assert all(isinstance(event, Message) and event.pinned for event in page.events)


async def test_a_search_is_read_by_pages(alice: ChatClient) -> None:
    page = await alice.search("lunch", room="lobby", limit=3)
    assert (texts(page.results), page.more) == (["lunch 4", "lunch 3", "lunch 2"], True)
    page = await alice.search("lunch", room="lobby", limit=3, before=page.next)
    assert (texts(page.results), page.more) == (["lunch 1", "lunch 0"], False)
    assert texts((await alice.search("lunch 3")).results) == ["lunch 3"]


async def test_a_name_can_be_changed(alice: ChatClient) -> None:
    assert await alice.register(" alicia ") == "alicia"
    with pytest.raises(ActionError) as refused:
        await alice.register("a\u200bb")
    assert refused.value.code == "bad_name"


async def test_anything_else_can_be_asked(alice: ChatClient) -> None:
    reply = await alice.request("members", room="lobby")
    assert reply.action == "members"
    assert reply.fields["members"] == [{"username": "alice", "sender": alice.user}]


async def test_guests_follow_their_room_of_two(tmp_path: Path) -> None:
    """Its name is longer than others may be; how far another device has read is told beside it."""
    config = {"broker": "embedded", "server": {"data_dir": str(tmp_path)}}
    async with (
        asyncio.timeout(10),
        ChatServer(config) as server,
        connect(f"{server.url}/ws", username="alice", guest=(keeper := GuestMemory())) as alice,
        connect(f"{server.url}/ws", username="bob") as bob,
        connect(f"{server.url}/ws", guest=keeper) as phone,
    ):
        reply = await bob.request("direct", to=alice.user, text="Psst!")
        room = str(reply.fields["room"])
        async with alice.join(room, last=5) as joined:
            events = aiter(joined)
            assert isinstance(await anext(events), Joined)
            assert texts([await anext(events)]) == ["Psst!"]
            await bob.publish(room, "Alice?")
            assert texts([await anext(events)]) == ["Alice?"]
            await phone.request("read", room=room, offset=1)
            async for event in alice:
                if isinstance(event, Event) and event.action == "read":
                    assert (event.room, event.offset) == (room, 1)
                    return
