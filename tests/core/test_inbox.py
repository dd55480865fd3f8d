"""What has arrived is taken from aiohttp's own queue; everything else is waited for."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import WSMessage, WSMsgType, web
from aiohttp.web import WebSocketResponse
from pytest_aiohttp import AiohttpClient

from chatserver.inbox import Inbox


async def served(client: AiohttpClient, handle: Callable[[Inbox], Awaitable[None]]) -> None:
    """Let a handler read what a client sends: three texts at once, a ping and its good-bye."""
    failed: list[Exception] = []

    async def endpoint(request: web.Request) -> WebSocketResponse:
        socket = WebSocketResponse(autoping=False)
        await socket.prepare(request)
        try:
            async with asyncio.timeout(20):
                await handle(Inbox.of(socket))
        except Exception as error:
            failed.append(error)
        return socket

    app = web.Application()
    app.router.add_get("/", endpoint)
    connected = await client(app)
    async with connected.ws_connect("/") as socket:
        for text in ("one", "two", "three"):
            await socket.send_str(text)
        await socket.ping(b"four")
        await socket.close()
    if failed:
        raise failed[0]


async def test_text_that_has_arrived_is_taken_without_waiting_for_it(
    aiohttp_client: AiohttpClient,
) -> None:
    async def handle(inbox: Inbox) -> None:
        assert inbox.take != inbox.receive
        taken = [(await inbox.receive()).data]
        while len(inbox.arrived) < 4:  # noqa: ASYNC110 - nothing tells of an arrival
            await asyncio.sleep(0)
        while inbox.arrived[0][0].type is WSMsgType.TEXT:
            step = inbox.take().__await__()
            try:
                next(step)
            except StopIteration as stop:
                taken.append(stop.value.data)
        assert taken == ["one", "two", "three"]
        ping, goodbye = await inbox.receive(), await inbox.receive()
        assert (ping.type, ping.data) == (WSMsgType.PING, b"four")
        assert goodbye.type is WSMsgType.CLOSE
        assert not inbox.arrived

    await served(aiohttp_client, handle)


class Elsewhere:
    """Be a WebSocket of an aiohttp that keeps its messages where nobody knows."""

    async def receive(self) -> WSMessage:
        return WSMessage(WSMsgType.TEXT, "waited for", "")


async def test_where_the_queue_is_not_known_all_is_waited_for() -> None:
    inbox = Inbox.of(Elsewhere())
    assert inbox.arrived[0][0].type is not WSMsgType.TEXT
    assert (await inbox.receive()).data == "waited for"
