"""Judge whether a message may be changed: edited, deleted, reacted to or pinned."""

from datetime import datetime
from math import inf
from typing import Final

from msgspec import Struct

from chatserver.errors import ActionError, ErrorCode


class Guard(Struct, frozen=True, gc=False):
    """Say under which conditions a message may be changed.

    Attributes:
        author: The user who must have written it; None lets anybody change it.
        within: Seconds after it in which it may be changed; None is for ever.
        kind: What it must be called; None is for whatever there is.
        most: Changes it may have; None is for any number.
    """

    author: str | None = None
    within: float | None = None
    kind: str | None = None
    most: int | None = None


ANYBODY: Final = Guard()
"""Let anybody change whatever is kept."""


class Target(Struct, frozen=True, gc=False):
    """Hold what a guard asks about a publication that is kept.

    Attributes:
        user: Who wrote it.
        timestamp: When, RFC 3339.
        kind: What it is called.
        is_change: Whether it changes another one itself.
        erased: Whether it has been emptied.
        changes: How many changes of it there are.
    """

    user: str | None
    timestamp: str
    kind: str
    is_change: bool = False
    erased: bool = False
    changes: int = 0


def refusal(guard: Guard, target: Target | None, timestamp: str) -> ActionError | None:
    """Return why a message may not be changed, or None where it may.

    Args:
        guard: The conditions.
        target: The message, as it is when the change's turn comes; None where none is kept.
        timestamp: When it is to be changed, RFC 3339.
    """
    if target is None or target.is_change or target.erased or guard.kind not in (None, target.kind):
        return missing()
    if guard.author not in (None, target.user):
        return ActionError(ErrorCode.FORBIDDEN, "Only its author may do that to a message")
    if guard.within is not None and _seconds(target.timestamp, timestamp) > guard.within:
        return ActionError(ErrorCode.FORBIDDEN, "That message is too old to be changed")
    if guard.most is not None and target.changes >= guard.most:
        return ActionError(
            ErrorCode.FORBIDDEN, f"That message was changed {guard.most} times; it takes no more"
        )
    return None


def missing() -> ActionError:
    """Return the refusal of a change whose target is not kept."""
    return ActionError(
        ErrorCode.NOT_FOUND, "There is no such message in that room", field="$.offset"
    )


def _seconds(earlier: str, later: str) -> float:
    try:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    except (ValueError, TypeError):
        # Not a time as we write them, so nobody knows how old it is.
        return inf
