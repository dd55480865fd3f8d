"""Let users note up to where they have read, and see their rooms with what is unread."""

from typing import Final

from msgspec import Raw, Struct

from chatserver import (
    ActionError,
    Context,
    ErrorCode,
    Hub,
    NoConfig,
    Outcome,
    Plugin,
    Position,
    Reply,
    Right,
    action,
)

from .paging import Page
from .recovery import Offset
from .turns import Turns
from .unread import read_to

MOST: Final = 50
"""Rooms in one answer."""

NUMBERS: Final = 128
"""Bytes that an entry's keys and numbers take, beside what `Page` sets aside."""

LARGE: Final = 8
"""A newest message that takes more than this part of the largest frame is left out."""


class Read(Struct, frozen=True):
    """Note up to where the user has read a room, the one joined last by default."""

    offset: Offset
    room: str | None = None


class Rooms(Struct, frozen=True):
    """Ask for the user's own rooms, from behind a name."""

    after: str = ""


class CursorsPlugin(Plugin[NoConfig]):
    """Offer `read` and `rooms`."""

    async def startup(self, hub: Hub) -> None:
        """Begin with nobody who reads."""
        self._turns = Turns()

    @action("read")
    async def read(self, ctx: Context, msg: Read) -> Outcome:
        """Move the user's cursor, forwards or back, and tell the user's other connections."""
        room = ctx.require_room(msg.room, Right.READ)
        user = ctx.session.user
        if not user.lasting:
            raise ActionError(
                ErrorCode.FORBIDDEN, "Say hello first, so that you can come back to what you read"
            )
        state = await ctx.hub.history.position(room)
        if state is None:
            raise ActionError(ErrorCode.NOT_FOUND, "This room keeps no history")
        offset = min(msg.offset, state.top)
        if state.epoch:
            # In a direct room that nobody has written to, there is nothing to be remembered.
            ctx.hub.history.move_cursor(user.id, room, Position(state.epoch, offset))
        ctx.hub.publish_to(user.id, "read", ctx.session, room=room, offset=offset)
        return Reply("read", room=room, offset=offset)

    @action("rooms")
    async def rooms(self, ctx: Context, msg: Rooms) -> Outcome:
        """List the rooms the user has been in, its direct rooms and those of this connection."""
        async with self._turns.turn(ctx.session):
            return await _list(ctx, msg.after)


async def _list(ctx: Context, after: str) -> Reply:
    hub, session = ctx.hub, ctx.session
    cursors = await hub.history.cursors(session.user.id)
    direct = await hub.history.direct_rooms(session.user.id, after=after, limit=MOST + 1)
    names = sorted(
        room
        for room in {*hub.joined(session), *cursors, *direct}
        if room > after and hub.allows(session, Right.JOIN, room)
    )
    page = Page(hub.config.limits.max_frame_out)
    rooms: list[dict[str, object]] = []
    for room in names[:MOST]:
        entry, size = await _describe(ctx, room, cursors.get(room))
        if not page.takes(room, size=NUMBERS + size):
            return Reply("rooms", rooms=rooms, more=True, after=after)
        rooms.append(entry)
        after = room
    if len(names) > MOST:
        return Reply("rooms", rooms=rooms, more=True, after=after)
    return Reply("rooms", rooms=rooms)


async def _describe(
    ctx: Context, room: str, cursor: Position | None
) -> tuple[dict[str, object], int]:
    hub, user = ctx.hub, ctx.session.user
    entry: dict[str, object] = {"room": room, "members": sum(1 for _ in hub.members(room))}
    if not hub.allows(ctx.session, Right.READ, room):
        return entry, 0
    most = hub.config.limits.max_frame_out // LARGE
    page = await hub.history.messages(room, limit=1, max_bytes=most)
    if page is None:
        return entry, 0
    entry |= {"offset": page.state.top, "epoch": page.state.epoch}
    read = read_to(room, cursor, page.state) if user.lasting else None
    if read is not None:
        unread = await hub.history.unread(room, user.id, read)
        entry |= {"read": read, "unread": unread.count if unread else 0}
    for _, last in page.events:
        if len(last) <= most:
            entry["last"] = Raw(last)
            return entry, len(last)
    return entry, 0
