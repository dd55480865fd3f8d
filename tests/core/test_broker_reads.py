"""Who shares a read that is on its way, and until when."""

import asyncio

import pytest

from chatserver.broker.reads import Reads, Wanted

NEWEST: Wanted = (None, None, 50, 1000)


class Shelf:
    """Count what is read, and hold it back."""

    def __init__(self) -> None:
        self.reads: Reads[int] = Reads()
        self.count = 0
        self.current: list[bool] = []
        self.go_on = asyncio.Event()

    def ask(self, wanted: Wanted = NEWEST) -> "asyncio.Task[int]":
        return self.reads.share("lobby", wanted, lambda: self._read(wanted))

    async def _read(self, wanted: Wanted) -> int:
        self.count += 1
        number = self.count
        await self.go_on.wait()
        self.current.append(self.reads.is_current("lobby", wanted))
        if number == 13:
            raise OSError("gone")
        return number


async def test_equal_reads_on_their_way_are_one() -> None:
    shelf = Shelf()
    first, same, other = shelf.ask(), shelf.ask(), shelf.ask((0, None, 50, 1000))
    assert first is same
    assert other is not first
    shelf.go_on.set()
    assert sorted(await asyncio.gather(first, other)) == [1, 2]
    assert shelf.current == [True, True]


async def test_what_is_there_is_not_handed_out_again() -> None:
    """It may be ahead of what members have been sent: whoever asks now has to wait for more."""
    shelf = Shelf()
    shelf.go_on.set()
    first = shelf.ask()
    done: list[bool] = []
    while not first.done():
        await asyncio.sleep(0)
        done.append(shelf.ask().done())
    assert not any(done)


async def test_a_room_that_changed_is_read_again() -> None:
    shelf = Shelf()
    early = shelf.ask()
    await asyncio.sleep(0)
    shelf.reads.forget("lobby")
    late = shelf.ask()
    assert late is not early
    await asyncio.sleep(0)
    shelf.go_on.set()
    assert (await early, await late) == (1, 2)
    assert shelf.current == [False, True]


async def test_a_read_that_failed_is_tried_anew() -> None:
    shelf = Shelf()
    shelf.count = 12
    shelf.go_on.set()
    with pytest.raises(OSError, match="gone"):
        await shelf.ask()
    assert await shelf.ask() == 14
