"""What a client sends behind a refused message does not overtake it."""

import json
from collections import defaultdict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.errors import ActionError, ErrorCode
from chatserver.latch import MOST, Latch

BUSY = ActionError(ErrorCode.UNAVAILABLE, "Not now", retry_after=1)
FULL = ActionError(ErrorCode.UNAVAILABLE, "Not yet")


def message(cid: str | None = None, room: str | None = None, **fields: object) -> str:
    named = {"cid": cid, "room": room}
    given = {name: value for name, value in named.items() if value is not None}
    return json.dumps({"action": "message", **given, **fields})


def passes(latch: Latch, raw: str, last_room: str | None = "lobby", *, user: str = "ann") -> bool:
    try:
        latch.check(raw, (user, last_room))
    except ActionError as error:
        return error not in (BUSY, FULL)
    return True


def test_what_follows_gets_the_same_refusal_until_the_first_comes_again() -> None:
    latch = Latch()
    assert not latch
    latch.refused(message("1", "lobby"), ("ann", None), BUSY)
    latch.refused(message("2", "lobby"), ("ann", None), FULL)
    assert latch
    with pytest.raises(ActionError) as caught:
        latch.check(message("3", "lobby"), ("ann", None))
    assert caught.value is BUSY
    assert not passes(latch, message("2", "lobby"))
    assert passes(latch, message("1", "lobby"))
    assert passes(latch, message("2", "lobby"))
    assert not latch


def test_rooms_are_held_each_by_itself() -> None:
    latch = Latch()
    latch.refused(message("1"), ("ann", "lobby"), BUSY)
    assert not passes(latch, message("2", "lobby"), "tea")
    assert not passes(latch, message("2"), "lobby")
    assert passes(latch, message("2"), "tea")
    assert passes(latch, message("2", "tea"), "lobby")


def test_direct_messages_are_held_by_whom_they_go_to() -> None:
    latch = Latch()
    to_bob, again, to_eve = (
        json.dumps({"action": "direct", "to": to, "cid": cid})
        for to, cid in (("bob", "1"), ("bob", "2"), ("eve", "3"))
    )
    latch.refused(to_bob, ("ann", None), BUSY)
    assert not passes(latch, again)
    assert not passes(latch, again.replace("action", "type"), None)
    assert passes(latch, to_eve)
    assert passes(latch, message("4", to="bob"))
    assert not passes(latch, message("5", "dm:ann:bob")), "the same room by its name"
    assert passes(latch, to_bob)
    assert passes(latch, again)


@pytest.mark.parametrize(
    "raw",
    [
        message(),
        message(text='"cid"'),
        '{"cid": 5}',
        '{"cid": "2"',
        '["cid"]',
        "cid",
        '{"cid":null}',
    ],
)
def test_what_has_no_cid_is_not_held(raw: str) -> None:
    latch = Latch()
    latch.refused(raw, ("ann", "lobby"), BUSY)
    assert not latch
    latch.refused(message("1"), ("ann", "lobby"), BUSY)
    assert passes(latch, raw)


def test_each_user_of_a_connection_is_held_by_itself() -> None:
    latch = Latch()
    latch.refused(message("1"), ("guest", "lobby"), BUSY)
    assert passes(latch, message("2"))
    assert not passes(latch, message("2"), user="guest")


@pytest.mark.parametrize("word", ["action", "type"])
def test_a_delete_neither_waits_nor_is_waited_for(word: str) -> None:
    latch = Latch()
    delete = json.dumps({word: "delete", "room": "lobby", "offset": 1, "cid": "d"})
    latch.refused(delete, ("ann", None), BUSY)
    assert not latch
    latch.refused(message("1"), ("ann", "lobby"), BUSY)
    assert passes(latch, delete)


def test_without_a_room_there_is_nothing_to_hold() -> None:
    latch = Latch()
    latch.refused(message("1"), ("ann", None), BUSY)
    assert not latch


def test_a_message_that_was_let_pass_comes_before_those_that_were_not() -> None:
    latch = Latch()
    latch.refused(message("2"), ("ann", "lobby"), BUSY)
    latch.refused(message("1"), ("ann", "lobby"), FULL, late=True)
    latch.refused(message("1a"), ("ann", "lobby"), BUSY, late=True)
    assert not passes(latch, message("2"))
    assert passes(latch, message("1"))


def test_a_message_refused_at_once_stays_behind_those_on_their_way() -> None:
    latch = Latch()
    latch.refused(message("2"), ("ann", "lobby"), BUSY)
    latch.refused(message("2"), ("ann", "lobby"), BUSY, late=True)
    latch.refused(message("1"), ("ann", "lobby"), FULL, late=True)
    assert not passes(latch, message("2"))
    assert passes(latch, message("1"))


def test_the_oldest_of_too_many_rooms_is_let_go() -> None:
    latch = Latch()
    for number in range(MOST + 1):
        latch.refused(message("1", str(number)), ("ann", None), BUSY)
    assert passes(latch, message("2", "0"))
    assert not passes(latch, message("2", "1"))


class Stream:
    """A client that never waits, and a server that refuses at the door and, later, in its store."""

    def __init__(self) -> None:
        self.latch = Latch()
        self.stored: dict[str, list[int]] = defaultdict(list)
        self.refused: dict[str, set[int]] = defaultdict(set)
        self._sent: dict[str, int] = defaultdict(int)
        self._flight: list[tuple[str, int]] = []

    def say(self, room: str, door: bool) -> None:
        """Send the next message to a room, whatever became of those before."""
        self._send(room, self._sent[room], door)
        self._sent[room] += 1

    def again(self, room: str, door: bool) -> None:
        """Send all refused messages of a room again, in their order."""
        for number in sorted(self.refused[room]):
            self.refused[room].discard(number)
            self._send(room, number, door)

    def settle(self, room: str, stores: bool) -> None:
        """Store what has been longest on its way, or refuse it and what its room has behind it."""
        if not self._flight:
            return
        if stores:
            where, number = self._flight.pop(0)
            self.stored[where].append(number)
            return
        where = self._flight[0][0]
        for refused in [each for each in self._flight if each[0] == where]:
            self._flight.remove(refused)
            self._refuse(*refused, late=True)

    def _send(self, room: str, number: int, door: bool) -> None:
        if not door:
            self._refuse(room, number, late=False)
        elif passes(self.latch, message(str(number), room)):
            self._flight.append((room, number))
        else:
            self._refuse(room, number, late=False)

    def _refuse(self, room: str, number: int, *, late: bool) -> None:
        self.refused[room].add(number)
        self.latch.refused(message(str(number), room), ("ann", None), BUSY, late=late)


@given(st.integers(0, 2**32))
def test_whatever_is_refused_nothing_is_stored_out_of_turn(seed: int) -> None:
    chance = Random(seed)
    stream = Stream()
    for _ in range(100):
        step = chance.choice([Stream.say, Stream.again, Stream.settle])
        step(stream, chance.choice(["lobby", "tea"]), chance.random() < 0.6)
        for stored in stream.stored.values():
            assert stored == list(range(len(stored)))


def test_a_refusal_given_many_times_keeps_nothing_of_the_messages() -> None:
    latch = Latch()
    error = ActionError(ErrorCode.UNAVAILABLE, "Not now")
    latch.refused(message("1", "lobby"), ("ann", None), error)
    depths = set()
    for number in range(20):
        with pytest.raises(ActionError) as caught:
            latch.check(message(str(number + 2), "lobby"), ("ann", None))
        depths.add(len(caught.traceback))
    assert len(depths) == 1


@pytest.mark.parametrize("fields", [{"cid": "c" * 65}, {"cid": "c", "room": "r" * 5000}])
def test_what_is_too_long_to_be_a_message_is_not_held(fields: dict[str, str]) -> None:
    latch = Latch()
    latch.refused(json.dumps({"action": "message", **fields}), ("ann", "lobby"), BUSY)
    assert not latch
