"""Hold what outlives single connections: who we are, the joined rooms, and what is to be sent."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from chatserver.client.connection import Connection
from chatserver.client.courier import Courier
from chatserver.client.errors import ClosedError, LostError, retry_after, retryable
from chatserver.client.events import ChatEvent, Notification, Offline, Online, PlainText
from chatserver.client.feed import Feed
from chatserver.client.life import Life, Options
from chatserver.client.membership import Membership
from chatserver.client.pace import Pace
from chatserver.client.replies import Reply, Sent, Welcome
from chatserver.client.wire import Frame, read_event
from chatserver.errors import ActionError, CloseCode, ErrorCode
from chatserver.pairs import is_direct
from chatserver.positions import Position

TOGETHER: Final = 8
"""Requests of the client's own that may wait for their replies."""


class Conversation:
    """Keep one conversation going: the `Listener` of a life, and the `Host` of memberships.

    Args:
        options: Where and how to connect.
        username: The name to register, if any.
        max_queue: Events that may wait for their reader, in each room and beside them.
        max_outbox: Messages that may wait for their acknowledgement.

    Attributes:
        life: The connections.
        courier: The messages on their way.
        feed: What is of no joined room; the oldest are dropped beyond `max_queue`.
        user: Our user id; None before the first connection.
    """

    def __init__(
        self, options: Options, username: str | None, max_queue: int, max_outbox: int
    ) -> None:
        self.life = Life(options, username, self)
        self.courier = Courier(max_outbox, self._sent)
        self.feed: Feed[ChatEvent] = Feed()
        self.user: str | None = None
        self._gate = asyncio.Semaphore(TOGETHER)
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)
        self._max_queue = max_queue
        self._rooms: dict[str, tuple[Membership, asyncio.Task[None]]] = {}
        self._living: asyncio.Task[None] | None = None
        self._error: Exception | None = None

    def check(self) -> None:
        """Raise what ended the conversation, or a RuntimeError where it has not begun."""
        if self._error is not None:
            raise self._error
        if self._living is None:
            raise RuntimeError("enter the client with `async with` first")

    async def begin(self) -> None:
        """Connect for the first time."""
        self._living = asyncio.create_task(self._live())
        await self.life.connected()

    async def close(self) -> None:
        """Close the connection and end everything; what waits for an answer gets `ClosedError`."""
        if self._living is not None:
            self._living.cancel()
            await asyncio.wait({self._living})
        self._end(ClosedError(CloseCode.OK, "closed by the client"), quietly=True)

    def join(
        self, room: str, *, since: Position | None, last: int | None, catch_up: bool
    ) -> Membership:
        """Begin a membership.

        Raises:
            ValueError: There is one already.
        """
        if room in self._rooms:
            raise ValueError(f"{room} is joined already")
        membership = Membership(
            room, self, since=since, last=last, catch_up=catch_up, most=self._max_queue
        )
        self.courier.shut(room)
        self._rooms[room] = membership, asyncio.create_task(self._keep(membership))
        return membership

    async def leave(self, room: str) -> None:
        """End a membership, here and on the server."""
        if room not in self._rooms:
            return
        membership, task = self._rooms.pop(room)
        task.cancel()
        await asyncio.wait({task})
        membership.end(ClosedError(CloseCode.OK, "left"), quietly=True)
        # A direct room cannot be left: its events go to the user from now on.
        connection = None if is_direct(room) else self.life.connection
        with suppress(LostError):  # who is not connected is in no room
            while connection is not None and not await self._has_left(connection, room):
                pass
        self.courier.open(room)

    async def request(
        self,
        connection: Connection,
        action: str,
        fields: Mapping[str, object],
        at_once: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Send a request of the client's own, as `Connection.request` does, not too fast.

        Who is in many rooms would be refused otherwise when joining them again.
        """
        clock, pace = asyncio.get_running_loop().time, self._paces[action]
        async with self._gate:
            while True:
                # Others may be refused meanwhile, and what they were told counts for all.
                start = clock()
                if start >= pace.next_time:
                    break
                await asyncio.sleep(pace.next_time - start)
            pace.sent(start)
            try:
                return await connection.request(action, fields, at_once)
            except ActionError as error:
                if error.code == ErrorCode.RATE_LIMITED:
                    pace.refused(start, retry_after(error), clock())
                raise

    async def connected(self) -> Connection:
        """Wait for a connection that is greeted."""
        return await self.life.connected()

    def entered(self, room: str) -> None:
        """Let a room's messages go: it is joined."""
        self.courier.open(room)

    def online(self, welcome: Welcome) -> None:
        """Take who we are; somebody else's `cid`s are worth nothing."""
        if self.user not in (None, welcome.user):
            self.courier.fail(LostError("Who we are has changed; it may be stored"), sent=True)
        self.user = welcome.user
        self.courier.allow(welcome.limits)
        self._tell(Online(user=welcome.user, username=welcome.username))

    async def serve(self, connection: Connection) -> None:
        """Send messages until the connection is lost."""
        await self.courier.serve(connection)

    def offline(self) -> None:
        """Keep messages back until their rooms are joined again."""
        self.courier.lose()
        for room, (membership, _) in self._rooms.items():
            self.courier.shut(room)
            membership.lose()

    def waiting(self, event: Offline) -> None:
        """Tell the user when there will be another try."""
        self._tell(event)

    def event(self, frame: Frame, raw: str) -> None:
        """Hand an event to its room, or to the user."""
        if frame.action == "notification" and self.life.username is not None:
            self._follow_name(read_event(frame, raw))
        # The offset in `read` is how far the user has read, not a place of its own in the history.
        if frame.room in self._rooms and frame.action != "read":
            self._rooms[frame.room][0].take(frame, raw)
        elif frame.action is not None:
            self._tell(read_event(frame, raw))
        else:
            self._tell(PlainText(raw))

    def _follow_name(self, event: ChatEvent) -> None:
        # Another connection of ours may have changed it; the next one here must not undo that.
        if not isinstance(event, Notification) or event.sender != self.user:
            return
        if event.event == "rename":
            self.life.username = event.username

    async def _has_left(self, connection: Connection, room: str) -> bool:
        try:
            await self.request(connection, "leave", {"room": room})
        except ActionError as error:
            if not retryable(error):
                raise
            await asyncio.sleep(retry_after(error))
            return False
        return True

    def _sent(self, sent: Sent) -> None:
        if sent.position is not None and sent.room in self._rooms:
            self._rooms[sent.room][0].name(sent.position.epoch)

    def _tell(self, event: ChatEvent) -> None:
        if len(self.feed) >= self._max_queue:
            self.feed.drop()
        self.feed.put(event)

    async def _live(self) -> None:
        try:
            await self.life.run()
        except Exception as error:
            self._end(error)

    async def _keep(self, membership: Membership) -> None:
        room = membership.room
        try:
            await membership.run()
        except Exception as error:
            self._rooms.pop(room, None)
            membership.end(error)
            self.courier.fail(error, room=room)
            self.courier.open(room)

    def _end(self, error: Exception, *, quietly: bool = False) -> None:
        if self._error is not None:
            return
        self._error = error
        self.life.end(error)
        self.courier.fail(error)
        self.feed.end(None if quietly else error)
        for membership, task in self._rooms.values():
            task.cancel()
            membership.end(error, quietly=quietly)
        self._rooms.clear()
