"""Decide how long to wait before connecting again (docs/protocol.md, "Connecting again")."""

from collections.abc import Callable
from random import random as chance


class Backoff:
    """Draw waits at random below a bound that doubles: full jitter.

    Args:
        first: The first bound, in seconds.
        most: The largest bound, in seconds.
        steady: Seconds a connection has to hold for the waits to start anew.
        random: Returns numbers from 0 up to 1.
    """

    def __init__(
        self,
        first: float = 1.0,
        most: float = 30.0,
        *,
        steady: float = 10.0,
        random: Callable[[], float] = chance,
    ) -> None:
        self._first = first
        self._most = most
        self._steady = steady
        self._random = random
        self._bound = first

    def wait(self) -> float:
        """Return the next wait in seconds; the one after it may be twice as long."""
        bound = self._bound
        self._bound = min(2 * bound, self._most)
        return self._random() * bound

    def held(self, seconds: float) -> None:
        """Note how long a connection held, so that one that was good starts the waits anew."""
        if seconds >= self._steady:
            self._bound = self._first
