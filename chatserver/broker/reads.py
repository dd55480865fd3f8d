"""Share what is being read: equal reads of one moment are one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

T = TypeVar("T")

Wanted = tuple[int | None, int | None, int, int]
"""What is read of a room: after, before, limit, bytes."""


class Reads(Generic[T]):
    """Hold the reads of rooms that are on their way."""

    def __init__(self) -> None:
        self._rooms: dict[str, dict[Wanted, asyncio.Task[T]]] = {}

    def share(
        self, room: str, wanted: Wanted, read: Callable[[], Coroutine[object, object, T]]
    ) -> "asyncio.Task[T]":
        """Return the read that is on its way, or begin it."""
        reads = self._rooms.setdefault(room, {})
        task = reads.get(wanted)
        if task is None:
            run = self._run(room, wanted, reads, read)
            task = reads[wanted] = asyncio.get_running_loop().create_task(run)
        return task

    def is_current(self, room: str, wanted: Wanted) -> bool:
        """Tell the read that asks whether nothing has happened in the room since it began."""
        task = self._rooms.get(room, {}).get(wanted)
        return task is not None and task is asyncio.current_task()

    def forget(self, room: str) -> None:
        """Let nobody share what is on its way any longer: the room has changed."""
        self._rooms.pop(room, None)

    async def _run(
        self,
        room: str,
        wanted: Wanted,
        reads: "dict[Wanted, asyncio.Task[T]]",
        read: Callable[[], Coroutine[object, object, T]],
    ) -> T:
        # It is taken out before it is done: what is there at once would be ahead of the members.
        try:
            return await read()
        finally:
            del reads[wanted]
            if not reads and self._rooms.get(room) is reads:
                del self._rooms[room]
