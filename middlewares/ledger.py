"""Keep a bounded number of token buckets by key."""

from collections import OrderedDict
from itertools import islice
from typing import Annotated, Final

from msgspec import Meta, Struct

from chatserver.bucket import Bucket

_CANDIDATES: Final = 8
"""How many of the longest unused buckets compete for being forgotten."""


class Limit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Allow `rate` tokens per second in the long run, and `burst` at once after a pause."""

    rate: Annotated[float, Meta(ge=0.001, le=1e6)]
    burst: Annotated[float, Meta(ge=1, le=1e6)]


class Ledger:
    """Remember buckets by key, so that they outlive the connections that use them.

    At most `size` are kept. To make room, the fullest of the eight that were looked up longest ago
    is forgotten; its owner gets a full bucket the next time. A flood of new keys therefore pushes
    out its own unused buckets rather than one that somebody has just emptied.

    Args:
        size: Buckets to keep; about 300 bytes each.
    """

    __slots__ = ("_buckets", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def bucket(self, key: str, limit: Limit, now: float) -> Bucket:
        """Return the bucket of a key, with its capacity and rate as `limit` has them now."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.resize(limit.burst, limit.rate, now)
            self._buckets.move_to_end(key)
            return bucket
        while len(self._buckets) >= self.size:
            oldest = islice(self._buckets.items(), _CANDIDATES)
            del self._buckets[min(oldest, key=lambda item: item[1].full_at)[0]]
        bucket = self._buckets[key] = Bucket(limit.burst, limit.rate, now)
        return bucket
