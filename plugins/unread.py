"""Tell what of a room a user has not read, in step with the room's stream."""

from chatserver import Hub, Position, Right, RoomState, Session
from chatserver.pairs import is_direct
from chatserver.publications import MOST_UNREAD

from .recovery import TRIES, Since, stream


async def follow(
    hub: Hub, session: Session, room: str, since: Since | None, last: int | None
) -> dict[str, object]:
    """Return what `joined` says of a room: its stream, and how much of it is unread.

    A user who has not been there before has read all of it. Members are sent what follows on it,
    as long as the caller awaits nothing before it joins; see `stream`.

    Args:
        hub: Knows the room.
        session: Who is about to join.
        room: The room's name.
        since: See `stream`.
        last: See `stream`.

    Raises:
        ActionError: ``unavailable``.
    """
    history, user = hub.history, session.user
    if not user.lasting or not hub.allows(session, Right.READ, room):
        _, fields = await stream(hub, room, since, last)
        return fields
    cursor = (await history.cursors(user.id)).get(room)
    for _ in range(TRIES):
        state = await history.position(room)
        read = None if state is None else read_to(room, cursor, state)
        counted = None if read is None else await history.unread(room, user.id, read)
        now, fields = await stream(hub, room, since, last)
        # What has been published since it was counted is in memory by now, or it is counted again.
        if read is None or counted is None:
            return fields | _begin(hub, session, room, now)
        rest = history.unread(room, user.id, counted.top)
        newer = rest.result() if rest.is_done else None
        # What was counted may also be ahead of what members have been sent, and what was erased
        # since may be among it.
        if newer is not None and newer.top >= counted.top and not newer.erases:
            unread = min(counted.count + newer.count, MOST_UNREAD)
            return fields | {"read": read, "unread": unread}
    return fields


def read_to(room: str, cursor: Position | None, state: RoomState) -> int | None:
    """Return the last offset a user has read; None where nothing is known of this epoch.

    Of a direct room nothing has been read then, since nobody joins it.
    """
    if cursor is not None and cursor.epoch in (state.epoch, ""):
        return min(cursor.offset, state.top)
    return 0 if is_direct(room) else None


async def forget(hub: Hub, session: Session, room: str) -> None:
    """Forget up to where a user has read, unless another of its connections is in the room."""
    user = session.user
    if not user.lasting or any(room in hub.joined(each) for each in user.sessions):
        return
    if room in await hub.history.cursors(user.id):
        hub.history.move_cursor(user.id, room, None)


def _begin(hub: Hub, session: Session, room: str, state: RoomState | None) -> dict[str, object]:
    if state is None:
        return {}
    hub.history.move_cursor(session.user.id, room, Position(state.epoch, state.top))
    return {"read": state.top, "unread": 0}
