"""Look up the messages that the changes of one batch are about."""

import sqlite3
from typing import Final

from msgspec import structs

from chatserver.errors import ActionError
from chatserver.guard import Target, refusal
from chatserver.publications import Publication
from chatserver.store.ledger import Room

_FIND: Final = """SELECT user, timestamp, kind, target IS NOT NULL, body IS NULL, (
    SELECT count(*) FROM publication c WHERE c.room = p.room AND c.target = p.offset
) FROM publication p WHERE room = ? AND offset = ?"""


class Targets:
    """Judge changes by their targets as these are at each change's turn within the batch.

    Args:
        connection: The writer's connection, in the batch's transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[int, int], Target] = {}

    def judge(self, room: Room, change: Publication, offset: int) -> ActionError | None:
        """Return why a change is refused, or None and count it for those that follow.

        Args:
            room: The room.
            change: The change.
            offset: Its target; if that is kept, its row has been written.
        """
        target = self._find(room, offset)
        refused = refusal(change.guard, target, change.timestamp)
        if refused is None and target is not None:
            self._known[room.number, offset] = structs.replace(
                target, erased=change.erases, changes=target.changes + 1
            )
        return refused

    def _find(self, room: Room, offset: int) -> Target | None:
        if not room.floor <= offset <= room.top:
            return None
        found = self._known.get((room.number, offset))
        if found is None:
            row = self._connection.execute(_FIND, (room.number, offset)).fetchone()
            user, timestamp, kind, is_change, erased, changes = row
            found = Target(user or None, timestamp, kind, bool(is_change), bool(erased), changes)
        return found
