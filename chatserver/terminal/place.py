"""Hold a room that the user is in."""

from chatserver.client import Message, Publication, Room
from chatserver.pairs import is_direct, pair_of
from chatserver.terminal.transcript import Transcript


class Place:
    """Be one of the user's rooms, as far as it is shown.

    Args:
        room: The joined room.

    Attributes:
        transcript: What was said.
        unread: How many messages of others the user has not seen.
        counted: The offset up to which `unread` is what the server said.
        said: The offset of the user's last message, which is known before it is shown; 0 for none.
        begins: The offset of the first message to show.
        complete: Whether all that is kept of the history is in the transcript.
        members: The names of those who are there, as far as they were asked for.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.transcript = Transcript()
        self.unread = 0
        self.counted = 0
        self.said = 0
        self.begins = 0
        self.complete = False
        self.members: list[str] = []

    @property
    def name(self) -> str:
        """The room's name on the server."""
        return self.room.name

    @property
    def is_direct(self) -> bool:
        """Whether it is a room of two."""
        return is_direct(self.name)

    def other(self, user: str | None) -> str | None:
        """Return the user id of the other one in a room of two."""
        pair = pair_of(self.name)
        return next((each for each in pair if each != user), None) if pair else None

    def count(self, event: Publication, user: str | None) -> None:
        """Count an event that the user does not see; only messages of others are unread."""
        known = event.offset is not None and event.offset <= self.counted
        if isinstance(event, Message) and event.sender != user and not known:
            self.unread += 1

    def count_from(self, offset: int, unread: int, user: str | None) -> None:
        """Take what is unread up to an offset from the server, and add what came later."""
        self.counted = offset
        self.unread = unread + self.transcript.beyond(offset, user)

    def last_message(self, user: str | None = None) -> int | None:
        """Return the offset of the newest message, or of that of one user."""
        shown = self.transcript.last(user)
        return max((shown and shown.offset) or 0, self.said) or None
