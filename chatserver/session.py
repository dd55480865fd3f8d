"""Describe who is behind a connection."""

from typing import Final, Generic, Protocol, TypeVar, cast

from msgspec import Struct

from chatserver.envelope import Envelope
from chatserver.errors import ActionError, CloseCode
from chatserver.names import MAX_USER_ID, clean_name
from chatserver.rights import EVERYWHERE, Rights

T = TypeVar("T")

GUEST_PREFIX: Final = "guest:"
"""What the user ids of guests begin with; nobody else's may."""

ANONYMOUS: Final = "anonymous"
"""What users are called before they have a name."""


class Identity(Struct, frozen=True, kw_only=True):
    """Say who somebody is, as found out by a token, the embedding app or a guest's own token.

    Attributes:
        user: Stable user id, 1-255 characters; never ``guest:…`` unless `guest` is set.
        name: Display name, registered at once, one that `clean_name` accepts; None lets the user
            register one.
        allow_rename: Whether a user with a `name` may register another.
        rights: What the user may do in which rooms.
        expires: Unix time in seconds after which the connection is closed with 3005.
        guest: Whether the id was made up by the server.

    Raises:
        ValueError: The user id or name breaks the rules above.
    """

    user: str
    name: str | None = None
    allow_rename: bool = False
    rights: Rights = EVERYWHERE
    expires: float | None = None
    guest: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.user) <= MAX_USER_ID or not self.user.isprintable():
            raise ValueError(f"a user id has 1 to {MAX_USER_ID} printable characters")
        if self.user.startswith(GUEST_PREFIX) != self.guest:
            raise ValueError(f"user ids beginning with {GUEST_PREFIX!r} are for guests only")
        if self.name is not None:
            try:
                clean_name(self.name)
            except ActionError as error:
                raise ValueError(error.message) from error


class Reply:
    """Answer the sender of a message.

    Args:
        action: What the answer is called; goes out under the client's own key.
        fields: The rest of the answer, JSON types or msgspec Structs.
    """

    __slots__ = ("action", "fields")

    def __init__(self, action: str, /, **fields: object) -> None:
        self.action = action
        self.fields = fields

    def __repr__(self) -> str:
        return f"Reply({self.action!r}, **{self.fields!r})"


class Sink(Protocol):
    """Take what goes out to one peer; implemented by the connection.

    Nothing here waits and nothing raises: a peer that is gone or too slow is dealt with inside.
    """

    def write(self, frames: bytes, essential: bytes | None = None) -> None:
        """Write whole WebSocket frames, after the replies queued so far.

        Args:
            frames: One or more complete frames.
            essential: The same without what may be dropped, for a peer that reads slowly.
        """

    def answer(self, envelope: Envelope, reply: Reply) -> None:
        """Queue the reply to a message."""

    def refuse(self, envelope: Envelope, error: ActionError) -> None:
        """Queue the error reply to a message."""

    def close(self, code: int, reason: str = "") -> None:
        """Say good-bye with a close frame; the connection ends soon, whether answered or not."""

    async def probe(self, patience: float) -> bool:
        """Ping the peer and return whether it showed life within `patience` seconds."""


class _Detached:
    def write(self, frames: bytes, essential: bytes | None = None) -> None:
        pass

    def answer(self, envelope: Envelope, reply: Reply) -> None:
        pass

    def refuse(self, envelope: Envelope, error: ActionError) -> None:
        pass

    def close(self, code: int, reason: str = "") -> None:
        pass

    async def probe(self, patience: float) -> bool:
        return False


DETACHED: Final[Sink] = _Detached()
"""The sink of a session that has no connection (yet, or any more)."""


class StateKey(Generic[T]):
    """Name a piece of per-connection state with its type.

    Args:
        name: For people; two keys of one name are still two keys.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<StateKey {self.name}>"


class State(Protocol):
    """Keep typed values for middlewares and plugins, one set per connection.

    It is a dictionary, for it is asked for every message; only the types are narrower.
    """

    def __setitem__(self, key: StateKey[T], value: T, /) -> None: ...

    def __getitem__(self, key: StateKey[T], /) -> T: ...

    def get(self, key: StateKey[T], /) -> T | None:
        """Return the value, or None where nothing was stored."""

    def pop(self, key: StateKey[T], default: None, /) -> T | None:
        """Remove and return the value, or None where nothing was stored."""


class User:
    """Stand for one user id while at least one of its connections lives.

    Attributes:
        id: The user id.
        name: The registered display name, shared by all connections; None before `register`.
        sessions: The user's connections, in the order they came.
        lasting: Whether the user can come back under this id: a guest only with a guest token.
    """

    __slots__ = ("id", "lasting", "name", "sessions")

    def __init__(self, id: str) -> None:
        self.id = id
        self.name: str | None = None
        self.sessions: dict[Session, None] = {}
        self.lasting = not id.startswith(GUEST_PREFIX)


Place = tuple[str, str | None]
"""Where messages come from: a user id, and the room joined last, for those that name none."""


class Session:
    """Stand for one connection towards middlewares and plugins.

    Args:
        id: Short unique name of the connection, shown in `welcome` and on every log line.
        identity: Who it is; changed only by the hub.
        remote: The client's address, proxies taken into account.

    Attributes:
        user: The user behind it, shared with the user's other connections.
        place: Its user and the room joined last; the hub keeps it, as each message asks for it.
        sink: Where answers and events go.
        state: Typed state of middlewares and plugins.
        max_message_size: Bytes a message may have, as announced in `welcome`.
        admitted: Whether it may take part; False until a late token has come.
        greeted: Whether a first message has been handled.
        closes_at: Unix time at which the connection is closed with `closes_with`, or None.
    """

    __slots__ = (
        "__weakref__",
        "admitted",
        "closes_at",
        "closes_with",
        "greeted",
        "id",
        "identity",
        "max_message_size",
        "place",
        "remote",
        "sink",
        "state",
        "user",
    )

    def __init__(self, id: str, identity: Identity, remote: str) -> None:
        self.id = id
        self.identity = identity
        self.user = User(identity.user)
        self.place: Place = (identity.user, None)
        self.remote = remote
        self.sink = DETACHED
        self.state = cast(State, {})
        self.max_message_size = 0
        self.admitted = True
        self.greeted = False
        self.closes_at: float | None = identity.expires
        self.closes_with = CloseCode.EXPIRED

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.user.id}>"

    @property
    def username(self) -> str:
        """The display name, or "anonymous" before one is registered."""
        return self.user.name or ANONYMOUS
