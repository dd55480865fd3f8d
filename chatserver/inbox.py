"""Take the messages that have arrived from aiohttp's queue.

`WebSocketResponse.receive` is made for a message that is still to come, and costs as much as three
middlewares. A text that is there already is taken from the queue behind it. aiohttp does not
document that queue; where a version keeps it elsewhere, `receive` serves all.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from aiohttp import WSMessage, WSMsgType

_ANYTHING: Final = ((WSMessage(WSMsgType.CONTINUATION, None, None), 0),)
"""Stands for what may have arrived where nobody knows."""


class Receiving(Protocol):
    """Be a WebSocket from which messages are received."""

    async def receive(self) -> WSMessage:
        """Return the next message, of whatever kind."""


class Inbox(NamedTuple):
    """Hold both ways to the next message.

    Attributes:
        receive: Waits for a message of any kind, and does what the kind asks for.
        arrived: What is there, with sizes in bytes; changes as messages come and are taken. Never
            empty, and no text, where it is not known.
        take: Returns the first of `arrived`, a text, without waiting.
    """

    receive: Callable[[], Awaitable[WSMessage]]
    arrived: Sequence[tuple[WSMessage, int]]
    take: Callable[[], Awaitable[WSMessage]]

    @classmethod
    def of(cls, socket: Receiving) -> "Inbox":
        """Return the inbox of a WebSocket that is prepared."""
        queue = getattr(socket, "_reader", None)
        arrived: Sequence[tuple[WSMessage, int]] = getattr(queue, "_buffer", _ANYTHING)
        return cls(socket.receive, arrived, getattr(queue, "read", socket.receive))
