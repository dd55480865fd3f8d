"""Limit how much one connection, user or address can ask for (token buckets)."""

from collections.abc import Awaitable, Callable
from math import ceil
from time import monotonic
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from chatserver import (
    ActionError,
    CloseCode,
    ConnectNext,
    Context,
    Disconnect,
    ErrorCode,
    Handshake,
    MessageNext,
    Middleware,
    Outcome,
    Refused,
    Session,
    StateKey,
    User,
)
from chatserver.addresses import bucket_key
from chatserver.bucket import Bucket, take_all, wait_all

from .account import Account
from .ledger import Ledger, Limit

_FRAME: Final = 1.0
"""What every inbound frame costs, before anybody knows what is in it."""


class RateLimitConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how many tokens there are, and what costs how many; ``null`` turns one limit off.

    The defaults are far above what a person does, also one who pastes or reconnects, and still
    bound what one connection, user or address can cost.

    Attributes:
        connection: Frames of one connection: 50 a second, 100 at once.
        user: Frames of all connections of one user, guests included: twice that, for several
            devices.
        ip: Frames from one IPv4 address or IPv6 /64: ten times one connection's, because offices
            and mobile networks share addresses.
        handshake: Upgrades, and plain GETs that ask for one, from one address: 10 a second, 50 at
            once, so that an office comes back at once after a restart, while passwords and tokens
            cannot be tried in bulk.
        costs: Tokens of actions that cost more than the 1 of every frame; more than the smallest
            burst counts as that burst. What is given here replaces the default as a whole.
        max_buckets: Buckets kept of each kind (users, addresses, handshakes), about 300 bytes each.
            To make room, one is forgotten that is full, or nearly, and was not used for long.
        max_strikes: Refusals before a connection is closed with 3013; those within the
            `retry_after` of one that counted do not count again.
        strike_memory: Seconds without refusal after which one strike is forgiven.
    """

    connection: Limit | None = Limit(rate=50, burst=100)
    user: Limit | None = Limit(rate=100, burst=200)
    ip: Limit | None = Limit(rate=500, burst=1000)
    handshake: Limit | None = Limit(rate=10, burst=50)
    costs: dict[str, Annotated[float, Meta(ge=1, le=1e6)]] = field(
        default_factory=lambda: {
            "join": 2.0,
            "register": 5.0,
            "list_rooms": 10.0,
            "members": 3.0,
            "history": 5.0,
            "search": 10.0,
            "rooms": 10.0,
            "direct": 2.0,
        }
    )
    max_buckets: Annotated[int, Meta(ge=1, le=10**8)] = 100_000
    max_strikes: Annotated[int, Meta(ge=0, le=10**9)] = 10
    strike_memory: Annotated[float, Meta(gt=0, le=86400)] = 30


_ACCOUNT: Final = StateKey[Account]("rate_limit")


class RateLimitMiddleware(Middleware[RateLimitConfig]):
    """Charge every handshake, frame and dear action to token buckets.

    A frame is paid from the buckets of its connection, user and address, or from none if one of
    them has not enough. Users' and addresses' buckets outlive the connections. Peers of a unix
    socket that no trusted proxy vouches for have no address, so only connection and user count.
    A changed configuration holds from the next frame on; tokens already spent stay spent.

    Attributes:
        clock: Where the time comes from, in seconds; tests put their own in.
    """

    Config = RateLimitConfig
    clock: Callable[[], float]
    _costs: dict[str, float]
    _users: Ledger
    _addresses: Ledger
    _handshakes: Ledger

    def __init__(self, config: RateLimitConfig) -> None:
        self.clock = monotonic
        self._users = Ledger(config.max_buckets)
        self._addresses = Ledger(config.max_buckets)
        self._handshakes = Ledger(config.max_buckets)
        super().__init__(config)

    def configure(self, config: RateLimitConfig) -> None:
        """Take new limits and costs; a smaller table is cut down with its next entry."""
        super().configure(config)
        limits = (config.connection, config.user, config.ip)
        # What costs more than a full bucket holds could never be paid for.
        most = min((limit.burst for limit in limits if limit is not None), default=_FRAME)
        self._costs = {name: min(cost, most) for name, cost in config.costs.items()}
        for ledger in (self._users, self._addresses, self._handshakes):
            ledger.size = config.max_buckets

    async def connect(self, handshake: Handshake, call_next: ConnectNext) -> Session:
        """Charge the handshake to the client's address.

        Raises:
            Refused: 429 with reason ``rate_limit``.
        """
        address = bucket_key(handshake.remote)
        limit = self.config.handshake
        if limit is not None and address:
            now = self.clock()
            wait = self._handshakes.bucket(address, limit, now).take(1.0, now)
            if wait:
                raise Refused(
                    429,
                    f"Too many connections from your address; try again in {_shown(wait)} s.\n",
                    reason="rate_limit",
                    retry_after=_rounded(wait),
                )
        session = await call_next(handshake)
        session.state[_ACCOUNT] = Account(address)
        return session

    def frame(self, session: Session, size: int) -> None:
        """Charge one token for a frame of any kind.

        Raises:
            ActionError: ``rate_limited``.
            Disconnect: 3013 after too many refusals.
        """
        clock = self.clock
        now = clock()
        account = session.state[_ACCOUNT]
        if account.user is not session.user or account.config is not self.config:
            self._open(account, session.user, now)
        wait = take_all(account.buckets, _FRAME, now)
        if wait:
            raise self._refusal(account, wait, now)

    def message(self, ctx: Context, call_next: MessageNext) -> Awaitable[Outcome]:
        """Charge what the action costs beyond the token of its frame.

        Raises:
            ActionError: ``rate_limited``.
            Disconnect: 3013 after too many refusals.
        """
        cost = self._costs.get(ctx.envelope.action or "", _FRAME)
        if cost > _FRAME:
            now = self.clock()
            account = ctx.session.state[_ACCOUNT]
            if take_all(account.buckets, cost - _FRAME, now):
                # The next try pays for its frame again, so it has to wait for the whole cost.
                raise self._refusal(account, wait_all(account.buckets, cost, now), now)
        return call_next(ctx)

    def _open(self, account: Account, user: User, now: float) -> None:
        """Find the buckets an account pays from, after a change of user or configuration."""
        config = self.config
        buckets: list[Bucket] = []
        if config.connection is None:
            account.own = None
        else:
            account.own = _resized(account.own, config.connection, now)
            buckets.append(account.own)
        if config.user is not None:
            buckets.append(self._users.bucket(user.id, config.user, now))
        if config.ip is not None and account.address:
            buckets.append(self._addresses.bucket(account.address, config.ip, now))
        account.buckets = tuple(buckets)
        account.user = user
        account.config = config

    def _refusal(self, account: Account, wait: float, now: float) -> ActionError | Disconnect:
        wait = _rounded(wait)
        if account.strike(wait, now, self.config.strike_memory) > self.config.max_strikes:
            return Disconnect(
                CloseCode.TOO_MANY_REQUESTS, "Too many requests; wait as long as the errors say"
            )
        return ActionError(
            ErrorCode.RATE_LIMITED,
            f"You are sending too fast; send this again in {_shown(wait)} s",
            retry_after=wait,
        )


def _resized(bucket: Bucket | None, limit: Limit, now: float) -> Bucket:
    if bucket is None:
        return Bucket(limit.burst, limit.rate, now)
    bucket.resize(limit.burst, limit.rate, now)
    return bucket


def _rounded(wait: float) -> float:
    # Up, because answers carry milliseconds, and whoever waits that long must succeed.
    return ceil(wait * 1000) / 1000


def _shown(wait: float) -> str:
    return f"{ceil(wait * 10) / 10:.1f}"
