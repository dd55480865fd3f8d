"""Tell the server how far the user has read, not more often than it is worth."""

import asyncio
from contextlib import suppress
from typing import Final

from chatserver.client import ActionError, ChatClient, ClientError

PAUSE: Final = 0.5
"""Seconds between what is told."""


class Cursors:
    """Move the user's cursors; the last move of a room counts.

    Args:
        chat: The client.
    """

    def __init__(self, chat: ChatClient) -> None:
        self._chat = chat
        self._moved: dict[str, int] = {}
        self._stirred = asyncio.Event()

    def move(self, room: str, offset: int) -> None:
        """Note that the user has read a room up to an offset."""
        self._moved[room] = offset
        self._stirred.set()

    async def run(self) -> None:
        """Tell the server until this is cancelled; where it does not want to know, that is all."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            moved, self._moved = self._moved, {}
            for room, offset in moved.items():
                with suppress(ActionError, ClientError, TimeoutError):
                    await self._chat.request("read", room=room, offset=offset)
            await asyncio.sleep(PAUSE)
