"""Hold this process's sessions and rooms: join, leave, publish, deliver."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import time

from chatserver.broker import Broker, Due, Publication
from chatserver.clock import Stamper
from chatserver.config import Config
from chatserver.context import ABOUT, RESERVED, Hub, RoomNames
from chatserver.direct_rooms import DirectRooms
from chatserver.envelope import encode_event
from chatserver.errors import ActionError, CloseCode, Disconnect, ErrorCode
from chatserver.fanout import FanOut, Schedule
from chatserver.frames import text_frame
from chatserver.guard import ANYBODY, Guard
from chatserver.history import History
from chatserver.pairs import is_direct
from chatserver.pending import Pending
from chatserver.plugin import AnyPlugin, Plugin
from chatserver.publications import Published, placed
from chatserver.rights import Right
from chatserver.rooms import Room, RoomTable
from chatserver.rules import RoomRules
from chatserver.session import ANONYMOUS, Identity, Session, User
from chatserver.stats import Stats
from chatserver.users import Users

log = logging.getLogger("chatserver.hub")


class LocalHub(Hub):
    """Implement the hub; see `Hub` for what plugins may use.

    Args:
        config: The configuration in force.
        data_dir: The folder for what has to outlive the process.
        broker: Orders and carries publications.
        plugins: Whose hooks are called.
        schedule: Calls a function later, or in the loop's next tick.
        stats: Where events are counted.
    """

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        broker: Broker,
        plugins: Iterable[AnyPlugin],
        schedule: Schedule,
        stats: Stats,
    ) -> None:
        self.config = config
        self.rules = RoomRules(config.rooms)
        self.data_dir = data_dir
        self.stats = stats
        self.sessions: set[Session] = set()
        self.users = Users(unique=config.chat.unique_names)
        self.table: RoomTable[Session] = RoomTable()
        self._direct_rooms = DirectRooms(self.users.get)
        self.draining = False
        self.history: History = broker
        self._broker = broker
        self._everyone: Room[Session] = Room("")
        self._fan_out = FanOut(schedule, stats)
        self._stamp = Stamper(time).stamp
        self._on_connect = _hooks(plugins, Plugin.on_connect)
        self._on_disconnect = _hooks(plugins, Plugin.on_disconnect)
        self._on_join = _hooks(plugins, Plugin.on_join)
        self._on_leave = _hooks(plugins, Plugin.on_leave)
        self._on_rename = _hooks(plugins, Plugin.on_rename)

    def timestamp(self) -> str:
        """Return the time now as RFC 3339 with milliseconds."""
        return self._stamp()

    async def startup(self) -> None:
        """Begin to take publications from the broker."""
        await self._broker.startup(self._deliver)

    async def cleanup(self) -> None:
        """Let the broker settle what is pending."""
        await self._broker.cleanup()

    # Sessions and users

    def attach(self, session: Session) -> None:
        """Count a connected session in."""
        self.sessions.add(session)
        if session.admitted:
            self._everyone.add(session, session.sink.write)
        self._renamed(self.users.attach(session))
        _call(self._on_connect, session)

    def drop(self, session: Session) -> None:
        """Count a session out and end its memberships; the second time does nothing."""
        if session not in self.sessions:
            return
        self.sessions.remove(session)
        if session in self._everyone.members:
            self._everyone.remove(session)
        for room in list(self.table.joined(session)):
            self._remove(session, room)
        _call(self._on_disconnect, session)
        self.users.detach(session)

    def identify(self, session: Session, identity: Identity) -> None:
        """Make a session another user's; see `Hub.identify`."""
        self._check_connected(session)
        stranger = identity.user != session.user.id
        if stranger:
            self.check_connections(identity.user)
        for room in list(self.table.joined(session)):
            if stranger or not self.rules.allows(identity, Right.JOIN, room):
                self.leave(session, room)
        if stranger:
            self._direct_rooms.leave(session)
            self.users.detach(session)
            session.user = User(identity.user)
        session.identity = identity
        if not session.admitted:
            session.admitted = True
            self._everyone.add(session, session.sink.write)
        session.closes_at = identity.expires
        session.closes_with = CloseCode.EXPIRED
        self._renamed(self.users.attach(session))
        self._move(session)

    def check_connections(self, user_id: str) -> None:
        """Check that a user may have one more connection.

        Raises:
            Disconnect: The user has as many as are allowed (3504).
        """
        user = self.users.get(user_id)
        most = self.config.server.max_connections_per_user
        if user is not None and len(user.sessions) >= most:
            raise Disconnect(CloseCode.CONNECTION_LIMIT, f"More than {most} connections")

    def allows(self, session: Session, right: Right, room: str) -> bool:
        """Tell whether a session may do something in a room; see `Hub.allows`."""
        return self.rules.allows(session.identity, right, room)

    def user(self, id: str) -> User | None:
        """Return a connected user by id."""
        return self.users.get(id)

    async def claim_name(self, session: Session, name: str) -> str | None:
        """Give the session's user a name; see `Hub.claim_name`."""
        name = self.users.check(session, name)
        user = session.user
        for holder in self.users.holders(name, user):
            if await self._answers(holder):
                raise ActionError(ErrorCode.NAME_TAKEN, f"The name {name} is taken; choose another")
            for silent in list(holder.sessions):
                silent.sink.close(CloseCode.NO_PONG, "no pong")
                self.drop(silent)
        self._check_connected(session)
        if self.users.holders(name, user):
            raise ActionError(ErrorCode.NAME_TAKEN, f"The name {name} is taken; choose another")
        old = self.users.give(user, name)
        if old is not None and old != name:
            _call(self._on_rename, user, old)
        return old

    def kick(self, user: str, code: int, reason: str = "") -> int:
        """Close all connections of a user; see `Hub.kick`."""
        end = Disconnect(code, reason)
        found = self.users.get(user)
        sessions = list(found.sessions) if found else []
        for session in sessions:
            session.sink.close(end.code, end.reason)
            self.drop(session)
        return len(sessions)

    def _check_connected(self, session: Session) -> None:
        # Its handler may have waited while it was dropped; what it got now would never be freed.
        if session not in self.sessions:
            raise Disconnect(CloseCode.RECONNECT, "This connection has ended")

    async def _answers(self, user: User) -> bool:
        patience = self.config.limits.name_timeout
        sessions = list(user.sessions)
        probes = [asyncio.create_task(each.sink.probe(patience)) for each in sessions]
        try:
            for answer in asyncio.as_completed(probes):
                if await answer:
                    return True
            came_meanwhile = user.sessions.keys() - sessions
            return bool(came_meanwhile)
        finally:
            for probe in probes:
                probe.cancel()

    def _renamed(self, guests: Iterable[tuple[User, str]]) -> None:
        for user, old in guests:
            _call(self._on_rename, user, old)

    # Rooms

    def join(self, session: Session, room: str, greet: Callable[[int], None] | None = None) -> int:
        """Make a session a member; see `Hub.join`."""
        self._check_connected(session)
        joined = self._room(room)
        news = joined is None or session not in joined.members
        if greet is not None and joined is not None and not news and joined.pending:
            # What `greet` says of the room's position is to come after all it stands for.
            session.sink.write(*joined.catch_up(session))
        if joined is None:
            self._broker.subscribe(room)
        if joined is None or not is_direct(room):
            joined = self.table.add(session, room, session.sink.write)
            self._move(session)
        members = len(joined.members)
        if greet is not None:
            greet(members)
        if news:
            _call(self._on_join, session, room)
        return members

    def leave(self, session: Session, room: str) -> None:
        """End a membership; see `Hub.leave`."""
        existing = self.table.get(room)
        if existing is None or session not in existing.members:
            return
        if existing.pending:
            session.sink.write(*existing.owed(session))
        self._remove(session, room)

    def _remove(self, session: Session, room: str) -> None:
        self.table.remove(session, room)
        self._move(session)
        if self.table.get(room) is None:
            self._broker.unsubscribe(room)
        _call(self._on_leave, session, room)

    def _move(self, session: Session) -> None:
        session.place = (session.user.id, next(reversed(self.table.joined(session)), None))

    def joined(self, session: Session) -> RoomNames:
        """Return the rooms a session is in, last joined at the end."""
        return self.table.joined(session)

    def members(self, room: str) -> Iterator[Session]:
        """Iterate over the members of a room, in the order they joined."""
        existing = self._room(room)
        return iter(existing.members if existing else ())

    def rooms(self) -> Mapping[str, int]:
        """Return the rooms with members, and how many each has."""
        return self.table.sizes()

    def _room(self, name: str) -> Room[Session] | None:
        # Nobody joins direct rooms, so they are not in the table.
        return self.table.get(name) or (self._direct_rooms.get(name) if is_direct(name) else None)

    # Events

    def publish(
        self,
        room: str,
        event: str,
        fields: Mapping[str, object],
        # No star as in `Hub`: Python looks up a default of what has to be named, each time.
        author: Session | User | None = None,
        cid: str | None = None,
        ephemeral: bool = False,
        stored: bool = True,
        target: int | None = None,
        erases: bool = False,
        guard: Guard = ANYBODY,
    ) -> Pending[Published]:
        """Send an event to a room; see `Hub.publish`."""
        # Few names are looked up faster one by one than by a method of the set.
        for name in fields:
            if name in RESERVED:
                raise _reserved(fields)
        if not room:
            raise ValueError("a room needs a name")
        stamp = self._stamp
        timestamp = stamp()
        full = {"action": event, "room": room, **fields}
        if target is not None:
            full["target"] = target
        elif erases:
            raise ValueError("what erases a message needs its offset as `target`")
        full["timestamp"] = timestamp
        user = None
        if author is not None:
            who = author.user if isinstance(author, Session) else author
            user = full["sender"] = who.id
            full["username"] = who.name or ANONYMOUS
        if cid is not None:
            full["cid"] = cid
        body = encode_event(full)
        # An eighth is left for what an answer says beside it, and for what changes add to it.
        most = self.config.limits.max_frame_out * 7 // 8
        if len(body) > most:
            raise _too_large(most)
        return self._broker.publish(
            Publication(
                room,
                body,
                timestamp,
                user,
                cid,
                ephemeral,
                stored,
                event,
                target,
                erases,
                guard,
            )
        )

    def publish_to(
        self, user: str, event: str, besides: Session | None = None, /, **fields: object
    ) -> int:
        """Send an event to the connections of a user; see `Hub.publish_to`."""
        if not RESERVED.isdisjoint(fields.keys() - ABOUT):
            raise _reserved(fields.keys() - ABOUT)
        found = self.users.get(user)
        sessions = [each for each in found.sessions if each is not besides] if found else []
        if not sessions:
            return 0
        body = encode_event({"action": event, **fields, "timestamp": self._stamp()})
        most = self.config.limits.max_frame_out
        if len(body) > most:
            raise _too_large(most)
        frame = text_frame(body)
        for session in sessions:
            session.sink.write(frame)
        self.stats.events += 1
        self.stats.deliveries += len(sessions)
        return len(sessions)

    def broadcast(self, text: str) -> None:
        """Send a plain text frame to every connection of this process."""
        self.stats.events += 1
        self._fan_out.publish(self._everyone, text_frame(text.encode()))

    def flush(self) -> None:
        """Write what has been published so far, before connections are closed."""
        self._fan_out.flush_all()

    def _deliver(self, name: str, due: Sequence[Due]) -> None:
        room = self._room(name)
        if room is None or not room.members:
            return
        self.stats.events += len(due)
        for publication, position in due:
            body = publication.body
            if position is not None:
                body = placed(body, position.offset)
            # One by one: what is pending is bounded in between.
            self._fan_out.publish(room, text_frame(body), publication.ephemeral)


def _too_large(most: int) -> ActionError:
    return ActionError(ErrorCode.TOO_LARGE, f"The event is larger than {most} bytes")


def _reserved(fields: Iterable[str]) -> ValueError:
    names = ", ".join(sorted(RESERVED.intersection(fields)))
    return ValueError(f"only the server sets these fields of an event: {names}")


def _hooks(
    plugins: Iterable[AnyPlugin], hook: Callable[..., None]
) -> tuple[Callable[..., None], ...]:
    name = hook.__name__
    return tuple(
        getattr(plugin, name) for plugin in plugins if getattr(type(plugin), name) is not hook
    )


def _call(hooks: Iterable[Callable[..., None]], *args: object) -> None:
    for hook in hooks:
        try:
            hook(*args)
        except Exception:
            log.exception("%s failed", getattr(hook, "__qualname__", hook))
