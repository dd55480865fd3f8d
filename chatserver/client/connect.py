"""Connect to a chat server."""

import ssl as tls
from collections.abc import Mapping

from yarl import URL

from chatserver.client.backoff import Backoff
from chatserver.client.client import ChatClient
from chatserver.client.life import Options
from chatserver.client.tokens import GuestKeeper, GuestMemory, TokenSource


def connect(
    url: str,
    *,
    token: TokenSource | None = None,
    username: str | None = None,
    guest: GuestKeeper | None = None,
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    ssl: tls.SSLContext | bool = True,
    max_queue: int = 1000,
    max_outbox: int = 1000,
    timeout: float = 15.0,
    ping_interval: float = 20.0,
    backoff: Backoff | None = None,
) -> ChatClient:
    """Return a client to enter with ``async with``.

    Entering it waits for the first connection, as long as that takes: put it into
    `asyncio.timeout` to give up. It raises `HandshakeError` where the server refuses the client,
    `ActionError` where it refuses the name, and `ClosedError` where its certificate is not trusted.

    Args:
        url: Where the chat is, such as ``wss://chat.example/ws``.
        token: A token, or a function or coroutine function that gets one: for each connection, and
            again before the one in use expires. It must not use the client. If it raises `OSError`,
            `TimeoutError` or an error of aiohttp, the client tries again later; anything else ends
            the client.
        username: The name to register, on each connection.
        guest: Keeps a guest's token; by default it is kept as long as the client lives.
        headers: More headers of the handshake, such as a cookie.
        proxy: An HTTP proxy, such as ``http://proxy.example:3128``.
        ssl: What to trust: the system's certificates by default, a context of your own, or False
            for whatever comes.
        max_queue: Events of a room that may wait for their reader. When there are more, the room
            is joined again once half of them are read, which brings what was left out.
        max_outbox: Messages that may wait for their acknowledgement; one more is `OutboxFullError`.
        timeout: Seconds that a handshake, and a request, may take.
        ping_interval: Seconds of silence after which the server is pinged; it has half of that to
            answer before the connection counts as lost.
        backoff: The waits before connecting again.

    Raises:
        ValueError: The URL is none of a WebSocket or web server.
    """
    address = URL(url)
    if address.scheme not in ("ws", "wss", "http", "https") or not address.host:
        raise ValueError(f"{url} is no address of a chat; write ws://host:port/ws or wss://host/ws")
    options = Options(
        url=url,
        token=token,
        guest=guest or GuestMemory(),
        headers=headers or {},
        proxy=proxy,
        ssl=ssl,
        timeout=timeout,
        ping_interval=ping_interval,
        backoff=backoff or Backoff(),
    )
    return ChatClient(options, username=username, max_queue=max_queue, max_outbox=max_outbox)
