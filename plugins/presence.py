"""Let members see who is there, user by user, without the flapping of connections.

A room is told of comings and goings from the first time somebody in it asks who is there. A user
counts as there as long as one connection is in the room, and for a grace time after the last one.
"""

import asyncio
from collections import OrderedDict
from itertools import count
from typing import Annotated, Final

from msgspec import Meta, Struct

from chatserver import (
    ActionError,
    Context,
    ErrorCode,
    Hub,
    Outcome,
    Plugin,
    Reply,
    Right,
    Session,
    User,
    action,
)
from chatserver.pairs import is_direct
from chatserver.session import ANONYMOUS

from .paging import Page

MOST_LEAVING: Final = 10_000
"""Users who may be in their grace time at once; beyond, the earliest of them is gone at once."""


class PresenceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how patient the plugin is.

    Attributes:
        grace: Seconds a user may be away before the room is told.
    """

    grace: Annotated[float, Meta(gt=0, le=3600)] = 10


class Presence(Struct, frozen=True):
    """Ask who is in a room, from behind one of them by number."""

    room: str | None = None
    after: Annotated[int, Meta(ge=0)] = 0


class Someone:
    """Hold a user who is in a room.

    Attributes:
        user: The user, connected or in its grace time.
        since: When the user came, as RFC 3339.
        number: Its number among all who came to rooms, in that order, from 1.
        devices: How many of the user's connections are in the room.
    """

    __slots__ = ("devices", "number", "since", "user")

    def __init__(self, user: User, since: str, number: int) -> None:
        self.user = user
        self.since = since
        self.number = number
        self.devices = 0


Place = tuple[str, str]
"""A room and a user id."""


class PresencePlugin(Plugin[PresenceConfig]):
    """Offer `presence`, and tell rooms that have asked about comings and goings."""

    Config = PresenceConfig

    async def startup(self, hub: Hub) -> None:
        """Begin with nobody there."""
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._rooms: dict[str, dict[str, Someone]] = {}
        self._numbers = count(1)
        self._watched: set[str] = set()
        self._leaving: OrderedDict[Place, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def cleanup(self) -> None:
        """Wait for nobody any more."""
        if self._timer is not None:
            self._timer.cancel()

    @action("presence")
    async def presence(self, ctx: Context, msg: Presence) -> Outcome:
        """List the users in a room, in the order they came; from now on the room is told."""
        room = ctx.require_room(msg.room, Right.READ)
        if is_direct(room):
            raise ActionError(
                ErrorCode.NOT_FOUND, "Nobody comes to a direct room or goes; ask for its members"
            )
        self._watched.add(room)
        page = Page(ctx.hub.config.limits.max_frame_out)
        users: list[dict[str, object]] = []
        # Not by how many there were: nobody is passed over when one of those has gone meanwhile.
        after = msg.after
        for someone in self._rooms.get(room, {}).values():
            if someone.number <= msg.after:
                continue
            username = someone.user.name or ANONYMOUS
            if not page.takes(username, someone.user.id):
                return Reply("presence", room=room, users=users, more=True, after=after)
            after = someone.number
            users.append(
                {
                    "username": username,
                    "sender": someone.user.id,
                    "since": someone.since,
                    "devices": someone.devices,
                }
            )
        return Reply("presence", room=room, users=users)

    def on_join(self, session: Session, room: str) -> None:
        """Note a connection; the first one of a user brings the user."""
        user = session.user
        users = self._rooms.setdefault(room, {})
        someone = users.get(user.id)
        if someone is None:
            someone = users[user.id] = Someone(user, self._hub.timestamp(), next(self._numbers))
            self._tell(room, user, "online")
        self._leaving.pop((room, user.id), None)
        someone.user = user
        someone.devices += 1

    def on_leave(self, session: Session, room: str) -> None:
        """Note the end of a membership; after the last one the grace time begins."""
        user = session.user.id
        someone = self._rooms[room][user]
        someone.devices -= 1
        if someone.devices:
            return
        if len(self._leaving) >= MOST_LEAVING:
            self._gone(next(iter(self._leaving)))
        self._leaving[room, user] = self._loop.time() + self.config.grace
        self._wait()

    def _wait(self) -> None:
        if self._timer is None and self._leaving:
            self._timer = self._loop.call_at(next(iter(self._leaving.values())), self._take_leave)

    def _take_leave(self) -> None:
        self._timer = None
        now = self._loop.time()
        # All have the same grace, so they end in the order they began.
        while self._leaving and next(iter(self._leaving.values())) <= now:
            self._gone(next(iter(self._leaving)))
        self._wait()

    def _gone(self, place: Place) -> None:
        room, user = place
        del self._leaving[place]
        users = self._rooms[room]
        someone = users.pop(user)
        if users:
            self._tell(room, someone.user, "offline")
        else:
            del self._rooms[room]
            self._watched.discard(room)

    def _tell(self, room: str, user: User, state: str) -> None:
        if room in self._watched and not self._hub.draining:
            self._hub.publish(room, "presence", {"state": state}, author=user, ephemeral=True)
