"""Keep publications in memory, for rooms whose history may end with the process."""

import asyncio
import secrets
from bisect import bisect_right, insort
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Final

from chatserver.config import StoreConfig
from chatserver.errors import ActionError
from chatserver.fold import Messages, Reactions
from chatserver.guard import missing
from chatserver.pairs import is_direct, pair_of
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import (
    UNREAD_WITHIN,
    Found,
    Page,
    Publication,
    Published,
    RoomState,
    Rules,
    Unread,
    checksum_of,
    count_unread,
    fitting,
)
from chatserver.stats import StoreStats
from chatserver.store import (
    CONFLICT,
    TOO_MANY_ROOMS,
    UNBOUNDED,
    Moves,
    Settle,
    Settlement,
    Store,
    Stored,
    Stream,
    Trimmed,
    stopping,
    too_many_of_user,
)
from chatserver.store.batch import Batch
from chatserver.store.kept import Kept

MOST: Final = 1000
"""Publications of a room that are kept where no length is configured."""

MOST_CIDS: Final = 100_000
"""Ids of messages that are remembered; the oldest are forgotten first."""

AT_ONCE: Final = 512
"""Publications that are kept without waiting for the end of the tick."""

NOTHING: Final = Kept(RoomState().epoch, 0)
"""What there is of a room to which nothing was published."""

Receipt = tuple[Position, str, int | None]
"""What a `cid` was used for: position, timestamp, checksum."""

Release = Callable[[str], bool]
"""Forget a room in which no message is left, unless somebody is in it; tell whether it is so."""


class MemoryStore(Store):
    """Implement the store without a file; what is appended in a tick is kept at its end.

    Rooms are trimmed by length, not by age. Where all of them take too much memory, those to which
    nothing was published for longest lose the older half of what they have. A room in which no
    message is left ends once nobody is in it; direct rooms, which nobody joins, do not.

    Args:
        bounds: What there may be.
        release: Is asked before a room ends; without it, none does.
    """

    def __init__(
        self, bounds: StoreConfig = UNBOUNDED, release: Release = lambda room: False
    ) -> None:
        self._bounds = bounds
        self._release = release
        self._stats = StoreStats()
        self._made: Counter[str] = Counter()
        self._rooms: OrderedDict[str, Kept] = OrderedDict()
        self._size = 0
        self._direct: dict[str, list[str]] = {}
        self._cids: OrderedDict[tuple[str, str, str], Receipt] = OrderedDict()
        self._trimmed: Trimmed | None = None
        self._settle: Settle | None = None
        self._cursors: dict[str, dict[str, Position]] = {}
        self._rules: Rules | None = None
        self._gathered = Batch()

    @property
    def failure(self) -> str | None:
        """None: memory does not fail."""
        return None

    @property
    def stats(self) -> StoreStats:
        """What has been stored so far; nothing waits, and there are no files."""
        return self._stats

    async def startup(
        self, rules: Rules, trimmed: Trimmed | None = None, settle: Settle | None = None
    ) -> None:
        """Begin with no rooms."""
        self._rules = rules
        self._trimmed = trimmed
        self._settle = settle

    async def cleanup(self) -> None:
        """Keep what was appended, then forget everything."""
        if self._rules is not None:
            self._keep(self._rules)
        self._rules = None
        self._rooms.clear()
        self._cids.clear()
        self._made.clear()
        self._direct.clear()
        self._size = 0
        self._cursors.clear()

    def append(self, publication: Publication) -> Pending[Published]:
        """Keep a publication; see `Store.append`."""
        if self._rules is None:
            raise stopping()
        if not self._gathered.publications:
            asyncio.get_running_loop().call_soon(self._keep, self._rules)
        pending: Pending[Published] = Pending()
        self._gathered.add(publication, pending)
        if len(self._gathered.publications) >= AT_ONCE:
            self._keep(self._rules)
        return pending

    def vacate(self, name: str) -> None:
        """End a room in which no message is left, if nobody is in it.

        Its name may begin a new stream then, under a new epoch.
        """
        room = self._rooms.get(name)
        if room is None or room.messages or is_direct(name) or not self._release(name):
            return
        del self._rooms[name]
        self._size -= room.size
        if room.creator is not None:
            self._made[room.creator] -= 1
            if not self._made[room.creator]:
                del self._made[room.creator]

    async def read(self, room: str, after: int, limit: int, max_bytes: int) -> Page:
        """Read forwards; see `Store.read`."""
        kept = self._rooms.get(room, NOTHING)
        first = max(after + 1, kept.first)
        start = first - kept.first
        found = fitting(kept.publications[start : start + limit], max_bytes)
        return Page(kept.state, first, found, first + len(found) <= kept.state.top)

    async def read_before(self, room: str, before: int | None, limit: int, max_bytes: int) -> Page:
        """Read backwards; see `Store.read_before`."""
        kept = self._rooms.get(room, NOTHING)
        last = kept.state.top if before is None else min(before - 1, kept.state.top)
        end = max(0, last - kept.first + 1)
        found = fitting(kept.publications[max(0, end - limit) : end][::-1], max_bytes)[::-1]
        first = last - len(found) + 1
        return Page(kept.state, first, found, first > kept.first)

    async def messages(
        self, room: str, after: int | None, before: int | None, limit: int, max_bytes: int
    ) -> Messages:
        """Read messages as people read them; see `Store.messages`."""
        kept = self._rooms.get(room, NOTHING)
        if after is None:
            return kept.before(before, limit, max_bytes)
        return kept.after(after, limit, max_bytes)

    async def thread(
        self, room: str, root: int, after: int, limit: int, max_bytes: int
    ) -> Messages:
        """Read a message and what answers it; see `Store.thread`."""
        return self._rooms.get(room, NOTHING).thread(root, after, limit, max_bytes)

    async def pinned(self, room: str, before: int | None, limit: int, max_bytes: int) -> Messages:
        """Read the messages that are pinned; see `Store.pinned`."""
        return self._rooms.get(room, NOTHING).pinned(before, limit, max_bytes)

    async def reactions(self, room: str, offset: int) -> Reactions | None:
        """Return all who have reacted to a message; see `Store.reactions`."""
        return self._rooms.get(room, NOTHING).reactions(offset)

    async def state(self, room: str) -> RoomState:
        """Return epoch, top and oldest offset of a room."""
        return self._rooms.get(room, NOTHING).state

    async def search(
        self,
        rooms: Collection[str],
        text: str,
        *,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Found:
        """Find nothing: what ends with the process is not searched."""
        return Found([])

    async def unread(self, room: str, user: str, after: int) -> Unread:
        """Count what a user has not read; see `Store.unread`."""
        kept = self._rooms.get(room, NOTHING)
        behind = min(max(0, kept.state.top - after), UNREAD_WITHIN, len(kept.publications))
        newest = islice(reversed(kept.publications), behind)
        return Unread(count_unread(newest, user), kept.state.top)

    async def direct_rooms(self, user: str, after: str, limit: int) -> list[str]:
        """Return the direct rooms of a user; see `Store.direct_rooms`."""
        rooms = self._direct.get(user, [])
        start = bisect_right(rooms, after)
        return rooms[start : start + limit]

    async def cursors(self, users: Sequence[str]) -> dict[str, dict[str, Position]]:
        """Return how far users have read; see `Store.cursors`."""
        return {user: dict(self._cursors.get(user, {})) for user in users}

    async def move_cursors(self, moves: Moves) -> None:
        """Note how far users have read; see `Store.move_cursors`."""
        for user, rooms in moves.items():
            cursors = self._cursors.setdefault(user, {})
            for room, position in rooms.items():
                cursors.pop(room, None)
                if position is not None:
                    cursors[room] = position

    def _keep(self, rules: Rules) -> None:
        # Together: a client's burst costs little more than a message of it.
        batch, self._gathered = self._gathered, Batch()
        refused: dict[Stream, ActionError] = {}
        for each in batch.publications:
            batch.outcomes.append(self._receipt(each) or self._add(each, rules, refused))
        batch.hand_on(self._settle)
        for name in dict.fromkeys(each.room for each in batch.publications):
            room = self._rooms.get(name)
            if room is not None:
                self._trim(name, room, room.excess)
                self.vacate(name)
        self._fit()

    def _add(
        self, publication: Publication, rules: Rules, refused: dict[Stream, ActionError]
    ) -> Settlement:
        name, creator = publication.room, publication.user
        room = self._rooms.get(name)
        # Somebody else may have made the room meanwhile.
        refusal = refused.get((name, creator)) if refused and not publication.erases else None
        if room is None and refusal is None:
            if publication.target is not None:
                return missing()
            refusal = self._count(creator)
        if refusal is not None:
            refused[name, creator] = refusal
            self._stats.refused += 1
            return refusal
        if room is None:
            room = Kept(secrets.token_hex(6), rules(name).length or MOST, creator)
            self._rooms[name] = room
            for user in pair_of(name) or ():
                insort(self._direct.setdefault(user, []), name)
        before = room.size
        outcome = room.add(publication)
        self._size += room.size - before
        if isinstance(outcome, Stored):
            self._note(publication, outcome)
            self._rooms.move_to_end(name)
            self._stats.stored += 1
        return outcome

    def _receipt(self, publication: Publication) -> Settlement | None:
        receipt = None if publication.cid is None else self._cids.get(_key(publication))
        if receipt is None:
            return None
        position, timestamp, checksum = receipt
        if checksum != checksum_of(publication):
            return CONFLICT
        return Stored(publication.room, timestamp, position, duplicate=True, cid=publication.cid)

    def _note(self, publication: Publication, stored: Stored) -> None:
        if publication.cid is not None:
            receipt = (stored.position, stored.timestamp, checksum_of(publication))
            self._cids[_key(publication)] = receipt
            if len(self._cids) > MOST_CIDS:
                self._cids.popitem(last=False)

    def _fit(self) -> None:
        most = self._bounds.max_memory_bytes
        while most is not None and self._size > most:
            name, room = next(iter(self._rooms.items()))
            self._trim(name, room, (len(room.publications) + 1) // 2)
            if not room.publications:
                self._rooms.move_to_end(name)
            self.vacate(name)

    def _trim(self, name: str, room: Kept, count: int) -> None:
        if count:
            before = room.size
            room.drop(count)
            self._size += room.size - before
            if self._trimmed is not None:
                self._trimmed(name, room.first)

    def _count(self, creator: str | None) -> ActionError | None:
        bounds = self._bounds
        if bounds.max_rooms is not None and len(self._rooms) >= bounds.max_rooms:
            return TOO_MANY_ROOMS
        if creator is not None:
            most = bounds.max_rooms_per_user
            if most is not None and self._made[creator] >= most:
                return too_many_of_user(most)
            self._made[creator] += 1
        return None


def _key(publication: Publication) -> tuple[str, str, str]:
    return publication.room, publication.user or "", publication.cid or ""
