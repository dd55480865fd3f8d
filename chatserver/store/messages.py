"""Read messages with their changes from the file, within one snapshot."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from chatserver.fold import (
    MOST_CHANGES,
    SPAN,
    Entry,
    Messages,
    Reactions,
    fold,
    is_pinned,
    page,
    reactions,
)
from chatserver.publications import Publication, RoomState

_COLUMNS: Final = "offset, user, cid, timestamp, target, kind, body"
_AFTER: Final = f"""SELECT {_COLUMNS} FROM publication
    WHERE room = ? AND offset >= ? AND offset <= ?
    AND (target IS NULL OR target <= ? AND body IS NOT NULL)
    ORDER BY offset LIMIT ?"""  # noqa: S608 - put together of constants
_BEFORE: Final = f"""SELECT {_COLUMNS} FROM publication
    WHERE room = ? AND offset >= ? AND offset <= ? AND target IS NULL
    ORDER BY offset DESC LIMIT ?"""  # noqa: S608 - put together of constants
_OF_P: Final = ", ".join(f"p.{column}" for column in _COLUMNS.split(", ")[1:])
# The offset is that of `reply`, whose order is known: by that of `publication` all would be sorted.
_THREAD: Final = f"""SELECT {_COLUMNS} FROM publication
    WHERE room = :room AND offset = :root AND offset >= :first AND target IS NULL
    UNION ALL SELECT r.offset, {_OF_P} FROM reply r
    CROSS JOIN publication p ON p.room = r.room AND p.offset = r.offset
    WHERE r.room = :room AND r.root = :root AND r.offset >= :first AND r.offset <> :root
    AND p.target IS NULL AND p.body IS NOT NULL
    ORDER BY offset LIMIT :limit"""  # noqa: S608 - put together of constants
# Of many edits only the last is read; the index alone tells which. Rows lie in the order of storing
# (schema.py), so it is the one with the largest id. Reactions come as the index has them: no more
# of them are looked at than are taken, and those of one message.
_OF_CHANGE: Final = "p.user, p.timestamp, p.kind, p.body, p.id"
_CHANGES: Final = f"""SELECT p.target, {_OF_CHANGE} FROM publication p INDEXED BY publication_target
    WHERE p.room = :room AND p.target >= :first AND p.target <= :last
    AND p.kind IN ('reaction', 'pin') AND p.body IS NOT NULL
    UNION ALL SELECT p.target, {_OF_CHANGE} FROM publication p
    WHERE p.body IS NOT NULL AND p.id IN (
        SELECT max(id) FROM publication INDEXED BY publication_target
        WHERE room = :room AND target >= :first AND target <= :last AND kind = 'edit'
        GROUP BY target
    ) ORDER BY target"""  # noqa: S608 - put together of constants
_CHANGES_AFTER: Final = f"{_CHANGES}, id"
_CHANGES_BEFORE: Final = f"{_CHANGES} DESC, id"
# Without the plus, SQLite takes the bounds for the target, too, and looks at all between them.
_CHANGES_OF_ANSWERS: Final = f"""SELECT r.offset AS target, {_OF_CHANGE} FROM reply r
    CROSS JOIN publication p INDEXED BY publication_target
    ON p.room = r.room AND p.target = +r.offset
    WHERE r.room = :room AND r.root = :root AND r.offset >= :first AND r.offset <= :last
    AND p.kind IN ('reaction', 'pin') AND p.body IS NOT NULL
    UNION ALL SELECT r.offset, {_OF_CHANGE} FROM reply r
    CROSS JOIN publication p ON p.id = (
        SELECT max(id) FROM publication INDEXED BY publication_target
        WHERE room = r.room AND target = r.offset AND kind = 'edit'
    )
    WHERE r.room = :room AND r.root = :root AND r.offset >= :first AND r.offset <= :last
    AND p.body IS NOT NULL
    ORDER BY target, id"""  # noqa: S608 - put together of constants
# Of what was ever pinned; the index alone tells which.
_PINNED: Final = """SELECT DISTINCT target FROM publication INDEXED BY publication_pin
    WHERE room = ? AND target >= ? AND target <= ? AND kind = 'pin' AND body IS NOT NULL
    ORDER BY target DESC"""
_ONE: Final = f"""SELECT {_COLUMNS} FROM publication
    WHERE room = ? AND offset = ? AND target IS NULL AND body IS NOT NULL"""  # noqa: S608 - put together of constants
_REACTIONS: Final = """SELECT user, body FROM publication INDEXED BY publication_target
    WHERE room = ? AND target = ? AND kind = 'reaction' AND body IS NOT NULL ORDER BY id"""

_Row = tuple[int, str, str | None, str, int | None, str, bytes | None]


def read_after(
    connection: sqlite3.Connection,
    room: int,
    state: RoomState,
    after: int,
    limit: int,
    max_bytes: int,
) -> Messages:
    """Read forwards; see `Store.messages`."""
    first = max(after + 1, state.oldest)
    last = min(state.top, first + SPAN - 1)
    limit = min(limit, SPAN)
    rows = connection.execute(_AFTER, (room, first, last, after, limit + 1))
    entries, limit = _take(rows, limit, max_bytes)
    changes, limit = _changes(connection, _CHANGES_AFTER, room, entries, limit)
    return page(state, entries, changes, limit, max_bytes, end=last, edge=state.top)


def read_before(
    connection: sqlite3.Connection,
    room: int,
    state: RoomState,
    before: int | None,
    limit: int,
    max_bytes: int,
) -> Messages:
    """Read backwards; see `Store.messages`."""
    last = state.top if before is None else min(before - 1, state.top)
    first = max(state.oldest, last - SPAN + 1)
    limit = min(limit, SPAN)
    rows = connection.execute(_BEFORE, (room, first, last, limit + 1))
    entries, limit = _take(rows, limit, max_bytes)
    changes, limit = _changes(connection, _CHANGES_BEFORE, room, entries, limit)
    return page(state, entries, changes, limit, max_bytes, end=first, edge=state.oldest)


def read_thread(
    connection: sqlite3.Connection,
    room: int,
    state: RoomState,
    root: int,
    after: int,
    limit: int,
    max_bytes: int,
) -> Messages:
    """Read a message and what answers it; see `Store.thread`."""
    first = max(after + 1, state.oldest)
    asked = {"room": room, "root": root, "first": first, "limit": limit + 1}
    rows = connection.execute(_THREAD, asked)
    entries, limit = _take(rows, limit, max_bytes)
    changes, limit = _changes(connection, _CHANGES_OF_ANSWERS, room, entries, limit, root)
    # The message itself is no answer; what answers it may lie before it, by a guess of its offset.
    itself = [entry for entry in entries[:limit] if entry[0] == root]
    changes |= _changes(connection, _CHANGES_AFTER, room, itself, 1)[0]
    return page(state, entries, changes, limit, max_bytes, end=state.top, edge=state.top)


def read_pinned(
    connection: sqlite3.Connection,
    room: int,
    state: RoomState,
    before: int | None,
    limit: int,
    max_bytes: int,
) -> Messages:
    """Read what is pinned; see `Store.pinned`."""
    last = state.top if before is None else before - 1
    entries: list[Entry] = []
    changes: dict[int, Sequence[Publication]] = {}
    size, left = 0, MOST_CHANGES
    for (offset,) in connection.execute(_PINNED, (room, state.oldest, last)):
        if len(entries) > limit or size > max_bytes or left <= 0:
            break
        found, _ = _take(connection.execute(_ONE, (room, offset)), 1, max_bytes)
        made, _ = _changes(connection, _CHANGES_AFTER, room, found, 1)
        left -= 1 + len(made.get(offset, ()))
        end = offset
        if found and is_pinned(made[offset]):
            entries += found
            changes |= made
            size += len(found[0][1].body)
    else:
        end = state.oldest
    return page(state, entries, changes, limit, max_bytes, end=end, edge=state.oldest)


def read_reactions(
    connection: sqlite3.Connection, room: int, state: RoomState, offset: int
) -> Reactions | None:
    """Return all who have reacted to a message; see `Store.reactions`."""
    if not state.oldest <= offset <= state.top:
        return None
    if connection.execute(_ONE, (room, offset)).fetchone() is None:
        return None
    rows = connection.execute(_REACTIONS, (room, offset))
    return reactions(
        Publication("", body, "", user or None, kind="reaction") for user, body in rows
    )


def folded(connection: sqlite3.Connection, room: int, offset: int, body: bytes) -> bytes:
    """Return one message as people read it; see `fold`.

    Args:
        connection: Within a snapshot.
        room: The room's number.
        offset: The message's offset.
        body: The message, encoded.
    """
    entry = (offset, Publication("", body, ""))
    changes, _ = _changes(connection, _CHANGES_AFTER, room, [entry], 1)
    return fold(*entry, changes.get(offset, ()))


def _take(rows: Iterable[_Row], limit: int, max_bytes: int) -> tuple[list[Entry], int]:
    entries: list[Entry] = []
    size = 0
    for offset, user, cid, timestamp, target, kind, body in rows:
        size += len(body or b"")
        entries.append(
            (
                offset,
                Publication(
                    "", body or b"", timestamp, user or None, cid, kind=kind, target=target
                ),
            )
        )
        if len(entries) > 1 and size > max_bytes:
            return entries, min(limit, len(entries) - 1)
    return entries, limit


def _changes(
    connection: sqlite3.Connection,
    query: str,
    room: int,
    entries: Sequence[Entry],
    limit: int,
    root: int | None = None,
) -> tuple[dict[int, list[Publication]], int]:
    found: defaultdict[int, list[Publication]] = defaultdict(list)
    offsets = [offset for offset, _ in entries[:limit]]
    if not offsets:
        return found, limit
    asked = {"room": room, "first": min(offsets), "last": max(offsets), "root": root}
    rows = connection.execute(query, asked)
    for count, (target, user, timestamp, kind, body, _) in enumerate(rows):
        if count >= MOST_CHANGES and target not in found:
            return found, offsets.index(target)
        found[target].append(Publication("", body, timestamp, user or None, kind=kind))
    return found, limit
