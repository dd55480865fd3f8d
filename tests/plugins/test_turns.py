"""Whoever reads much does not keep the others from reading."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from chatserver_plugins.turns import MOST_WAITING, Turns

from chatserver import ActionError, Identity, Pending, Session
from chatserver.pending import settle_all
from chatserver.store.sqlite import SqliteStore
from tests.e2e.test_history import enter, kept, say

P = ParamSpec("P")
T = TypeVar("T")


class Held:
    """Hold back what a store finds."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[object, ...]] = asyncio.Queue()
        self.go_on = asyncio.Event()

    def back(self, read: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        async def held(*given: P.args, **named: P.kwargs) -> T:
            self.asked.put_nowait(given[1:])
            await self.go_on.wait()
            return await read(*given, **named)

        return held

    async def next(self) -> tuple[object, ...]:
        return await asyncio.wait_for(self.asked.get(), 20)


async def test_the_reads_of_others_come_between_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(SqliteStore, "thread", held.back(SqliteStore.thread))
    async with kept(tmp_path) as server:
        (ann, _), (bob, _) = [await enter(server, user) for user in ("ann", "bob")]
        await say(ann, "one", "two", "three")
        for _ in range(5):
            await ann.send("history", thread=1)
        await ann.send("history", thread=3)
        await bob.send("history", thread=2)
        assert {(await held.next())[1] for _ in range(2)} == {1, 2}
        assert held.asked.empty(), "the rest of hers waits"
        held.go_on.set()
        assert (await bob.expect("history"))["messages"]
        answers = [await ann.expect("history") for _ in range(6)]
        assert answers[0] == answers[4]
        assert answers[5] != answers[4]


async def test_the_searches_of_others_come_between_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(SqliteStore, "search", held.back(SqliteStore.search))
    async with kept(tmp_path) as server:
        (ann, _), (bob, _) = [await enter(server, user) for user in ("ann", "bob")]
        await say(ann, "hello")
        for _ in range(40):
            await ann.send("search", text="something rare", room="lobby")
        await bob.send("search", text="hello", room="lobby")
        assert {(await held.next())[1] for _ in range(2)} == {"something rare", "hello"}
        assert held.asked.empty()
        held.go_on.set()
        assert (await bob.expect("search"))["results"]
        for _ in range(40):
            assert (await ann.expect("search"))["results"] == []


@pytest.mark.parametrize(
    ("action", "asked"),
    [("history", {"since": 0}), ("reactions", {"offset": 1}), ("search", {"text": "secret"})],
)
async def test_who_has_left_reads_nothing_of_what_is_said_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, asked: dict[str, object]
) -> None:
    held = Held()
    for read in ("thread", "reactions", "search"):
        monkeypatch.setattr(SqliteStore, read, held.back(getattr(SqliteStore, read)))
    async with kept(tmp_path) as server:
        (ann, _), (bob, _) = [await enter(server, user) for user in ("ann", "bob")]
        await say(ann, "one")
        first = {"history": {"thread": 1}}.get(action, asked)
        await ann.send(action, id=1, **first)
        await held.next()
        await ann.send(action, id=2, **asked)
        await ann.send("leave", id=3)
        while "ann" in str(await bob.request("members")):
            pass
        assert (await bob.request("message", text="the secret"))["action"] == "sent"
        held.go_on.set()
        assert (await ann.expect(action))["id"] == 1
        answer = await ann.receive()
        assert answer["id"] == 2
        assert answer.get("code") == "not_joined" or answer.get("results") == []


async def test_who_asks_for_reactions_waits_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(SqliteStore, "reactions", held.back(SqliteStore.reactions))
    async with kept(tmp_path) as server:
        (ann, _), (bob, _) = [await enter(server, user) for user in ("ann", "bob")]
        await say(ann, "one", "two")
        for _ in range(5):
            await ann.send("reactions", offset=1)
        await bob.send("reactions", offset=2)
        assert {await held.next() for _ in range(2)} == {("lobby", 1), ("lobby", 2)}
        assert held.asked.empty()
        held.go_on.set()
        assert (await bob.expect("reactions"))["offset"] == 2
        for _ in range(5):
            assert (await ann.expect("reactions"))["offset"] == 1


@pytest.mark.parametrize("action", ["join", "rooms"])
async def test_the_connections_of_one_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    held = Held()
    async with kept(tmp_path) as server:
        anns = [(await enter(server, "ann"))[0] for _ in range(5)]
        bob, _ = await enter(server, "bob")
        for read in ("read_before", "direct_rooms"):
            monkeypatch.setattr(SqliteStore, read, held.back(getattr(SqliteStore, read)))
        for number, each in enumerate((*anns, bob)):
            asked = {"room": f"room-{number}"} if action == "join" else {}
            await each.send(action, **asked)
        for _ in range(2):
            await held.next()
        # What was sent before this is asked is handled by then.
        assert (await server.http.get("/readyz")).ok
        assert held.asked.empty(), "the others of ann's wait"
        held.go_on.set()
        for each in (bob, *anns):
            await each.expect({"join": "joined"}.get(action, action))


async def test_who_goes_while_waiting_leaves_the_turn_to_the_next() -> None:
    turns, ann = Turns(), connected("ann")
    reached: list[int] = []

    async def wait(number: int) -> None:
        async with turns.turn(ann):
            reached.append(number)
            await asyncio.sleep(0)

    async with asyncio.timeout(5):
        async with turns.turn(ann):
            waiting = [asyncio.create_task(wait(number)) for number in range(4)]
            await asyncio.sleep(0)
            waiting[1].cancel()
            await asyncio.wait(waiting[1:2])
            await asyncio.sleep(0)
            assert not reached, "it had no turn to pass on"
        # Its turn has come, and it has not gone on yet.
        waiting[0].cancel()
        await asyncio.wait(waiting)
        assert reached == [2, 3]
        async with turns.turn(ann):
            pass


class Asker:
    """Ask for what somebody else brings.

    Attributes:
        begun: What is being read, in the order of beginning.
    """

    def __init__(self) -> None:
        self.turns = Turns()
        self.begun: asyncio.Queue[Pending[str]] = asyncio.Queue()

    def take(self, session: Session) -> Pending[str]:
        return self.turns.take(session, self._read)

    async def next(self) -> Pending[str]:
        return await asyncio.wait_for(self.begun.get(), 20)

    def _read(self) -> Pending[str]:
        pending: Pending[str] = Pending()
        self.begun.put_nowait(pending)
        return pending


def connected(user: str) -> Session:
    session = Session(f"c-{user}", Identity(user=user), "")
    session.user.sessions[session] = None
    return session


async def settled(pending: Pending[str]) -> str:
    return await asyncio.wait_for(pending, 20)


async def test_what_is_there_at_once_is_answered_at_once() -> None:
    turns, ann = Turns(), connected("ann")
    for _ in range(2):
        assert turns.take(ann, lambda: Pending.done("read")).result() == "read"


async def test_one_that_fails_does_not_stand_in_the_way_of_the_next() -> None:
    asker, ann = Asker(), connected("ann")
    outcomes = [asker.take(ann) for _ in range(3)]
    for each in outcomes[:2]:
        (await asker.next()).fail(ActionError("unavailable", "the disk"))
        with pytest.raises(ActionError, match="the disk"):
            await settled(each)
    settle_all([(await asker.next(), "read")])
    assert await settled(outcomes[2]) == "read"
    asker.take(ann)
    assert asker.begun.qsize() == 1, "nobody is waited for any longer"


async def test_too_many_of_one_are_refused_and_those_of_others_are_not() -> None:
    asker, ann, bob = Asker(), connected("ann"), connected("bob")
    for _ in range(1 + MOST_WAITING):
        asker.take(ann)
    with pytest.raises(ActionError, match="wait for the answers") as caught:
        asker.take(ann)
    assert (caught.value.code, caught.value.retry_after) == ("unavailable", 1)
    asker.take(bob)
    assert asker.begun.qsize() == 2


async def test_nothing_is_read_for_a_connection_that_is_gone() -> None:
    asker, ann = Asker(), connected("ann")
    outcomes = [asker.take(ann) for _ in range(5)]
    ann.user.sessions.clear()
    settle_all([(await asker.next(), "read")])
    for each in outcomes[1:]:
        with pytest.raises(ActionError, match="gone"):
            await settled(each)
    assert asker.begun.empty()
