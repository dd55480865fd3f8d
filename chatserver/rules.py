"""Tell from the configuration how rooms are kept, and who may do what in them."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, structs

from chatserver.config import Anybody, RoomConfig
from chatserver.pairs import is_direct, pair_of
from chatserver.publications import Durability, Keeping
from chatserver.rights import Right, room_pattern
from chatserver.session import Identity

REMEMBERED: Final = 10_000
"""Rooms whose rules are remembered; at more, the memory begins anew."""

LONGEST: Final = 256
"""Characters of a name whose rule is remembered; only direct rooms have longer ones."""

Who = frozenset[str] | Anybody
"""User ids, or a word for everybody it stands for."""


class Rule(Struct, frozen=True):
    """Hold what one entry of the configuration says about its rooms.

    Attributes:
        keeping: How their histories are kept.
        recovery_limit: Missed messages that `join` brings at once; None for the general limit.
        recovery_bytes: Bytes of them.
        who: Who has a right there, as far as the entry says so.
        pair: The users of a direct room, nobody where its name tells no two; None for other rooms.
    """

    keeping: Keeping = Keeping()
    recovery_limit: int | None = None
    recovery_bytes: int | None = None
    who: Mapping[Right, Who] = {}
    pair: tuple[str, ...] | None = None


class RoomRules:
    """Find the rule of a room: the first entry that matches its name.

    Rooms that none matches keep everything for ever, and everybody's rights count there. A name
    that begins as those of direct rooms do but tells no two users is nobody's, and keeps nothing.

    Args:
        rooms: The entries of the configuration.
    """

    def __init__(self, rooms: Sequence[RoomConfig] = ()) -> None:
        self._entries = [(room_pattern(each.match), _rule(each)) for each in rooms]
        self._found: dict[str, Rule] = {}

    def find(self, room: str) -> Rule:
        """Return the rule of a room.

        Costs a look-up, the first time and for long names a look at every entry. May be called
        from any thread.
        """
        return self._found.get(room) or self._match(room)

    def keeping(self, room: str) -> Keeping:
        """Return how a room keeps its history."""
        return self.find(room).keeping

    def allows(self, identity: Identity, right: Right, room: str) -> bool:
        """Tell whether somebody may do something in a room.

        The rule narrows what the identity's own rights allow, except that it can make moderators.
        In a direct room its two users may do everything else, and nobody may do anything else.
        """
        rule = self.find(room)
        if rule.pair is not None:
            return right is not Right.MODERATE and identity.user in rule.pair
        granted = identity.rights.allows(right, room)
        named = rule.who
        who = named.get(right) if named else None
        if who is None:
            return granted
        if right is Right.MODERATE:
            return granted or _includes(who, identity)
        return granted and _includes(who, identity)

    def _match(self, room: str) -> Rule:
        pair = pair_of(room)
        if pair is None and is_direct(room):
            # Anybody can make up any number of these, each as long as a message.
            return _NOBODYS
        matching = (rule for pattern, rule in self._entries if pattern.fullmatch(room))
        rule = next(matching, _OTHERWISE)
        if pair is not None:
            rule = structs.replace(rule, pair=pair)
        if len(room) > LONGEST:
            return rule
        # Remembered, since each message asks several times.
        if len(self._found) >= REMEMBERED:
            self._found.clear()
        self._found[room] = rule
        return rule


_OTHERWISE: Final = Rule()
_NOBODYS: Final = Rule(Keeping(Durability.NONE), pair=())


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
