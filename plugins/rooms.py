"""Let users take a name, join and leave rooms, and see who is where."""

from typing import Annotated

from msgspec import Meta, Struct

from chatserver import (
    ActionError,
    Context,
    ErrorCode,
    Hub,
    NoConfig,
    Outcome,
    Plugin,
    Reply,
    Right,
    Session,
    User,
    action,
    clean_name,
)
from chatserver.pairs import is_direct, pair_of

from .paging import Page
from .recovery import MOST, Since
from .turns import Turns
from .unread import follow, forget


class Register(Struct, frozen=True):
    """Ask for a display name."""

    username: str


class Join(Struct, frozen=True):
    """Ask to become a member of a room, and for what was missed in it or its newest messages."""

    room: str | None = None
    since: Since | None = None
    last: Annotated[int, Meta(ge=1, le=MOST)] | None = None


class Leave(Struct, frozen=True):
    """Ask to leave a room, the one joined last by default."""

    room: str | None = None


class ListRooms(Struct, frozen=True):
    """Ask for the rooms with members, from behind a name."""

    after: str = ""


class Members(Struct, frozen=True):
    """Ask who is in a room, from behind a number of members."""

    room: str | None = None
    after: Annotated[int, Meta(ge=0)] = 0


class RoomsPlugin(Plugin[NoConfig]):
    """Offer `register`, `join`, `leave`, `list_rooms` and `members`."""

    async def startup(self, hub: Hub) -> None:
        """Remember the hub, in whose rooms comings and goings are announced; nobody reads yet."""
        self._hub = hub
        self._turns = Turns()

    @action("register")
    async def register(self, ctx: Context, msg: Register) -> Outcome:
        """Give the user a display name; again renames."""
        await ctx.hub.claim_name(ctx.session, msg.username)
        return Reply("registered", username=ctx.session.username)

    @action("join")
    async def join(self, ctx: Context, msg: Join) -> Outcome:
        """Make the connection a member; the reply comes before any event of the room.

        Where the room keeps a history, the reply says where it stands, and events follow on that.
        """
        hub, session, chat = ctx.hub, ctx.session, ctx.hub.config.chat
        if chat.require_username and session.user.name is None:
            raise ActionError(ErrorCode.NOT_REGISTERED, "Register first")
        name = chat.default_room if msg.room is None else msg.room
        room = name if pair_of(name) else clean_name(name, "room", "$.room")
        ctx.require_right(room, Right.JOIN)
        if msg.since is not None or msg.last is not None:
            ctx.require_right(room, Right.READ)
        before = [] if is_direct(room) else list(hub.joined(session))
        if room not in before and not chat.single_room and len(before) >= chat.max_rooms:
            raise ActionError(
                ErrorCode.FORBIDDEN, f"You are in {len(before)} rooms; leave one of them first"
            )
        async with self._turns.turn(session):
            place = await follow(hub, session, room, msg.since, msg.last)
            # Between here and the reply nothing may be awaited: it would be missing from both.
            if hub.allows(session, Right.MODERATE, room):
                place["moderate"] = True

            def greet(members: int) -> None:
                ctx.respond(Reply("joined", room=room, members=members, **place))

            hub.join(session, room, greet)
        if chat.single_room:
            for other in before:
                if other != room:
                    hub.leave(session, other)
        return None

    @action("leave")
    async def leave(self, ctx: Context, msg: Leave) -> Outcome:
        """End a membership; leaving without being in a room is no mistake."""
        room = msg.room
        if room is None:
            _, room = ctx.session.place
        if room is None:
            return Reply("left")
        if is_direct(room):
            raise ActionError(ErrorCode.FORBIDDEN, "A direct room cannot be left", field="$.room")
        ctx.hub.leave(ctx.session, room)
        await forget(ctx.hub, ctx.session, room)
        return Reply("left", room=room)

    @action("list_rooms")
    async def list_rooms(self, ctx: Context, msg: ListRooms) -> Outcome:
        """List the rooms with members that the asker may join, by name; direct rooms aside."""
        sizes = ctx.hub.rooms()
        page = Page(ctx.hub.config.limits.max_frame_out)
        rooms: dict[str, int] = {}
        for room in sorted(sizes):
            if room > msg.after and ctx.hub.allows(ctx.session, Right.JOIN, room):
                if not page.takes(room):
                    return Reply("room_list", rooms=rooms, more=True, after=list(rooms)[-1])
                rooms[room] = sizes[room]
        return Reply("room_list", rooms=rooms)

    @action("members")
    async def members(self, ctx: Context, msg: Members) -> Outcome:
        """List the connections in a room, in the order they joined."""
        room = ctx.require_room(msg.room, Right.READ)
        page = Page(ctx.hub.config.limits.max_frame_out)
        members: list[dict[str, str]] = []
        for index, member in enumerate(ctx.hub.members(room)):
            if index < msg.after:
                continue
            if not page.takes(member.username, member.user.id):
                return Reply("members", room=room, members=members, more=True, after=index)
            members.append({"username": member.username, "sender": member.user.id})
        return Reply("members", room=room, members=members)

    def on_join(self, session: Session, room: str) -> None:
        """Tell the room, the new member included."""
        self._notify(session, room, "join", f"{session.username} joined {room}")

    def on_leave(self, session: Session, room: str) -> None:
        """Tell those who stay; at the end of the server nobody does."""
        if not self._hub.draining:
            self._notify(session, room, "leave", f"{session.username} left {room}")

    def on_rename(self, user: User, old: str) -> None:
        """Tell each room that one of the user's connections is in."""
        sessions = {room: each for each in user.sessions for room in self._hub.joined(each)}
        for room, session in sessions.items():
            text = f"{old} is now {session.username}"
            self._notify(session, room, "rename", text, old=old)

    def _notify(self, session: Session, room: str, event: str, text: str, **more: str) -> None:
        fields = {"event": event, "text": text, **more}
        self._hub.publish(room, "notification", fields, author=session, stored=False)
