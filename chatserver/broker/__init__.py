"""Define the broker: who orders, stores and carries publications.

Publishing is one step per room: next offset, append, deliver. Where a room keeps its history, the
append is committed before anybody is told (commit, then acknowledge, then broadcast), and what
comes back is a `Pending` that the connection settles in order. Implementations stand beside this
file and are found through the entry-point group ``chatserver.brokers``.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from chatserver.config import Config
from chatserver.history import History
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import Publication, Published
from chatserver.stats import StoreStats

__all__ = ["Broker", "Deliver", "Due", "Publication"]


Due = tuple[Publication, Position | None]
"""A publication and its place in the room's history, if it has one."""

Deliver = Callable[[str, Sequence[Due]], None]
"""Hand publications of a room to this process's members; called in the order of the room."""


class Broker(History):
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

    def configure(self, config: Config) -> None:
        """Take limits that have changed while it runs; nothing may go wrong with that.

        Args:
            config: The configuration; all but its limits is as it was.
        """
        return

    async def startup(self, deliver: Deliver) -> None:
        """Begin; publications of subscribed rooms go to `deliver` from now on.

        Raises:
            ConfigError: It cannot work with this configuration.
            StoreError: What it needs cannot be had; the message says what to do.
        """
        self.deliver = deliver

    @property
    def failure(self) -> str | None:
        """Why nothing is kept any more until a restart; None while all is well."""
        return None

    @property
    def stats(self) -> StoreStats | None:
        """What has been stored so far; None where nothing is."""
        return None

    async def cleanup(self) -> None:
        """Settle what is pending and stop."""
        return

    @abstractmethod
    def publish(self, publication: Publication) -> Pending[Published]:
        """Give a publication its place in the room; synchronous, so that order is call order.

        The outcome raises `ActionError` where it was not published: ``unavailable``, ``conflict``,
        or for a change of another one what its guard says.

        Raises:
            ActionError: ``not_found``: a change, in a room that keeps nothing to be changed.
        """

    @abstractmethod
    def subscribe(self, room: str) -> None:
        """Begin to deliver a room: it has a member here now.

        Direct rooms (`chatserver.pairs`) are delivered always: nobody joins them.
        """

    @abstractmethod
    def unsubscribe(self, room: str) -> None:
        """Stop delivering a room: its last member here is gone."""
