"""Rooms that keep their histories: recovery, retries and paging, over restarts of the server."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from shutil import copy

import pytest

from chatserver import ConfigError, Context, NoConfig, Outcome, Plugin, action
from chatserver.context import Hub
from chatserver.testing import ChatServer, Peer
from tests.e2e.callers import call, configure
from tests.e2e.process import ServerProcess
from tests.e2e.streams import guarded

ROOT = Path(__file__).parents[2]
HERE = {"CHATSERVER_SERVER__DATA_DIR": None}
ANN = {"Authorization": "Bearer ann-token"}
MUTE = {"token": "ann-token", "user": "ann", "name": "ann", "rights": {"*": ["join", "write"]}}
"""Ann, who may not read."""


def kept(folder: Path, **sections: object) -> ChatServer:
    """Return a server that keeps its rooms in a folder."""
    server = {"data_dir": str(folder / "data")}
    return ChatServer({"server": server, **guarded("ann", "bob", "eve"), **sections})


async def enter(server: ChatServer, user: str, **join: object) -> tuple[Peer, dict[str, object]]:
    """Connect a user and join the lobby; return what `joined` says."""
    peer = await server.connect(headers={"Authorization": f"Bearer {user}-token"})
    return peer, await peer.request("join", room="lobby", **join)


async def say(peer: Peer, *texts: str) -> list[dict[str, object]]:
    return [await peer.request("message", text=text, room="lobby") for text in texts]


def offsets(frame: dict[str, object]) -> list[int]:
    messages = frame["messages"]
    assert isinstance(messages, list)
    return [message["offset"] for message in messages]


def texts(frame: dict[str, object]) -> list[str]:
    messages = frame["messages"]
    assert isinstance(messages, list)
    return [message["text"] for message in messages]


def test_what_was_said_is_there_after_a_restart(tmp_path: Path) -> None:
    config = configure(tmp_path, server={"data_dir": "data"}, **guarded("ann"))
    with ServerProcess(config, env=HERE) as server, call(server.ws, headers=ANN) as ann:
        assert ann.ask("join", room="lobby")["offset"] == 0
        sent = [ann.ask("message", text=text) for text in ("one", "two", "three")]
        assert [each["offset"] for each in sent] == [1, 2, 3]
    with ServerProcess(config, env=HERE) as server, call(server.ws, headers=ANN) as ann:
        since = {"offset": 1, "epoch": sent[0]["epoch"]}
        joined = ann.ask("join", room="lobby", since=since)
        assert texts(joined) == ["two", "three"]
        ann.send("message", text="four")
        assert ann.expect("message")["offset"] == 4


def test_the_shipped_configuration_keeps_rooms_on_disk(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    copy(ROOT / "config.yaml", config)
    for life in (1, 2):
        with ServerProcess(config, "--port", "0", env=HERE) as server, call(server.ws) as ann:
            ann.ask("register", username="ann")
            joined = ann.ask("join", room="lobby", last=10)
            assert len(texts(joined)) == life - 1
            assert ann.ask("message", text="still here?")["offset"] == life
            server.signal(signal.SIGKILL)
            server.wait()
    assert (tmp_path / "data" / "chat.db").exists()


def test_a_second_server_may_not_use_the_file(tmp_path: Path) -> None:
    config = configure(tmp_path, server={"data_dir": "data"}, **guarded("ann"))
    with ServerProcess(config, env=HERE) as server:
        second = ServerProcess(config, env=HERE, listens=False)
        with second:
            assert second.wait() == 1
        assert f"chat.db is in use by process {server.pid}" in second.stderr
        assert "Traceback" not in second.stderr


async def test_who_comes_back_gets_what_it_missed(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, joined = await enter(server, "ann")
        assert (joined["offset"], joined["messages"]) == (0, [])
        sent = await say(ann, "one", "two", "three")
        epoch = sent[0]["epoch"]
        _, back = await enter(server, "bob", since={"offset": 1, "epoch": epoch})
        assert (back["recovered"], back["offset"], back["epoch"]) == (True, 3, epoch)
        assert (texts(back), offsets(back)) == (["two", "three"], [2, 3])
        live = await ann.expect("message", text="three")
        assert back["messages"] == [await ann_saw(ann, "two", back), live]


async def ann_saw(ann: Peer, text: str, back: dict[str, object]) -> object:
    """Return the message of that text as history has it."""
    page = await ann.request("history", since=0)
    messages = page["messages"]
    assert isinstance(messages, list)
    return next(message for message in messages if message["text"] == text)


async def test_who_saw_nothing_because_there_was_nothing_gets_all(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        _, joined = await enter(server, "bob")
        ann, _ = await enter(server, "ann")
        await say(ann, "one", "two")
        since = {"offset": joined["offset"], "epoch": joined["epoch"]}
        _, back = await enter(server, "bob", since=since)
        assert (back["recovered"], texts(back)) == (True, ["one", "two"])


@pytest.mark.parametrize(
    ("offset", "epoch"), [(1, "another"), (9, None), (3, ""), (0, None)], ids=str
)
async def test_all_or_nothing(tmp_path: Path, offset: int, epoch: str | None) -> None:
    """Another epoch, beyond the top, an offset of no epoch, and more than may be recovered."""
    async with kept(tmp_path, limits={"recovery_limit": 3}) as server:
        ann, _ = await enter(server, "ann")
        sent = await say(ann, "one", "two", "three", "four")
        known = sent[0]["epoch"] if epoch is None else epoch
        _, back = await enter(server, "bob", since={"offset": offset, "epoch": known})
        told = {key: back[key] for key in ("recovered", "offset", "epoch", "oldest", "more")}
        assert told == {
            "recovered": False,
            "offset": 4,
            "epoch": sent[0]["epoch"],
            "oldest": 1,
            "more": True,
        }
        assert back["messages"] == []


async def test_too_many_bytes_are_not_recovered(tmp_path: Path) -> None:
    async with kept(tmp_path, limits={"recovery_bytes": 4096}) as server:
        ann, _ = await enter(server, "ann")
        sent = await say(ann, *("x" * 1500 for _ in range(4)))
        for offset, recovered in ((0, False), (2, True)):
            since = {"offset": offset, "epoch": sent[0]["epoch"]}
            _, back = await enter(server, "bob", since=since)
            assert back["recovered"] is recovered
    async with kept(tmp_path, limits={"recovery_bytes": 4096}) as server:
        for offset, recovered in ((0, False), (2, True)):
            since = {"offset": offset, "epoch": sent[0]["epoch"]}
            _, back = await enter(server, "eve", since=since)
            assert back["recovered"] is recovered


async def test_trimmed_history_is_not_recovered(tmp_path: Path) -> None:
    rooms = [{"match": "lob*", "length": 10}]
    async with kept(tmp_path, rooms=rooms) as server:
        ann, _ = await enter(server, "ann")
        sent = await say(ann, *map(str, range(40)))
    async with kept(tmp_path, rooms=rooms) as server:
        _, back = await enter(server, "bob", since={"offset": 2, "epoch": sent[0]["epoch"]})
        assert (back["recovered"], back["offset"]) == (False, 40)
        oldest = back["oldest"]
        assert isinstance(oldest, int)
        assert 3 < oldest <= 31
        eve, again = await enter(server, "eve", since={"offset": 30, "epoch": sent[0]["epoch"]})
        assert (again["recovered"], offsets(again)) == (True, list(range(31, 41)))
        page = await eve.request("history", since=2, limit=3)
        assert offsets(page) == list(range(oldest, oldest + 3))


async def test_a_retry_over_another_connection_is_told_of_the_first(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        first = await ann.request("message", text="hello", cid="c-1")
        await ann.close()
        ann, _ = await enter(server, "ann")
        again = await ann.request("message", text="hello", cid="c-1")
        assert again["duplicate"] is True
        assert [again[key] for key in ("offset", "epoch", "timestamp", "cid")] == [
            first[key] for key in ("offset", "epoch", "timestamp", "cid")
        ]
        other = await ann.request("message", text="hello?", cid="c-1")
        assert (other["action"], other["code"]) == ("error", "conflict")
        bob, _ = await enter(server, "bob")
        theirs = await bob.request("message", text="hello?", cid="c-1")
        assert theirs["offset"] == 2


async def test_a_refused_message_is_told_also_without_an_id(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await ann.send("message", text="hello", cid="c-1")
        await ann.send("message", text="hello?", cid="c-1")
        assert (await ann.expect("error"))["code"] == "conflict"


async def test_history_is_paged_both_ways(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, *map(str, range(1, 8)))
        newest = await ann.request("history", room="lobby", limit=3)
        assert (offsets(newest), newest["more"]) == ([5, 6, 7], True)
        assert (newest["offset"], newest["oldest"]) == (7, 1)
        older = await ann.request("history", before=5, limit=3)
        assert (offsets(older), older["more"]) == ([2, 3, 4], True)
        oldest = await ann.request("history", before=2, limit=3)
        assert (offsets(oldest), oldest["more"]) == ([1], False)
        forwards = await ann.request("history", since=0, limit=5)
        assert (offsets(forwards), forwards["more"]) == ([1, 2, 3, 4, 5], True)
        rest = await ann.request("history", since=5, limit=5)
        assert (offsets(rest), rest["more"]) == ([6, 7], False)
        both = await ann.request("history", since=5, before=7)
        assert both["code"] == "bad_payload"


async def test_pages_are_cut_below_the_largest_frame(tmp_path: Path) -> None:
    async with kept(tmp_path, limits={"max_frame_out": 16384}) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, *("é" * 1500 for _ in range(12)))
        seen: list[int] = []
        more: object = True
        while more:
            page = await ann.request("history", since=len(seen), limit=1000)
            assert page["action"] == "history"
            assert offsets(page)
            seen += offsets(page)
            more = page["more"]
        assert seen == list(range(1, 13))


async def test_whatever_is_stored_can_be_read_with_its_reactions(tmp_path: Path) -> None:
    async with kept(tmp_path, limits={"max_frame_out": 65536}) as server:
        ann, _ = await enter(server, "ann")
        size = 65536
        while (sent := await ann.request("message", text="x" * size))["action"] == "error":
            assert sent["code"] == "too_large"
            size -= 128
        for emoji in ("\N{THUMBS UP SIGN}", "\N{PARTY POPPER}"):
            await ann.request("react", offset=1, emoji=emoji)
        for limit in (1, 1000):
            page = await ann.request("history", limit=limit)
            assert (offsets(page), page["more"]) == ([1], False)
        bob = await server.connect(headers={"Authorization": "Bearer bob-token"})
        joined = await bob.request("join", room="lobby", last=1)
        assert offsets(joined) == [1]


async def test_history_is_for_members_who_may_read(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        bob = await server.connect(headers={"Authorization": "Bearer bob-token"})
        assert (await bob.request("history", room="lobby"))["code"] == "not_joined"
        assert (await bob.request("history"))["code"] == "not_joined"
    async with kept(
        tmp_path, middlewares=[{"auth": {"anonymous": False, "tokens": [MUTE]}}]
    ) as server:
        ann, joined = await enter(server, "ann")
        assert joined["action"] == "joined"
        assert (await ann.request("history"))["code"] == "forbidden"
        for asked in ({"last": 3}, {"since": {"offset": 0, "epoch": ""}}):
            refused = await ann.request("join", room="lobby", **asked)
            assert refused["code"] == "forbidden"


async def test_rooms_without_a_history_say_so(tmp_path: Path) -> None:
    rooms = [{"match": "lobby", "durability": "none"}]
    async with kept(tmp_path, rooms=rooms) as server:
        ann, joined = await enter(server, "ann", since={"offset": 3, "epoch": "e"})
        assert joined["recovered"] is False
        assert "offset" not in joined
        (sent,) = await say(ann, "hello")
        assert "offset" not in sent
        page = await ann.request("history")
        assert (page["messages"], page["offset"], page["more"]) == ([], 0, False)


@pytest.mark.parametrize("restarted", [False, True])
async def test_the_newest_messages_come_with_the_join(tmp_path: Path, restarted: bool) -> None:
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, *map(str, range(1, 8)))
        if not restarted:
            _, joined = await enter(server, "bob", last=3)
    if restarted:
        async with kept(tmp_path) as server:
            _, joined = await enter(server, "bob", last=3)
    assert (offsets(joined), joined["more"], joined["oldest"]) == ([5, 6, 7], True, 1)
    assert joined["offset"] == 7


async def test_joining_again_goes_on_from_there(tmp_path: Path) -> None:
    """What was published before the second `joined` comes before it, also within a tick."""
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        for number in range(50):
            await ann.send("message", text=str(number))
            await ann.send("join", room="lobby")
        top = 0
        while top < 50:
            frame = await ann.receive()
            if frame["action"] == "message":
                top += 1
                assert frame["offset"] == top
            elif frame["action"] == "joined":
                assert frame["offset"] == top


async def follow(server: ChatServer, join: dict[str, object], last: int) -> list[int]:
    """Join, and return the offsets of what is in `joined` and what follows, up to the last."""
    eve = await server.connect(headers={"Authorization": "Bearer eve-token"})
    await eve.send("join", room="lobby", **join)
    joined = await eve.receive()
    seen = offsets(joined)
    assert not seen or seen[-1] == joined["offset"]
    top = joined["offset"]
    while top != last:
        frame = await eve.receive()
        if frame["action"] == "message":
            seen.append(int(str(frame["offset"])))
            top = frame["offset"]
    if not join:
        assert seen == list(range(int(str(joined["offset"])) + 1, last + 1))
    return seen


async def write(peers: Sequence[Peer], count: int) -> None:
    for number in range(count):
        for peer in peers:
            await peer.send("message", text=str(number))
        await asyncio.sleep(0)


async def test_who_joins_while_others_write_misses_nothing(tmp_path: Path) -> None:
    """Each kind of join, first when memory knows nothing of the room yet."""
    async with kept(tmp_path) as server:
        ann, _ = await enter(server, "ann")
        sent = await say(ann, *map(str, range(100)))
    epoch = sent[0]["epoch"]
    limits = {"recovery_limit": 3000}
    async with kept(tmp_path, limits=limits) as server:
        kinds: list[dict[str, object]] = [
            {"since": {"offset": 0, "epoch": epoch}},
            {"last": 70},
            {},
        ]
        peers = [await server.connect(headers=ANN) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            # The first to join find a room that only the store knows.
            for peer in peers:
                await peer.send("join", room="lobby")
            tasks = [group.create_task(follow(server, kind, 900)) for kind in kinds]
            for _ in range(8):
                await write(peers, 50)
                tasks += [group.create_task(follow(server, kind, 900)) for kind in kinds]
    for task in tasks[::3]:
        assert task.result() == list(range(1, 901))
    for task in tasks[1::3]:
        seen = task.result()
        assert len(seen) >= 70
        assert seen == list(range(seen[0], 901))


class FaultyPlugin(Plugin[NoConfig]):
    name = "faulty"

    async def startup(self, hub: Hub) -> None:
        raise ConfigError("out of order")


async def test_a_start_that_fails_frees_the_file(tmp_path: Path) -> None:
    config = {"server": {"data_dir": str(tmp_path)}, "broker": "embedded"}
    with pytest.raises(ConfigError, match="out of order"):
        async with ChatServer(config, plugins=[FaultyPlugin(NoConfig())]):
            pass
    async with ChatServer(config) as server:
        await server.connect("alice", "lobby")


@pytest.mark.parametrize("durability", ["full", "memory"])
async def test_a_thread_is_read_by_the_message_it_begins_with(
    tmp_path: Path, durability: str
) -> None:
    async with kept(tmp_path, rooms=[{"match": "*", "durability": durability}]) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "tea?", "it rains")
        await ann.request("message", text="yes", reply_to=1)
        await ann.request("message", text='about "reply_to":1')
        await ann.request("message", text="no", reply_to=1)
        await ann.request("edit", offset=5, text="well")
        page = await ann.request("history", thread=1)
        assert (texts(page), page["offset"], page["more"]) == (["tea?", "yes", "well"], 6, False)
        page = await ann.request("history", thread=1, limit=2)
        assert (texts(page), page["more"], page["next"]) == (["tea?", "yes"], True, 3)
        page = await ann.request("history", thread=1, since=3)
        assert texts(page) == ["well"]
        error = await ann.request("history", thread=1, before=3)
        assert (error["code"], error["field"]) == ("bad_payload", "$.before")


async def test_what_keeps_nothing_has_no_threads(tmp_path: Path) -> None:
    async with kept(tmp_path, rooms=[{"match": "*", "durability": "none"}]) as server:
        ann, _ = await enter(server, "ann")
        page = await ann.request("history", thread=1)
        assert (page["messages"], page["epoch"]) == ([], "")


class DicePlugin(Plugin[NoConfig]):
    name = "dice"

    @action("roll")
    async def roll(self, ctx: Context) -> Outcome:
        return ctx.publish(ctx.require_room(), "dice.rolled", value=6)


@pytest.mark.parametrize("durability", ["full", "memory", "none"])
async def test_a_plugin_that_returns_what_publish_does_has_it_acknowledged(
    tmp_path: Path, durability: str
) -> None:
    rooms = [{"match": "*", "durability": durability}]
    config = {"server": {"data_dir": str(tmp_path)}, "broker": "embedded", "rooms": rooms}
    async with ChatServer(config, plugins=[DicePlugin(NoConfig())]) as server:
        ann = await server.connect("ann", "lobby")
        sent = await ann.request("roll")
        rolled = await ann.expect("dice.rolled", value=6)
        assert (sent["action"], sent["room"]) == ("sent", "lobby")
        assert sent.get("offset") == rolled.get("offset") == (None if durability == "none" else 1)
        await ann.send("roll")
        await ann.expect("dice.rolled", value=6)
        await ann.silent()


async def test_a_message_without_an_id_that_is_refused_at_once_is_answered(tmp_path: Path) -> None:
    rooms = [{"match": "*", "durability": "memory"}]
    async with kept(tmp_path, rooms=rooms, store={"max_rooms": 1}) as server:
        ann, _ = await enter(server, "ann")
        await say(ann, "first")
        await ann.request("join", room="tea")
        await ann.send("message", text="one too many")
        await ann.expect("error", code="unavailable")
