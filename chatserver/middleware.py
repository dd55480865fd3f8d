"""Define what a middleware is: a layer around every handshake, frame and message.

Middlewares form an onion, composed once at start-up in the order of the configuration: the first is
outermost. A hook that a middleware does not override is not in its chain and costs nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from chatserver.context import Context, Handshake, Outcome
from chatserver.extension import Extension
from chatserver.session import Session

C = TypeVar("C")

ConnectNext = Callable[[Handshake], Awaitable[Session]]
"""The rest of the connect onion; its core makes the session."""

MessageNext = Callable[[Context], Awaitable[Outcome]]
"""The rest of the message onion; its core calls the action's handler."""


class Middleware(Extension[C]):
    """Stand between clients and actions; a middleware can define actions as a plugin does.

    Per-connection state belongs under a `StateKey` in `session.state`, never on the middleware.
    """

    async def connect(self, handshake: Handshake, call_next: ConnectNext) -> Session:
        """Let a client in or not; runs before the upgrade, also for a plain GET that only asks.

        Raises:
            Refused: The client gets this HTTP answer instead of an upgrade.
        """
        return await call_next(handshake)

    def frame(self, session: Session, size: int) -> None:
        """Charge one inbound frame before it is parsed: text, binary, ping or unasked pong.

        Args:
            session: Who sent it.
            size: Characters of a text, bytes of anything else.

        Raises:
            ActionError: The frame is not handled; the error is the answer.
            Disconnect: The connection ends.
        """

    def message(self, ctx: Context, call_next: MessageNext) -> Awaitable[Outcome]:
        """Handle a parsed message; messages of one connection come one at a time.

        Usually overridden by an ``async def``. A hook that only looks at the message can stay a
        plain function that returns ``call_next(ctx)``, which saves a coroutine per message.

        Raises:
            ActionError: The error is the reply.
            Disconnect: The connection ends.
        """
        return call_next(ctx)

    @property
    def authenticates(self) -> bool:
        """Whether it keeps strangers out; a server without one warns when it is reachable."""
        return False


AnyMiddleware = Middleware[Any]
"""A middleware, whatever its configuration."""
