"""Remember what one connection pays from, and how often it was refused."""

from chatserver import User
from chatserver.bucket import Bucket


class Account:
    """Hold the buckets of one connection, and its strikes.

    Args:
        address: What stands for the client's address; empty where it has none.

    Attributes:
        config: The configuration for which `buckets` were found.
        user: The user for whom they were found.
        own: The connection's own bucket, also one of `buckets`.
        buckets: All that a frame is paid from.
    """

    __slots__ = (
        "_announced_until",
        "_refused_at",
        "_strikes",
        "address",
        "buckets",
        "config",
        "own",
        "user",
    )

    def __init__(self, address: str) -> None:
        self.address = address
        self.config: object = None
        self.user: User | None = None
        self.own: Bucket | None = None
        self.buckets: tuple[Bucket, ...] = ()
        self._strikes = 0
        self._refused_at = 0.0
        self._announced_until = 0.0

    def strike(self, wait: float, now: float, memory: float) -> int:
        """Note a refusal; return the strikes that count against the connection.

        Args:
            wait: Seconds the client is told to wait; refusals meanwhile are no further strikes.
            now: The time in seconds.
            memory: Seconds without refusal after which one strike is forgiven.
        """
        forgiven = int(max(now - self._refused_at, 0.0) / memory)
        self._strikes = max(self._strikes - forgiven, 0)
        self._refused_at = now
        if now >= self._announced_until:
            self._strikes += 1
            self._announced_until = now + wait
        return self._strikes
