"""Define what is known of the rooms' histories, and how far users have read them.

Brokers implement it, plugins use it.

As for time: an outcome that is there at once agrees with what members have been sent so far, so who
joins in the same breath gets what follows. One that comes later may be ahead of it; ask again.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from chatserver.fold import Messages, Reactions
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import Found, Page, RoomState, Unread


class History(ABC):
    """Read what rooms keep, and keep up to where users have read it."""

    @abstractmethod
    def position(self, room: str) -> Pending[RoomState | None]:
        """Return where a room stands; None where it keeps no history.

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def publications(
        self,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Page | None]:
        """Read publications as they were made; None where the room keeps no history.

        Args:
            room: The room's name.
            after: Read forwards from behind this offset, or from the oldest that is kept.
            before: Read backwards from before this offset; the newest where neither is given.
            limit: Publications to read at most.
            max_bytes: Bytes of bodies at which the page ends; it holds one publication at least.

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def messages(
        self,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Messages | None]:
        """Read messages as people read them; None where the room keeps no history.

        Edits, reactions and pins are folded in, and what was deleted is empty. Read forwards, there
        are also the changes of messages up to `after`, which the reader may have had before.

        Args:
            room: The room's name.
            after: Read forwards from behind this offset.
            before: Read backwards from before this offset; the newest where neither is given.
            limit: Events to read at most. There may be fewer, and none, though there are more.
            max_bytes: Bytes of events at which it ends; it holds one at least.

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def thread(
        self, room: str, root: int, *, after: int, limit: int, max_bytes: int
    ) -> Pending[Messages | None]:
        """Read a message and those that answer it; None where the room keeps no history.

        Folded as by `messages`; of what was deleted there is only the message itself. Costs nothing
        for what lies between.

        Args:
            room: The room's name.
            root: The offset of the message.
            after: Read forwards from behind this offset; 0 begins with the message.
            limit: Events to read at most.
            max_bytes: Bytes of events at which it ends; it holds one at least.

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def pinned(
        self, room: str, *, before: int | None = None, limit: int, max_bytes: int
    ) -> Pending[Messages | None]:
        """Read the messages that are pinned, the newest ones; None where the room keeps no history.

        Folded as by `messages`. Costs nothing for what was never pinned.

        Args:
            room: The room's name.
            before: Only those before this offset.
            limit: Events to read at most. There may be fewer, and none, though there are more.
            max_bytes: Bytes of events at which it ends; it holds one at least.

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def reactions(self, room: str, offset: int) -> Pending[Reactions | None]:
        """Return all who have reacted to a message; None where no such message is kept.

        Costs a look at each reaction to it, also at those that were taken back.

        Args:
            room: The room's name.
            offset: The message's offset.

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def search(
        self,
        rooms: Collection[str],
        text: str,
        *,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Found]:
        """Find the newest messages that have all words of a text, in rooms kept on disk.

        Args:
            rooms: Names of the rooms to search, and no others.
            text: What to look for; nothing in it is syntax. All words have to occur, in any order;
                the last one may be a beginning, if it has three letters and no space behind it.
            before: `Found.next` of the search that this one continues.
            limit: Messages to find at most.
            max_bytes: Bytes of bodies at which the result ends; it holds one message at least.

        The outcome raises `ActionError` (``unavailable``, ``timeout``).
        """

    @abstractmethod
    def unread(self, room: str, user: str, after: int) -> Pending[Unread | None]:
        """Count what a user has not read of a room; None where it keeps no history.

        Args:
            room: The room's name.
            user: The user id.
            after: The last offset that the user has read.

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def cursors(self, user: str) -> Pending[Mapping[str, Position]]:
        """Return up to where a user has read each room, that moved last at the end.

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def move_cursor(self, user: str, room: str, position: Position | None) -> None:
        """Note up to where a user has read a room that keeps a history; None forgets it.

        What is noted is known at once. It is stored within a second or two, unless the process is
        killed first; the last one counts. Cursors not moved for 90 days are forgotten, and of more
        than 1000 of a user those moved longest ago.
        """

    @abstractmethod
    def direct_rooms(self, user: str, *, after: str, limit: int) -> Pending[list[str]]:
        """Return the direct rooms of a user that have a history, in order, from behind a name.

        Args:
            user: The user id.
            after: Only names behind this one; all begin behind the empty one.
            limit: How many at most.

        The outcome raises `ActionError` (``unavailable``).
        """
