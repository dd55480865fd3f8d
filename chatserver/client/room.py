"""Give a joined room to the user: iterate over it, say something, read back."""

from types import TracebackType
from typing import Protocol, Self

from chatserver.client.events import RoomEvent
from chatserver.client.membership import Membership
from chatserver.client.replies import Page, Sent
from chatserver.positions import Position


class Owner(Protocol):
    """What a room needs of the client."""

    async def publish(
        self, room: str, text: str, *, cid: str | None = None, reply_to: int | None = None
    ) -> Sent:
        """Say something."""

    async def history(
        self,
        room: str,
        *,
        since: int | None = None,
        before: int | None = None,
        thread: int | None = None,
        pinned: bool = False,
        limit: int = 50,
    ) -> Page:
        """Read back."""

    async def leave(self, room: str) -> None:
        """End the membership."""


class Room:
    """Be in a room; made by `ChatClient.join`.

    Iterating gives its events, the first of them `Joined`, and ends when the room is left or the
    chat is closed. One task at a time may iterate. It raises `ActionError` where the server does
    not let the client in, and `ClientError` where there will be no connection any more.

    ``async with`` waits until the room is joined, and leaves it at the end of the block.

    Args:
        membership: Keeps the room joined.
        owner: The client.
    """

    def __init__(self, membership: Membership, owner: Owner) -> None:
        self._membership = membership
        self._owner = owner
        self._position: Position | None = None

    @property
    def name(self) -> str:
        """The room's name."""
        return self._membership.room

    @property
    def position(self) -> Position | None:
        """How far the iteration has come in the room's history; None where it keeps none.

        Hand it to `ChatClient.join` as `since` to go on from here another time.
        """
        return self._position

    async def publish(
        self, text: str, *, cid: str | None = None, reply_to: int | None = None
    ) -> Sent:
        """Say something here; see `ChatClient.publish`."""
        return await self._owner.publish(self.name, text, cid=cid, reply_to=reply_to)

    async def history(
        self,
        *,
        since: int | None = None,
        before: int | None = None,
        thread: int | None = None,
        pinned: bool = False,
        limit: int = 50,
    ) -> Page:
        """Read back; see `ChatClient.history`."""
        return await self._owner.history(
            self.name, since=since, before=before, thread=thread, pinned=pinned, limit=limit
        )

    async def leave(self) -> None:
        """Leave the room, which ends the iteration; what is queued can still be read."""
        await self._owner.leave(self.name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RoomEvent:
        event, position = await self._membership.feed.get()
        if position is not None:
            self._position = position
        self._membership.consumed()
        return event

    async def __aenter__(self) -> Self:
        await self._membership.entered()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.leave()
