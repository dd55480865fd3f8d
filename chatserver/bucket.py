"""Limit rates with token buckets."""

from collections.abc import Sequence
from typing import Final

_TOLERANCE: Final = 1e-6
"""Seconds forgiven, so that whoever waits exactly as told is never refused by a rounding error."""


class Bucket:
    """Hold tokens that come back at a steady rate; a full one grants a burst.

    What is stored is the time at which the bucket will be full again, which says the same as a
    count of tokens and needs no refill (the generic cell rate algorithm, ITU-T I.371).

    Args:
        capacity: Tokens of a full bucket, above 0.
        rate: Tokens that come back per second, above 0.
        now: The time in seconds, of the clock that is used for all calls. A clock that jumps back
            grants nothing extra; it only makes takers wait.

    Attributes:
        full_at: The time at which it is, or was, full; from then on it is as good as a new one.
    """

    __slots__ = ("_capacity", "_fill_time", "_longest", "_rate", "full_at")

    def __init__(self, capacity: float, rate: float, now: float) -> None:
        self._size(capacity, rate)
        self.full_at = now

    def take(self, cost: float, now: float) -> float:
        """Take tokens if there are enough; see `take_all`."""
        return take_all((self,), cost, now)

    def wait(self, cost: float, now: float) -> float:
        """Return what `take` would, and take nothing."""
        start = self.full_at if self.full_at > now else now
        full_at = start + min(cost, self._capacity) / self._rate
        return full_at - now - self._fill_time if full_at - now > self._longest else 0.0

    def give_back(self, cost: float) -> None:
        """Undo a `take` of the same cost that was granted."""
        self.full_at -= min(cost, self._capacity) / self._rate

    def resize(self, capacity: float, rate: float, now: float) -> None:
        """Change capacity and rate; the tokens missing now stay missing, up to the new capacity."""
        missing = max(self.full_at - now, 0.0) * self._rate
        self._size(capacity, rate)
        self.full_at = now + min(missing, capacity) / rate

    def _size(self, capacity: float, rate: float) -> None:
        self._capacity = capacity
        self._rate = rate
        self._fill_time = capacity / rate
        self._longest = self._fill_time + _TOLERANCE


def take_all(buckets: Sequence[Bucket], cost: float, now: float) -> float:
    """Take from every bucket, or from none if one has not enough.

    Args:
        buckets: Different ones; none at all grants everything.
        cost: Tokens to take from each, 0 or more; where it is above a bucket's capacity, that is
            taken instead.
        now: The time in seconds.

    Returns:
        0.0 when granted, else the seconds after which all of them can grant it.
    """
    # Every frame comes by here, so there is no call for each bucket.
    for bucket in buckets:
        full_at = bucket.full_at
        if full_at < now:
            full_at = now
        full_at += (cost if cost < bucket._capacity else bucket._capacity) / bucket._rate
        if full_at - now > bucket._longest:
            break
        bucket.full_at = full_at
    else:
        return 0.0
    for before in buckets:
        if before is bucket:
            break
        before.give_back(cost)
    return wait_all(buckets, cost, now)


def wait_all(buckets: Sequence[Bucket], cost: float, now: float) -> float:
    """Return the seconds after which every bucket can grant `cost`, 0.0 for now."""
    return max((bucket.wait(cost, now) for bucket in buckets), default=0.0)
