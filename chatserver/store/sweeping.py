"""Decide when the writer's thread goes on removing what is too old."""

import logging
import sqlite3
from collections.abc import Callable
from time import monotonic, time
from typing import Final

from chatserver.store.writer import Writer

log = logging.getLogger("chatserver.store")

SWEEP_EVERY: Final = 60.0
"""Seconds between two looks for what is too old."""


class Sweeping:
    """Sweep with a writer, in its thread.

    Args:
        writer: Sweeps.
        stop: Stops everything where an error says that the disk has failed, and tells whether.

    Attributes:
        due: When there is something to do, on the monotonic clock.
    """

    def __init__(self, writer: Writer, stop: Callable[[sqlite3.Error], bool]) -> None:
        self._writer = writer
        self._stop = stop
        self.due = monotonic() + SWEEP_EVERY

    def step(self, rest: int) -> None:
        """Remove some.

        Args:
            rest: Times as long as it took that it rests where there is more.
        """
        began = monotonic()
        more = self._sweep()
        now = monotonic()
        self.due = now + (rest * (now - began) if more else SWEEP_EVERY)

    def _sweep(self) -> bool:
        try:
            return self._writer.sweep(time())
        except sqlite3.Error as error:
            if not self._stop(error):
                log.warning("old messages could not be removed: %s", error)
        except OSError as error:
            log.warning("what was removed may be left in unused parts of the file: %s", error)
        except Exception:
            log.exception("old messages could not be removed")
        return False
