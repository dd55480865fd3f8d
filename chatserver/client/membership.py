"""Be in a room over as many connections as it takes, and follow its stream."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from chatserver.client.connection import Connection
from chatserver.client.errors import LostError, retry_after, retryable
from chatserver.client.events import Joined, Publication, Recovered, RoomEvent
from chatserver.client.feed import Feed
from chatserver.client.replies import HistoryReply, JoinReply, Reply
from chatserver.client.stream import Step, Stream
from chatserver.client.wire import Frame, read_event
from chatserver.errors import ActionError
from chatserver.positions import Position

PAGE: Final = 500
"""Messages asked for at most when a room catches up by pages."""

Entry = tuple[RoomEvent, Position | None]
"""An event, and the position up to which the room was seen with it."""


class Host(Protocol):
    """What a membership needs of the client."""

    async def connected(self) -> Connection:
        """Wait for a connection that is greeted."""

    async def request(
        self,
        connection: Connection,
        action: str,
        fields: Mapping[str, object],
        at_once: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Send a request as `Connection.request` does, not too fast."""

    def entered(self, room: str) -> None:
        """Hear that the room is joined on the present connection."""


class Membership:
    """Join a room, and join it again when the connection, or an event, was lost.

    While it is not `following`, live events are dropped: the next join, or the pages before it,
    bring those of the history again. That is so while the reader has half of `most` events or more
    to read since there were too many, when an offset is missing, and while it catches up by pages.

    Args:
        room: The room's name.
        host: The client.
        since: Where to begin, if something was seen before.
        last: How many of the newest messages to begin with.
        catch_up: Whether to read by pages what a join does not bring.
        most: Events that may wait for their reader.
    """

    def __init__(
        self,
        room: str,
        host: Host,
        *,
        since: Position | None,
        last: int | None,
        catch_up: bool,
        most: int,
    ) -> None:
        self.room = room
        self.feed: Feed[Entry] = Feed()
        self._host = host
        self._stream = Stream(room, since)
        self._last = last
        self._catch_up = catch_up
        self._most = most
        self._first = True
        self._settled = asyncio.Event()
        self._error: Exception | None = None
        self._stirred = asyncio.Event()
        self._inside: Connection | None = None
        self._following = False
        self._paging = False

    async def run(self) -> None:
        """Keep the membership until this is cancelled.

        Raises:
            ActionError: The server refuses it for good.
            ClientError: There will be no connection any more.
        """
        while True:
            connection = await self._host.connected()
            try:
                await self._tend(connection)
            except LostError:
                await connection.over()
            except ActionError as error:
                if not retryable(error):
                    raise
                await asyncio.sleep(retry_after(error))

    def end(self, error: Exception, *, quietly: bool = False) -> None:
        """Let the reader come to an end, with the error unless it is to be a quiet one."""
        self._error = error
        self._settled.set()
        self.feed.end(None if quietly else error)

    async def entered(self) -> None:
        """Wait until the room was joined for the first time.

        Raises:
            Exception: What `end` was given before that.
        """
        await self._settled.wait()
        if self._first and self._error is not None:
            raise self._error

    def take(self, frame: Frame, raw: str) -> None:
        """Take an event as it comes."""
        if not self._following:
            return
        step = Step.ASTRAY
        if len(self.feed) < self._most:
            step = self._stream.take(frame.offset)
        if step is Step.NEXT:
            self.feed.put((read_event(frame, raw), self._stream.position))
        elif step is Step.ASTRAY:
            self._following = False
            self._stirred.set()

    def name(self, epoch: str) -> None:
        """Take the name of the room's history from an acknowledgement, which saves a join."""
        # A join that is under way already would pass for one after an interruption.
        if self._following:
            self._stream.name(epoch)

    def lose(self) -> None:
        """Note that the connection is lost."""
        self._inside = None
        self._following = False
        self._stirred.set()

    def consumed(self) -> None:
        """Note that the reader took an event."""
        if not self._following and self._has_space:
            self._stirred.set()

    @property
    def _has_space(self) -> bool:
        return len(self.feed) <= self._most // 2

    async def _tend(self, connection: Connection) -> None:
        inside = self._inside is connection
        if inside and (self._following or not self._has_space):
            self._stirred.clear()
            await self._stirred.wait()
        elif inside and self._paging:
            await self._read_page(connection)
        else:
            await self._join(connection, resume=self._has_space and not self._paging)

    async def _join(self, connection: Connection, *, resume: bool) -> None:
        fields: dict[str, object] = {"room": self.room}
        position = self._stream.position
        if resume and position is not None:
            fields["since"] = {"offset": position.offset, "epoch": position.epoch}
        elif self._last is not None and self._first:
            fields["last"] = self._last

        def joined(reply: Reply) -> None:
            self._joined(connection, reply.to(JoinReply), resume=resume)

        await self._host.request(connection, "join", fields, joined)

    def _joined(self, connection: Connection, reply: JoinReply, *, resume: bool) -> None:
        again = self._inside is connection
        self._inside = connection
        self._host.entered(self.room)
        before = self._stream.position
        if self._first:
            self._first = False
            self._settled.set()
            joined = Joined(room=self.room, members=reply.members, position=reply.position)
            if before is None:
                self._stream.position = reply.position
                self.feed.put((joined, None if reply.messages else reply.position))
                self._put_all(reply.events())
                self._following = True
                return
            self.feed.put((joined, before))
        if not resume:
            return
        named_now = again and self._stream.nameless
        outcome = self._stream.resume(reply, catch_up=self._catch_up)
        if isinstance(outcome, Recovered):
            if not named_now:
                self.feed.put((outcome, before))
            self._put_all(reply.events())
        elif outcome is not None:
            self.feed.put((outcome, self._stream.position))
        self._paging = self._catch_up and self._stream.position != reply.position
        self._following = not self._paging

    async def _read_page(self, connection: Connection) -> None:
        position = self._stream.position
        if position is None:
            self._paging = False
            return
        limit = max(1, min(PAGE, self._most // 2))
        fields = {"room": self.room, "since": position.offset, "limit": limit}
        page = (await self._host.request(connection, "history", fields)).to(HistoryReply)
        gap = self._stream.read(page)
        if gap is not None:
            self.feed.put((gap, self._stream.position))
        if page.epoch == position.epoch:
            for event in page.page().events:
                if event.offset is not None and self._stream.reach(event.offset):
                    self.feed.put((event, self._stream.position))
            if not page.more:
                self._stream.reach(page.offset)
        self._paging = page.more and page.epoch == position.epoch and bool(page.messages)

    def _put_all(self, events: list[Publication]) -> None:
        here = self._stream.position
        for event in events:
            offset = event.offset
            at = here and offset is not None and Position(here.epoch, offset)
            self.feed.put((event, at or here))
