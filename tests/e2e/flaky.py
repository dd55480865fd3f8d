"""A line to a server that delays, stalls, breaks and lies about being alive."""

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

CHUNK: Final = 4096


class Link:
    """One connection through the line: two sockets, and what is pumped between them."""

    def __init__(self, line: "FlakyLine", near: "Pair", far: "Pair") -> None:
        self._line = line
        self._near = near
        self._far = far

    async def run(self) -> None:
        """Pump both ways until one of them ends; then the other ends as well."""
        pumps = [
            asyncio.create_task(self._pump(self._near[0], self._far[1])),
            asyncio.create_task(self._pump(self._far[0], self._near[1])),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            for _, writer in (self._near, self._far):
                writer.close()

    def reset(self) -> None:
        """Send a reset both ways."""
        for _, writer in (self._near, self._far):
            sock = writer.get_extra_info("socket")
            with suppress(OSError):  # it has ended by itself
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def half_close(self) -> None:
        """Tell the client that nothing more comes, and go on taking what it sends."""
        with suppress(OSError, RuntimeError):  # it has ended by itself
            self._near[1].write_eof()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._line.weather()
                if self._line.torn:
                    # The end of a frame is lost, and the connection with it.
                    writer.write(chunk[: len(chunk) // 2])
                    return
                writer.write(chunk)
                await writer.drain()


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FlakyLine:
    """Forward a port of its own to a server, with faults.

    Args:
        port: The server's port on 127.0.0.1; may be changed, for connections to come.

    Attributes:
        url: Where the server's WebSocket is behind the line.
        delay: Seconds that each chunk takes.
        torn: Whether the next chunk is cut in two, and the connection ends there.
        dead: Whether new connections are reset.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = ""
        self.delay = 0.0
        self.torn = False
        self.dead = False
        self._open = asyncio.Event()
        self._open.set()
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        # A close in the tick in which asyncio accepts a connection would leave that open: accept
        # nothing more, and let what was accepted get as far as its task.
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening)
        self.dead = True
        for _ in range(4):
            await asyncio.sleep(0)
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stall(self) -> None:
        """Let nothing through, and tell nobody."""
        self._open.clear()

    def reset(self) -> None:
        """Reset all connections."""
        for link in list(self._links):
            link.reset()

    def half_close(self) -> None:
        """End one direction of all connections."""
        for link in list(self._links):
            link.half_close()

    def heal(self) -> None:
        """Have no faults from now on."""
        self.delay, self.torn, self.dead = 0.0, False, False
        self._open.set()

    async def weather(self) -> None:
        """Wait as long as a chunk takes."""
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._open.wait()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect((reader, writer))
        except asyncio.CancelledError:
            pass  # the line is taken down
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _connect(self, near: Pair) -> None:
        if self.dead:
            near[1].transport.abort()
            return
        await self.weather()
        try:
            far = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            near[1].transport.abort()
            return
        link = Link(self, near, far)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


Fault = Callable[[FlakyLine], None]


def delay(line: FlakyLine) -> None:
    line.delay = 0.03


def tear(line: FlakyLine) -> None:
    line.torn = True


def die(line: FlakyLine) -> None:
    line.dead = True
    line.reset()


FAULTS: Final[dict[str, Fault]] = {
    "delay": delay,
    "stall": FlakyLine.stall,
    "half-close": FlakyLine.half_close,
    "reset": FlakyLine.reset,
    "tear": tear,
    "die": die,
}


async def storm(
    line: FlakyLine, chance: random.Random, rounds: int, calm: Callable[[], Awaitable[None]]
) -> None:
    """Have one fault after another, each for a while, and some calm in between.

    Args:
        line: Where.
        chance: What happens, and for how long.
        rounds: How often.
        calm: Waits for whatever has to happen between two faults.
    """
    for _ in range(rounds):
        FAULTS[chance.choice(list(FAULTS))](line)
        await asyncio.sleep(chance.uniform(0.02, 0.6))
        line.heal()
        await calm()
