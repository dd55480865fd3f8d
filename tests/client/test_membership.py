"""Rooms over lost connections, lost events and slow readers."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from chatserver.client import (
    ActionError,
    Event,
    Gap,
    GapReason,
    Joined,
    Message,
    Position,
    Recovered,
    Room,
    RoomEvent,
    connect,
)
from tests.client.scripted import Frame, Scripted, at_once, error, joined, message


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Scripted]:
    async with Scripted() as server:
        server.answers["join"] = lambda _: joined(offset=5, epoch="e")
        yield server


async def take(room: Room, count: int) -> list[RoomEvent]:
    return [await anext(room) for _ in range(count)]


def offsets(events: list[RoomEvent]) -> list[int | None]:
    return [event.offset for event in events if isinstance(event, Message)]


def sent(frame: Frame, offset: int) -> Frame:
    told = {"room": "lobby", "cid": frame["cid"], "timestamp": "now"}
    return {"action": "sent", **told, "offset": offset, "epoch": "e"}


async def test_it_begins_with_joined(server: Scripted) -> None:
    async with connect(server.url) as chat, chat.join(" lobby ") as room:
        assert (room.name, room.position) == ("lobby", None)
        here = Position("e", 5)
        assert await anext(room) == Joined(room="lobby", members=1, position=here)
        assert room.position == here
        await server.say(**message(6))
        assert offsets([await anext(room)]) == [6]
        assert room.position == Position("e", 6)


async def test_the_position_is_that_of_the_reader(server: Scripted) -> None:
    """What is queued and was never read has to come again the next time."""
    page = [message(4), message(5)]
    server.answers["join"] = lambda _: joined(offset=5, epoch="e", messages=page)
    async with connect(server.url) as chat, chat.join("lobby", last=2) as room:
        assert (await server.request("join"))["last"] == 2
        seen = [(await anext(room), room.position)[1] for _ in range(3)]
    assert seen == [None, Position("e", 4), Position("e", 5)]


async def test_leaving_ends_the_iteration(server: Scripted) -> None:
    async with connect(server.url) as chat:
        async with chat.join("lobby") as room:
            with pytest.raises(ValueError, match="joined already"):
                chat.join("lobby")
        assert (await server.request("leave"))["room"] == "lobby"
        assert [type(event) async for event in room] == [Joined]
        async with chat.join("lobby"):
            pass
        await chat.leave("somewhere else")
        with pytest.raises(ValueError, match="either since or last"):
            chat.join("lobby", since=Position("e", 1), last=2)


async def test_leaving_is_tried_again_until_it_is_done(server: Scripted) -> None:
    answers: Iterator[Frame] = iter(
        [error("rate_limited", retry_after=0.01), {"action": "left", "room": "lobby"}]
    )
    server.answers["leave"] = lambda _: next(answers)
    async with connect(server.url) as chat:
        async with chat.join("lobby"):
            pass
        assert next(answers, None) is None


async def test_a_lost_connection_is_recovered_from(server: Scripted) -> None:
    async with connect(server.url, backoff=at_once()) as chat, chat.join("lobby") as room:
        await anext(room)
        assert "since" not in await server.request("join")
        missed = [message(6), message(7)]
        server.answers["join"] = lambda _: joined(
            offset=7, epoch="e", recovered=True, messages=missed
        )
        server.cut()
        assert (await server.request("join"))["since"] == {"offset": 5, "epoch": "e"}
        assert await anext(room) == Recovered(room="lobby", missed=2)
        assert room.position == Position("e", 5)
        assert offsets(await take(room, 2)) == [6, 7]
        await server.say(**message(8))
        assert offsets([await anext(room)]) == [8]


async def test_it_goes_on_from_an_earlier_time(server: Scripted) -> None:
    server.answers["join"] = lambda _: joined(
        offset=5, epoch="e", recovered=True, messages=[message(5)]
    )
    since = Position("e", 4)
    async with connect(server.url) as chat, chat.join("lobby", since=since) as room:
        assert (await server.request("join"))["since"] == {"offset": 4, "epoch": "e"}
        _, recovered, last = await take(room, 3)
        assert recovered == Recovered(room="lobby", missed=1)
        assert offsets([last]) == [5]


async def test_a_room_without_a_history_cannot_promise_anything(server: Scripted) -> None:
    server.answers["join"] = lambda _: joined()
    async with connect(server.url, backoff=at_once()) as chat, chat.join("lobby") as room:
        assert await anext(room) == Joined(room="lobby", members=1, position=None)
        server.cut()
        assert await anext(room) == Gap(
            room="lobby", reason=GapReason.NO_HISTORY, seen=None, resumes=None
        )
        await server.say(**message())
        assert offsets([await anext(room)]) == [None]


async def test_a_missing_offset_is_fetched_before_anything_else_is_shown(
    server: Scripted,
) -> None:
    async with connect(server.url) as chat, chat.join("lobby") as room:
        await anext(room)
        await server.request("join")
        missed = [message(6), message(7), message(8)]
        server.answers["join"] = lambda _: joined(
            offset=8, epoch="e", recovered=True, messages=missed
        )
        await server.say(**message(7))
        assert (await server.request("join"))["since"] == {"offset": 5, "epoch": "e"}
        await server.say(**message(9))
        assert await anext(room) == Recovered(room="lobby", missed=3)
        assert offsets(await take(room, 4)) == [6, 7, 8, 9]


async def test_the_first_message_of_a_room_names_its_history(server: Scripted) -> None:
    """Nobody is told that: nothing was missed."""
    server.answers["join"] = lambda _: joined(offset=0, epoch="")
    async with connect(server.url, backoff=at_once()) as chat, chat.join("lobby") as room:
        await anext(room)
        server.answers["join"] = lambda _: joined(
            offset=1, epoch="e", recovered=True, messages=[message(1)]
        )
        await server.say(**message(1))
        assert offsets([await anext(room)]) == [1]
        assert room.position == Position("e", 1)


async def test_our_own_first_message_names_its_history_as_well(server: Scripted) -> None:
    server.answers["join"] = lambda _: joined(offset=0, epoch="")
    server.answers["message"] = lambda frame: sent(frame, 1)
    async with connect(server.url) as chat, chat.join("lobby") as room:
        await anext(room)
        await room.publish("first")
        await server.say(**message(1))
        assert offsets([await anext(room)]) == [1]
        assert room.position == Position("e", 1)
        assert [frame["action"] for frame in server.asked].count("join") == 1


async def test_a_name_that_comes_while_it_is_asked_for_is_no_interruption(
    server: Scripted,
) -> None:
    server.answers["join"] = lambda _: joined(offset=0, epoch="")
    server.answers["message"] = lambda frame: sent(frame, 2)
    async with connect(server.url) as chat, chat.join("lobby") as room:
        await anext(room)
        await server.request("join")
        server.answers["join"] = lambda _: None
        await server.say(**message(1))
        asked = await server.request("join")
        await room.publish("second")
        found = joined(offset=2, epoch="e", recovered=True, messages=[message(1), message(2)])
        await server.say(**found, id=asked["id"])
        assert offsets(await take(room, 2)) == [1, 2]


async def test_an_event_of_a_plugin_is_followed_like_a_message(server: Scripted) -> None:
    async with connect(server.url) as chat, chat.join("lobby") as room:
        await anext(room)
        await server.say(action="edit", room="lobby", target=3, text="better", offset=6)
        edit = await anext(room)
        assert isinstance(edit, Event)
        assert edit.fields["target"] == 3
        assert room.position == Position("e", 6)


class TestMoreThanAJoinBrings:
    def pages(self, *, oldest: int = 1, epoch: str = "e") -> Frame:
        """Say that `since` was too long ago."""
        return joined(offset=9, epoch=epoch, recovered=False, oldest=oldest, more=True)

    def serve_history(self, server: Scripted, top: int = 9) -> None:
        def answer(frame: Frame) -> Frame:
            since = int(str(frame["since"]))
            page = [message(offset) for offset in range(since + 1, min(since + 3, top + 1))]
            return {
                "action": "history",
                "room": "lobby",
                "messages": page,
                "offset": top,
                "epoch": "e",
                "oldest": 1,
                "more": since + len(page) < top,
            }

        server.answers["history"] = answer

    async def test_is_a_gap(self, server: Scripted) -> None:
        async with connect(server.url, backoff=at_once()) as chat, chat.join("lobby") as room:
            await anext(room)
            server.answers["join"] = lambda _: self.pages()
            server.cut()
            gap = await anext(room)
            assert gap == Gap(
                room="lobby",
                reason=GapReason.LONG,
                seen=Position("e", 5),
                resumes=Position("e", 9),
            )
            self.serve_history(server)
            assert gap.seen
            page = await room.history(since=gap.seen.offset)
            assert [event.offset for event in page.events] == [6, 7]
            assert page.more
            await server.say(**message(10))
            assert offsets([await anext(room)]) == [10]

    async def test_is_read_by_pages_where_that_was_asked_for(self, server: Scripted) -> None:
        async with (
            connect(server.url, backoff=at_once()) as chat,
            chat.join("lobby", catch_up=True) as room,
        ):
            await anext(room)
            answers = iter([self.pages(), joined(offset=9, epoch="e", recovered=True)])
            server.answers["join"] = lambda _: next(answers)
            self.serve_history(server)
            server.cut()
            assert offsets(await take(room, 4)) == [6, 7, 8, 9]
            assert await anext(room) == Recovered(room="lobby", missed=0)

    async def test_is_begun_anew_where_the_history_is_another_one(self, server: Scripted) -> None:
        async with (
            connect(server.url, backoff=at_once()) as chat,
            chat.join("lobby", since=Position("old", 70), catch_up=True) as room,
        ):
            answers = iter([joined(offset=9, epoch="e", recovered=True)])
            server.answers["join"] = lambda _: next(answers)
            self.serve_history(server)
            _, gap = await take(room, 2)
            assert gap == Gap(
                room="lobby",
                reason=GapReason.RESET,
                seen=Position("old", 70),
                resumes=Position("e", 0),
            )
            assert offsets(await take(room, 9)) == list(range(1, 10))

    async def test_goes_on_over_a_connection_that_breaks_meanwhile(self, server: Scripted) -> None:
        async with (
            connect(server.url, backoff=at_once()) as chat,
            chat.join("lobby", catch_up=True) as room,
        ):
            await anext(room)
            server.answers["join"] = lambda _: self.pages()
            server.answers["history"] = lambda _: None
            server.cut()
            await server.request("history")
            self.serve_history(server)
            answers = iter([joined(offset=9, epoch="e")])
            done = joined(offset=9, epoch="e", recovered=True)
            server.answers["join"] = lambda _: next(answers, done)
            server.cut()
            assert offsets(await take(room, 4)) == [6, 7, 8, 9]


class TestSlowReaders:
    async def test_they_get_the_rest_once_they_have_read(self, server: Scripted) -> None:
        async with connect(server.url, max_queue=4) as chat, chat.join("lobby") as room:
            await server.request("join")
            missed = [message(offset) for offset in (9, 10)]
            server.answers["join"] = lambda _: joined(
                offset=10, epoch="e", recovered=True, messages=missed
            )
            for offset in range(6, 11):
                await server.say(**message(offset))
            await chat.request("leave")  # the reader has taken all of it by now
            assert offsets(await take(room, 4)) == [6, 7, 8]
            assert (await server.request("join"))["since"] == {"offset": 8, "epoch": "e"}
            assert await anext(room) == Recovered(room="lobby", missed=2)
            assert offsets(await take(room, 2)) == [9, 10]

    async def test_a_reader_that_never_reads_can_still_write(self, server: Scripted) -> None:
        server.answers["message"] = lambda frame: {
            "action": "sent",
            "room": "lobby",
            "cid": frame["cid"],
            "timestamp": "now",
        }
        async with (
            connect(server.url, max_queue=2, backoff=at_once()) as chat,
            chat.join("lobby") as room,
        ):
            await server.request("join")
            for offset in range(6, 11):
                await server.say(**message(offset))
            await room.publish("still here")
            server.cut()
            assert "since" not in await server.request("join")
            await room.publish("and here")

    async def test_awaiting_the_chat_while_reading_blocks_nothing(self, server: Scripted) -> None:
        server.answers["members"] = lambda _: {"action": "members", "members": []}
        missed = [message(7), message(8)]
        async with connect(server.url, max_queue=1) as chat, chat.join("lobby") as room:
            async for event in room:
                if isinstance(event, Joined):
                    for offset in range(6, 9):
                        await server.say(**message(offset))
                    server.answers["join"] = lambda _: joined(
                        offset=8, epoch="e", recovered=True, messages=missed
                    )
                assert (await chat.request("members", room="lobby")).fields["members"] == []
                if isinstance(event, Message) and event.offset == 8:
                    break


async def test_a_join_that_is_refused_for_now_is_tried_again(server: Scripted) -> None:
    answers = iter([error("unavailable", retry_after=0.01), joined()])
    server.answers["join"] = lambda _: next(answers)
    async with connect(server.url) as chat, chat.join("lobby"):
        pass


async def test_a_room_that_refuses_us_ends(server: Scripted) -> None:
    async with connect(server.url, backoff=at_once()) as chat, chat.join("lobby") as room:
        await anext(room)
        server.answers["join"] = lambda _: error("forbidden")
        server.cut()
        with pytest.raises(ActionError, match="forbidden"):
            await anext(room)


async def test_events_of_other_rooms_go_to_the_user(server: Scripted) -> None:
    async with connect(server.url) as chat, chat.join("lobby"):
        await anext(chat)
        await server.say(**message(1, room="dm"))
        direct = await anext(chat)
        assert isinstance(direct, Message)
        assert direct.room == "dm"
        await server.socket.send_str("All of you: lunch!")
        assert str(await anext(chat)) == "PlainText(text='All of you: lunch!')"


async def test_who_does_not_read_the_chat_keeps_its_newest_events(server: Scripted) -> None:
    async with connect(server.url, max_queue=2) as chat:
        for offset in range(5):
            await server.say(**message(offset, room="dm"))
        await chat.request("leave")  # the reader has taken all of it by now
        events = [await anext(chat) for _ in range(2)]
        assert [event.offset for event in events if isinstance(event, Message)] == [3, 4]
