"""Carry publications within one process and keep none of them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Self

from chatserver.broker import Broker, Publication
from chatserver.config import Config
from chatserver.errors import ConfigError
from chatserver.fold import Messages, Reactions
from chatserver.guard import missing
from chatserver.pairs import is_direct
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import Durability, Found, Page, Published, RoomState, Unread


class MemoryBroker(Broker):
    """Deliver at once; rooms have no history, so publications have no position."""

    def __init__(self) -> None:
        self._rooms: set[str] = set()

    @classmethod
    def configured(cls, config: Config, data_dir: Path) -> Self:
        """Make one; an entry of `rooms` may not promise what it does not keep."""
        if any(each.durability is not Durability.NONE for each in config.rooms):
            raise ConfigError(
                "`rooms` says how histories are kept, and this broker keeps none; write"
                " `broker: embedded`, or `durability: none` in each entry"
            )
        return cls()

    def publish(self, publication: Publication) -> Pending[Published]:
        """Deliver to the members of this process; there is nothing to be changed."""
        if publication.target is not None:
            raise missing()
        if publication.room in self._rooms or is_direct(publication.room):
            self.deliver(publication.room, ((publication, None),))
        return Pending.done(Published(publication.room, publication.timestamp, cid=publication.cid))

    def subscribe(self, room: str) -> None:
        """Begin to deliver a room."""
        self._rooms.add(room)

    def unsubscribe(self, room: str) -> None:
        """Stop delivering a room."""
        self._rooms.discard(room)

    def position(self, room: str) -> Pending[RoomState | None]:
        """Say that the room keeps no history."""
        return Pending.done(None)

    def publications(
        self,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Page | None]:
        """Say that the room keeps no history."""
        return Pending.done(None)

    def messages(
        self,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Messages | None]:
        """Say that the room keeps no history."""
        return Pending.done(None)

    def thread(
        self, room: str, root: int, *, after: int, limit: int, max_bytes: int
    ) -> Pending[Messages | None]:
        """Say that the room keeps no history."""
        return Pending.done(None)

    def pinned(
        self, room: str, *, before: int | None = None, limit: int, max_bytes: int
    ) -> Pending[Messages | None]:
        """Say that the room keeps no history."""
        return Pending.done(None)

    def reactions(self, room: str, offset: int) -> Pending[Reactions | None]:
        """Say that no message is kept."""
        return Pending.done(None)

    def search(
        self,
        rooms: Collection[str],
        text: str,
        *,
        before: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> Pending[Found]:
        """Find nothing."""
        return Pending.done(Found([]))

    def unread(self, room: str, user: str, after: int) -> Pending[Unread | None]:
        """Say that the room keeps no history."""
        return Pending.done(None)

    def cursors(self, user: str) -> Pending[Mapping[str, Position]]:
        """Say that there is nothing to read."""
        return Pending.done({})

    def move_cursor(self, user: str, room: str, position: Position | None) -> None:
        """Do nothing: no room keeps a history."""

    def direct_rooms(self, user: str, *, after: str, limit: int) -> Pending[list[str]]:
        """Say that no room keeps a history."""
        return Pending.done([])
