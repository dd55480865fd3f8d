"""Bound the size of messages: a wall that closes the connection, and softer limits before it."""

from collections.abc import Awaitable
from typing import Annotated

from msgspec import Meta, Struct

from chatserver import (
    ActionError,
    ConfigError,
    ConnectNext,
    Context,
    ErrorCode,
    Handshake,
    MessageNext,
    Middleware,
    Outcome,
    Session,
)

Bytes = Annotated[int, Meta(ge=1, le=2**30)]


class SizeLimitConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how large messages may be, in bytes of UTF-8.

    Attributes:
        max_message_size: Larger messages are answered ``too_large``; announced in `welcome`.
        hard_limit: Larger ones are not even read: the connection is closed with 1009.
        actions: Lower limits of single actions, by their names: ``{message: 16384}``.
    """

    max_message_size: Bytes = 65536
    hard_limit: Bytes = 1048576
    actions: dict[str, Bytes] = {}


class SizeLimitMiddleware(Middleware[SizeLimitConfig]):
    """Refuse messages that are too large.

    A changed configuration holds for the next message of every connection, except the hard limit,
    which a connection keeps.
    """

    Config = SizeLimitConfig

    def configure(self, config: SizeLimitConfig) -> None:
        """Check that the limits fit each other.

        Raises:
            ConfigError: A limit could never be reached because of another one.
        """
        if config.max_message_size > config.hard_limit:
            raise ConfigError(
                f"max_message_size ({config.max_message_size}) is above hard_limit"
                f" ({config.hard_limit}); raise hard_limit, or lower max_message_size"
            )
        for action, limit in config.actions.items():
            if limit > config.max_message_size:
                raise ConfigError(
                    f"actions: {action!r} may have {limit} bytes, more than max_message_size"
                    f" ({config.max_message_size}) lets through; lower the one or raise the other"
                )
        super().configure(config)

    async def connect(self, handshake: Handshake, call_next: ConnectNext) -> Session:
        """Set the limits of the connection to come."""
        handshake.max_frame = self.config.hard_limit
        handshake.max_message_size = self.config.max_message_size
        return await call_next(handshake)

    def frame(self, session: Session, size: int) -> None:
        """Refuse before parsing what is too large already by its number of characters.

        Raises:
            ActionError: ``too_large``.
        """
        if size > self.config.max_message_size:
            raise _too_large("A message", self.config.max_message_size)

    def message(self, ctx: Context, call_next: MessageNext) -> Awaitable[Outcome]:
        """Check the exact size against the action's limit.

        Raises:
            ActionError: ``too_large``.
        """
        config = self.config
        if ctx.envelope.size > config.max_message_size:
            raise _too_large("A message", config.max_message_size)
        if config.actions:
            action = ctx.envelope.action or ""
            limit = config.actions.get(action)
            if limit is not None and ctx.envelope.size > limit:
                raise _too_large(f"A message of the action {action!r}", limit)
        return call_next(ctx)


def _too_large(what: str, limit: int) -> ActionError:
    return ActionError(
        ErrorCode.TOO_LARGE, f"{what} may have at most {limit} bytes; send less, or in parts"
    )
