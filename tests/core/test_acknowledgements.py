"""Outcomes are settled in the order of their messages, whatever order they arrive in."""

import asyncio

import pytest

from chatserver.acknowledgements import Acknowledgements
from chatserver.context import Awaited
from chatserver.envelope import Envelope, parse
from chatserver.errors import ActionError
from chatserver.pending import Pending
from chatserver.session import Place, Reply

PLACE = ("ann", "lobby")


class Desk:
    """Settle by writing down what came of each message."""

    def __init__(self, most: int = 3) -> None:
        self.settled: list[tuple[object, str | None]] = []
        self.foreseen: set[object] = set()
        self.queue = Acknowledgements(self._settle, self._foresee, most)
        self.full = False
        self._count = 0

    def later(self) -> "asyncio.Future[Reply | None]":
        """Add a message whose outcome is still on its way."""
        future: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self.full = self.queue.add(self.next(), Pending(future), PLACE)
        return future

    def now(self) -> None:
        """Add a message whose outcome is there."""
        self.full = self.queue.add(self.next(), Pending.done(Reply("now")), PLACE)

    def next(self) -> Envelope:
        self._count += 1
        return parse(f'{{"action": "x", "id": {self._count}}}')

    def _foresee(self, envelope: Envelope, outcome: Awaited, place: Place) -> None:
        assert outcome.is_done
        assert place is PLACE
        self.foreseen.add(envelope.id)

    def _settle(self, envelope: Envelope, outcome: Awaited, place: Place) -> None:
        try:
            reply = outcome.result()
        except ActionError as error:
            self.settled.append((envelope.id, error.code))
        else:
            told = reply.action if isinstance(reply, Reply) else None
            self.settled.append((envelope.id, told))


async def turn() -> None:
    """Let callbacks that are due run."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_an_outcome_that_is_there_is_settled_at_once() -> None:
    desk = Desk()
    desk.now()
    assert desk.settled == [(1, "now")]


async def test_the_first_unfinished_outcome_holds_back_the_later_ones() -> None:
    desk = Desk(most=10)
    first, second = desk.later(), desk.later()
    desk.now()
    second.set_result(Reply("second"))
    await turn()
    assert desk.settled == []
    first.set_result(Reply("first"))
    await turn()
    assert desk.settled == [(1, "first"), (2, "second"), (3, "now")]


async def test_each_outcome_is_settled_once() -> None:
    desk = Desk(most=100)
    futures = [desk.later() for _ in range(50)]
    for index in [*range(1, 50, 2), *range(0, 50, 2)]:
        futures[index].set_result(Reply(str(index)))
        await turn()
    assert desk.settled == [(index + 1, str(index)) for index in range(50)]


async def test_what_is_there_before_its_turn_is_foreseen() -> None:
    desk = Desk(most=10)
    first, second, third, fourth = (desk.later() for _ in range(4))
    first.set_result(None)
    second.set_result(None)
    await turn()
    assert desk.foreseen == set()
    fourth.set_exception(ActionError("unavailable", "The disk is full"))
    await turn()
    assert (desk.settled, desk.foreseen) == ([(1, None), (2, None)], {4})
    third.set_result(None)
    await turn()
    desk.now()
    assert [number for number, _ in desk.settled] == [1, 2, 3, 4, 5]


async def test_a_refusal_at_once_is_foreseen_at_once() -> None:
    desk = Desk()
    desk.later()
    refused: Pending[Reply | None] = Pending()
    refused.fail(ActionError("unavailable", "Too many are waiting"))
    desk.queue.add(desk.next(), refused, PLACE)
    assert desk.foreseen == {2}


async def test_failures_and_silence_keep_their_place() -> None:
    desk = Desk()
    failed, silent = desk.later(), desk.later()
    desk.now()
    silent.set_result(None)
    failed.set_exception(ActionError("unavailable", "The disk is full"))
    await turn()
    assert desk.settled == [(1, "unavailable"), (2, None), (3, "now")]


async def test_reading_goes_on_when_there_is_room_again() -> None:
    desk = Desk(most=2)
    first = desk.later()
    await desk.queue.room()
    before = desk.full
    desk.later()
    assert (before, desk.full) == (False, True)
    waiting = asyncio.create_task(desk.queue.room())
    await turn()
    assert not waiting.done()
    first.set_result(None)
    async with asyncio.timeout(20):
        await waiting
    desk.now()
    assert desk.full, "what is there already waits behind what is not"


async def test_an_outcome_behind_an_unfinished_one_makes_no_room() -> None:
    desk = Desk(most=2)
    first, second = desk.later(), desk.later()
    waiting = asyncio.create_task(desk.queue.room())
    second.set_result(None)
    await turn()
    assert not waiting.done()
    first.set_result(None)
    async with asyncio.timeout(20):
        await waiting


async def test_waiting_for_all_outlasts_each() -> None:
    desk = Desk()
    async with asyncio.timeout(20):
        await desk.queue.empty()
    first, second = desk.later(), desk.later()
    waiting = asyncio.create_task(desk.queue.empty())
    first.set_result(None)
    await turn()
    assert not waiting.done()
    second.set_exception(ActionError("unavailable", "The disk is full"))
    async with asyncio.timeout(20):
        await waiting
    assert [code for _, code in desk.settled] == [None, "unavailable"]


async def test_waiting_may_be_given_up() -> None:
    desk = Desk(most=1)
    outcome = desk.later()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await desk.queue.room()
    outcome.set_result(Reply("late"))
    await turn()
    assert desk.settled == [(1, "late")]
