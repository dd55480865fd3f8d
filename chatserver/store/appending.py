"""Append a batch within a transaction: judge each publication, give offsets, insert all at once."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from chatserver.errors import ActionError
from chatserver.fold import answered
from chatserver.guard import missing
from chatserver.positions import Position
from chatserver.publications import Publication, checksum_of
from chatserver.store import FULL, Settlement, Stored, Stream
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

WARY: Final = 64
"""Batches that look for used `cid`s first, after one was found.

Nearly all are new, and the index tells at the insert when one is not; then the batch is written
again. Whoever sends old ones all the time makes few batches be written twice.
"""


class Appender:
    """Append batches; the writer begins and ends the transactions.

    Args:
        connection: The file, opened for writing.
        ledger: Knows the rooms.
        quota: Knows what there may be.
        retention: Removes what has to go for what comes.

    Attributes:
        refused: In which rooms whose publications the last batch had to leave out, and why.
        stored: How many publications it has inserted.
        last: The id of the last of these; 0 where there is none.
        wary: How many batches still look for used `cid`s first.
    """

    def __init__(
        self, connection: sqlite3.Connection, ledger: Ledger, quota: Quota, retention: Retention
    ) -> None:
        self.refused: dict[Stream, ActionError] = {}
        self.stored = 0
        self.last = 0
        self.wary = 0
        self._connection = connection
        self._ledger = ledger
        self._quota = quota
        self._retention = retention

    def append(self, batch: Sequence[Publication]) -> list[Settlement]:
        """Append a batch; return one outcome for each, in order.

        What does not fit into the bounds is left out, and what the same user has behind it in the
        same room: see `refused`.

        Raises:
            sqlite3.IntegrityError: A `cid` was used before, and nobody had looked.
            sqlite3.Error: The transaction is to be undone.
        """
        refused = self.refused = {}
        left = self._quota.space(batch)
        rooms = self._rooms(batch, full=left is not None and left <= 0)
        if left is not None:
            # What is stored already is not refused.
            self.wary = WARY
        receipts = self._receipts(batch, rooms)
        targets = Targets(self._connection)
        width = width_of(batch)
        written = tops(rooms)
        outcomes: list[Settlement] = []
        values: list[Value] = []
        replies: list[Reply] = []
        erasures: list[tuple[Room, int, int]] = []
        self.stored = self.last = 0
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
        self._retention.trim(rooms.values(), self.stored)
        for room in rooms.values():
            if not room.top:
                # All that was to begin it has been refused.
                self._ledger.remove(room)
                self._quota.remove_room()
        return outcomes

    def _insert(self, values: Sequence[Value], width: int) -> None:
        self.last = insert(self._connection, values, width) or self.last
        self.stored += len(values) // width

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
            if (each.target is not None or self.wary)
            and each.cid is not None
            and each.room in rooms
        ]
        if not asked and not self.wary:
            return None
        found = find_receipts(self._connection, asked)
        if found:
            self.wary = WARY
        elif self.wary:
            self.wary -= 1
        return found
