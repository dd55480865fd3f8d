"""Define the store: the durable log behind a broker.

A store numbers the publications of each room 1, 2, 3, … without holes, under an epoch that names
the incarnation of the stream. An offset that was acknowledged means the same publication for ever:
trimming and erasing never give it to another one. Implementations stand beside this file; a broker
is made with one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from chatserver.config import StoreConfig
from chatserver.errors import ActionError, ErrorCode
from chatserver.fold import Messages, Reactions
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import (
    Found,
    Page,
    Publication,
    Published,
    RoomState,
    Rules,
    Unread,
)
from chatserver.stats import StoreStats

CONFLICT: Final = ActionError(
    ErrorCode.CONFLICT, "This cid was used for another message; take a new one", field="$.cid"
)
UNBOUNDED: Final = StoreConfig(
    max_rooms=None, max_rooms_per_user=None, max_store_bytes=None, max_memory_bytes=None
)

FULL: Final = ActionError(
    ErrorCode.UNAVAILABLE,
    "The server has stored as much as it may; messages can be deleted",
    retry_after=60,
)
TOO_MANY_ROOMS: Final = ActionError(
    ErrorCode.UNAVAILABLE, "The server has as many rooms as it may; go to one that exists"
)
CID_LIFE: Final = 24 * 3600
"""Seconds a `cid` is remembered at least."""

CURSOR_LIFE: Final = 90 * 24 * 3600
"""Seconds a cursor is remembered that is not moved."""

MOST_CURSORS: Final = 1000
"""Cursors of one user; of more, those moved last count."""

MOST_KEPT_CURSORS: Final = 1_000_000
"""Cursors of all users; of more, those moved longest ago are forgotten.

They take 80 MB in the file with short names of users and rooms, 340 MB in guests' direct rooms, and
9 GB if all names are as long as may be.
"""

Moves = Mapping[str, Mapping[str, Position | None]]
"""Where users have read to, by user id and room; None forgets it."""


def unavailable(message: str, retry_after: float) -> ActionError:
    """Return the refusal of what can be tried again after some seconds."""
    return ActionError(ErrorCode.UNAVAILABLE, message, retry_after=retry_after)


def stopping() -> ActionError:
    """Return the refusal of what comes while the server ends."""
    return unavailable("The server is shutting down; connect again in a moment", 1)


def too_many_of_user(most: int) -> ActionError:
    """Return the refusal of another room to a user who has made as many as are allowed."""
    return ActionError(
        ErrorCode.UNAVAILABLE, f"You have made {most} rooms, as many as you may; go to one of them"
    )


def slack(length: int) -> int:
    """Return by how many publications a room may exceed its length before it is trimmed."""
    return max(16, length // 8)


class Stored(Published, frozen=True, gc=False):
    """Tell where a publication is kept: it has a place for ever.

    The timestamp of a duplicate is that of the first.
    """

    room: str
    timestamp: str
    position: Position
    duplicate: bool = False
    cid: str | None = None


Stream = tuple[str, str | None]
"""What one user publishes to one room."""

Settlement = Stored | ActionError
"""What became of a publication."""

Settle = Callable[[str, Sequence[Publication], Sequence[Settlement]], None]
"""Take what became of publications of one room, in the order of storing; called in the event loop.

Those who wait hear of it afterwards. Many at once, because thousands a second come back: what is
done for a room and not for each publication is done once.
"""

Trimmed = Callable[[str, int], None]
"""Take the news that a room keeps nothing before an offset any longer.

Called in the event loop, once all that was stored before is settled.
"""


class Store(ABC):
    """Keep the publications of rooms."""

    @property
    @abstractmethod
    def failure(self) -> str | None:
        """Why nothing is stored any more until a restart; None while all is well."""

    @property
    @abstractmethod
    def stats(self) -> StoreStats:
        """What has been stored so far; costs a look at the medium."""

    @abstractmethod
    async def startup(
        self, rules: Rules, trimmed: Trimmed | None = None, settle: Settle | None = None
    ) -> None:
        """Open.

        Args:
            rules: Tells how each room is kept.
            trimmed: Is told when publications are no longer kept.
            settle: Is told what became of publications.

        Raises:
            StoreError: It cannot be opened, or is not ours; the message says what to do.
        """

    @abstractmethod
    async def cleanup(self) -> None:
        """Settle what is queued, then close."""

    @abstractmethod
    def append(self, publication: Publication) -> Pending[Published]:
        """Queue a publication; its place in the room's order is given by the order of the calls.

        The outcome raises `ActionError` where it is not stored: ``conflict`` for a `cid` that was
        used for another payload, ``unavailable`` where the medium failed or a bound is reached.
        What was queued behind that fails with it, so that the order holds: all for the same room
        or, at a bound, the same user's for the same room.

        Raises:
            ActionError: ``unavailable``: the queue is full, or the store has failed.
        """

    @abstractmethod
    async def read(self, room: str, after: int, limit: int, max_bytes: int) -> Page:
        """Read forwards from behind an offset, or from the oldest that is kept.

        Args:
            room: The room's name.
            after: Offset before the first one wanted; 0 begins at the beginning.
            limit: Publications to read at most.
            max_bytes: Bytes of bodies at which a page ends; it holds one publication at least.

        Raises:
            ActionError: ``unavailable``.
        """

    @abstractmethod
    async def read_before(self, room: str, before: int | None, limit: int, max_bytes: int) -> Page:
        """Read those next before an offset, or the newest ones; bounds as for `read`."""

    @abstractmethod
    async def messages(
        self, room: str, after: int | None, before: int | None, limit: int, max_bytes: int
    ) -> Messages:
        """Read messages as people read them, from one moment; see `History.messages`."""

    @abstractmethod
    async def thread(
        self, room: str, root: int, after: int, limit: int, max_bytes: int
    ) -> Messages:
        """Read a message and what answers it, from one moment; see `History.thread`."""

    @abstractmethod
    async def pinned(self, room: str, before: int | None, limit: int, max_bytes: int) -> Messages:
        """Read the messages that are pinned, from one moment; see `History.pinned`."""

    @abstractmethod
    async def reactions(self, room: str, offset: int) -> Reactions | None:
        """Return all who have reacted to a message; see `History.reactions`."""

    @abstractmethod
    async def state(self, room: str) -> RoomState:
        """Return epoch, top and oldest offset of a room.

        Raises:
            ActionError: ``unavailable``.
        """

    @abstractmethod
    async def search(
        self,
        rooms: Collection[str],
        text: str,
        *,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Found:
        """Find the newest messages in some rooms that have all words of a text.

        Whatever was stored before the call is found. Nothing in the text is syntax; a text without
        a letter or digit finds nothing. What is kept in memory is never found.

        Args:
            rooms: Names of the rooms.
            text: What to look for; its last word may be the beginning of one.
            before: `Found.next` of the search that this one continues.
            limit: Messages to find at most.
            max_bytes: Bytes of bodies at which the result ends; it holds one message at least.

        Raises:
            ActionError: ``unavailable``: it cannot search, or has too much to do. ``timeout``: it
                took too long.
        """

    @abstractmethod
    async def unread(self, room: str, user: str, after: int) -> Unread:
        """Count what a user has not read behind an offset, as far as it is kept.

        Costs a look at each publication behind it, `UNREAD_WITHIN` at most.

        Raises:
            ActionError: ``unavailable``.
        """

    @abstractmethod
    async def direct_rooms(self, user: str, after: str, limit: int) -> list[str]:
        """Return the direct rooms of a user with a history, in order, from behind a name.

        Raises:
            ActionError: ``unavailable``.
        """

    @abstractmethod
    async def cursors(self, users: Sequence[str]) -> dict[str, dict[str, Position]]:
        """Return how far each of some users has read, by room, the one moved last at the end.

        Raises:
            ActionError: ``unavailable``.
        """

    @abstractmethod
    async def move_cursors(self, moves: Moves) -> None:
        """Note how far users have read.

        All of it or nothing; done once it survives the end of the process, if not a power loss.

        Raises:
            ActionError: ``unavailable``.
        """
