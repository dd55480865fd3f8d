"""Outcomes that are there, come later, fail or are given up."""

import asyncio
import traceback

import pytest

from chatserver.errors import ActionError
from chatserver.pending import Pending, settle_all


def future() -> "asyncio.Future[int]":
    return asyncio.get_running_loop().create_future()


def test_an_outcome_that_is_there_needs_no_loop() -> None:
    pending = Pending.done(3)
    called: list[int] = []
    pending.when_done(lambda: called.append(pending.result()))
    assert pending.is_done
    assert called == [3]
    assert pending.then(str).result() == "3"
    with pytest.raises(StopIteration) as stop:
        next(pending.__await__())
    assert stop.value.value == 3


async def test_awaiting_an_outcome_that_is_there_does_not_give_way() -> None:
    source = future()
    source.set_result(5)
    seen: list[str] = []
    asyncio.get_running_loop().call_soon(seen.append, "another's turn")
    assert await Pending.done(4) == 4
    assert await Pending(source) == 5
    assert seen == []


async def test_an_outcome_that_comes_later_is_awaited() -> None:
    source = future()
    pending = Pending(source)
    before = pending.is_done
    asyncio.get_running_loop().call_soon(source.set_result, 7)
    assert await pending == 7
    assert (before, pending.is_done) == (False, True)
    assert pending.result() == 7


async def test_several_may_wait_for_one_outcome() -> None:
    source = future()
    pending = Pending(source)

    async def wait() -> int:
        return await pending

    tasks = [asyncio.create_task(wait()) for _ in range(3)]
    asyncio.get_running_loop().call_soon(source.set_result, 7)
    assert await asyncio.gather(*tasks) == [7, 7, 7]


async def test_a_failure_is_raised_where_the_outcome_is_asked_for() -> None:
    source = future()
    pending = Pending(source)
    source.set_exception(ActionError("unavailable", "The disk is full"))
    with pytest.raises(ActionError):
        await pending
    assert pending.is_done
    with pytest.raises(ActionError):
        pending.result()


def traces(error: BaseException) -> int:
    return len(list(traceback.walk_tb(error.__traceback__)))


def test_an_error_that_answers_many_does_not_grow() -> None:
    error = ActionError("conflict", "This cid was used")
    lengths = set()
    for _ in range(3):
        pending: Pending[int] = Pending()
        pending.fail(error)
        with pytest.raises(ActionError) as caught:
            pending.then(str).result()
        lengths.add(traces(caught.value))
    assert len(lengths) == 1


def test_a_mistake_in_a_change_shows_where_it_was_made() -> None:
    pending: Pending[int] = Pending()
    changed = pending.then(lambda value: 1 // value).then(str)
    settle_all([(pending, 0)])
    with pytest.raises(ZeroDivisionError) as caught:
        changed.result()
    assert "1 // value" in str(caught.traceback[-1])


def test_callers_are_told_at_once_and_one_that_fails_does_not_harm_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing() -> None:
        raise RuntimeError("no")

    pending: Pending[int] = Pending()
    told: list[int] = []
    pending.when_done(failing)
    pending.when_done(lambda: told.append(pending.result()))
    settle_all([(pending, 3)])
    assert told == [3]
    assert "failing" in caplog.text


async def test_who_gives_up_waiting_does_not_take_the_outcome_from_others() -> None:
    pending: Pending[int] = Pending()

    async def wait() -> int:
        return await pending

    impatient, patient = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    settle_all([(pending, 5)])
    assert await patient == 5


async def test_an_outcome_is_changed_once_it_is_there() -> None:
    source = future()
    changed = Pending(source).then(lambda value: value * 2).then(str)
    assert not changed.is_done
    source.set_result(4)
    assert await changed == "8"


async def test_a_failure_passes_through_a_change() -> None:
    source = future()
    asked: list[int] = []
    changed = Pending(source).then(asked.append)
    source.set_exception(ActionError("unavailable", "The disk is full"))
    with pytest.raises(ActionError, match="unavailable"):
        await changed
    assert asked == []


async def test_a_change_that_fails_is_the_outcome() -> None:
    source = future()
    changed = Pending(source).then(lambda value: 1 // value)
    source.set_result(0)
    with pytest.raises(ZeroDivisionError):
        await changed


async def test_a_cancelled_outcome_cancels_what_was_made_of_it() -> None:
    source = future()
    changed = Pending(source).then(str)
    source.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changed
    assert changed.is_done


async def test_nobody_minds_an_outcome_for_a_reader_who_gave_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = future()
    changed = Pending(source).then(str)

    async def wait() -> str:
        return await changed

    reader = asyncio.create_task(wait())
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    source.set_result(1)
    await asyncio.sleep(0)
    assert changed.is_done
    assert caplog.records == []


async def test_callers_are_told_in_the_order_they_asked() -> None:
    source = future()
    pending = Pending(source)
    order: asyncio.Queue[str] = asyncio.Queue()
    pending.when_done(lambda: order.put_nowait("first"))
    pending.then(str).when_done(lambda: order.put_nowait("changed"))
    pending.when_done(lambda: order.put_nowait("second"))
    assert order.empty()
    source.set_result(1)
    async with asyncio.timeout(20):
        assert [await order.get() for _ in range(3)] == ["first", "changed", "second"]


async def test_callers_are_told_of_failures_too() -> None:
    source = future()
    pending = Pending(source)
    told = asyncio.Event()
    pending.when_done(told.set)
    source.set_exception(ActionError("unavailable", "The disk is full"))
    async with asyncio.timeout(20):
        await told.wait()
    assert pending.is_done


def test_who_waits_for_several_is_called_once_when_all_are_there() -> None:
    pendings: list[Pending[int]] = [Pending() for _ in range(4)]
    refused = ActionError("unavailable", "The disk is full")
    calls: list[list[bool]] = []

    def call() -> None:
        calls.append([each.is_done for each in pendings])

    changed = pendings[1].then(str)
    for each in (pendings[0], changed, pendings[2]):
        each.when_done(call)
    outcomes: list[int | ActionError] = [1, 2, refused, 4]
    settle_all(zip(pendings, outcomes, strict=True))
    assert calls == [[True] * 4]
    assert (pendings[0].result(), changed.result(), pendings[3].result()) == (1, "2", 4)
    assert pendings[2].error is refused


def test_who_cannot_be_known_again_cannot_wait() -> None:
    class Unknown:
        __hash__ = None  # type: ignore[assignment]  # as a dataclass that compares has it

        def __call__(self) -> None:
            raise AssertionError

    pending: Pending[int] = Pending()
    with pytest.raises(TypeError):
        pending.when_done(Unknown())
    settle_all([(pending, 3)])
    assert pending.result() == 3


def test_an_error_that_a_change_returns_is_the_outcome_whenever_it_comes() -> None:
    refused = ActionError("unavailable", "The disk is full")
    later: Pending[int] = Pending()
    changed = later.then(lambda _: refused)
    settle_all([(later, 3)])
    for each in (changed, later.then(lambda _: refused)):
        assert each.is_done
        with pytest.raises(ActionError, match="unavailable"):
            each.result()
