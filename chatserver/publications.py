"""Hold publications and the pages and places they have in a room's history."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import Final
from zlib import crc32

from msgspec import Raw, Struct

from chatserver.guard import ANYBODY, Guard
from chatserver.positions import Position

MOST_UNREAD: Final = 1000
"""Messages at which counting ends: there are so many, or more."""

COST: Final = 400
"""Bytes that a publication takes in memory beside its body; see also `cost_of`."""

STAMPED: Final = b',"timestamp":"'
"""Begins what the server adds to an event; found last, as within a text the quotes are escaped."""

UNREAD_WITHIN: Final = 3000
"""Newest publications of a room among which what is unread is counted."""


class Publication(Struct, frozen=True, gc=False):
    """Hold one event on its way to a room, or as its history has it.

    Attributes:
        room: The room's name.
        body: The event as a JSON object, encoded once, without a position; empty once erased.
        timestamp: The event's own timestamp, RFC 3339.
        user: The author's user id, or None for the server's own events.
        cid: The author's id for the message; together with `user` and `room` it makes a retry safe.
        ephemeral: Never stored; members that read slowly may miss it.
        stored: Whether it becomes part of the history of a room that keeps one.
        kind: What the event is called.
        target: The offset of the publication it changes, for edits and their like.
        erases: Whether storing it empties its target and whatever targeted that before.
        guard: What its target must be like when its turn comes; otherwise it is refused.
    """

    room: str
    body: bytes
    timestamp: str
    user: str | None = None
    cid: str | None = None
    ephemeral: bool = False
    stored: bool = True
    kind: str = "message"
    target: int | None = None
    erases: bool = False
    guard: Guard = ANYBODY


def checksum_of(publication: Publication) -> int | None:
    """Return the CRC-32 of what the author wrote, None without a `cid`.

    The same `cid` with another one is a conflict. What the server adds does not count: a retry has
    another timestamp, and perhaps another name.
    """
    if publication.cid is None:
        return None
    body = publication.body
    return crc32(body.rpartition(STAMPED)[0] or body)


class Published(Struct, frozen=True, gc=False):
    """Tell what became of a publication.

    Attributes:
        room: Where it went.
        timestamp: When, as RFC 3339 with milliseconds.
        position: Its place in the room's history; None where the room keeps none.
        duplicate: Whether the same `cid` had been published before.
        cid: The client's own id of the message, if it gave one.
    """

    room: str
    timestamp: str
    position: Position | None = None
    duplicate: bool = False
    cid: str | None = None


class RoomState(Struct, frozen=True):
    """Describe a room's history.

    Attributes:
        epoch: The incarnation of the stream; empty where nothing has been published yet.
        top: The last offset given; 0 before the first.
        oldest: The first offset still kept; top + 1 where none is.
    """

    epoch: str = ""
    top: int = 0
    oldest: int = 1


class Page(Struct, frozen=True, dict=True):
    """Hold a contiguous part of a room's history, oldest first.

    Attributes:
        state: The room at the moment of reading.
        first: The offset of the first publication here.
        publications: One for each offset from `first` on.
        more: Whether there are more in the direction of reading.
    """

    state: RoomState
    first: int
    publications: list[Publication]
    more: bool

    @property
    def last(self) -> int:
        """The offset of the last publication here; `first` - 1 where there is none."""
        return self.first + len(self.publications) - 1

    @property
    def size(self) -> int:
        """Bytes of the bodies."""
        return sum(len(each.body) for each in self.publications)

    @cached_property
    def messages(self) -> Raw:
        """The events as members get them, encoded as one JSON array; once for all who get it."""
        return Raw(b"[%b]" % b",".join(placed(each.body, place) for place, each in self.numbered()))

    def numbered(self) -> Iterator[tuple[int, Publication]]:
        """Iterate over offsets and publications."""
        return enumerate(self.publications, self.first)


class Found(Struct, frozen=True):
    """Hold messages that a search has found, the newest first.

    Attributes:
        events: The messages as histories have them, each encoded.
        next: Where the next search goes on among older ones; None where there are no more.
    """

    events: list[bytes]
    next: int | None = None

    @property
    def encoded(self) -> Raw:
        """The events as one JSON array."""
        return Raw(b"[%b]" % b",".join(self.events))


class Unread(Struct, frozen=True):
    """Say how much a user has not read.

    Attributes:
        count: Messages of others, up to `MOST_UNREAD`; what was erased or changes another message
            does not count.
        top: The last offset that was looked at.
        erases: Whether something that was looked at has erased a message, perhaps one that was
            counted before; only told from memory.
    """

    count: int
    top: int
    erases: bool = False


class Durability(StrEnum):
    """Say what an acknowledgement promises.

    FULL: on disk, also after a power loss. RELAXED: survives the end of the process, and perhaps
    a power loss. MEMORY: kept while the process lives. NONE: delivered, never kept.
    """

    FULL = "full"
    RELAXED = "relaxed"
    MEMORY = "memory"
    NONE = "none"


class Keeping(Struct, frozen=True):
    """Say how a room keeps its history.

    Attributes:
        durability: What an acknowledgement promises.
        length: Publications kept at least; None keeps all.
        age: Seconds a publication is kept at least; None keeps it for ever.
    """

    durability: Durability = Durability.FULL
    length: int | None = None
    age: float | None = None


_FOR_EVER = Keeping()

Rules = Callable[[str], Keeping]
"""Tell how a room, by name, keeps its history; called from other threads too."""


def keep_all(room: str) -> Keeping:
    """Keep everything for ever, whatever the room."""
    return _FOR_EVER


def placed(body: bytes, offset: int) -> bytes:
    """Return an event with its offset; what was erased has nothing else."""
    if not body:
        return b'{"offset":%d,"deleted":true}' % offset
    return b'%b,"offset":%d}' % (body[:-1], offset)


def fitting(publications: list[Publication], max_bytes: int) -> list[Publication]:
    """Return as many from the start as fit into `max_bytes`, one at least."""
    size = 0
    for index, each in enumerate(publications):
        size += len(each.body)
        if index and size > max_bytes:
            return publications[:index]
    return publications


def cost_of(room: str) -> int:
    """Return the bytes that a room, or a page of it, takes in memory beside what is in it.

    Not by `getsizeof`, which says more of a name once it has been encoded.
    """
    return COST + 4 * len(room)


def size_of(publications: Iterable[Publication]) -> int:
    """Return the bytes that publications take in memory."""
    return sum(len(each.body) + COST for each in publications)


def count_unread(publications: Iterable[Publication], user: str) -> int:
    """Count what a user has not read of some publications; see `Unread`."""
    unread = (
        each for each in publications if each.body and each.target is None and each.user != user
    )
    return sum(1 for _ in islice(unread, MOST_UNREAD))
