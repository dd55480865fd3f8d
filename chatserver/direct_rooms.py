"""Find who is in a direct room: all connections of its two users, without their joining."""

from collections.abc import Callable
from weakref import WeakValueDictionary

from chatserver.pairs import pair_of
from chatserver.rooms import Room
from chatserver.session import Session, User


class DirectRooms:
    """Make the rooms of two as they are needed; each lasts until what is pending is written.

    So nothing has to be read or kept for users who have many of them, and nobody who connects
    while somebody writes can miss anything.

    Args:
        find: Returns a connected user by id.
    """

    def __init__(self, find: Callable[[str], User | None]) -> None:
        self._find = find
        # The fan-out holds on to a room while something is pending, and nobody else does.
        self._rooms: WeakValueDictionary[str, Room[Session]] = WeakValueDictionary()

    def get(self, name: str) -> Room[Session]:
        """Return a room with those who are here now; costs a look at the two users' connections."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name)
        users = map(self._find, pair_of(name) or ())
        here = [session for user in users if user is not None for session in user.sessions]
        for session in room.members.keys() - here:
            room.remove(session)
        for session in here:
            if session not in room.members:
                room.add(session, session.sink.write)
        return room

    def leave(self, session: Session) -> None:
        """Give a session what is pending for it, before it becomes another user's."""
        for room in list(self._rooms.values()):
            if session in room.members:
                if room.pending:
                    session.sink.write(*room.owed(session))
                room.remove(session)
