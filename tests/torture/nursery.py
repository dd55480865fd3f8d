"""Start servers under torture, one at a time, and end them."""

import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Final

from tests.e2e.programs import Program

START_WITHIN: Final = 90.0
"""Seconds a server has to come up; the first one has to import everything."""

END_WITHIN: Final = 60.0
"""Seconds a server has to end after a signal."""


@dataclass(frozen=True)
class Order:
    """Say which server is wanted.

    Attributes:
        config: Its configuration file.
        point: The point at which it is to kill itself; None for one that does not.
        times: At the how manieth time there.
        bug: The bug it is to have.
    """

    config: str
    point: str | None = None
    times: int = 0
    bug: str | None = None


class Nursery(Program):
    """The program that forks servers; the last one ends with it."""

    def __init__(self) -> None:
        super().__init__([sys.executable, "-m", "tests.torture.victim"])
        self._server: int | None = None

    def start_server(self, order: Order) -> str:
        """Start a server and return where its WebSocket is.

        Raises:
            AssertionError: It did not come up.
        """
        self.write(json.dumps(asdict(order)))
        number = int(self.out.expect(r"^server (\d+)$", START_WITHIN)[1])
        self._server = os.pidfd_open(number)
        found = self.out.expect(r"^(?:Listening on http(://.+)/|ended .+)$", START_WITHIN)
        assert found[1], f"the server did not start:\n{self.stderr}"
        return f"ws{found[1]}/ws"

    def signal_server(self, number: signal.Signals) -> None:
        """Send the server a signal; one that is gone does not mind."""
        assert self._server is not None, "start a server first"
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._server, number)

    def await_end(self, within: float = END_WITHIN) -> int:
        """Wait until the server has ended; return its exit code.

        Raises:
            AssertionError: It is still running after `within` seconds.
        """
        assert self._server is not None, "start a server first"
        code = int(self.out.expect(r"^ended (-?\d+)$", within)[1])
        os.close(self._server)
        self._server = None
        return code

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._server is not None:
                self.signal_server(signal.SIGKILL)
                self.await_end()
        finally:
            super().__exit__(kind, error, traceback)
