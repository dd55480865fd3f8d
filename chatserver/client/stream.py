"""Follow a room's stream of offsets, and notice what is missing from it."""

from enum import Enum, auto

from chatserver.client.events import Gap, GapReason, Recovered
from chatserver.client.replies import HistoryReply, JoinReply
from chatserver.positions import Position


class Step(Enum):
    """Say how an event stands to what has been seen: the next one, seen before, or too far on."""

    NEXT = auto()
    SEEN = auto()
    ASTRAY = auto()


class Stream:
    """Know the position up to which a room was seen.

    Args:
        room: Its name.
        position: Where to begin; None takes the one that `join` tells.
    """

    def __init__(self, room: str, position: Position | None = None) -> None:
        self._room = room
        self.position = position

    @property
    def nameless(self) -> bool:
        """Whether nothing was said in the room yet, so that its history has no name."""
        return self.position is not None and not self.position.epoch

    def name(self, epoch: str) -> None:
        """Take the name of a nameless stream from elsewhere, such as an acknowledgement."""
        if self.nameless:
            self.position = Position(epoch, 0)

    def take(self, offset: int | None) -> Step:
        """Go on to an event that came live.

        The first one of a nameless stream is `ASTRAY`: a join tells the name, without which nothing
        can be recovered later.
        """
        seen = self.position
        if offset is None or seen is None:
            return Step.NEXT
        if offset <= seen.offset:
            return Step.SEEN
        if not seen.epoch or offset != seen.offset + 1:
            return Step.ASTRAY
        self.position = Position(seen.epoch, offset)
        return Step.NEXT

    def resume(self, reply: JoinReply, *, catch_up: bool) -> Recovered | Gap | None:
        """Take the answer to a join with `since`, and go on behind what it brings.

        Args:
            reply: The answer.
            catch_up: Whether what a join does not bring will be read by pages; the stream then
                stands where these begin, and None is returned if they leave nothing out.
        """
        seen, here = self.position, reply.position
        if reply.recovered:
            self.position = here
            return Recovered(room=self._room, missed=len(reply.messages))
        if seen is None or here is None:
            self.position = here
            return self._gap(GapReason.NO_HISTORY, seen)
        known = seen.epoch == here.epoch or (not seen.epoch and seen.offset == 0)
        if not known or seen.offset > here.offset:
            start, reason = Position(here.epoch, reply.oldest - 1), GapReason.RESET
        elif seen.offset < reply.oldest - 1:
            start, reason = Position(here.epoch, reply.oldest - 1), GapReason.TRIMMED
        else:
            start, reason = Position(here.epoch, seen.offset), GapReason.LONG
        self.position = start if catch_up else here
        return None if catch_up and reason is GapReason.LONG else self._gap(reason, seen)

    def read(self, page: HistoryReply) -> Gap | None:
        """Take a page read from `position` on; what it lacks at its start is gone.

        Offsets within a page may have holes, where the server has folded changes into messages.
        """
        seen = self.position
        if seen is None or page.epoch != seen.epoch or page.oldest - 1 <= seen.offset:
            return None
        self.position = Position(seen.epoch, page.oldest - 1)
        return self._gap(GapReason.TRIMMED, seen)

    def reach(self, offset: int) -> bool:
        """Go on to an event or the end of a page; False where it has been seen."""
        seen = self.position
        if seen is None or offset <= seen.offset:
            return False
        self.position = Position(seen.epoch, offset)
        return True

    def _gap(self, reason: GapReason, seen: Position | None) -> Gap:
        return Gap(room=self._room, reason=reason, seen=seen, resumes=self.position)
