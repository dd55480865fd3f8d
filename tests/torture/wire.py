"""Open connections on which every frame is written down."""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from websockets.asyncio.client import ClientConnection, connect

from tests.torture.checker.journals import Entry, Frame, Journal, Way

PATIENCE: Final = 30.0
"""Seconds that opening and closing may take."""


class Wire:
    """Send and receive frames over one connection, and keep a journal of them.

    Args:
        socket: The connection.
        journal: The client's journal.
        number: Which connection of the client it is.
        clock: Counts the entries of all journals of a run.
    """

    def __init__(
        self, socket: ClientConnection, journal: Journal, number: int, clock: Iterator[int]
    ) -> None:
        self._socket = socket
        self._journal = journal
        self._number = number
        self._clock = clock
        self._ids = itertools.count(1)

    async def send(self, action: str, **payload: object) -> int:
        """Send a request and return its id."""
        number = next(self._ids)
        frame: Frame = {"action": action, "id": number, **payload}
        self._note(Way.SENT, frame)
        await self._socket.send(json.dumps(frame))
        return number

    async def receive(self) -> Frame:
        """Return the next frame.

        Raises:
            ConnectionClosed: There is none.
        """
        frame: Frame = json.loads(await self._socket.recv())
        self._note(Way.GOT, frame)
        return frame

    def drop(self) -> None:
        """Cut the connection without a word."""
        self._socket.transport.abort()

    def _note(self, way: Way, frame: Frame) -> None:
        self._journal.entries.append(Entry(next(self._clock), self._number, way, frame))


@asynccontextmanager
async def opened(
    url: str, journal: Journal, number: int, clock: Iterator[int], unread: int | None
) -> AsyncIterator[Wire]:
    """Connect as the journal's user; close at the end, or cut where not everything is read.

    Args:
        url: Where to.
        journal: The client's journal.
        number: Which connection of the client it is.
        clock: Counts the entries of all journals of a run.
        unread: Frames after which no more are read before the client asks for them; None reads on,
            and only then the end of a connection is noticed at once.

    Raises:
        OSError: Nobody listens there.
        InvalidMessage: The server went away during the handshake.
    """
    async with connect(
        url,
        additional_headers={"Authorization": f"Bearer {journal.user}-token"},
        compression=None,
        proxy=None,
        max_size=None,
        max_queue=unread,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
    ) as socket:
        wire = Wire(socket, journal, number, clock)
        try:
            yield wire
        finally:
            if unread is not None:
                wire.drop()  # Closing would wait for an answer behind what nobody reads.
