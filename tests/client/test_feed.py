import asyncio

import pytest

from chatserver.client.feed import Feed


async def test_what_is_queued_is_read_before_the_end() -> None:
    feed: Feed[int] = Feed()
    feed.put(1)
    feed.put(2)
    feed.end()
    feed.put(3)
    assert [await feed.get(), await feed.get()] == [1, 2]
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await feed.get()


async def test_it_waits_for_an_event_and_for_the_end() -> None:
    feed: Feed[int] = Feed()
    reading = asyncio.create_task(feed.get())
    await asyncio.sleep(0)
    feed.put(1)
    assert await reading == 1
    reading = asyncio.create_task(feed.get())
    await asyncio.sleep(0)
    feed.end(KeyError("the first error counts"))
    feed.end(ValueError("not this one"))
    with pytest.raises(KeyError):
        await reading


def test_the_oldest_can_be_dropped() -> None:
    feed: Feed[int] = Feed()
    feed.put(1)
    feed.put(2)
    feed.drop()
    assert len(feed) == 1
