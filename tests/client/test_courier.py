"""Messages on their way: refused, lost, given up."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chatserver.client import (
    ActionError,
    ChatClient,
    ErrorCode,
    LostError,
    OutboxFullError,
    Position,
    Sent,
    connect,
    courier,
)
from tests.client.scripted import DEADLINE, WELCOME, Frame, Scripted, at_once, error


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Scripted]:
    async with Scripted() as server:
        server.answers["message"] = sent
        yield server


@pytest_asyncio.fixture
async def chat(server: Scripted) -> AsyncIterator[ChatClient]:
    async with connect(server.url, backoff=at_once(), max_outbox=3) as chat:
        chat.join("lobby")
        yield chat


def sent(frame: Frame) -> Frame:
    text = str(frame["text"])
    return {
        "action": "sent",
        "room": frame["room"],
        "cid": frame["cid"],
        "timestamp": "now",
        "offset": int(text) if text.isdecimal() else 1,
        "epoch": "e",
    }


def texts(server: Scripted) -> list[object]:
    """All messages that came, again and again where they did."""
    return [frame["text"] for frame in server.asked if frame["action"] == "message"]


def publish(chat: ChatClient, *each: str, room: str = "lobby") -> list["asyncio.Task[Sent]"]:
    return [asyncio.create_task(chat.publish(room, text, cid=f"c-{text}")) for text in each]


async def test_a_wait_that_ends_while_it_is_looked_at_is_over(
    chat: ChatClient, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine time passes between any two looks at the clock."""
    looks = itertools.count()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(courier, "_now", lambda: loop.time() + 0.02 * next(looks))
    answers = iter([error("rate_limited", retry_after=0.03)])
    server.answers["message"] = lambda frame: next(answers, None) or sent(frame)
    async with asyncio.timeout(DEADLINE):
        await chat.publish("lobby", "1")
    assert texts(server) == ["1", "1"]


async def test_the_acknowledgement_is_returned(chat: ChatClient) -> None:
    assert await chat.publish("lobby", "7", cid="c-7") == Sent(
        "lobby", "c-7", Position("e", 7), "now", duplicate=False
    )


async def test_a_cid_is_made_up_and_fields_are_sent(chat: ChatClient, server: Scripted) -> None:
    first = await chat.publish("lobby", "1", reply_to=5)
    second = await chat.publish("lobby", "1")
    assert first.cid != second.cid
    assert (await server.request("message"))["reply_to"] == 5
    assert "reply_to" not in await server.request("message")


async def test_it_waits_for_the_room(server: Scripted) -> None:
    server.answers["join"] = lambda _: None
    async with connect(server.url, backoff=at_once()) as chat:
        chat.join("lobby")
        writing = publish(chat, "1")
        await server.request("join")
        await chat.publish("other", "2")
        assert texts(server) == ["2"]
        server.answers["join"] = lambda _: {
            "action": "joined",
            "room": "lobby",
            "members": 1,
            "messages": [],
        }
        await server.close(3001)
        await asyncio.gather(*writing)
        assert texts(server) == ["2", "1"]


async def test_what_was_not_acknowledged_is_sent_again_under_the_same_cid(
    chat: ChatClient, server: Scripted
) -> None:
    server.answers["message"] = lambda _: None
    writing = publish(chat, "1", "2", "3")
    before = [await server.request("message") for _ in range(3)]
    server.answers["message"] = sent
    server.cut()
    after = [await server.request("message") for _ in range(3)]
    assert [frame["cid"] for frame in before] == [frame["cid"] for frame in after]
    assert [each.cid for each in await asyncio.gather(*writing)] == ["c-1", "c-2", "c-3"]


@pytest.mark.parametrize("code", ["rate_limited", "unavailable", "timeout"])
async def test_after_a_refusal_that_passes_the_later_ones_follow_in_order(
    chat: ChatClient, server: Scripted, code: str
) -> None:
    server.answers["message"] = lambda _: error(code, retry_after=0.05)
    writing = publish(chat, "1", "2", "3")
    for _ in range(3):
        await server.request("message")
    server.answers["message"] = sent
    await asyncio.gather(*writing)
    assert texts(server)[3:] == ["1", "2", "3"]


async def test_a_draining_server_gets_nothing_more(chat: ChatClient, server: Scripted) -> None:
    server.answers["message"] = lambda _: error("draining")
    writing = publish(chat, "1")
    await server.request("message")
    assert (await chat.request("leave", room="other")).action == "left"
    server.answers["message"] = sent
    await server.close(3001)
    await asyncio.gather(*writing)
    assert texts(server) == ["1", "1"]


async def test_a_refusal_for_good_is_raised_and_holds_nothing_up(
    chat: ChatClient, server: Scripted
) -> None:
    server.answers["message"] = lambda frame: (
        error("conflict") if frame["text"] == "1" else sent(frame)
    )
    first, second = await asyncio.gather(*publish(chat, "1", "2"), return_exceptions=True)
    assert isinstance(first, ActionError)
    assert first.code == ErrorCode.CONFLICT
    assert isinstance(second, Sent)


async def test_one_too_many_is_not_taken(chat: ChatClient, server: Scripted) -> None:
    server.answers["message"] = lambda _: None
    writing = publish(chat, "1", "2", "3")
    await server.request("message")
    with pytest.raises(OutboxFullError):
        await chat.publish("lobby", "4")
    writing[0].cancel()
    await asyncio.wait({writing[0]})
    server.answers["message"] = sent
    await chat.publish("lobby", "5")
    writing[1].cancel()
    writing[2].cancel()


async def test_who_stops_waiting_takes_the_message_back(chat: ChatClient, server: Scripted) -> None:
    server.answers["message"] = lambda _: None
    (writing,) = publish(chat, "1")
    await server.request("message")
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    server.answers["message"] = sent
    server.cut()
    await chat.publish("lobby", "2")
    assert texts(server) == ["1", "2"]


async def test_what_is_too_large_is_not_sent_at_all(chat: ChatClient, server: Scripted) -> None:
    """A server may close the connection for it, which sending it again would repeat."""
    with pytest.raises(ActionError, match="larger than 65536 bytes") as refused:
        await chat.publish("lobby", "ü" * 40_000)
    assert refused.value.code == ErrorCode.TOO_LARGE
    assert texts(server) == []


async def test_somebody_else_does_not_send_what_may_be_stored(
    chat: ChatClient, server: Scripted
) -> None:
    """A `cid` counts for its user only: under another id the message would be stored twice."""
    server.answers["message"] = lambda _: None
    (first,) = publish(chat, "1")
    await server.request("message")
    server.answers["hello"] = lambda _: {**WELCOME, "user": "guest:2"}
    server.answers["message"] = sent
    server.cut()
    with pytest.raises(LostError, match="changed"):
        await first
    await chat.publish("lobby", "2")
    assert texts(server) == ["1", "2"]
    assert chat.user == "guest:2"


async def test_the_messages_of_a_room_that_refuses_us_fail(server: Scripted) -> None:
    server.answers["join"] = lambda _: error("forbidden")
    async with connect(server.url) as chat:
        room = chat.join("lobby")
        for call in (room.publish("1"), anext(room), room.__aenter__()):
            with pytest.raises(ActionError) as refused:
                await call
            assert refused.value.code == ErrorCode.FORBIDDEN
            server.answers["message"] = lambda _: error("not_joined")
    assert texts(server) == []


async def test_an_error_that_cannot_be_read_ends_one_message_and_nothing_else(
    chat: ChatClient, server: Scripted
) -> None:
    server.answers["message"] = lambda _: error("rate_limited", retry_after="soon")
    with pytest.raises(ActionError, match="cannot be read"):
        await publish(chat, "1")[0]
    server.answers["message"] = sent
    await publish(chat, "2")[0]
    assert texts(server) == ["1", "2"]
