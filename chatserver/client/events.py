"""Name what a client is told.

Structs are what `match` and `isinstance` take apart; fields that the server does not always send
have defaults.
"""

from enum import StrEnum
from typing import TypeVar

from msgspec import Struct, convert

from chatserver.positions import Position

T = TypeVar("T")


class Reaction(Struct, frozen=True):
    """Tell who has reacted to a message with one emoji.

    Attributes:
        count: How many users.
        senders: The user ids of the first of them.
    """

    count: int
    senders: list[str] = []


class Message(Struct, frozen=True, kw_only=True):
    """Somebody said something.

    Attributes:
        room: Where.
        text: What.
        sender: The author's user id.
        username: The author's name at that time.
        timestamp: When, RFC 3339.
        cid: The author's own id of the message, if it gave one.
        reply_to: The offset of the message it answers, if it answers one.
        offset: Its number in the room's history; None where the room keeps none.
        edited: In what was read from the history: when the text was changed last, if it was.
        pinned: In the same: whether a moderator has pinned it.
        reactions: In the same: by emoji, who has reacted.
    """

    room: str
    text: str
    timestamp: str
    sender: str | None = None
    username: str | None = None
    cid: str | None = None
    reply_to: int | None = None
    offset: int | None = None
    edited: str | None = None
    pinned: bool = False
    reactions: dict[str, Reaction] = {}


class Notification(Struct, frozen=True, kw_only=True):
    """Somebody joined, left or changed the name; no part of the room's history.

    Attributes:
        room: Where.
        event: ``join``, ``leave`` or ``rename``.
        text: The same for people.
        sender: The user id.
        username: The name, with ``rename`` the new one.
        timestamp: When, RFC 3339.
        old: With ``rename``, the name before.
    """

    room: str
    event: str
    text: str
    timestamp: str
    sender: str | None = None
    username: str | None = None
    old: str | None = None
    offset: int | None = None


class Event(Struct, frozen=True, kw_only=True):
    """Something else happened, such as a plugin's event.

    Attributes:
        action: What it is called.
        room: Where; None for what goes to a user instead.
        fields: All of its fields, the server's included.
        offset: Its number in the room's history, if it is part of one.
    """

    action: str
    room: str | None
    fields: dict[str, object]
    offset: int | None = None

    def to(self, kind: type[T]) -> T:
        """Return the fields as a msgspec Struct, a dataclass or a TypedDict.

        Raises:
            msgspec.ValidationError: They do not fit.
        """
        return convert(self.fields, kind)


class Erased(Struct, frozen=True, kw_only=True):
    """A message was here and has been erased since; only its number is left."""

    room: str
    offset: int


class Joined(Struct, frozen=True, kw_only=True):
    """The client is in the room for the first time; what follows is what happens there.

    Attributes:
        room: Its name as the server writes it.
        members: Connections in it, this one included.
        position: Where the room's history stands; None where it keeps none.
    """

    room: str
    members: int
    position: Position | None


class Recovered(Struct, frozen=True, kw_only=True):
    """The client is in the room again, and nothing of its history was missed.

    Attributes:
        room: Where.
        missed: How many events of the history follow that happened meanwhile.
    """

    room: str
    missed: int


class GapReason(StrEnum):
    """Say why a room could not be followed without a gap.

    NO_HISTORY: the room keeps none. LONG: more is missing than a join brings, though it can be read
    by pages. TRIMMED: the history no longer reaches that far back. RESET: the history is another
    one than before, and what was seen is no part of it.
    """

    NO_HISTORY = "no_history"
    LONG = "long"
    TRIMMED = "trimmed"
    RESET = "reset"


class Gap(Struct, frozen=True, kw_only=True):
    """The client is in the room again, and something may have been missed.

    Attributes:
        room: Where.
        reason: Why.
        seen: The last position before the gap; None where there is none to name.
        resumes: Events follow behind this position, again without holes; None where the room keeps
            no history.
    """

    room: str
    reason: GapReason
    seen: Position | None
    resumes: Position | None


RoomEvent = Message | Notification | Event | Erased | Joined | Recovered | Gap
"""What iterating over a room gives."""

Publication = Message | Notification | Event | Erased
"""Those among them that the server sends."""


class Online(Struct, frozen=True, kw_only=True):
    """There is a connection; rooms are being joined again.

    Attributes:
        user: Our user id.
        username: Our name, if we have one.
    """

    user: str
    username: str | None


class Offline(Struct, frozen=True, kw_only=True):
    """There is no connection; another one follows.

    Attributes:
        reason: Why, for people.
        code: The close code, or None where no connection was made.
        wait: Seconds until the next try.
    """

    reason: str
    code: int | None
    wait: float


class PlainText(Struct, frozen=True):
    """The server sent a text that is no JSON, as action `broadcast` does."""

    text: str


ChatEvent = Online | Offline | Message | Notification | Event | PlainText
"""What iterating over the chat itself gives: its connection, and what is of no joined room."""
