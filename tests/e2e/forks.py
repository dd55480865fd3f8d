"""Fork chatserver from a process that has imported it: a start does not cost the imports."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Final

from chatserver.cli import main

FORKS: Final = get_context("forkserver")
FORKS.set_forkserver_preload([__name__, "tests.warm"])


class Fork:
    """Be `python -m chatserver` as far as anybody outside of the process can tell.

    What is offered here does what it does in `subprocess.Popen`, with pipes for stdin, stdout and
    stderr.

    Args:
        arguments: Those of the command line.
        env: All environment variables; ``PYTHONPATH`` counts, others for Python do not.
        cwd: The folder it runs in, ours by default.
    """

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        given, stdin = FORKS.Pipe(duplex=False)
        stdout, out = FORKS.Pipe(duplex=False)
        stderr, err = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(
            target=_serve, args=(arguments, dict(env), cwd or Path.cwd(), (given, out, err))
        )
        self._process.start()
        for end in (given, out, err):
            end.close()
        self.stdin: IO[bytes] | None = _take(stdin, "wb")
        self.stdout = _take(stdout, "rb")
        self.stderr = _take(stderr, "rb")

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("chatserver", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _take(end: Connection, mode: str) -> IO[bytes]:
    with end:
        return os.fdopen(os.dup(end.fileno()), mode)


def _serve(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, streams: Sequence[Connection]
) -> None:
    """Be the process: take over what Python would have got at its start."""
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = os.fdopen(0)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:0] = [str(cwd), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.exit(main(arguments))
