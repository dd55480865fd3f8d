"""What waits for a store waits as long as something comes back from it."""

import asyncio

import pytest

from chatserver.broker import line
from chatserver.broker.line import SETTLING, Line
from chatserver.store.memory import MemoryStore


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [100.0]
    monkeypatch.setattr(line, "monotonic", lambda: clock[0])
    return clock


async def begun(room: Line) -> "asyncio.Task[None]":
    """Wait for news, and let what is to end at once end."""
    waiting = asyncio.create_task(room.news())
    ticked = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.0, ticked.set_result, None)
    await ticked
    await asyncio.sleep(0)
    return waiting


async def test_who_waits_hears_of_what_comes_back(clock: list[float]) -> None:
    room = Line(MemoryStore())
    waiting = await begun(room)
    assert not waiting.done()
    room.tell()
    await asyncio.wait_for(waiting, 10)


async def test_nobody_waits_for_a_store_from_which_nothing_comes_back(clock: list[float]) -> None:
    room = Line(MemoryStore())
    clock[0] += SETTLING
    assert (await begun(room)).done()


async def test_it_is_counted_from_when_something_came_back_last(clock: list[float]) -> None:
    room = Line(MemoryStore())
    clock[0] += SETTLING
    room.tell()
    clock[0] += SETTLING / 2
    waiting = await begun(room)
    assert not waiting.done()
    room.tell()
    await asyncio.wait_for(waiting, 10)
