"""Define what can be read of the rooms' histories; brokers implement it, plugins use it.

As for time: an outcome that is there at once agrees with what members have been sent so far, so who
joins in the same breath gets what follows. One that comes later may be ahead of it; ask again.
"""

from abc import ABC, abstractmethod

from chatserver.pending import Pending
from chatserver.publications import Page, RoomState


class History(ABC):
    """Read what rooms keep."""

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
