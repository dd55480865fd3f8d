import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.client import ActionError, OutboxFullError
from chatserver.client.outbox import WINDOW, Letter, Outbox

UNAVAILABLE = ActionError("unavailable", "The disk is full", retry_after=2)
RATE_LIMITED = ActionError("rate_limited", "You are sending too fast", retry_after=3)
DRAINING = ActionError("draining", "The server is shutting down")


def letters(count: int, room: str = "lobby", first: int = 1) -> list[Letter]:
    return [Letter(n, room, f"c-{n}", f"text {n}") for n in range(first, first + count)]


def outbox(*given: Letter, capacity: int = 1000) -> Outbox:
    box = Outbox(capacity)
    for letter in given:
        box.add(letter)
    return box


def take(box: Outbox, now: float = 0) -> list[int]:
    """Take all that may be sent now, by number."""
    taken = []
    while (letter := box.take(now)) is not None:
        taken.append(letter.number)
    return taken


def test_messages_go_out_in_order_once() -> None:
    box = outbox(*letters(3))
    assert take(box) == [1, 2, 3]
    assert take(box) == []
    assert len(box) == 3


def test_what_is_settled_is_forgotten() -> None:
    first, second = letters(2)
    box = outbox(first, second)
    take(box)
    box.settle(first)
    box.settle(first)
    box.lose()
    assert take(box) == [2]
    box.settle(second)
    assert (len(box), box.letters()) == (0, [])


def test_one_too_many_is_refused_by_name() -> None:
    *few, last = letters(3)
    box = outbox(*few, capacity=2)
    with pytest.raises(OutboxFullError, match="2 messages wait"):
        box.add(last)
    box.settle(few[0])
    box.add(last)
    assert take(box) == [2, 3]


def test_no_more_are_in_flight_than_the_server_allows() -> None:
    given = letters(WINDOW + 10)
    box = outbox(*given)
    assert len(take(box)) == WINDOW
    box.settle(given[0])
    assert take(box) == [WINDOW + 1]
    box = outbox(*given)
    box.allow(2)
    assert take(box) == [1, 2]


def test_a_lost_connection_sends_again_in_order_before_what_came_later() -> None:
    first, second, third = letters(3)
    box = outbox(first, second)
    take(box)
    box.lose()
    box.add(third)
    assert (first.sent, second.sent, third.sent) == (0, 0, None)
    assert take(box) == [1, 2, 3]


def test_a_shut_room_waits_and_no_other() -> None:
    box = outbox(*letters(1), *letters(1, "other", 2))
    box.shut("lobby")
    assert take(box) == [2]
    box.open("lobby")
    assert take(box) == [1]


class TestRefusals:
    def test_the_wait_is_kept_and_other_rooms_go_on(self) -> None:
        first, other = letters(1)[0], letters(1, "other", 2)[0]
        box = outbox(first)
        take(box)
        box.refuse(first, UNAVAILABLE, 10)
        box.add(other)
        assert take(box, 11.9) == [2]
        assert box.next_time(11.9) == 12
        assert take(box, 12) == [1]
        assert box.next_time(12) is None

    def test_those_refused_behind_it_follow_it_again(self) -> None:
        given = letters(3)
        box = outbox(*given)
        take(box)
        for letter in given:
            box.refuse(letter, UNAVAILABLE, 0)
        assert take(box, 5) == [1, 2, 3]

    def test_it_waits_for_those_still_in_flight_behind_it(self) -> None:
        first, second, third = letters(3)
        box = outbox(first, second, third)
        take(box)
        box.refuse(first, UNAVAILABLE, 0)
        box.settle(second)
        assert take(box, 5) == []
        box.refuse(third, UNAVAILABLE, 5)
        assert take(box, 7) == [1, 3]

    def test_a_rate_limit_holds_all_rooms_and_sets_the_pace(self) -> None:
        given = letters(6)
        box = outbox(*given, *letters(1, "other", 7))
        take(box)
        for letter in given:
            box.refuse(letter, RATE_LIMITED, 0)
        box.lose()
        assert take(box, 2.9) == []
        assert box.next_time(2.9) == 3
        assert take(box, 3) == [1]
        box.settle(given[0])
        assert take(box, 6.7) == []
        assert box.next_time(6.7) == 6.75
        assert take(box, 6.75) == [2]

    def test_a_draining_server_is_left_alone_until_it_is_gone(self) -> None:
        given = letters(1)
        box = outbox(*given)
        take(box)
        box.refuse(given[0], DRAINING, 0)
        assert take(box, 1e9) == []
        assert box.next_time(0) is None
        box.lose()
        assert take(box, 0) == [1]

    def test_without_a_wait_one_is_assumed(self) -> None:
        given = letters(1)
        box = outbox(*given)
        take(box)
        box.refuse(given[0], ActionError("timeout", ""), 0)
        assert (take(box, 0.9), take(box, 1)) == ([], [1])


class Server:
    """Stores messages once by `cid`, refuses some, and the later ones of a room behind these."""

    def __init__(self, chance: random.Random) -> None:
        self.stored: dict[str, list[int]] = {}
        self._chance = chance
        self._refused: dict[str, int] = {}

    def takes(self, letter: Letter) -> bool:
        blocked = self._refused.get(letter.room)
        known = letter.number in self.stored.setdefault(letter.room, [])
        if blocked not in (None, letter.number) or (not known and self._chance.random() < 0.2):
            self._refused.setdefault(letter.room, letter.number)
            return False
        self._refused.pop(letter.room, None)
        if not known:
            self.stored[letter.room].append(letter.number)
        return True


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_whatever_happens_rooms_are_stored_in_order(seed: int, count: int) -> None:
    """Replies come late, connections break, messages are refused: each is stored once, in order."""
    chance = random.Random(seed)
    box, server, now = Outbox(1000), Server(chance), 0.0
    box.allow(8)
    unsent = deque(Letter(n, chance.choice("abc"), f"c-{n}", "") for n in range(count))
    answers: deque[tuple[Letter, bool]] = deque()
    while unsent or len(box):
        now += 0.1
        what = chance.random()
        if unsent and what < 0.4:
            box.add(unsent.popleft())
        if (letter := box.take(now)) is not None:
            answers.append((letter, server.takes(letter)))
        if answers and what > 0.5:
            letter, stored = answers.popleft()
            if stored:
                box.settle(letter)
            else:
                code = chance.choice(["unavailable", "rate_limited", "timeout"])
                box.refuse(letter, ActionError(code, "", retry_after=0.5), now)
        if what < 0.03:
            answers.clear()
            server._refused.clear()
            box.lose()
    assert sum(map(len, server.stored.values())) == count
    for numbers in server.stored.values():
        assert numbers == sorted(numbers)
