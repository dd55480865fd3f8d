"""Let in only those who say who they are (docs/middlewares.md, "auth")."""

import logging
import time
from collections.abc import Awaitable, Callable

from msgspec import Struct, ValidationError
from msgspec.json import Decoder

from chatserver import (
    ActionError,
    CloseCode,
    ConfigError,
    ConnectNext,
    Context,
    Disconnect,
    ErrorCode,
    Handshake,
    Hub,
    Identity,
    MessageNext,
    Middleware,
    Outcome,
    Refused,
    Reply,
    Session,
    action,
)

from .auth_config import AuthConfig
from .carriers import find_token
from .token_errors import NoKeysError, TokenError
from .verifier import Verifier

log = logging.getLogger("chatserver.auth")


class Refresh(Struct, frozen=True):
    """Bring a newer token of the same user."""

    token: str


class _Hello(Struct, frozen=True):
    token: str | None = None


_hello = Decoder(_Hello)


class AuthMiddleware(Middleware[AuthConfig]):
    """Find out who connects, by a token or from the embedding app, and refuse everybody else.

    Args:
        config: Who is let in.
        clock: Returns Unix time in seconds.
    """

    Config = AuthConfig

    def __init__(self, config: AuthConfig, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._verifier = Verifier(AuthConfig(), clock)
        super().__init__(config)

    def configure(self, config: AuthConfig) -> None:
        """Take a configuration; connections that were let in stay.

        Raises:
            ConfigError: It contradicts itself, or a key or token in it is of no use.
        """
        if config.late and config.anonymous:
            raise ConfigError(
                "late and anonymous exclude each other: with anonymous, a guest may send"
                " its token in hello at any time; remove one of them"
            )
        if config.late and not config.tokens and config.jwt is None:
            raise ConfigError("late needs tokens or jwt to check the tokens with")
        self._verifier = Verifier(config, self._clock, self._verifier)
        super().configure(config)

    async def startup(self, hub: Hub) -> None:
        """Fetch published keys; the server starts without them if they cannot be had."""
        if not self.config.anonymous and not self.config.tokens and self.config.jwt is None:
            log.info("without tokens, jwt or anonymous, only users of the embedding app get in")
        await self._verifier.start()

    async def cleanup(self) -> None:
        """End a fetch of keys that is under way."""
        await self._verifier.close()

    @property
    def authenticates(self) -> bool:
        """Whether it keeps strangers out."""
        return not self.config.anonymous

    async def connect(self, handshake: Handshake, call_next: ConnectNext) -> Session:
        """Give the handshake the identity its token stands for.

        Raises:
            Refused: 401 for a missing or wrong token; 503 while published keys cannot be had.
        """
        if handshake.identity is None:
            handshake.identity = await self._identity(handshake)
        late = handshake.identity is None and self.config.late
        session = await call_next(handshake)
        if late:
            session.admitted = False
            session.closes_at = self._clock() + self.config.late_timeout
            session.closes_with = CloseCode.NEVER_AUTHENTICATED
        return session

    def message(self, ctx: Context, call_next: MessageNext) -> Awaitable[Outcome]:
        """Take the token of a `hello`; without one, a late client gets no further.

        Raises:
            ActionError: ``unauthorized``, or ``forbidden`` for the token of somebody else.
            Disconnect: The token a late client was asked for is wrong.
        """
        if ctx.envelope.action == "hello" and (token := _token(ctx.envelope.raw)) is not None:
            return self._greet(ctx, token, call_next)
        if not ctx.session.admitted:
            raise ActionError(ErrorCode.UNAUTHORIZED, "Send hello with a token first")
        return call_next(ctx)

    @action("refresh")
    async def refresh(self, ctx: Context, msg: Refresh) -> Reply:
        """Prolong the connection by a newer token of the same user.

        Raises:
            ActionError: ``forbidden`` for the token of somebody else, ``unauthorized`` for a wrong
                one, ``unavailable`` while published keys cannot be had.
        """
        if ctx.session.identity.guest:
            raise ActionError(ErrorCode.FORBIDDEN, "You are a guest; send the token in hello")
        expires = (await self._accept(ctx, msg.token)).expires
        return Reply("refreshed", expires=None if expires is None else int(expires))

    async def _greet(self, ctx: Context, token: str, call_next: MessageNext) -> Outcome:
        await self._accept(ctx, token)
        return await call_next(ctx)

    async def _identity(self, handshake: Handshake) -> Identity | None:
        try:
            token = find_token(handshake, query=self.config.query)
            if token is not None:
                return await self._verifier.identify(token)
        except TokenError as error:
            raise _refused(handshake, str(error)) from None
        except NoKeysError as error:
            log.warning("refused %s: %s", handshake.remote, error)
            raise Refused(
                503, "Try again later\n", reason="auth_keys", retry_after=error.retry_after
            ) from None
        if self.config.anonymous or self.config.late:
            return None
        if "token" in handshake.query and not self.config.query:
            raise _refused(handshake, "?token= is accepted only with auth.query: true")
        raise _refused(handshake, "no token")

    async def _accept(self, ctx: Context, token: str) -> Identity:
        session = ctx.session
        try:
            identity = await self._verifier.identify(token)
        except TokenError as error:
            log.info("token refused: %s", error)
            if not session.admitted:
                raise Disconnect(CloseCode.INVALID_TOKEN, "Invalid token") from None
            raise ActionError(ErrorCode.UNAUTHORIZED, "Invalid token") from None
        except NoKeysError as error:
            log.warning("token not checked: %s", error)
            raise ActionError(
                ErrorCode.UNAVAILABLE,
                "The token cannot be checked now; try again later",
                retry_after=error.retry_after,
            ) from None
        if not session.identity.guest and identity.user != session.identity.user:
            raise ActionError(ErrorCode.FORBIDDEN, "The token belongs to another user")
        ctx.hub.identify(session, identity)
        return identity


def _refused(handshake: Handshake, why: str) -> Refused:
    log.info("refused %s: %s", handshake.remote, why)
    return Refused(401, "Invalid token\n", reason="auth")


def _token(hello: str) -> str | None:
    try:
        return _hello.decode(hello).token
    except ValidationError:
        raise ActionError(
            ErrorCode.BAD_PAYLOAD, "The token must be a string", field="$.token"
        ) from None
