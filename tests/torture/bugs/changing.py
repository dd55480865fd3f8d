"""Bugs of a server that makes something else of changes than what was asked for."""

import sqlite3
from collections.abc import Iterable, Sequence

from chatserver import Context, Right, fold
from chatserver.broker.tail import Tail
from chatserver.errors import ActionError
from chatserver.publications import Publication
from chatserver.store import Settlement, Stored, appending, writer
from chatserver.store.ledger import Ledger, Room
from chatserver.store.quota import Quota
from chatserver.store.retention import Retention
from chatserver.store.rows import Key, Receipt
from chatserver.store.targets import Targets
from tests.torture.planting import plant


def edit_of_another() -> None:
    """Give messages in pages the edits of the one folded before them."""
    correct = fold.fold
    late: list[Publication] = []

    def folded(offset: int, message: Publication, changes: Iterable[Publication]) -> bytes:
        found = list(changes)
        mixed = [each for each in found if each.kind != "edit"] + late
        late[:] = [each for each in found if each.kind == "edit"]
        return correct(offset, message, mixed)

    plant(fold, "fold", folded)


def pins_unseen() -> None:
    """Show messages in pages without their pins."""
    correct = fold.fold

    def folded(offset: int, message: Publication, changes: Iterable[Publication]) -> bytes:
        return correct(offset, message, [each for each in changes if each.kind != "pin"])

    plant(fold, "fold", folded)


def everybody_pins() -> None:
    """Let everybody pin messages."""
    correct = Context.require_room

    def require_room(context: Context, room: str | None = None, right: Right = Right.WRITE) -> str:
        return correct(context, room, Right.WRITE if right is Right.MODERATE else right)

    plant(Context, "require_room", require_room)


def edits_left_by_delete() -> None:
    """Erase a message, and leave what it was edited to."""

    def erase(connection: sqlite3.Connection, room: int, target: int, eraser: int) -> None:
        connection.execute(
            "UPDATE publication SET body = NULL WHERE room = ? AND offset = ?", (room, target)
        )

    plant(appending, "erase", erase)


def deleted_kept_in_memory() -> None:
    """Erase a message on disk, and go on showing it from memory."""

    def erase(tail: Tail, target: int | None, eraser: int) -> None:
        return

    plant(Tail, "erase", erase)


def delete_made_again() -> None:
    """Give a delete that is retried in another life a place of its own."""

    class Appender(appending.Appender):
        def __init__(
            self,
            connection: sqlite3.Connection,
            ledger: Ledger,
            quota: Quota,
            retention: Retention,
        ) -> None:
            super().__init__(connection, ledger, quota, retention)
            connection.execute("DROP INDEX IF EXISTS publication_cid")
            self._lived: set[tuple[int, str, str]] = set()

        def _receipts(
            self, batch: Sequence[Publication], rooms: dict[str, Room]
        ) -> dict[Key, Receipt]:
            self.wary = appending.WARY  # So that nothing else is stored twice.
            receipts = super()._receipts(batch, rooms) or {}
            for each in batch:
                if each.erases and each.room in rooms:
                    key = (rooms[each.room].number, each.user or "", each.cid or "")
                    if key not in self._lived:
                        receipts.pop(key, None)
                    self._lived.add(key)
            return receipts

    judge = Targets.judge

    def lenient(
        targets: Targets, room: Room, change: Publication, offset: int
    ) -> ActionError | None:
        return None if change.erases else judge(targets, room, change, offset)

    plant(Targets, "judge", lenient)
    plant(writer, "Appender", Appender)


def delete_judged_again() -> None:
    """Refuse a delete that is retried: its message is gone."""

    class Appender(appending.Appender):
        def _receipts(
            self, batch: Sequence[Publication], rooms: dict[str, Room]
        ) -> dict[Key, Receipt] | None:
            return super()._receipts([each for each in batch if not each.erases], rooms)

    plant(writer, "Appender", Appender)


def text_back_on_retry() -> None:
    """Write the text of a retried edit again where it was erased."""

    class Appender(appending.Appender):
        def append(self, batch: Sequence[Publication]) -> list[Settlement]:
            outcomes = super().append(batch)
            for each, outcome in zip(batch, outcomes, strict=True):
                if each.kind == "edit" and isinstance(outcome, Stored) and outcome.duplicate:
                    self._connection.execute(
                        "UPDATE publication SET body = ?"
                        " WHERE user = ? AND cid = ? AND body IS NULL AND kind IS NOT NULL",
                        (each.body, each.user, each.cid),
                    )
            return outcomes

    plant(writer, "Appender", Appender)


def change_of_what_is_gone() -> None:
    """Take changes of messages that were deleted."""

    def lenient(targets: Targets, room: Room, change: Publication, offset: int) -> None:
        return

    plant(Targets, "judge", lenient)
