"""Define the broker: who orders, stores and carries publications.

Publishing is one step per room: next offset, append, deliver. Where a room keeps its history, the
append is committed before anybody is told (commit, then acknowledge, then broadcast), and what
comes back is a `Pending` that the connection settles in order. Implementations stand beside this
file and are found through the entry-point group ``chatserver.brokers``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Self

from chatserver.config import Config
from chatserver.context import Published
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import Page, Publication, RoomState

__all__ = ["Broker", "Deliver", "Publication"]


Deliver = Callable[[Publication, Position | None], None]
"""Hand a publication to this process's members; called in the order of the room."""


class Broker(ABC):
    """Order, store and carry the publications of rooms."""

    @classmethod
    def configured(cls, config: Config, data_dir: Path) -> Self:
        """Make one as the configuration wants it; nothing is opened before `startup`.

        Args:
            config: The configuration.
            data_dir: The folder for what has to outlive the process; it may not exist yet.

        Raises:
            ConfigError: It cannot work with this configuration.
        """
        return cls()

    async def startup(self, deliver: Deliver) -> None:
        """Begin; publications of subscribed rooms go to `deliver` from now on.

        Raises:
            ConfigError: What it needs cannot be had; the message says what to do.
        """
        self.deliver = deliver

    async def cleanup(self) -> None:
        """Settle what is pending and stop."""
        return

    @abstractmethod
    def publish(self, publication: Publication) -> Pending[Published]:
        """Give a publication its place in the room; synchronous, so that order is call order.

        The outcome raises `ActionError` (``unavailable``, ``conflict``) where it was not published.
        """

    @abstractmethod
    def subscribe(self, room: str) -> None:
        """Begin to deliver a room: it has a member here now."""

    @abstractmethod
    def unsubscribe(self, room: str) -> None:
        """Stop delivering a room: its last member here is gone."""

    @abstractmethod
    def position(self, room: str) -> Pending[RoomState | None]:
        """Return where a room stands; None where it keeps no history.

        An outcome that is there at once agrees with what has been delivered so far. One that comes
        later may be ahead of it: what is delivered then has to be compared (`HoldBack`).

        The outcome raises `ActionError` (``unavailable``).
        """

    @abstractmethod
    def history(
        self,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Page | None]:
        """Read publications; None where the room keeps no history. As for time, see `position`.

        Args:
            room: The room's name.
            after: Read forwards from behind this offset, or from the oldest that is kept.
            before: Read backwards from before this offset; the newest where neither is given.
            limit: Publications to read at most.
            max_bytes: Bytes of bodies at which the page ends; it holds one publication at least.

        The outcome raises `ActionError` (``unavailable``).
        """
