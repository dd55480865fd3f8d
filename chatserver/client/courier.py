"""Carry the outbox's messages over whatever connection there is, and bring the answers back."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from msgspec.json import encode

from chatserver.client.connection import Answer, Connection
from chatserver.client.errors import LostError, retryable
from chatserver.client.outbox import Letter, Outbox
from chatserver.client.replies import Limits, Reply, Sent, SentReply
from chatserver.errors import ActionError, ErrorCode


class Courier:
    """Publish messages: each is sent until the server answers it for good.

    Args:
        capacity: Messages that may wait for their acknowledgement.
        on_sent: Hears of each acknowledgement before anything that comes after it.
    """

    def __init__(self, capacity: int, on_sent: Callable[[Sent], None]) -> None:
        self._on_sent = on_sent
        self._outbox = Outbox(capacity)
        self._numbers = itertools.count(1)
        self._outcomes: dict[int, asyncio.Future[Sent]] = {}
        self._stirred = asyncio.Event()
        self._max_size = Limits().max_message_size

    async def publish(self, room: str, text: str, cid: str | None, reply_to: int | None) -> Sent:
        """Put a message into the outbox and wait for its acknowledgement.

        Raises:
            OutboxFullError: There are too many.
            ActionError: The server refuses it for good.
            ClientError: `fail` was called.
        """
        letter = Letter(next(self._numbers), room, cid or uuid4().hex, text, reply_to)
        self._outbox.add(letter)
        outcome: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self._outcomes[letter.number] = outcome
        self._stirred.set()
        try:
            return await outcome
        finally:
            self._forget(letter)

    async def serve(self, connection: Connection) -> None:
        """Send what may be sent, until the connection is lost or this is cancelled."""
        with suppress(LostError):
            while True:
                self._stirred.clear()
                now = _now()
                letter = self._outbox.take(now)
                if letter is not None:
                    await self._send(connection, letter)
                    continue
                # As of the same moment: a wait that has ended since is one that still kept it back.
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self._outbox.next_time(now)):
                        await self._stirred.wait()

    def allow(self, limits: Limits) -> None:
        """Take the limits of the connection."""
        self._max_size = limits.max_message_size
        self._outbox.allow(limits.max_in_flight)

    def lose(self) -> None:
        """Note that the connection is lost: what is in flight will be sent again."""
        self._outbox.lose()

    def shut(self, room: str) -> None:
        """Keep a room's messages back until it is joined."""
        self._outbox.shut(room)

    def open(self, room: str) -> None:
        """Let a room's messages go."""
        self._outbox.open(room)
        self._stirred.set()

    def fail(self, error: Exception, *, room: str | None = None, sent: bool = False) -> None:
        """Give messages up with an error: all, those of a room, or those sent before."""
        for letter in self._outbox.letters(room):
            if letter.sent is not None or not sent:
                self._settle(letter, error)

    async def _send(self, connection: Connection, letter: Letter) -> None:
        fields: dict[str, object] = {"room": letter.room, "text": letter.text, "cid": letter.cid}
        if letter.reply_to is not None:
            fields["reply_to"] = letter.reply_to
        # What is larger than the server reads at all would cost the connection, again and again.
        if len(encode(fields)) > self._max_size:
            message = f"The message is larger than {self._max_size} bytes"
            self._settle(letter, ActionError(ErrorCode.TOO_LARGE, message))
            return

        def answered(answer: Answer) -> None:
            if isinstance(answer, Reply):
                sent = answer.to(SentReply).sent()
                self._on_sent(sent)
                self._settle(letter, sent)
            elif isinstance(answer, ActionError) and retryable(answer):
                self._outbox.refuse(letter, answer, _now())
            elif isinstance(answer, ActionError):
                self._settle(letter, answer)
            self._stirred.set()

        await connection.ask("message", fields, answered)

    def _settle(self, letter: Letter, result: Sent | Exception) -> None:
        outcome = self._outcomes.get(letter.number)
        self._forget(letter)
        if outcome is None or outcome.done():
            return
        if isinstance(result, Sent):
            outcome.set_result(result)
        else:
            outcome.set_exception(result)

    def _forget(self, letter: Letter) -> None:
        if self._outcomes.pop(letter.number, None) is not None:
            self._outbox.settle(letter)
            self._stirred.set()


def _now() -> float:
    return asyncio.get_running_loop().time()
