"""A server under test in a process of its own: started, pinned, read from /proc, ended."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.dialects import Dialect, JsonActions, SocketIO
from benchmarks.machine import Cores

HERE = Path(__file__).parent
RESULTS = HERE / "results"
START_SECONDS = 60.0

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Server(NamedTuple):
    """A program that serves chat, and what its clients speak."""

    name: str
    arguments: tuple[str, ...]
    """For this Python; `{port}` stands for the port."""
    dialect: Dialect
    environment: tuple[tuple[str, str], ...] = ()
    """Variables beside this process's own."""


OURS = Server(
    "chatserver",
    ("-m", "chatserver", "--config", str(HERE / "bench.yaml"), "--port", "{port}"),
    JsonActions(),
)
DURABLE = OURS._replace(environment=(("CHATSERVER_BROKER", "embedded"),))
"""The same, storing every message before anybody sees it."""
BASE = Server("websockets", ("-m", "benchmarks.servers.guide", "{port}"), JsonActions())
SERVERS = (
    OURS,
    BASE,
    Server("aiohttp-loop", ("-m", "benchmarks.servers.aiohttp_loop", "{port}"), JsonActions()),
    Server("socket.io", ("-m", "benchmarks.servers.socketio_rooms", "{port}"), SocketIO()),
)


class StartError(RuntimeError):
    """A server did not come up; the message has the end of what it printed."""


class Process:
    """A running server; use it as a context manager.

    Entering it returns once the server answers HTTP on its port, and leaving it kills the server: a
    graceful end would only take time. What it stores is in a folder of its own beside the results,
    which goes with it.

    Raises:
        StartError: it ended, or did not answer within a minute.
    """

    def __init__(self, server: Server, cores: Cores) -> None:
        self.server = server
        # Bound until the end: else somebody might get the port before the server listens there.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._port.getsockname()
        self.cores = cores
        RESULTS.mkdir(exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix="data-", dir=RESULTS)
        self.data = self._folder.name
        """Where it stores."""
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # __exit__ closes it

    def __enter__(self) -> Self:
        """Start the server and wait for it."""
        arguments = [part.format(port=self.address[1]) for part in self.server.arguments]
        environment = {**os.environ, "CHATSERVER_SERVER__DATA_DIR": self.data}
        # A child inherits the affinity: set before the start, it holds for all of its threads.
        os.sched_setaffinity(0, {self.cores.server})
        try:
            self._child = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=HERE.parent,
                env={**environment, **dict(self.server.environment)},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
            )
        finally:
            os.sched_setaffinity(0, {self.cores.load})
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End the server."""
        self._end()

    def cpu_seconds(self) -> float:
        """Return the CPU time the server has used, user and system, in steps of a clock tick."""
        stat = Path(f"/proc/{self._child.pid}/stat").read_text()
        # Fields 14 and 15 of proc(5), counted from behind the name, which may contain anything.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def resident_bytes(self) -> int:
        """Return the resident set of the server."""
        return int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1]) * _PAGE

    def metric(self, name: str) -> float:
        """Return one of chatserver's metrics.

        Raises:
            OSError: the server does not answer.
            ValueError: it has no such metric.
        """
        host, port = self.address
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as page:
            found = re.search(rf"^{name} (\S+)$", page.read().decode(), re.MULTILINE)
        if found is None:
            raise ValueError(f"{self.server.name} has no metric {name}")
        return float(found[1])

    def last_words(self) -> str:
        """Return the end of what the server printed."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace").strip()[-2000:]

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.address):
            if self._child.poll() is not None:
                raise StartError(f"{self.server.name} ended at its start:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.server.name} does not answer:\n{self.last_words()}")
            time.sleep(0.05)

    def _end(self) -> None:
        self._child.kill()
        self._child.wait()
        self._port.close()
        self._output.close()
        self._folder.cleanup()


def _answers(address: tuple[str, int]) -> bool:
    request = f"GET / HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(address, timeout=10) as probe:
            probe.sendall(request.encode())
            return probe.recv(1) != b""
    except OSError:
        return False
