"""Keep signals with the main thread.

The kernel hands a signal to any thread that does not block it. The main thread, which alone acts on
it, is not woken from a call that blocks by what another thread got.
"""

import signal
from typing import Final

SIGNALS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM}
"""What the server's process is told by."""


def leave_signals() -> None:
    """Leave the signals to the other threads; called first of all in a thread of ours."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
