"""Share pages of history among those who ask for the same until something is published."""

from collections import OrderedDict
from typing import Generic, TypeVar

from chatserver.broker.reads import Wanted
from chatserver.fold import Messages
from chatserver.publications import Page, cost_of

T = TypeVar("T", Page, Messages)


class Pages(Generic[T]):
    """Hold pages that were read; those of the rooms not read for longest go first.

    When many clients come back at once, they ask for few different pages: each is put together and
    encoded once.

    Args:
        most_bytes: Bytes of all pages together, each with its encoding.
    """

    def __init__(self, most_bytes: int = 32 * 1024 * 1024) -> None:
        self._most_bytes = most_bytes
        self._size = 0
        self._rooms: OrderedDict[str, dict[Wanted, T]] = OrderedDict()

    def get(self, room: str, wanted: Wanted) -> T | None:
        """Return a page that was added since the room's last publication."""
        pages = self._rooms.get(room)
        if pages is None:
            return None
        self._rooms.move_to_end(room)
        return pages.get(wanted)

    def add(self, room: str, wanted: Wanted, page: T) -> None:
        """Share a page."""
        self._rooms.setdefault(room, {})[wanted] = page
        self._rooms.move_to_end(room)
        self._size += _size(room, page)
        while self._size > self._most_bytes:
            self.forget(next(iter(self._rooms)))

    def forget(self, room: str) -> None:
        """Drop a room's pages: something was published to it."""
        pages = self._rooms.pop(room, None)
        if pages is not None:
            self._size -= sum(_size(room, page) for page in pages.values())


def _size(room: str, page: Page | Messages) -> int:
    return cost_of(room) + 2 * page.size
