"""Name the rooms of two: direct rooms, which belong to two users and to nobody else.

The name is ``dm:`` and both user ids in order, with a colon between them. A colon or percent sign
within an id is percent-encoded (RFC 3986, section 2.1), so that a name stands for one pair only.
"""

from typing import Final

from chatserver.names import MAX_USER_ID

PREFIX: Final = "dm:"
"""What the names of direct rooms begin with, and no others."""


def direct_room(one: str, other: str) -> str:
    """Return the name of the room of two users, given by their ids in any order."""
    first, second = sorted((one, other))
    return f"{PREFIX}{escaped(first)}:{escaped(second)}"


def is_direct(room: str) -> bool:
    """Tell whether a name is that of a direct room, or could only be one."""
    return room.startswith(PREFIX)


def pair_of(room: str) -> tuple[str, str] | None:
    """Return the ids of the two users of a direct room; None if there are no such two."""
    if not is_direct(room):
        return None
    first, _, second = map(_unescape, room.removeprefix(PREFIX).partition(":"))
    if first == second or not all(1 <= len(each) <= MAX_USER_ID for each in (first, second)):
        return None
    return (first, second) if direct_room(first, second) == room else None


def escaped(user: str) -> str:
    """Return a user id as it stands in the name of a direct room."""
    return user.replace("%", "%25").replace(":", "%3A")


def _unescape(user: str) -> str:
    return user.replace("%3A", ":").replace("%25", "%")
