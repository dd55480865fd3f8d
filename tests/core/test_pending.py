"""Outcomes that are there, come later, fail or are given up."""

import asyncio

import pytest

from chatserver.errors import ActionError
from chatserver.pending import Pending


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
    assert pending.is_done
    with pytest.raises(ActionError):
        pending.result()
    with pytest.raises(ActionError):
        await pending


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
    async with asyncio.timeout(5):
        assert [await order.get() for _ in range(3)] == ["first", "second", "changed"]


async def test_callers_are_told_of_failures_too() -> None:
    source = future()
    pending = Pending(source)
    told = asyncio.Event()
    pending.when_done(told.set)
    source.set_exception(ActionError("unavailable", "The disk is full"))
    async with asyncio.timeout(5):
        await told.wait()
    assert pending.is_done
