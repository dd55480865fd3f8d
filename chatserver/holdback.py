"""Join a room's stream in the middle: hold live publications back while its history is read."""

from collections import deque
from typing import Final, Generic, TypeVar

MOST: Final = 256 * 1024
"""Bytes that are held back at most; then the range has to be read again."""

T = TypeVar("T")


class HoldBack(Generic[T]):
    """Hold what is delivered between the begin of a read and its end.

    Register it for the room first, read next, then `release`: what was read and what is released
    follow each other without a gap and without a duplicate, and what is delivered from then on
    follows those.

    Args:
        most: Bytes held at most; the oldest are dropped beyond it.
    """

    __slots__ = ("_held", "_last", "_most", "_size")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: deque[tuple[int, int, T]] = deque()
        self._size = 0
        self._last = 0

    def hold(self, offset: int, size: int, item: T) -> None:
        """Hold a publication that is being delivered.

        Args:
            offset: Its offset; each one is one more than that before.
            size: Its bytes.
            item: What to hand on when it is released.
        """
        self._held.append((offset, size, item))
        self._size += size
        self._last = offset
        while self._size > self._most:
            self._size -= self._held.popleft()[1]

    def release(self, top: int) -> list[T] | None:
        """Return what was held behind the last offset that was read, in order.

        None where some of that had to be dropped: read from `top` on and release again; what is
        held meanwhile is kept.

        Args:
            top: The top of the room at the moment of reading.
        """
        while self._held and self._held[0][0] <= top:
            self._size -= self._held.popleft()[1]
        first = self._held[0][0] if self._held else self._last + 1
        if self._last > top and first > top + 1:
            return None
        return [item for _, _, item in self._held]
