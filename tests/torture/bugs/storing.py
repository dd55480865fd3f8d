"""Bugs of a server that stores in a wrong way, or not when it says so."""

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from chatserver.broker import Deliver, Due, embedded
from chatserver.positions import Position
from chatserver.publications import Publication
from chatserver.store import CONFLICT, Settlement, Stored, appending, ledger, sqlite, writer
from chatserver.store.ledger import Room
from chatserver.store.retention import Retention
from chatserver.store.rows import Key, Receipt
from chatserver.store.schema import new_epoch, open_file
from tests.torture.planting import plant

FLUSHED: Final = 0.01
"""Seconds after which what was published is written to all members."""


def ack_before_commit() -> None:
    """Acknowledge batches while their transaction is open, and commit eight of them at once."""
    _commit_late(lambda writer, room: True)


def relaxed_committed_late() -> None:
    """Do so where a batch need not wait for the disk."""
    _commit_late(lambda writer, room: writer._ledger.is_relaxed(room))


def broadcast_before_commit() -> None:
    """Show a batch to the members and commit it then."""
    early: list[Callable[[Sequence[Publication], Sequence[Settlement]], None]] = []

    class Broker(embedded.EmbeddedBroker):
        async def startup(self, deliver: Deliver) -> None:
            loop = asyncio.get_running_loop()

            def show(batch: Sequence[Publication], outcomes: Sequence[Settlement]) -> None:
                for each, outcome in zip(batch, outcomes, strict=True):
                    if isinstance(outcome, Stored) and not outcome.duplicate:
                        deliver(each.room, [(each, outcome.position)])

            def show_and_wait(batch: Sequence[Publication], outcomes: Sequence[Settlement]) -> None:
                shown = threading.Event()
                loop.call_soon_threadsafe(show, batch, outcomes)
                loop.call_soon_threadsafe(loop.call_later, FLUSHED, shown.set)
                shown.wait()

            early.append(show_and_wait)
            await super().startup(deliver)

        def _hand_out(self, room: str, due: Sequence[Due]) -> None:
            super()._hand_out(room, [each for each in due if each[1] is None])

    class Appender(appending.Appender):
        def append(self, batch: Sequence[Publication]) -> list[Settlement]:
            outcomes = super().append(batch)
            early[0](batch, outcomes)
            return outcomes

    plant(embedded, "EmbeddedBroker", Broker)
    plant(writer, "Appender", Appender)


def batch_turned_round() -> None:
    """Store the last message of a batch first."""

    class Appender(appending.Appender):
        def append(self, batch: Sequence[Publication]) -> list[Settlement]:
            return super().append(batch[::-1])[::-1]

    plant(writer, "Appender", Appender)


def texts_mixed_up() -> None:
    """Store the first message of a batch with the text of the last."""

    class Appender(appending.Appender):
        def append(self, batch: Sequence[Publication]) -> list[Settlement]:
            mixed = list(batch)
            said = [place for place, each in enumerate(batch) if each.kind == "message"]
            if said:
                first, last = batch[said[0]], batch[said[-1]]
                mixed[said[0]] = structs.replace(first, body=last.body)
            return super().append(mixed)

    plant(writer, "Appender", Appender)


def cid_forgotten() -> None:
    """Store a retry as if it were another message."""

    class Appender(appending.Appender):
        def _receipts(
            self, batch: Sequence[Publication], rooms: dict[str, Room]
        ) -> dict[Key, Receipt]:
            return {}

    _at_start("DROP INDEX IF EXISTS publication_cid")
    plant(writer, "Appender", Appender)


def retry_leaves_hole() -> None:
    """Give a retry an offset of its own, at which nothing stands."""
    again = ledger.again

    def spent(room: Room, publication: Publication, receipt: Receipt) -> Settlement:
        room.top += 1
        return again(room, publication, receipt)

    plant(appending, "again", spent)


def conflict_overlooked() -> None:
    """Acknowledge another text under a used cid as a retry."""

    def again(room: Room, publication: Publication, receipt: Receipt) -> Settlement:
        offset, timestamp, _ = receipt
        position = Position(room.epoch, offset)
        return Stored(publication.room, timestamp, position, duplicate=True, cid=publication.cid)

    plant(appending, "again", again)


def retry_conflicts() -> None:
    """Take one retry in ten for another text under a used cid."""
    again = ledger.again
    count = itertools.count(1)

    def mistaken(room: Room, publication: Publication, receipt: Receipt) -> Settlement:
        return again(room, publication, receipt) if next(count) % 10 else CONFLICT

    plant(appending, "again", mistaken)


def trimmed_too_far() -> None:
    """Keep half of what a room has to keep."""

    def trim(retention: Retention, rooms: Iterable[Room], added: int) -> None:
        for room in rooms:
            if room.keeping.length is not None:
                retention._raise_floor(room, room.top - room.keeping.length // 2, added)

    plant(Retention, "trim", trim)


def offsets_used_again() -> None:
    """Forget the last messages at every start, and give their offsets to others.

    After a kill nobody may have seen them; an orderly stop shows them to all first.
    """
    _at_start(
        "DELETE FROM publication WHERE id IN (SELECT id FROM publication ORDER BY id DESC LIMIT 9)",
        "UPDATE room SET top = 0",
    )


def epoch_renewed() -> None:
    """Call every stream something else after a start, and go on counting."""
    _at_start(f"UPDATE room SET epoch = '{new_epoch()}'")  # noqa: S608 - our own


def _commit_late(is_late: Callable[[writer.Writer, str], bool]) -> None:
    class Writer(writer.Writer):
        batches = 0

        def write(self, batch: Sequence[Publication]) -> list[Settlement]:
            if not all(is_late(self, each.room) for each in batch):
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")
                return super().write(batch)
            # Whoever had to undo this batch would undo the others too.
            self._appender.wary = appending.WARY
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            outcomes = self._appender.append(batch)
            self.batches += 1
            if self.batches % 8 == 0:
                self._connection.execute("COMMIT")
            return outcomes

    plant(sqlite, "Writer", Writer)


def _at_start(*statements: str) -> None:
    def opened(path: Path, timeout: float) -> sqlite3.Connection:
        connection = open_file(path, timeout)
        for statement in statements:
            connection.execute(statement)
        return connection

    plant(sqlite, "open_file", opened)
