"""Compose middlewares into onions, once, at start-up."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from chatserver.context import Context, Outcome
from chatserver.middleware import AnyMiddleware, ConnectNext, MessageNext, Middleware
from chatserver.session import Session

Charge = Callable[[Session, int], None]
"""Charge one inbound frame to a session."""


class Pipeline:
    """Hold the composed chains.

    Args:
        middlewares: In configuration order, the first outermost.
        connect: The core of the connect onion: makes the session.
        dispatch: The core of the message onion: runs the action's handler.

    Attributes:
        connect: Runs before the upgrade.
        charges: Run for every inbound frame before it is parsed.
        message: Runs for every parsed message.
    """

    __slots__ = ("charges", "connect", "message")

    def __init__(
        self,
        middlewares: Sequence[AnyMiddleware],
        connect: ConnectNext,
        dispatch: MessageNext,
    ) -> None:
        self.charges: tuple[Charge, ...] = tuple(
            middleware.frame
            for middleware in middlewares
            if type(middleware).frame is not Middleware.frame
        )
        self.connect = connect
        self.message = dispatch
        for middleware in reversed(middlewares):
            kind = type(middleware)
            if kind.connect is not Middleware.connect:
                self.connect = partial(middleware.connect, call_next=self.connect)
            if kind.message is not Middleware.message:
                self.message = _around(middleware.message, self.message)


def _around(
    hook: Callable[[Context, MessageNext], Awaitable[Outcome]], call_next: MessageNext
) -> MessageNext:
    # A closure is called faster than a partial, and this is called for every message.
    return lambda ctx: hook(ctx, call_next)
