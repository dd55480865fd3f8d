"""Keep the newest publications of active rooms in memory, bounded by room and altogether."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from typing import Final

from msgspec import structs

from chatserver import fold
from chatserver.fold import Messages
from chatserver.positions import Position
from chatserver.publications import (
    COST,
    Page,
    Publication,
    RoomState,
    Unread,
    cost_of,
    count_unread,
    fitting,
    size_of,
)

ROOM_MOST: Final = 512
"""Publications of one room that are kept in memory."""

ROOM_BYTES: Final = 1024 * 1024
"""Bytes of one room that are kept in memory."""

Placed = tuple[Publication, Position]
"""A publication and its place in the room's history."""


class Tail:
    """Hold the newest publications of one room, without a hole up to the top.

    Attributes:
        as_of: The offset up to which a page must have been read, so that it has nothing that was
            erased meanwhile, or removed before the tail began.
        epoch: The incarnation of the stream.
        first: The offset of the first publication held.
        oldest: The first offset that the store keeps; None until somebody has asked the store. The
            store tells when it changes.
        publications: One for each offset from `first` to the top.
        size: Bytes they take.
    """

    __slots__ = ("as_of", "epoch", "first", "oldest", "publications", "size")

    def __init__(self, epoch: str, first: int, oldest: int | None) -> None:
        # What was removed before the first publication was stored has not been told to this tail.
        self.as_of = first if oldest is None else first - 1
        self.epoch = epoch
        self.first = first
        self.oldest = oldest
        self.publications: list[Publication] = []
        self.size = 0

    @property
    def top(self) -> int:
        """The last offset given in the room."""
        return self.first + len(self.publications) - 1

    @property
    def state(self) -> RoomState | None:
        """The room's state, if it is known without asking the store."""
        return None if self.oldest is None else RoomState(self.epoch, self.top, self.oldest)

    def append(self, publications: Sequence[Publication]) -> None:
        """Add the next ones."""
        for each in publications:
            self.publications.append(each)
            self.size += len(each.body) + COST
            if each.erases:
                self.erase(each.target, self.top)

    def prepend(self, page: Page) -> None:
        """Take from a page what lies before the first one, if it reaches that far."""
        if page.state.epoch != self.epoch or page.state.top < self.as_of:
            return
        if self.oldest is None:
            # What was read may be ahead of the top, with much removed that has not been told yet.
            self.oldest = min(page.state.oldest, self.first)
        if page.state.oldest < self.oldest:
            return
        if page.first < self.first <= page.last + 1:
            older = page.publications[: self.first - page.first]
            self.publications[:0] = older
            self.first = page.first
            self.size += size_of(older)

    def erase(self, target: int | None, eraser: int) -> None:
        """Empty the bodies of a publication and of all before the eraser that target it."""
        self.as_of = eraser
        for offset, each in enumerate(self.publications, self.first):
            if offset < eraser and target in (offset, each.target):
                self.publications[offset - self.first] = structs.replace(each, body=b"")
                self.size -= len(each.body)

    def trim(self, oldest: int) -> None:
        """Forget what the store no longer keeps: all before an offset."""
        drop = max(0, oldest - self.first)
        self.size -= size_of(self.publications[:drop])
        del self.publications[:drop]
        self.first += drop
        self.oldest = oldest

    def unread(self, user: str, after: int) -> Unread | None:
        """Count what a user has not read; None where the store has to be asked."""
        state = self.state
        if state is None or max(after, state.oldest - 1) < self.first - 1:
            return None
        newer = [*islice(reversed(self.publications), max(0, state.top - after))]
        erases = any(each.erases for each in newer)
        return Unread(count_unread(newer, user), state.top, erases)

    def cut(self, most: int, most_bytes: int) -> None:
        """Forget the oldest ones beyond the bounds, a good part at once."""
        if len(self.publications) <= most and self.size <= most_bytes:
            return
        drop = max(0, len(self.publications) - most * 3 // 4)
        size = self.size - size_of(self.publications[:drop])
        while size > most_bytes * 3 // 4 and drop < len(self.publications):
            size -= len(self.publications[drop].body) + COST
            drop += 1
        del self.publications[:drop]
        self.first += drop
        self.size = size

    def after(self, after: int, limit: int, max_bytes: int) -> Page | None:
        """Read forwards; None where the store has to be asked."""
        state = self.state
        if state is None or after < self.first - 1:
            return None
        start = min(after - self.first + 1, len(self.publications))
        found = fitting(self.publications[start : start + limit], max_bytes)
        first = max(after, 0) + 1
        return Page(state, first, found, first + len(found) <= state.top)

    def before(self, before: int | None, limit: int, max_bytes: int) -> Page | None:
        """Read backwards; None where the store has to be asked."""
        state = self.state
        if state is None:
            return None
        last = state.top if before is None else min(before - 1, state.top)
        if last - limit + 1 < self.first > state.oldest:
            return None
        end = last - self.first + 1
        found = fitting(self.publications[max(0, end - limit) : max(0, end)][::-1], max_bytes)
        found.reverse()
        first = last - len(found) + 1
        return Page(state, first, found, first > state.oldest)

    def messages(
        self, after: int | None, before: int | None, limit: int, max_bytes: int
    ) -> Messages | None:
        """Read messages as people read them; None where the store has to be asked."""
        state = self.state
        if state is None:
            return None
        if after is not None:
            if after < self.first - 1:
                return None
            return fold.after(state, self.publications, after, limit, max_bytes)
        found = fold.before(state, self.publications, before, limit, max_bytes)
        ends_here = found.more and found.next == self.first
        return None if ends_here and len(found.events) < limit else found


class Tails:
    """Hold the tails of rooms; those not used for longest go first.

    Args:
        most_bytes: Bytes of all tails together.
        room_most: Publications of one room.
        room_bytes: Bytes of one room.

    Attributes:
        room_most: As given; another number counts for a room once something is added to it.
        room_bytes: The same.
    """

    def __init__(
        self,
        most_bytes: int = 64 * 1024 * 1024,
        room_most: int = ROOM_MOST,
        room_bytes: int = ROOM_BYTES,
    ) -> None:
        self._most_bytes = most_bytes
        self.room_most = room_most
        self.room_bytes = room_bytes
        self._size = 0
        self._tails: OrderedDict[str, Tail] = OrderedDict()

    def get(self, room: str) -> Tail | None:
        """Return a room's tail and count it as used."""
        tail = self._tails.get(room)
        if tail is not None:
            self._tails.move_to_end(room)
        return tail

    def add(self, room: str, placed: Sequence[Placed]) -> None:
        """Add publications that were given the next positions of their room, one at least.

        If the positions do not follow each other, the room is forgotten: the store knows.
        """
        first, last = placed[0][1], placed[-1][1]
        if last.offset - first.offset != len(placed) - 1:
            self.forget(room)
            return
        tail = self._tails.get(room)
        if tail is None or tail.top + 1 != first.offset or tail.epoch != first.epoch:
            self.forget(room)
            oldest = 1 if first.offset == 1 else None
            tail = self._begin(room, Tail(first.epoch, first.offset, oldest))
        else:
            self._tails.move_to_end(room)
        before = tail.size
        tail.append([publication for publication, _ in placed])
        self._fit(tail, before)

    def seed(self, room: str, page: Page, *, current: bool) -> None:
        """Keep what was read from the store, where it adjoins.

        Args:
            room: The room's name.
            page: What was read.
            current: Whether the page's state is the room's state now.
        """
        tail = self._tails.get(room)
        if tail is None:
            if not current or page.last != page.state.top:
                return
            state = page.state
            tail = self._begin(room, Tail(state.epoch, state.top + 1, state.oldest))
        before = tail.size
        tail.prepend(page)
        self._fit(tail, before)

    def trim(self, room: str, oldest: int) -> None:
        """Forget of a room what the store no longer keeps: all before an offset."""
        tail = self._tails.get(room)
        if tail is not None and tail.top >= oldest - 1:
            before = tail.size
            tail.trim(oldest)
            self._size += tail.size - before

    def forget(self, room: str) -> None:
        """Forget a room."""
        tail = self._tails.pop(room, None)
        if tail is not None:
            self._size -= tail.size + cost_of(room)

    def _begin(self, room: str, tail: Tail) -> Tail:
        self._tails[room] = tail
        self._size += cost_of(room)
        return tail

    def _fit(self, tail: Tail, before: int) -> None:
        tail.cut(self.room_most, self.room_bytes)
        self._size += tail.size - before
        while self._size > self._most_bytes and len(self._tails) > 1:
            self.forget(next(iter(self._tails)))
