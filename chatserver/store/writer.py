"""Write batches of publications, each batch in one transaction."""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from chatserver.config import StoreConfig
from chatserver.errors import ActionError
from chatserver.fold import answered
from chatserver.guard import missing
from chatserver.positions import Position
from chatserver.publications import Publication, Rules, checksum_of
from chatserver.stats import StoreStats
from chatserver.store import FULL, UNBOUNDED, Moves, Settlement, Stored
from chatserver.store.cursors import move_cursors
from chatserver.store.failures import DamagedIndex, is_of_disk
from chatserver.store.index import Index
from chatserver.store.ledger import Ledger, Room, again, tops
from chatserver.store.quota import Quota, cost
from chatserver.store.retention import Retention
from chatserver.store.rows import (
    ANY,
    Key,
    Receipt,
    Reply,
    Value,
    erase,
    find_receipts,
    insert,
    insert_replies,
    width_of,
)
from chatserver.store.targets import Targets
from chatserver.store.transactions import Transactions

log = logging.getLogger("chatserver.store")

Stream = tuple[str, str | None]
"""What one user publishes to one room."""

WARY: Final = 64
"""Batches that look for used `cid`s first, after one was found.

Nearly all are new, and the index tells at the insert when one is not; then the batch is written
again. Whoever sends old ones all the time makes few batches be written twice.
"""

_NEWEST: Final = "SELECT coalesce(max(id), 0) FROM publication"


class Writer:
    """Own the connection that writes; used by one thread only.

    Args:
        connection: The file, opened for writing.
        rules: Tells how each room is kept.
        bounds: What there may be.

    Attributes:
        stats: What it has stored and refused.
        refused: In which rooms whose publications the last batch had to leave out, and why.
        newest: The id of the last publication written.
        indexed: The id of the last one that searches find.
        renewing: Whether an index that was made anew has not caught up yet.
    """

    def __init__(
        self, connection: sqlite3.Connection, rules: Rules, bounds: StoreConfig = UNBOUNDED
    ) -> None:
        self.stats = StoreStats()
        self.refused: dict[Stream, ActionError] = {}
        self._connection = connection
        self._ledger = Ledger(connection, rules)
        self._quota = Quota(connection, bounds)
        self._index = Index(connection)
        self._retention = Retention(connection, rules, self._index)
        self._transactions = Transactions(connection, self._forget)
        self.renewing = False
        self._scrub = self._index.unclean
        self._stored = 0
        self._wary = 0
        self.newest: int = connection.execute(_NEWEST).fetchone()[0]
        self.indexed = self._index.mark
        self._inserted = self.newest
        if self.behind:
            self._quota.begin_behind(self.indexed)

    @property
    def behind(self) -> int:
        """How many publications are still to be indexed, at most."""
        return self.newest - self.indexed if self.can_search else 0

    @property
    def can_search(self) -> bool:
        """Whether this SQLite can search."""
        return self._index.available

    def write(self, batch: Sequence[Publication]) -> list[Settlement]:
        """Commit a batch; all of it or nothing. Return one outcome for each, in order.

        What does not fit into the bounds is left out, and what the same user has behind it in the
        same room: see `refused`.

        Raises:
            sqlite3.Error: Nothing of it may be acknowledged.
        """
        started = perf_counter()
        # A change that was made before makes the batch wary, too late for the messages in it.
        wary = self._wary > 0
        try:
            outcomes = self._transact(batch)
        except sqlite3.IntegrityError:
            if wary:
                raise
            self._wary = WARY
            outcomes = self._transact(batch)
        self._count(outcomes, perf_counter() - started)
        self.newest = self._inserted
        if self._stored and self.can_search:
            self._quota.wait_for_index(self._stored / len(batch))
        self._retention.keep()
        self._ledger.shrink()
        return outcomes

    def take_floors(self) -> dict[str, int]:
        """Return the first offsets kept, of rooms in which that has changed since the last call."""
        floors, self._retention.floors = self._retention.floors, {}
        return floors

    def index(self) -> None:
        """Index some of what has been written; it can be lost, for it is done again then.

        Raises:
            sqlite3.Error: None of it has been done.
        """
        try:
            with self._healing():
                with self._transactions.around(relaxed=True):
                    mark = self._index.step()
                if self.behind:
                    self._quota.follow_index((self.newest - mark) / self.behind)
                self.indexed = mark
                if not self.behind:
                    self.renewing = False
        except sqlite3.Error:
            # The index does not grow as long as this goes on.
            self._quota.follow_index(0)
            raise

    def renew_index(self, found: DamagedIndex) -> None:
        """Make a damaged index anew; all messages wait to be indexed then.

        Unless that has been done already: what comes before all are indexed is raised again, for
        it is not the index then that is damaged.

        Args:
            found: What is wrong with it.

        Raises:
            sqlite3.Error: It is as it was.
        """
        if self.renewing:
            raise found
        used = self._quota.used
        # Before it is done: searches must not find nothing meanwhile.
        indexed, self.indexed = self.indexed, 0
        try:
            with self._transactions.around(relaxed=True):
                self._index.renew(found)
        except BaseException:
            self.indexed = indexed
            raise
        self._quota.renew_index(used)
        self.renewing = True
        # What was to be erased from it may be in the log.
        self._scrub = True

    def move_cursors(self, moves: Moves, now: float) -> None:
        """Commit how far users have read, without waiting for the disk.

        Args:
            moves: By user and room.
            now: Unix time in seconds.

        Raises:
            sqlite3.Error: Nothing has been noted.
        """
        with self._transactions.around(relaxed=True):
            move_cursors(self._connection, moves, now)

    def sweep(self, now: float) -> bool:
        """Remove some of what is too old; return whether there may be more.

        Args:
            now: Unix time in seconds.

        Raises:
            sqlite3.Error: Some may be removed nevertheless: see `take_floors`.
        """
        more = True
        with self._healing():
            with self._transactions.around(relaxed=False):
                more = self._retention.sweep(now)
            self._retention.keep()
            # The floors of rooms may have changed.
            self._ledger.forget()
        try:
            return self._clean(now) or more
        except sqlite3.Error as error:
            # Told once all that is too old is gone.
            if not more or is_of_disk(error):
                raise
            return True

    def remove_rooms(self, now: float) -> None:
        """Remove the rooms of which nothing is left, while nobody is in any; see `Retention`.

        Args:
            now: Unix time in seconds.

        Raises:
            sqlite3.Error: All are still there.
        """
        rooms = self._retention.empty_rooms(now)
        if rooms:
            # Those of a damaged index wait for the next start.
            with self._healing():
                with self._transactions.around(relaxed=False):
                    self._retention.remove(rooms)
                log.info("%d rooms of which nothing was left are removed", len(rooms))

    def _clean(self, now: float) -> bool:
        if self.behind and self._scrub:
            # What was erased may still have to leave the index.
            self.index()
            return True
        more = True
        with self._healing():
            try:
                with self._transactions.around(relaxed=True):
                    more = self._index.clean(now)
                    unclean = self._index.unclean
            except BaseException:
                self._index.forget()
                raise
            self._scrub = self._scrub or unclean
            if self._scrub and not unclean:
                self._scrub = not self._transactions.empty_log()
        return more

    @contextmanager
    def _healing(self) -> Iterator[None]:
        # What is undone by that is done again the next time.
        try:
            yield
        except DamagedIndex as found:
            self.renew_index(found)

    def _forget(self) -> None:
        self._ledger.forget()
        self._quota.forget()
        self._retention.forget()
        self._inserted = self.newest

    def _count(self, outcomes: Sequence[Settlement], seconds: float) -> None:
        self.stats.commits.observe(seconds)
        self.stats.stored += self._stored
        if self.refused:
            refusals = self.refused.values()
            self.stats.refused += sum(outcome in refusals for outcome in outcomes)

    def _transact(self, batch: Sequence[Publication]) -> list[Settlement]:
        try:
            relaxed = all(map(self._ledger.is_relaxed, {p.room for p in batch}))
            self._transactions.begin(relaxed=relaxed)
            outcomes = self._append(batch)
            self._transactions.commit()
        except BaseException:
            self._transactions.undo()
            raise
        return outcomes

    def _append(self, batch: Sequence[Publication]) -> list[Settlement]:
        refused = self.refused = {}
        left = self._quota.space(batch)
        rooms = self._rooms(batch, full=left is not None and left <= 0)
        if left is not None:
            # What is stored already is not refused.
            self._wary = WARY
        receipts = self._receipts(batch, rooms)
        targets = Targets(self._connection)
        width = width_of(batch)
        written = tops(rooms)
        outcomes: list[Settlement] = []
        values: list[Value] = []
        replies: list[Reply] = []
        erasures: list[tuple[Room, int, int]] = []
        self._stored = 0
        # In a row: one after the other, between all the rest, they take three times as long.
        checksums = [*map(checksum_of, batch)]
        for each, checksum in zip(batch, checksums, strict=True):
            room = rooms.get(each.room)
            if room is None:
                outcomes.append(refused.get((each.room, each.user)) or missing())
                continue
            user, cid, target = each.user or "", each.cid, each.target
            if receipts is not None and cid is not None:
                receipt = receipts.get((room.number, user, cid))
                if receipt is not None:
                    outcomes.append(again(room, each, receipt))
                    continue
            if left is not None and not each.erases and (each.room, each.user) not in refused:
                size = cost(len(each.body))
                if size > left:
                    refused[each.room, each.user] = FULL
                else:
                    left -= size
            if refused and not each.erases and (refusal := refused.get((each.room, each.user))):
                outcomes.append(refusal)
                continue
            if target is not None:
                if written[each.room] < target <= room.top:
                    self._insert(values, width)
                    values, written = [], tops(rooms)
                fault = targets.judge(room, each, target)
                if fault is not None:
                    outcomes.append(fault)
                    continue
                if each.erases:
                    erasures.append((room, target, room.top + 1))
            offset = room.top = room.top + 1
            if receipts is not None and cid is not None:
                receipts[room.number, user, cid] = (offset, each.timestamp, checksum)
            if (root := answered(each.body)) is not None:
                replies.append((room.number, root, offset))
            values += (room.number, offset, user, cid, checksum, each.timestamp, each.body)
            if width == ANY:
                values += (each.kind, target)
            position = Position(room.epoch, offset)
            outcomes.append(Stored(each.room, each.timestamp, position, cid=cid))
        self._insert(values, width)
        insert_replies(self._connection, replies)
        for room, erased, eraser in erasures:
            erase(self._connection, room.number, erased, eraser)
            self._scrub = True
        self._retention.trim(rooms.values(), self._stored)
        for room in rooms.values():
            if not room.top:
                # All that was to begin it has been refused.
                self._ledger.remove(room)
                self._quota.remove_room()
        return outcomes

    def _insert(self, values: Sequence[Value], width: int) -> None:
        self._inserted = insert(self._connection, values, width) or self._inserted
        self._stored += len(values) // width

    def _rooms(self, batch: Sequence[Publication], *, full: bool) -> dict[str, Room]:
        rooms: dict[str, Room] = {}
        for each in batch:
            if each.room in rooms or (each.room, each.user) in self.refused:
                continue
            room = self._ledger.find(each.room)
            if room is None:
                if each.target is not None:
                    continue
                refusal = FULL if full else self._quota.add_room(each.user)
                if refusal is not None:
                    self.refused[each.room, each.user] = refusal
                    continue
                room = self._ledger.create(each.room, each.user)
            if room.is_relaxed and not room.relaxed:
                self._connection.execute("UPDATE room SET relaxed = 1 WHERE id = ?", (room.number,))
                room.relaxed = True
            rooms[each.room] = room
        return rooms

    def _receipts(
        self, batch: Sequence[Publication], rooms: dict[str, Room]
    ) -> dict[Key, Receipt] | None:
        # Nobody need look where the index tells: but a change that was made before must not be
        # judged again, for its message may be gone since.
        asked = [
            (rooms[each.room].number, each.user or "", each.cid)
            for each in batch
            if (each.target is not None or self._wary)
            and each.cid is not None
            and each.room in rooms
        ]
        if not asked and not self._wary:
            return None
        found = find_receipts(self._connection, asked)
        if found:
            self._wary = WARY
        elif self._wary:
            self._wary -= 1
        return found
