"""Read the server's replies."""

from typing import TypeVar

from msgspec import Raw, Struct
from msgspec.json import decode

from chatserver.client.events import Publication
from chatserver.client.wire import read_events
from chatserver.positions import Position

T = TypeVar("T")


class Reply(Struct, frozen=True):
    """Hold the answer to a request.

    Attributes:
        action: The result's name, such as ``members``.
        raw: The reply as it came, JSON.
    """

    action: str
    raw: str

    @property
    def fields(self) -> dict[str, object]:
        """All fields, decoded now."""
        return decode(self.raw, type=dict[str, object])

    def to(self, kind: type[T]) -> T:
        """Return the reply as a msgspec Struct, a dataclass or a TypedDict.

        Raises:
            msgspec.ValidationError: It does not fit.
        """
        return decode(self.raw, type=kind)


class Limits(Struct, frozen=True):
    """Hold what the server allows a connection: bytes of a message, and messages in flight."""

    max_message_size: int = 65536
    max_in_flight: int = 64


class Welcome(Struct, frozen=True):
    """Hold the answer to `hello`."""

    user: str
    time: str
    username: str | None = None
    guest_token: str | None = None
    limits: Limits = Limits()


class JoinReply(Struct, frozen=True):
    """Hold the answer to `join`."""

    room: str
    members: int
    offset: int | None = None
    epoch: str = ""
    oldest: int = 1
    recovered: bool = False
    messages: list[Raw] = []

    @property
    def position(self) -> Position | None:
        """Where the room's history stands; None where it keeps none."""
        return None if self.offset is None else Position(self.epoch, self.offset)

    def events(self) -> list[Publication]:
        """Read the messages it brings."""
        return read_events(self.room, self.messages)


class HistoryReply(Struct, frozen=True):
    """Hold the answer to `history`."""

    room: str
    messages: list[Raw]
    offset: int
    epoch: str
    oldest: int
    more: bool
    next: int | None = None

    def page(self) -> "Page":
        """Return it as callers get it."""
        position = Position(self.epoch, self.offset)
        events = read_events(self.room, self.messages)
        return Page(self.room, events, position, self.oldest, self.more, self.next)


class SentReply(Struct, frozen=True):
    """Hold the answer to `message`."""

    room: str
    timestamp: str
    offset: int | None = None
    epoch: str = ""
    cid: str = ""
    duplicate: bool = False

    def sent(self) -> "Sent":
        """Return it as callers get it."""
        position = None if self.offset is None else Position(self.epoch, self.offset)
        return Sent(self.room, self.cid, position, self.timestamp, self.duplicate)


class SearchReply(Struct, frozen=True):
    """Hold the answer to `search`."""

    results: list[Raw]
    more: bool = False
    next: int | None = None

    def found(self) -> "Found":
        """Return it as callers get it."""
        return Found(read_events("", self.results), self.more, self.next)


class Registered(Struct, frozen=True):
    """Hold the answer to `register`."""

    username: str


class Refreshed(Struct, frozen=True):
    """Hold the answer to `refresh`; `expires` is Unix time."""

    expires: float | None


class Sent(Struct, frozen=True):
    """Tell that a message is stored, or in a room without a history, that it was handed out.

    Attributes:
        room: Where.
        cid: The message's id, ours or the caller's.
        position: Its place in the room's history for ever; None where the room keeps none.
        timestamp: When, RFC 3339.
        duplicate: Whether an earlier try had been stored already.
    """

    room: str
    cid: str
    position: Position | None
    timestamp: str
    duplicate: bool


class Page(Struct, frozen=True):
    """Hold a part of a room's history, oldest first.

    Attributes:
        room: Which.
        events: What happened.
        position: Where the history stands; its epoch is empty where the room keeps none.
        oldest: The first offset that is kept.
        more: Whether there may be more in the direction of reading.
        next: What to hand to `history` as `since` or `before` to get them.
    """

    room: str
    events: list[Publication]
    position: Position
    oldest: int
    more: bool
    next: int | None


class Found(Struct, frozen=True):
    """Hold a page of search results.

    Attributes:
        results: The messages found.
        more: Whether there are more.
        next: What to hand to `search` as `before` to get them.
    """

    results: list[Publication]
    more: bool
    next: int | None
