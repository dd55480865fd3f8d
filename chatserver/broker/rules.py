"""Tell from the configuration how each room keeps its history."""

from collections.abc import Sequence

from chatserver.config import RoomConfig
from chatserver.publications import Keeping, Rules, keep_all
from chatserver.rights import room_pattern


def rules_of(rooms: Sequence[RoomConfig]) -> Rules:
    """Return the rules of a configuration: the first entry that matches counts.

    Rooms that none matches keep everything for ever.
    """
    if not rooms:
        return keep_all
    entries = [
        (room_pattern(each.match), Keeping(each.durability, each.length, each.age))
        for each in rooms
    ]
    otherwise = Keeping()

    def keeping(room: str) -> Keeping:
        for pattern, found in entries:
            if pattern.fullmatch(room):
                return found
        return otherwise

    return keeping
