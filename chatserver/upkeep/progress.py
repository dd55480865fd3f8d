"""Show how far a long command has got, on a terminal only."""

from collections.abc import Callable
from time import monotonic
from typing import Final, TextIO

INTERVAL: Final = 0.1
"""Seconds between two changes of what is shown."""

WIDTH: Final = 30
"""Characters of the bar."""


class Progress:
    """Draw a bar that grows; where the stream is no terminal, nothing.

    Args:
        what: What is being done, such as ``Exporting``.
        total: How much there is to do; 0 where nobody knows.
        stream: Where to draw, usually the standard error stream.
        clock: Returns seconds.
    """

    def __init__(
        self, what: str, total: int, stream: TextIO, clock: Callable[[], float] = monotonic
    ) -> None:
        self._what = what
        self._total = total
        self._stream = stream
        self._clock = clock
        self._shown = stream.isatty()
        self._next = 0.0

    def reach(self, done: int) -> None:
        """Show how much has been done, at most ten times a second."""
        if not self._shown or (now := self._clock()) < self._next:
            return
        self._next = now + INTERVAL
        if self._total:
            share = min(1.0, done / self._total)
            bar = "#" * int(share * WIDTH)
            text = f"[{bar:<{WIDTH}}] {share:4.0%}"
        else:
            text = f"{done:,}"
        self._stream.write(f"\r{self._what} {text}")
        self._stream.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
