"""Decide who may do what in which room."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct


class Right(StrEnum):
    """List what can be allowed in a room."""

    JOIN = "join"
    READ = "read"
    WRITE = "write"
    MODERATE = "moderate"


class Grant(Struct, frozen=True):
    """Allow some rights in every room whose name matches.

    Attributes:
        pattern: A room name; ``*`` stands for any number of characters.
        rights: What is allowed there.
    """

    pattern: str
    rights: frozenset[Right]


class Rights:
    """Answer whether a user may do something in a room; grants add up.

    Args:
        grants: What is allowed; nothing else is.
    """

    __slots__ = ("_everywhere", "_patterns")

    def __init__(self, grants: Iterable[Grant]) -> None:
        everywhere: frozenset[Right] = frozenset()
        patterns: list[tuple[re.Pattern[str], frozenset[Right]]] = []
        for grant in grants:
            if grant.pattern == "*":
                everywhere |= grant.rights
            else:
                patterns.append((room_pattern(grant.pattern), grant.rights))
        self._everywhere = everywhere
        self._patterns = tuple(patterns)

    @classmethod
    def of(cls, rights: Mapping[str, Iterable[Right]]) -> "Rights":
        """Build from a mapping of room patterns to rights."""
        return cls(Grant(pattern, frozenset(names)) for pattern, names in rights.items())

    def allows(self, right: Right, room: str) -> bool:
        """Return whether `right` is granted in `room`; cost grows with the number of patterns."""
        return right in self._everywhere or self._somewhere(right, room)

    def _somewhere(self, right: Right, room: str) -> bool:
        # Apart, as Python makes cells for what a generator sees with each call.
        return any(
            right in rights and pattern.fullmatch(room) for pattern, rights in self._patterns
        )


EVERYWHERE = Rights([Grant("*", frozenset({Right.JOIN, Right.READ, Right.WRITE}))])
"""What everybody may do unless a token or the embedding app says otherwise."""


def room_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of room names, to be matched in full; ``*`` is any number of characters."""
    first, *rest = map(re.escape, pattern.split("*"))
    if not rest:
        return re.compile(first)
    *middle, last = rest
    # Each part is taken where it stands first, for good: no pattern makes the search back-track.
    taken = "".join(f"(?>.*?{part})" for part in middle)
    return re.compile(f"{first}{taken}.*{last}", re.DOTALL)
