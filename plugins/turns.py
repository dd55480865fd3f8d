"""Let each user read one thing at a time, so that nobody keeps the others from reading."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final, TypeVar

from chatserver import ActionError, ErrorCode, Pending, Session

T = TypeVar("T")

MOST_WAITING: Final = 64
"""Reads of one user that may wait for their turn."""


class Turns:
    """Begin each user's reads one after another.

    The store takes them as they come, so users who read much and users who read little have the
    same share of it. What is there at once, from memory, costs a look-up more.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    def take(self, session: Session, read: Callable[[], Pending[T]]) -> Pending[T]:
        """Read at once, or once all is there that the user has asked for before.

        Args:
            session: Who asks; where its connection is gone by then, nothing is read.
            read: Begins to read.

        Raises:
            ActionError: ``unavailable``: too many are waiting.
        """
        user = session.user.id
        line = self._lines.get(user)
        if line is None:
            begun = read()
            if not begun.is_done:
                self._lines[user] = deque()
                begun.when_done(partial(self._next, user))
            return begun
        if len(line) >= MOST_WAITING:
            raise _refusal("You are reading too much at once; wait for the answers")
        wait = self._wait(user, self._line_up(user), session, read)
        return Pending(asyncio.get_running_loop().create_task(wait))

    def turn(self, session: Session) -> AbstractAsyncContextManager[None]:
        """Have the user's turn for several reads that one answer needs.

        A connection handles one message at a time, so as many may wait as the user has connections.
        """
        user = session.user.id
        return self._reach(user, self._line_up(user))

    def _line_up(self, user: str) -> "asyncio.Future[None]":
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line = self._lines.get(user)
        if line is None:
            self._lines[user] = deque()
            turn.set_result(None)
        else:
            line.append(turn)
        return turn

    @asynccontextmanager
    async def _reach(self, user: str, turn: "asyncio.Future[None]") -> AsyncIterator[None]:
        try:
            await turn
            yield
        finally:
            # Who is cancelled while waiting has had no turn; who is cancelled at it passes it on.
            if not turn.cancelled():
                self._next(user)

    async def _wait(
        self,
        user: str,
        turn: "asyncio.Future[None]",
        session: Session,
        read: Callable[[], Pending[T]],
    ) -> T:
        async with self._reach(user, turn):
            if session not in session.user.sessions:
                raise _refusal("The connection is gone")
            return await read()

    def _next(self, user: str) -> None:
        line = self._lines[user]
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._lines[user]


def _refusal(message: str) -> ActionError:
    return ActionError(ErrorCode.UNAVAILABLE, message, retry_after=1)
