"""Show middlewares and plugins what they work with: handshakes, messages and the hub."""

from collections.abc import Callable, Collection, Iterator, Mapping, Reversible, Sequence
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from chatserver.addresses import Headers
from chatserver.config import Config
from chatserver.envelope import Envelope
from chatserver.errors import ActionError, ErrorCode
from chatserver.guard import ANYBODY, Guard
from chatserver.history import History
from chatserver.pairs import is_direct
from chatserver.pending import Pending
from chatserver.publications import Published
from chatserver.rights import Right
from chatserver.rules import RoomRules
from chatserver.session import Identity, Reply, Session, User

Awaited = Pending[Reply | None] | Pending[Published]
"""What is to come: a reply, or what became of a publication, which is answered with `sent`."""

Outcome = Reply | Awaited | None
"""What a handler returns: a reply now, an answer later, or nothing."""

RESERVED: Final = frozenset(
    {
        "action",
        "type",
        "id",
        "room",
        "offset",
        "epoch",
        "cid",
        "sender",
        "username",
        "timestamp",
    }
)
"""Fields of an event that only the server sets."""

ABOUT: Final = frozenset({"room", "offset"})
"""Those of them that an event to a user may have, to say what it is about."""


class Handshake:
    """Describe a client that connects, before the upgrade.

    Attributes:
        headers: The request's headers.
        query: The query string's fields.
        remote: The client's address, proxies taken into account; empty on a unix socket.
        local: The address the client reached us at; empty on a unix socket.
        scheme: ``http`` or ``https`` as the client used it (a trusted proxy may say).
        host: Host and port as the client used them (a trusted proxy may say).
        subprotocols: What the client offered in ``Sec-WebSocket-Protocol``.
        probe: True for a plain GET that only asks whether an upgrade would be let in.
        identity: Who it is: set by the embedding app or by an authenticating middleware.
        from_host: Whether `identity` came from the embedding app (say, a session cookie).
        max_message_size: Bytes of a message the session will be told; size limits lower it.
        max_frame: Bytes above which a message closes the connection with 1009.
    """

    __slots__ = (
        "from_host",
        "headers",
        "host",
        "identity",
        "local",
        "max_frame",
        "max_message_size",
        "probe",
        "query",
        "remote",
        "scheme",
        "subprotocols",
    )

    def __init__(
        self,
        *,
        headers: Headers,
        query: Mapping[str, str],
        remote: str,
        local: str,
        scheme: str,
        host: str,
        subprotocols: Sequence[str] = (),
        probe: bool = False,
        identity: Identity | None = None,
        max_frame: int = 2**20,
    ) -> None:
        self.headers = headers
        self.query = query
        self.remote = remote
        self.local = local
        self.scheme = scheme
        self.host = host
        self.subprotocols = subprotocols
        self.probe = probe
        self.identity = identity
        self.from_host = identity is not None
        self.max_frame = max_frame
        self.max_message_size = max_frame


class RoomNames(Collection[str], Reversible[str], Protocol):
    """Hold room names in order; looking one up costs the same for any number."""


class Hub(Protocol):
    """Reach the sessions and rooms of this process.

    Attributes:
        config: The configuration in force.
        data_dir: The folder for what has to outlive the process; it may not exist yet.
        draining: Whether the end has begun: all connections are about to be closed.
        history: What the rooms keep.
        rules: What the configuration says about single rooms.
    """

    config: Config
    data_dir: Path
    draining: bool
    history: History
    rules: RoomRules

    def timestamp(self) -> str:
        """Return the time now as RFC 3339 with milliseconds."""

    def publish(
        self,
        room: str,
        event: str,
        fields: Mapping[str, object],
        author: Session | User | None = None,
        cid: str | None = None,
        *,
        ephemeral: bool = False,
        stored: bool = True,
        target: int | None = None,
        erases: bool = False,
        guard: Guard = ANYBODY,
    ) -> Pending[Published]:
        """Send an event to a room; it takes its place in the room's order at once.

        Args:
            room: The room's name.
            event: What the event is called.
            fields: The event's own fields.
            author: The session or user whose `sender` and `username` the event carries, if any.
            cid: The client's own id of the message, up to 64 characters.
            ephemeral: Never stored, and dropped for members that read slowly.
            stored: Whether it becomes part of the history of a room that keeps one.
            target: The offset of the message it changes, if it changes one; a field of the event.
            erases: Whether it empties that message and all earlier changes of it.
            guard: What that message must be like when the change's turn comes.

        Raises:
            ValueError: A field is one that only the server sets (`RESERVED`), the room has no name,
                or there is no `target` to be erased.
            ActionError: ``too_large`` above 7/8 of `max_frame_out`; ``not_found`` for a change in a
                room that keeps no history.
        """

    def publish_to(
        self, user: str, event: str, besides: Session | None = None, /, **fields: object
    ) -> int:
        """Send an event to the connections of a user; return how many there were.

        Args:
            user: The user id.
            event: What the event is called.
            besides: A connection that does not get it, since it knows.
            fields: The event's own fields; `room` and `offset` may be among them.

        Raises:
            ValueError: A field is one that only the server sets.
            ActionError: ``too_large`` above `max_frame_out`.
        """

    def broadcast(self, text: str) -> None:
        """Send a plain text frame to every admitted connection of this process."""

    def join(self, session: Session, room: str, greet: Callable[[int], None] | None = None) -> int:
        """Make a session a member, last joined; return the number of members.

        What was published before goes to the old members only. Joining again only makes the room
        the last joined one. The users of a direct room are members anyway: it only greets them.

        Args:
            session: The new member.
            room: The room's name.
            greet: Called with the number of members before anybody is told; what it sends to the
                session is the first thing of the room.

        Raises:
            Disconnect: The session's connection has ended.
        """

    def leave(self, session: Session, room: str) -> None:
        """End a membership, not of a direct room; what was published before is still delivered."""

    def joined(self, session: Session) -> "RoomNames":
        """Return the rooms a session is in, last joined at the end; direct rooms are not joined."""

    def members(self, room: str) -> Iterator[Session]:
        """Iterate over the members of a room, in the order they joined."""

    def rooms(self) -> Mapping[str, int]:
        """Return the rooms with members, and how many each has; costs a pass over all rooms.

        Direct rooms are not among them.
        """

    def allows(self, session: Session, right: Right, room: str) -> bool:
        """Tell whether a session may do something in a room, member or not.

        In a direct room its two users may join, read and write, and nobody may do anything else.
        """

    def user(self, id: str) -> User | None:
        """Return a connected user by id."""

    def identify(self, session: Session, identity: Identity) -> None:
        """Give a session another identity: a late or newer token, or a returning guest.

        Another user's leaves all its rooms; the same user's leaves those it may no longer join.

        Raises:
            Disconnect: The user has too many connections, or the session's has ended.
        """

    async def claim_name(self, session: Session, name: str) -> str | None:
        """Give the session's user a display name; return the name it had before.

        A holder none of whose connections answers a ping within `name_timeout` loses it.

        Raises:
            ActionError: ``bad_name``, ``name_taken``, or ``forbidden`` for a fixed name.
            Disconnect: The session's connection has ended.
        """

    def kick(self, user: str, code: int, reason: str = "") -> int:
        """Close all connections of a user; return how many there were.

        Raises:
            ValueError: A server may not send that code.
        """


class Context(Struct, frozen=True, eq=False):
    """Hand one message to middlewares and its handler.

    Attributes:
        session: Who sent it.
        hub: The rooms and users of this process.
        envelope: The parsed message.
    """

    session: Session
    hub: Hub
    envelope: Envelope

    def publish(
        self,
        room: str,
        event: str,
        /,
        *,
        cid: str | None = None,
        ephemeral: bool = False,
        **fields: object,
    ) -> Pending[Published]:
        """Send an event to a room in the sender's name; see `Hub.publish`."""
        return self.hub.publish(
            room, event, fields, author=self.session, cid=cid, ephemeral=ephemeral
        )

    def respond(self, reply: Reply) -> None:
        """Send the reply now, before any later event of a room; the handler then returns None."""
        self.session.sink.answer(self.envelope, reply)

    def require_room(self, room: str | None = None, right: Right = Right.WRITE) -> str:
        """Return the room meant by a message: the one named, or the one joined last.

        Args:
            room: What the message names, if anything.
            right: What the sender must be allowed to do there.

        Raises:
            ActionError: ``not_joined`` or ``forbidden``.
        """
        joined = self.hub.joined(self.session)
        if room is None:
            _, room = self.session.place
            if room is None:
                raise ActionError(ErrorCode.NOT_JOINED, "Join a room first")
        elif room not in joined and not is_direct(room):
            raise ActionError(ErrorCode.NOT_JOINED, "You are not in that room; join it first")
        self.require_right(room, right)
        return room

    def require_right(self, room: str, right: Right) -> None:
        """Check that the sender may do something in a room.

        Raises:
            ActionError: ``forbidden``.
        """
        if not self.hub.allows(self.session, right, room):
            what = "join" if right is Right.JOIN else f"{right} in"
            raise ActionError(ErrorCode.FORBIDDEN, f"You may not {what} that room")
