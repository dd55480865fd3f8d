"""Make what middlewares are given, without a server."""

from collections.abc import Iterable
from typing import TypeVar, cast

from multidict import CIMultiDict

from chatserver import (
    ConnectNext,
    Context,
    Handshake,
    Hub,
    Identity,
    Middleware,
    Outcome,
    Refused,
    Reply,
    Session,
)
from chatserver.envelope import parse

C = TypeVar("C")


def handshake(
    headers: Iterable[tuple[str, str]] = (),
    *,
    remote: str = "203.0.113.5",
    local: str = "192.0.2.1",
    scheme: str = "http",
    host: str = "chat.example.com",
    probe: bool = False,
    identity: Identity | None = None,
) -> Handshake:
    """Return a handshake as a client on the public internet would cause it."""
    return Handshake(
        headers=CIMultiDict(headers),
        query={},
        remote=remote,
        local=local,
        scheme=scheme,
        host=host,
        probe=probe,
        identity=identity,
    )


async def accept(shaken: Handshake) -> Session:
    """Be the core of a connect onion: let everybody in."""
    identity = shaken.identity or Identity(user="guest:1", guest=True)
    session = Session("s1", identity, shaken.remote)
    session.max_message_size = shaken.max_message_size
    return session


async def refusal(
    middleware: Middleware[C], shaken: Handshake, call_next: ConnectNext = accept
) -> Refused | None:
    """Return how a handshake is refused, or None where it is let in."""
    try:
        await middleware.connect(shaken, call_next)
    except Refused as refused:
        return refused
    return None


async def send(middleware: Middleware[C], session: Session, text: str) -> Outcome:
    """Take one text message the way a connection does; its handler replies ``fine``."""
    hub = cast("Hub", None)  # what limits messages looks at session and envelope only

    async def handled(ctx: Context) -> Outcome:
        return Reply("fine")

    middleware.frame(session, len(text))
    return await middleware.message(Context(session, hub, parse(text)), handled)
