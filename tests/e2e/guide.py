"""Serve the guide's samples from their configs, and be their clients."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import cast

from websockets.asyncio.client import ClientConnection

from tests.e2e.process import ServerProcess

GUIDE = Path(__file__).parents[2] / "examples" / "guide"
WITHIN = 20

Frame = dict[str, object]
Sample = Callable[[str], ServerProcess]


@contextmanager
def samples() -> Iterator[Sample]:
    """Give a function that starts the server of a sample once, on a free port; stop all of them."""
    with ExitStack() as running:

        @cache
        def start(name: str) -> ServerProcess:
            server = ServerProcess(GUIDE / f"{name}.yaml", "--port", "0")
            return running.enter_context(server)

        yield start


async def receive(client: ClientConnection) -> Frame:
    """Return the next frame, whatever it is."""
    return cast("Frame", json.loads(await receive_text(client)))


async def receive_text(client: ClientConnection) -> str:
    async with asyncio.timeout(WITHIN):
        text = await client.recv()
    assert isinstance(text, str)
    return text


async def ask(client: ClientConnection, **message: object) -> Frame:
    """Send a message and return the next frame, as the guide's lock-step clients do."""
    await client.send(json.dumps(message))
    return await receive(client)


async def ask_text(client: ClientConnection, text: str) -> str:
    await client.send(text)
    return await receive_text(client)


async def drop(client: ClientConnection, server: ServerProcess) -> None:
    """Vanish without a close frame, and wait until the server has noticed."""
    welcome = await ask(client, action="hello")
    client.transport.abort()
    await asyncio.to_thread(
        server.err.expect, rf'"message": "disconnected".*"connection": "{welcome["session"]}"'
    )
