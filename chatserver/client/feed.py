"""Hand events from the reader of a connection to whoever iterates over them."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Feed(Generic[T]):
    """Queue events for one reader; putting one in never waits, so the connection never does.

    Whoever puts them in looks at the length and decides what happens to one too many.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._stirred = asyncio.Event()
        self._error: Exception | None = None
        self._ended = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Append an event; behind the end they are dropped."""
        if not self._ended:
            self._items.append(item)
            self._stirred.set()

    def drop(self) -> None:
        """Forget the oldest event."""
        self._items.popleft()

    def end(self, error: Exception | None = None) -> None:
        """Let the iteration end once what is queued is read, with an error where one is given."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._stirred.set()

    async def get(self) -> T:
        """Return the next event.

        Raises:
            StopAsyncIteration: There is none and there will be none; or the error given to `end`.
        """
        while not self._items:
            if self._ended:
                raise self._error or StopAsyncIteration
            self._stirred.clear()
            await self._stirred.wait()
        return self._items.popleft()
