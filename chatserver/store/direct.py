"""Find the direct rooms of a user in the store's file, by their names."""

import sqlite3
from typing import Final

from chatserver.pairs import PREFIX, escaped

_IS_DIRECT: Final = f"name GLOB '{PREFIX}*'"
_SECOND: Final = f"substr(name, 1 + {len(PREFIX)} + instr(substr(name, 1 + {len(PREFIX)}), ':'))"
"""The second user of a direct room."""

INDEX: Final = f"CREATE INDEX room_second ON room ({_SECOND}, name) WHERE {_IS_DIRECT}"
"""Finds rooms by their second user; those of a first user stand together by name."""

_AS_FIRST: Final = "SELECT name FROM room WHERE name > ? AND name < ? ORDER BY name LIMIT ?"
_AS_SECOND: Final = (
    f"SELECT name FROM room WHERE {_IS_DIRECT} AND {_SECOND} = ? AND name > ?"  # noqa: S608 - put together of constants
    " ORDER BY name LIMIT ?"
)


def direct_rooms_of(connection: sqlite3.Connection, user: str, after: str, limit: int) -> list[str]:
    """Return the direct rooms of a user, in order.

    Args:
        connection: A connection to the file.
        user: The user id.
        after: Only names behind this one.
        limit: How many at most.
    """
    first = f"{PREFIX}{escaped(user)}:"
    # The semicolon is the next character after the colon.
    bounds = (max(after, first), f"{first[:-1]};", limit)
    found = [*connection.execute(_AS_FIRST, bounds)]
    found += connection.execute(_AS_SECOND, (escaped(user), after, limit))
    return sorted(name for (name,) in found)[:limit]
