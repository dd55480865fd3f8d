"""Edits, deletes, reactions and pins: live, missed, and as history has them."""

from pathlib import Path
from typing import cast

import pytest

from chatserver.testing import ChatServer, Peer

Frame = dict[str, object]

RIGHTS = {
    "ann": ["join", "read", "write"],
    "bob": ["join", "read", "write"],
    "eve": ["join", "read", "write", "moderate"],
    "zoe": ["join", "read"],
}
TOKENS = [
    {"token": f"{user}-token", "user": user, "name": user, "rights": {"*": rights}}
    for user, rights in RIGHTS.items()
]


def kept(folder: Path, changes: Frame | None = None, **sections: object) -> ChatServer:
    """Return a server that keeps its rooms in a folder; eve moderates them, zoe only reads."""
    return ChatServer(
        {
            "server": {"data_dir": str(folder / "data")},
            "broker": "embedded",
            "middlewares": [{"auth": {"tokens": TOKENS}}],
            "plugins": {"changes": changes or {}},
            **sections,
        }
    )


async def enter(server: ChatServer, user: str, **join: object) -> tuple[Peer, Frame]:
    """Connect a user and join the lobby; return what `joined` says."""
    peer = await server.connect(headers={"Authorization": f"Bearer {user}-token"})
    return peer, await peer.request("join", room="lobby", **join)


async def say(peer: Peer, *texts: str) -> None:
    for text in texts:
        await peer.request("message", text=text)


def messages(frame: Frame) -> list[Frame]:
    return cast("list[Frame]", frame["messages"])


async def history(peer: Peer, **asked: object) -> list[Frame]:
    return messages(await peer.request("history", **asked))


async def refused(peer: Peer, action: str, **payload: object) -> object:
    """Ask for what is not granted; return the error's code."""
    error = await peer.request(action, **payload)
    assert error["action"] == "error", error
    return error["code"]


async def test_an_edit_is_seen_by_all_and_is_what_history_has(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        bob, _ = await enter(server, "bob")
        await say(ann, "helo")
        sent = await ann.request("edit", offset=1, text="hello", cid="c-1")
        assert (sent["action"], sent["offset"], sent["cid"]) == ("sent", 2, "c-1")
        event = await bob.expect("edit")
        told = {key: event[key] for key in ("room", "target", "text", "offset", "sender", "cid")}
        assert told == {
            "room": "lobby",
            "target": 1,
            "text": "hello",
            "offset": 2,
            "sender": "ann",
            "cid": "c-1",
        }
        (folded,) = await history(bob)
        assert (folded["offset"], folded["text"], folded["edited"]) == (
            1,
            "hello",
            event["timestamp"],
        )
        assert (folded["action"], folded["sender"]) == ("message", "ann")


@pytest.mark.parametrize("restarted", [False, True])
async def test_all_changes_are_in_the_history_also_after_a_restart(
    tmp_path: Path, restarted: bool
) -> None:
    async def read(server: ChatServer) -> list[Frame]:
        zoe, joined = await enter(server, "zoe", last=10)
        page = await history(zoe, since=0)
        assert messages(joined) == page
        assert joined["offset"] == 9
        return page

    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        bob, _ = await enter(server, "bob")
        eve, _ = await enter(server, "eve")
        await say(ann, "one", "two", "three")
        await ann.request("edit", offset=1, text="ONE")
        await bob.request("react", offset=1, emoji="👍🏽")
        await eve.request("react", offset=1, emoji="👍🏽")
        await eve.request("react", offset=1, emoji="👍🏽", remove=True)
        await eve.request("pin", offset=3)
        await ann.request("delete", offset=2)
        page = await read(server)
    if restarted:
        async with kept(tmp_path) as server:
            page = await read(server)
    one, two, three = page
    assert (one["text"], one["reactions"]) == ("ONE", {"👍🏽": {"count": 1, "senders": ["bob"]}})
    assert two == {"offset": 2, "deleted": True}
    assert (three["text"], three["pinned"]) == ("three", True)


async def test_who_comes_back_is_told_of_each_change(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "one", "two")
        epoch = (await ann.request("edit", offset=1, text="ONE"))["epoch"]
        await ann.request("react", offset=2, emoji="+1")
        await ann.request("delete", offset=1)
        _, back = await enter(server, "bob", since={"offset": 1, "epoch": epoch})
        told = [(each.get("action"), each["offset"]) for each in messages(back)]
        assert back["recovered"] is True
        assert told == [("message", 2), (None, 3), ("reaction", 4), ("delete", 5)]
        assert messages(back)[1] == {"offset": 3, "deleted": True}


async def test_who_pages_on_learns_what_became_of_what_it_has(tmp_path: Path) -> None:
    """A client that could not be recovered has messages up to `since`, and keeps them."""
    async with kept(tmp_path, limits={"recovery_limit": 2}) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "one", "two", "three")
        await ann.request("edit", offset=1, text="ONE")
        await ann.request("edit", offset=3, text="THREE")
        epoch = (await ann.request("delete", offset=2))["epoch"]
        bob, back = await enter(server, "bob", since={"offset": 2, "epoch": epoch})
        assert (back["recovered"], back["more"]) == (False, True)
        page = await history(bob, since=2)
        assert [(each["action"], each.get("text")) for each in page] == [
            ("message", "THREE"),
            ("edit", "ONE"),
            ("delete", None),
        ]


async def test_pages_go_on_where_they_ended(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        for number in range(5):
            await say(ann, str(number))
            await ann.request("react", offset=2 * number + 1, emoji="+1")
        newest = await ann.request("history", limit=2)
        assert [each["offset"] for each in messages(newest)] == [7, 9]
        assert (newest["more"], newest["next"]) == (True, 7)
        older = await ann.request("history", before=newest["next"], limit=3)
        assert [each["offset"] for each in messages(older)] == [1, 3, 5]
        assert (older["more"], "next" in older) == (False, False)
        first = await ann.request("history", since=0, limit=2)
        assert [each["offset"] for each in messages(first)] == [1, 3]
        then = await ann.request("history", since=first["next"], limit=2)
        assert [each["offset"] for each in messages(then)] == [4, 5]
        assert (then["more"], then["next"]) == (True, 5)


async def test_only_authors_edit_and_only_they_or_moderators_delete(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        bob, _ = await enter(server, "bob")
        eve, joined = await enter(server, "eve")
        zoe, not_told = await enter(server, "zoe")
        assert joined["moderate"] is True
        assert "moderate" not in not_told
        await say(ann, "one", "two")
        for peer in (bob, eve, zoe):
            assert await refused(peer, "edit", offset=1, text="mine") == "forbidden"
        for peer in (bob, zoe):
            assert await refused(peer, "delete", offset=1) == "forbidden"
            assert await refused(peer, "pin", offset=1) == "forbidden"
        assert await refused(ann, "pin", offset=1) == "forbidden"
        assert await refused(zoe, "react", offset=1, emoji="+1") == "forbidden"
        assert [each["text"] for each in await history(zoe)] == ["one", "two"]
        assert (await eve.request("delete", offset=1))["action"] == "sent"
        assert (await zoe.expect("delete"))["sender"] == "eve"
        stranger = await server.connect(headers={"Authorization": "Bearer bob-token"})
        assert await refused(stranger, "react", offset=2, room="lobby", emoji="+1") == "not_joined"


async def test_moderators_delete_where_they_may_not_write(tmp_path: Path) -> None:
    rooms = [{"match": "lobby", "write": ["ann"], "moderate": ["bob"]}]
    async with kept(tmp_path, rooms=rooms) as server:
        ann, _ = await enter(server, "ann")
        bob, _ = await enter(server, "bob")
        await say(ann, "one", "two", "three")
        assert (await bob.request("delete", offset=1))["action"] == "sent"
        assert (await bob.request("delete", offset=2, room="lobby"))["action"] == "sent"
        assert await refused(bob, "message", text="four") == "forbidden"
        stranger = await server.connect(headers={"Authorization": "Bearer bob-token"})
        assert await refused(stranger, "delete", offset=3) == "not_joined"
        assert await refused(stranger, "delete", offset=3, room="lobby") == "not_joined"


async def test_what_is_too_old_is_the_moderators(tmp_path: Path) -> None:
    async with kept(tmp_path, {"edit_window": 1e-9}) as server:
        ann, _ = await enter(server, "ann")
        eve, _ = await enter(server, "eve")
        sent = await ann.request("message", text="one")
        while (await ann.request("ping"))["time"] == sent["timestamp"]:
            pass
        assert await refused(ann, "edit", offset=1, text="ONE") == "forbidden"
        assert await refused(ann, "delete", offset=1) == "forbidden"
        assert (await ann.request("react", offset=1, emoji="+1"))["action"] == "sent"
        assert (await eve.request("delete", offset=1))["action"] == "sent"


async def test_reactions_leave_changes_to_author_and_moderators(tmp_path: Path) -> None:
    async with kept(tmp_path, {"max_changes": 2}) as server:
        ann, _ = await enter(server, "ann")
        eve, _ = await enter(server, "eve")
        await say(ann, "one")
        for emoji in ("+1", "🎉"):
            assert (await eve.request("react", offset=1, emoji=emoji))["action"] == "sent"
        assert await refused(eve, "react", offset=1, emoji="👍") == "forbidden"
        for text in ("ONE", "one"):
            assert (await ann.request("edit", offset=1, text=text))["action"] == "sent"
        assert await refused(ann, "edit", offset=1, text="ONE") == "forbidden"
        for remove in (False, True):
            assert (await eve.request("pin", offset=1, remove=remove))["action"] == "sent"
        assert await refused(eve, "pin", offset=1) == "forbidden"
        assert (await ann.request("delete", offset=1))["action"] == "sent"


async def test_what_is_no_message_cannot_be_changed(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "one")
        await ann.request("edit", offset=1, text="ONE")
        for offset in (2, 3, 2**62):
            assert await refused(ann, "edit", offset=offset, text="x") == "not_found"
            assert await refused(ann, "delete", offset=offset) == "not_found"
        await ann.request("delete", offset=1)
        for action in ("edit", "delete"):
            assert await refused(ann, action, offset=1, text="x") == "not_found"
        assert await refused(ann, "delete", offset=0) == "bad_payload"


@pytest.mark.parametrize("broker", ["memory", "embedded"])
async def test_rooms_without_a_history_have_nothing_to_change(tmp_path: Path, broker: str) -> None:
    rooms = [{"match": "*", "durability": "none"}] if broker == "embedded" else []
    async with kept(tmp_path, broker=broker, rooms=rooms) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "one")
        assert await refused(ann, "edit", offset=1, text="ONE") == "not_found"


async def test_a_change_that_is_sent_again_is_a_duplicate(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "one")
        await ann.request("edit", offset=1, text="ONE", cid="c-1")
        first = await ann.request("delete", offset=1, cid="c-2")
        for action, cid, payload in (("delete", "c-2", {}), ("edit", "c-1", {"text": "ONE"})):
            again = await ann.request(action, offset=1, cid=cid, **payload)
            assert (again["action"], again["duplicate"]) == ("sent", True)
        assert (again["offset"], first["offset"]) == (2, 3)
        assert await refused(ann, "delete", offset=2, cid="c-2") == "conflict"


async def test_changes_are_sent_without_waiting_and_keep_their_order(tmp_path: Path) -> None:
    """A client that knows where its message will be may change it before it is told so."""
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await ann.send("message", text="one")
        await ann.send("edit", offset=1, text="two")
        await ann.send("react", offset=1, emoji="+1")
        await ann.send("delete", offset=1)
        await ann.send("edit", offset=1, text="three")
        assert (await ann.expect("error"))["code"] == "not_found"
        assert await history(ann) == [{"offset": 1, "deleted": True}]


@pytest.mark.parametrize("emoji", ["👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "❤️", "1️⃣", "lol", "x" * 32])
async def test_an_emoji_or_a_word_is_a_reaction(tmp_path: Path, emoji: str) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "one")
        await ann.request("react", offset=1, emoji=emoji)
        (folded,) = await history(ann)
        assert folded["reactions"] == {emoji: {"count": 1, "senders": ["ann"]}}


@pytest.mark.parametrize(
    "emoji", ["", " ", "\u200d", "x" * 33, "a\nb", "a\u2028b", "a\u202eb", "\x7f"]
)
async def test_what_breaks_or_turns_lines_is_none(tmp_path: Path, emoji: str) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "one")
        assert await refused(ann, "react", offset=1, emoji=emoji) == "bad_payload"


async def test_the_newest_messages_of_a_room_that_was_trimmed_since(tmp_path: Path) -> None:
    """Memory remembers the oldest offset as it was when the room was first read."""
    rooms = [{"match": "lobby", "length": 10}]
    async with kept(tmp_path, rooms=rooms) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, *map(str, range(40)))
    async with kept(tmp_path, rooms=rooms) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, *map(str, range(40, 80)))
        _, joined = await enter(server, "bob", last=1000)
        found = [each["offset"] for each in messages(joined)]
        assert found == list(range(int(str(joined["oldest"])), 81))
        assert len(found) >= 10


DURABILITIES = pytest.mark.parametrize("durability", ["full", "memory"])


@DURABILITIES
async def test_all_pins_are_read_however_far_back(tmp_path: Path, durability: str) -> None:
    async with kept(tmp_path, rooms=[{"match": "*", "durability": durability}]) as server:
        ann, _ = await enter(server, "ann")
        eve, _ = await enter(server, "eve")
        await say(ann, "one", "two", "three", "four")
        for offset in (1, 2, 3, 4):
            await eve.request("pin", offset=offset)
        await eve.request("pin", offset=2, remove=True)
        await ann.request("delete", offset=3)
        await ann.request("edit", offset=1, text="ONE")
        await say(ann, *map(str, range(60)))
        zoe, _ = await enter(server, "zoe")
        page = await zoe.request("history", pinned=True)
        told = [(each["offset"], each["text"], each["pinned"]) for each in messages(page)]
        assert told == [(1, "ONE", True), (4, "four", True)]
        assert (page["offset"], page["more"]) == (71, False)
        page = await zoe.request("history", pinned=True, limit=1)
        assert ([each["offset"] for each in messages(page)], page["more"]) == ([4], True)
        page = await zoe.request("history", pinned=True, before=page["next"])
        assert ([each["offset"] for each in messages(page)], page["more"]) == ([1], False)
        for given in ({"since": 1}, {"thread": 1}):
            error = await zoe.request("history", pinned=True, **given)
            assert (error["code"], error["field"]) == ("bad_payload", "$.pinned")


@DURABILITIES
async def test_all_who_reacted_can_be_told(tmp_path: Path, durability: str) -> None:
    users = [f"user{number}" for number in range(25)]
    tokens = [{"token": f"{user}-token", "user": user, "name": user} for user in users]
    rooms = [{"match": "*", "durability": durability}]
    middlewares = [{"auth": {"tokens": [*TOKENS, *tokens]}}]
    async with kept(tmp_path, rooms=rooms, middlewares=middlewares) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "one")
        for user in users:
            peer, _ = await enter(server, user)
            await peer.request("react", offset=1, emoji="👍")
        await peer.request("react", offset=1, emoji="+1")
        await peer.request("react", offset=1, emoji="👍", remove=True)
        zoe, _ = await enter(server, "zoe")
        answer = await zoe.request("reactions", offset=1)
        told = [("👍", user) for user in users[:-1]] + [("+1", users[-1])]
        assert answer["reactions"] == [{"emoji": emoji, "sender": user} for emoji, user in told]
        assert (answer["room"], answer["offset"], "more" in answer) == ("lobby", 1, False)
        assert await refused(zoe, "reactions", offset=2) == "not_found"
        await ann.request("delete", offset=1)
        assert await refused(zoe, "reactions", offset=1) == "not_found"


async def test_who_reacted_is_told_in_parts_where_it_is_much(tmp_path: Path) -> None:
    async with kept(tmp_path, limits={"max_frame_out": 4096}) as server:
        eve, _ = await enter(server, "eve")
        ann, _ = await enter(server, "ann")
        await say(ann, "one")
        emojis = [f"reaction number {number}" for number in range(30)]
        for emoji in emojis:
            await ann.request("react", offset=1, emoji=emoji)
            await eve.request("react", offset=1, emoji=emoji)
        told: list[Frame] = []
        frame: Frame = {"more": True, "after": 0}
        parts = 0
        while frame.get("more"):
            frame = await ann.request("reactions", offset=1, after=frame["after"])
            told += cast("list[Frame]", frame["reactions"])
            parts += 1
        assert told == [
            {"emoji": emoji, "sender": user} for emoji in emojis for user in ("ann", "eve")
        ]
        assert parts > 2


async def test_what_keeps_nothing_has_no_pins_and_no_reactions(tmp_path: Path) -> None:
    async with kept(tmp_path, rooms=[{"match": "*", "durability": "none"}]) as server:
        ann, _ = await enter(server, "ann")
        page = await ann.request("history", pinned=True)
        assert (page["messages"], page["epoch"], page["more"]) == ([], "", False)
        assert await refused(ann, "reactions", offset=1) == "not_found"
