"""Rooms of two: both users have them everywhere, over reconnects and restarts; nobody else."""

import tracemalloc
from pathlib import Path

import pytest

from chatserver.testing import ChatServer, Peer
from tests.e2e.streams import guarded

ROOM = "dm:ann:bob"


def kept(folder: Path, **sections: object) -> ChatServer:
    """Return a server that keeps its rooms in a folder."""
    server = {"data_dir": str(folder / "data")}
    return ChatServer({"server": server, **guarded("ann", "bob", "eve"), **sections})


async def arrive(server: ChatServer, *users: str) -> list[Peer]:
    return [
        await server.connect(headers={"Authorization": f"Bearer {user}-token"}) for user in users
    ]


async def test_both_hear_it_everywhere_without_joining(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, ann_too, bob, bob_too, eve = await arrive(server, "ann", "ann", "bob", "bob", "eve")
        sent = await ann.request("direct", to="bob", text="psst", cid="c-1")
        assert (sent["action"], sent["room"], sent["offset"]) == ("sent", ROOM, 1)
        for peer in (ann, ann_too, bob, bob_too):
            event = await peer.expect("message")
            assert (event["room"], event["text"], event["offset"]) == (ROOM, "psst", 1)
            assert (event["sender"], event["cid"]) == ("ann", "c-1")
        answer = await bob_too.request("direct", to="ann", text="what?", reply_to=1)
        assert (answer["room"], answer["offset"]) == (ROOM, 2)
        assert (await ann_too.expect("message"))["reply_to"] == 1
        await bob.request("message", room=ROOM, text="also this way")
        assert (await ann.expect("message", sender="bob", offset=3))["text"] == "also this way"
        await eve.silent()


async def test_who_was_away_recovers_it_as_in_any_room(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        (ann,) = await arrive(server, "ann")
        first = await ann.request("direct", to="bob", text="one")
        await ann.request("direct", to="bob", text="two")
    async with kept(tmp_path) as server:
        ann, bob = await arrive(server, "ann", "bob")
        since = {"offset": 1, "epoch": first["epoch"]}
        joined = await bob.request("join", room=ROOM, since=since)
        assert (joined["recovered"], joined["offset"], joined["members"]) == (True, 2, 2)
        assert [each["text"] for each in listed(joined, "messages")] == ["two"]
        await ann.request("direct", to="bob", text="three")
        assert (await bob.receive())["offset"] == 3
        page = await bob.request("history", room=ROOM)
        assert [each["text"] for each in listed(page, "messages")] == ["one", "two", "three"]


def listed(frame: dict[str, object], key: str) -> list[dict[str, object]]:
    found = frame[key]
    assert isinstance(found, list)
    return found


async def test_a_retry_is_told_of_the_first(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, bob = await arrive(server, "ann", "bob")
        first = await ann.request("direct", to="bob", text="psst", cid="c-1")
        again = await ann.request("message", room=ROOM, text="psst", cid="c-1")
        assert again["duplicate"] is True
        assert again["offset"] == first["offset"]
        other = await ann.request("direct", to="bob", text="psst!", cid="c-1")
        assert other["code"] == "conflict"
        await bob.expect("message")
        await bob.silent()


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("join", {}),
        ("join", {"last": 10}),
        ("join", {"since": {"offset": 0, "epoch": ""}}),
        ("join", {"room": "ｄm:ann:bob"}),
        ("join", {"room": "dm:eve"}),
        ("join", {"room": "dm:eve:ann"}),
        ("message", {"text": "let me in"}),
        ("history", {}),
        ("members", {}),
    ],
)
async def test_an_outsider_gets_nowhere(
    tmp_path: Path, action: str, fields: dict[str, object]
) -> None:
    async with kept(tmp_path) as server:
        ann, bob, eve = await arrive(server, "ann", "bob", "eve")
        await ann.request("direct", to="bob", text="psst")
        for peer in (ann, bob):
            await peer.expect("message")
        refused = await eve.request(action, **{"room": ROOM, **fields})
        assert refused["code"] == "forbidden"
        assert (await eve.request("list_rooms"))["rooms"] == {}
        await ann.request("direct", to="bob", text="is somebody here?")
        await bob.expect("message")
        await bob.silent()
        await eve.silent()


async def test_names_of_no_two_are_refused_and_take_no_memory(tmp_path: Path) -> None:
    fields = {"offset": 1, "text": "tea", "emoji": "tea"}
    actions = [
        *("message", "edit", "delete", "react", "pin", "reactions", "history", "read"),
        *("search", "members", "presence", "typing", "leave"),
    ]
    async with kept(tmp_path) as server:
        (ann,) = await arrive(server, "ann")
        tracemalloc.start()
        try:
            for number in range(390):
                name = f"dm:ann:{number}:" + "x" * 50_000
                action = actions[number % len(actions)]
                refused = await ann.request(action, room=name, **fields)
                assert refused["code"] == "forbidden", action
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert taken < 5_000_000, "of 20 MB that were sent"


async def test_rooms_of_two_are_beside_the_rooms_that_are_joined(tmp_path: Path) -> None:
    """No notifications, not the room meant, not counted, not left for another, and not at all."""
    chat = {"max_rooms": 1}
    async with kept(tmp_path, chat=chat) as server:
        ann, bob = await arrive(server, "ann", "bob")
        assert (await ann.request("message", text="hi"))["code"] == "not_joined"
        await ann.request("join", room="lobby")
        assert (await ann.request("join", room=ROOM))["members"] == 2
        assert (await ann.request("leave", room=ROOM))["code"] == "forbidden"
        assert (await ann.request("presence", room=ROOM))["code"] == "not_found"
        assert (await ann.request("message", text="hi"))["room"] == "lobby"
        await bob.silent()
        assert (await ann.request("list_rooms"))["rooms"] == {"lobby": 1}
        assert (await ann.request("leave"))["room"] == "lobby"
        assert "room" not in await ann.request("leave")
    async with kept(tmp_path, chat={"single_room": True}) as server:
        ann, bob = await arrive(server, "ann", "bob")
        await ann.request("join", room="lobby")
        await ann.request("join", room=ROOM)
        await ann.request("join", room="tea")
        assert (await ann.request("list_rooms"))["rooms"] == {"tea": 1}
        await bob.request("direct", to="ann", text="still there?")
        await ann.expect("message", text="still there?")


async def test_whom_one_can_write_to(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        (ann,) = await arrive(server, "ann")
        for nobody in ("ann", "", "a\nb", "x" * 256):
            refused = await ann.request("direct", to=nobody, text="hi")
            assert (refused["code"], refused["field"]) == ("bad_payload", "$.to")
        stored = await ann.request("direct", to="who may come", text="hi")
        assert stored["room"] == "dm:ann:who may come"
        guest = await server.connect()
        assert (await guest.request("direct", to="ann", text="hi"))["code"] == "not_registered"
        await guest.request("register", username="gus")
        assert (await guest.request("direct", to="ann", text="hi"))["action"] == "sent"
        event = await ann.expect("message", username="gus")
        answer = await ann.request("direct", to=event["sender"], text="hello")
        assert (await guest.expect("message", sender="ann"))["room"] == answer["room"]


async def test_guests_recover_theirs_whose_name_is_longer_than_others_may_be(
    tmp_path: Path,
) -> None:
    async with kept(tmp_path) as server:
        gus, eva = await server.connect("gus"), await server.connect("eva")
        to = (await eva.request("hello"))["user"]
        sent = await gus.request("direct", to=to, text="psst")
        assert len(str(sent["room"])) > 64
        joined = await eva.request("join", room=sent["room"], last=5)
        assert [each["text"] for each in listed(joined, "messages")] == ["psst"]
        assert joined["room"] == sent["room"]


async def test_a_guest_who_comes_back_has_its_rooms_of_two(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        guest = await server.connect()
        welcome = await guest.request("hello")
        await guest.close()
        ann, back = *await arrive(server, "ann"), await server.connect()
        await ann.request("direct", to=welcome["user"], text="one")
        await back.request("hello", guest_token=welcome["guest_token"])
        sent = await ann.request("direct", to=welcome["user"], text="two")
        assert (await back.expect("message"))["text"] == "two"
        await back.request("register", username="gus")
        since = {"offset": 0, "epoch": sent["epoch"]}
        joined = await back.request("join", room=sent["room"], since=since)
        assert [each["text"] for each in listed(joined, "messages")] == ["one", "two"]


async def test_rooms_of_two_work_where_nothing_is_kept() -> None:
    async with ChatServer({**guarded("ann", "bob"), "broker": "memory"}) as server:
        ann, bob = await arrive(server, "ann", "bob")
        sent = await ann.request("direct", to="bob", text="psst")
        assert (sent["room"], "offset" in sent) == (ROOM, False)
        assert (await bob.expect("message"))["text"] == "psst"
