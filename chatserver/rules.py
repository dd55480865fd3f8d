"""Tell from the configuration how rooms are kept, and who may do what in them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from chatserver.config import Anybody, RoomConfig
from chatserver.publications import Keeping
from chatserver.rights import Right, room_pattern
from chatserver.session import Identity

REMEMBERED: Final = 10_000
"""Rooms whose rules are remembered; at more, the memory begins anew."""

Who = frozenset[str] | Anybody
"""User ids, or a word for everybody it stands for."""


class Rule(Struct, frozen=True):
    """Hold what one entry of the configuration says about its rooms.

    Attributes:
        keeping: How their histories are kept.
        recovery_limit: Missed messages that `join` brings at once; None for the general limit.
        recovery_bytes: Bytes of them.
        who: Who has a right there, as far as the entry says so.
    """

    keeping: Keeping = Keeping()
    recovery_limit: int | None = None
    recovery_bytes: int | None = None
    who: Mapping[Right, Who] = {}


class RoomRules:
    """Find the rule of a room: the first entry that matches its name.

    Rooms that none matches keep everything for ever, and everybody's rights count there.

    Args:
        rooms: The entries of the configuration.

    Attributes:
        find: Returns the rule of a room; costs a look-up, the first time a look at every entry.
            May be called from any thread.
    """

    def __init__(self, rooms: Sequence[RoomConfig] = ()) -> None:
        entries = [(room_pattern(each.match), _rule(each)) for each in rooms]
        self.find: Callable[[str], Rule] = _Found(entries).__getitem__

    def keeping(self, room: str) -> Keeping:
        """Return how a room keeps its history."""
        return self.find(room).keeping

    def allows(self, identity: Identity, right: Right, room: str) -> bool:
        """Tell whether somebody may do something in a room.

        The rule narrows what the identity's own rights allow, except that it can make moderators.
        """
        granted = identity.rights.allows(right, room)
        named = self.find(room).who
        who = named.get(right) if named else None
        if who is None:
            return granted
        if right is Right.MODERATE:
            return granted or _includes(who, identity)
        return granted and _includes(who, identity)


class _Found(dict[str, Rule]):
    """Remember what was found: a dictionary, since each message asks several times."""

    def __init__(self, entries: Sequence[tuple[re.Pattern[str], Rule]]) -> None:
        super().__init__()
        self._entries = entries

    def __missing__(self, room: str) -> Rule:
        matching = (rule for pattern, rule in self._entries if pattern.fullmatch(room))
        rule = next(matching, _OTHERWISE)
        if len(self) >= REMEMBERED:
            self.clear()
        self[room] = rule
        return rule


_OTHERWISE: Final = Rule()


def _rule(room: RoomConfig) -> Rule:
    named = {
        Right.JOIN: room.join,
        Right.READ: room.read,
        Right.WRITE: room.write,
        Right.MODERATE: room.moderate,
    }
    return Rule(
        Keeping(room.durability, room.length, room.age),
        room.recovery_limit,
        room.recovery_bytes,
        {
            right: frozenset(who) if isinstance(who, list) else who
            for right, who in named.items()
            if who is not None
        },
    )


def _includes(who: Who, identity: Identity) -> bool:
    if isinstance(who, frozenset):
        return identity.user in who
    return who is Anybody.EVERYONE or (who is Anybody.USERS and not identity.guest)
