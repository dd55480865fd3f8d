"""Be a client of a chat: the face of this package."""

import asyncio
from types import TracebackType
from typing import Self

from chatserver.client.conversation import Conversation
from chatserver.client.events import ChatEvent
from chatserver.client.life import Options
from chatserver.client.replies import (
    Found,
    HistoryReply,
    Page,
    Registered,
    Reply,
    SearchReply,
    Sent,
)
from chatserver.client.room import Room
from chatserver.names import clean_name
from chatserver.pairs import pair_of
from chatserver.positions import Position


class ChatClient:
    """Talk to a chat server over as many connections as it takes; made by `connect`.

    ``async with`` waits for the first connection and closes the last one. Iterating over it gives
    what is of no joined room: `Online` and `Offline`, and events that go to the user. Whatever is
    not read of these is forgotten beyond `max_queue`, the oldest first.

    Args:
        options: Where and how to connect.
        username: The name to register, if any.
        max_queue: Events that may wait for their reader, in each room and here.
        max_outbox: Messages that may wait for their acknowledgement.
    """

    def __init__(
        self, options: Options, *, username: str | None, max_queue: int, max_outbox: int
    ) -> None:
        self._timeout = options.timeout
        self._conversation = Conversation(options, username, max_queue, max_outbox)

    @property
    def user(self) -> str | None:
        """Our user id, `sender` in events; None before the first connection."""
        return self._conversation.user

    async def request(self, action: str, /, **fields: object) -> Reply:
        """Ask the server for something and return its reply.

        It waits for a connection first. It is not sent again: what a lost connection had done
        cannot be known.

        Args:
            action: What is asked for, such as ``members``.
            fields: The action's own fields.

        Raises:
            ActionError: The server refuses it.
            LostError: The connection broke before the reply came.
            TimeoutError: There was no reply within `timeout` seconds.
            ClientError: There will be no connection any more.
        """
        self._conversation.check()
        async with asyncio.timeout(self._timeout):
            connection = await self._conversation.connected()
            return await connection.request(action, fields)

    async def publish(
        self, room: str, text: str, *, cid: str | None = None, reply_to: int | None = None
    ) -> Sent:
        """Say something in a joined room, and wait until the server has acknowledged it.

        The message stays in the outbox until then. It is sent again, in order, after a lost
        connection and after a refusal that passes by. In rooms that keep a history its `cid` makes
        sure that it is stored once; in others it may be seen twice after a lost connection. Whoever
        stops waiting, by a timeout or otherwise, takes it out of the outbox.

        Args:
            room: Where; a room that is being joined will do.
            text: What.
            cid: The message's id, 1 to 64 characters; a random one if left out.
            reply_to: The offset of the message it answers.

        Raises:
            ActionError: The server refuses it: ``not_joined``, ``forbidden``, ``too_large``, …
            OutboxFullError: `max_outbox` messages wait already; this one was not taken.
            LostError: It may be stored, but who we are has changed, so trying again is not safe.
            ClientError: There will be no connection any more.
        """
        self._conversation.check()
        name = _room_name(room)
        return await self._conversation.courier.publish(name, text, cid, reply_to)

    def join(
        self,
        room: str,
        *,
        since: Position | None = None,
        last: int | None = None,
        catch_up: bool = False,
    ) -> Room:
        """Join a room, and join it again after each lost connection, until it is left.

        Args:
            room: Its name.
            since: Where to go on from, a `Room.position` of an earlier time.
            last: How many of the newest messages to begin with, 1 to 1000; not with `since`.
            catch_up: Whether to read by pages what was missed and is more than a join brings.

        Raises:
            ActionError: ``bad_name``.
            ClientError: There will be no connection any more.
            ValueError: We are in that room already, or both `since` and `last` are given.
        """
        if since is not None and last is not None:
            raise ValueError("give either since or last, not both")
        self._conversation.check()
        name = _room_name(room)
        membership = self._conversation.join(name, since=since, last=last, catch_up=catch_up)
        return Room(membership, self)

    async def leave(self, room: str) -> None:
        """Leave a room, which ends the iteration over it; leaving any other does nothing."""
        await self._conversation.leave(_room_name(room))

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
        """Read a page of a joined room's history, the newest messages by default.

        Args:
            room: Which.
            since: An offset; the messages behind it, or the oldest that are kept.
            before: An offset; the messages next before it. Not with `since` or `thread`.
            thread: The offset of a message; only that and those that answer it, the oldest first.
            pinned: Only the messages that are pinned. Not with `since` or `thread`.
            limit: Messages at most, 1 to 1000.

        Raises:
            As `request`.
        """
        given = {"since": since, "before": before, "thread": thread, "pinned": pinned or None}
        fields = {name: value for name, value in given.items() if value is not None}
        reply = await self.request("history", room=room, limit=limit, **fields)
        return reply.to(HistoryReply).page()

    async def search(
        self,
        text: str,
        *,
        room: str | None = None,
        before: int | None = None,
        limit: int = 20,
    ) -> Found:
        """Search what was said.

        Args:
            text: Words to find.
            room: Where; None for every room we are in.
            before: `Found.next` of the page before.
            limit: Results at most.

        Raises:
            As `request`; ``unavailable`` where the server cannot search.
        """
        given = {"room": room, "before": before}
        fields = {name: value for name, value in given.items() if value is not None}
        reply = await self.request("search", text=text, limit=limit, **fields)
        return reply.to(SearchReply).found()

    async def register(self, username: str) -> str:
        """Take a name, and take it again after each lost connection; return it as it is written.

        Raises:
            As `request`: ``bad_name``, ``name_taken``, ``forbidden``.
        """
        reply = await self.request("register", username=username)
        taken = self._conversation.life.username = reply.to(Registered).username
        return taken

    async def close(self) -> None:
        """Close the connection and end everything; what waits for an answer gets `ClosedError`."""
        await self._conversation.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatEvent:
        return await self._conversation.feed.get()

    async def __aenter__(self) -> Self:
        try:
            await self._conversation.begin()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _room_name(room: str) -> str:
    # Names of direct rooms are the server's: exact, and longer than others may be.
    return room if pair_of(room) else clean_name(room, "room", "$.room")
