"""Keep one room's publications in memory, with what answers and what changes which of them."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import Final

from msgspec import structs

from chatserver.fold import (
    MOST_CHANGES,
    SPAN,
    Entry,
    Messages,
    Reactions,
    answered,
    is_pinned,
    page,
    reactions,
)
from chatserver.guard import Target, refusal
from chatserver.positions import Position
from chatserver.publications import COST, Publication, RoomState, size_of
from chatserver.store import Settlement, Stored, slack

LINK: Final = 250
"""Bytes that an answer or a change takes in memory beside what other publications do."""


class Kept:
    """Hold the newest publications of one room, without a hole up to the top.

    Reading messages costs what is read, and a look at each publication that lies between; a thread,
    and what is pinned, cost nothing for what lies between.

    Args:
        epoch: The incarnation of the stream.
        length: How many there may be, or some more.
        creator: Whose message makes the room; None for the server's own.

    Attributes:
        epoch: As given.
        creator: As given.
        first: The offset of the first publication.
        publications: One for each offset from `first` to the top.
        messages: How many of them are messages that were not erased.
    """

    __slots__ = (
        "_answers",
        "_changes",
        "_length",
        "_pins",
        "_size",
        "creator",
        "epoch",
        "first",
        "messages",
        "publications",
    )

    def __init__(self, epoch: str, length: int, creator: str | None = None) -> None:
        self.epoch = epoch
        self.creator = creator
        self.first = 1
        self.publications: list[Publication] = []
        self.messages = 0
        self._length = length
        self._size = 0
        self._answers = _Links()
        self._changes = _Links()
        self._pins: list[int] = []

    @property
    def state(self) -> RoomState:
        """Where the room stands."""
        return RoomState(self.epoch, self.first + len(self.publications) - 1, self.first)

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return self._size + LINK * (self._answers.count + self._changes.count)

    @property
    def excess(self) -> int:
        """How many are beyond the length, once there are enough of them to be worth it."""
        excess = len(self.publications) - self._length
        return excess if excess >= slack(self._length) else 0

    def add(self, publication: Publication) -> Settlement:
        """Add the next one, or return why it may not be."""
        offset, target = self.first + len(self.publications), publication.target
        if target is not None:
            refused = refusal(publication.guard, self._target(target), publication.timestamp)
            if refused is not None:
                return refused
        self.publications.append(publication)
        self._size += len(publication.body) + COST
        if target is None:
            self.messages += 1
            if (root := answered(publication.body)) is not None:
                self._answers.add(root, offset)
        elif publication.erases:
            self._erase(target)
        else:
            self._changes.add(target, offset)
            if publication.kind == "pin" and not self._was_pinned(target):
                insort(self._pins, target)
        position = Position(self.epoch, offset)
        return Stored(publication.room, publication.timestamp, position, cid=publication.cid)

    def drop(self, count: int) -> None:
        """Forget the oldest ones."""
        dropped = self.publications[:count]
        del self.publications[:count]
        self._size -= size_of(dropped)
        roots: set[int] = set()
        for offset, each in enumerate(dropped, self.first):
            if each.target is None and each.body:
                self.messages -= 1
                self._changes.pop(offset)
                if (root := answered(each.body)) is not None:
                    roots.add(root)
        self.first += count
        del self._pins[: bisect_left(self._pins, self.first)]
        for root in roots:
            self._answers.drop(root, self.first)

    def after(self, after: int, limit: int, max_bytes: int) -> Messages:
        """Read messages forwards, as `fold.after` does."""
        state = self.state
        first = max(after + 1, self.first)
        last = min(state.top, first + SPAN - 1)
        entries: list[Entry] = []
        for offset in range(first, last + 1):
            each = self.publications[offset - self.first]
            if each.target is None or (each.target <= after and each.body):
                entries.append((offset, each))
                if len(entries) > limit:
                    break
        return self._page(entries, limit, max_bytes, end=last, edge=state.top)

    def before(self, before: int | None, limit: int, max_bytes: int) -> Messages:
        """Read messages backwards, as `fold.before` does."""
        top = self.state.top
        last = top if before is None else min(before - 1, top)
        first = max(self.first, last - SPAN + 1)
        entries: list[Entry] = []
        for offset in range(last, first - 1, -1):
            each = self.publications[offset - self.first]
            if each.target is None:
                entries.append((offset, each))
                if len(entries) > limit:
                    break
        return self._page(entries, limit, max_bytes, end=first, edge=self.first)

    def thread(self, root: int, after: int, limit: int, max_bytes: int) -> Messages:
        """Read a message and what answers it, forwards from behind an offset."""
        offsets = {*self._answers.after(root, after, limit + 1)}
        found = self._find(root)
        if found is not None and found.target is None and root > after:
            offsets.add(root)
        entries = [
            (offset, self.publications[offset - self.first])
            for offset in sorted(offsets)[: limit + 1]
        ]
        top = self.state.top
        return self._page(entries, limit, max_bytes, end=top, edge=top)

    def pinned(self, before: int | None, limit: int, max_bytes: int) -> Messages:
        """Read what is pinned, backwards from before an offset, or from the newest on."""
        last = len(self._pins) if before is None else bisect_left(self._pins, before)
        entries: list[Entry] = []
        size, left = 0, MOST_CHANGES
        for offset in reversed(self._pins[:last]):
            if len(entries) > limit or size > max_bytes or left <= 0:
                break
            changes = self.changes_of(offset)
            left -= 1 + len(changes)
            end = offset
            if is_pinned(changes):
                pinned = self.publications[offset - self.first]
                entries.append((offset, pinned))
                size += len(pinned.body)
        else:
            end = self.first
        return self._page(entries, limit, max_bytes, end=end, edge=self.first)

    def reactions(self, offset: int) -> Reactions | None:
        """Return all who have reacted to a message; None where it is not there."""
        found = self._find(offset)
        if found is None or found.target is not None or not found.body:
            return None
        return reactions(self.changes_of(offset))

    def changes_of(self, offset: int) -> list[Publication]:
        """Return the changes of a message, oldest first; none of one that was erased."""
        return [self.publications[change - self.first] for change in self._changes.of(offset)]

    def _page(
        self, entries: Sequence[Entry], limit: int, max_bytes: int, *, end: int, edge: int
    ) -> Messages:
        changes: dict[int, list[Publication]] = {}
        left = MOST_CHANGES
        for place, (offset, _) in enumerate(entries[:limit], 1):
            changes[offset] = self.changes_of(offset)
            left -= len(changes[offset])
            if left <= 0:
                limit = place
                break
        return page(self.state, entries, changes, limit, max_bytes, end=end, edge=edge)

    def _find(self, offset: int) -> Publication | None:
        place = offset - self.first
        return self.publications[place] if 0 <= place < len(self.publications) else None

    def _was_pinned(self, offset: int) -> bool:
        place = bisect_left(self._pins, offset)
        return self._pins[place : place + 1] == [offset]

    def _target(self, offset: int) -> Target | None:
        found = self._find(offset)
        if found is None:
            return None
        is_change, erased = found.target is not None, not found.body
        changes = len(self._changes.of(offset))
        return Target(found.user, found.timestamp, found.kind, is_change, erased, changes)

    def _erase(self, target: int) -> None:
        message = self.publications[target - self.first]
        self.messages -= 1
        if (root := answered(message.body)) is not None:
            self._answers.remove(root, target)
        if self._was_pinned(target):
            self._pins.remove(target)
        for offset in (target, *self._changes.pop(target)):
            each = self.publications[offset - self.first]
            self.publications[offset - self.first] = structs.replace(each, body=b"")
            self._size -= len(each.body)


class _Links:
    """Find offsets by the one that they are about, in order.

    Attributes:
        count: How many there are.
    """

    __slots__ = ("_offsets", "count")

    def __init__(self) -> None:
        self.count = 0
        self._offsets: dict[int, list[int]] = {}

    def of(self, about: int) -> Sequence[int]:
        return self._offsets.get(about, ())

    def after(self, about: int, after: int, limit: int) -> Sequence[int]:
        offsets = self.of(about)
        start = bisect_right(offsets, after)
        return offsets[start : start + limit]

    def add(self, about: int, offset: int) -> None:
        self._offsets.setdefault(about, []).append(offset)
        self.count += 1

    def remove(self, about: int, offset: int) -> None:
        offsets = self._offsets[about]
        place = bisect_left(offsets, offset)
        self._cut(about, offsets, slice(place, place + 1))

    def drop(self, about: int, first: int) -> None:
        """Forget those before an offset."""
        offsets = self._offsets[about]
        self._cut(about, offsets, slice(bisect_left(offsets, first)))

    def pop(self, about: int) -> Sequence[int]:
        offsets = self._offsets.pop(about, ())
        self.count -= len(offsets)
        return offsets

    def _cut(self, about: int, offsets: list[int], part: slice) -> None:
        self.count -= len(offsets[part])
        del offsets[part]
        if not offsets:
            del self._offsets[about]
