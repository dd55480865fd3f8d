"""Run a program on a terminal of its own."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

WITHIN: Final = 20.0
"""Seconds for what is expected next, and for the end."""


class Terminal:
    """A command on a pseudo-terminal; what is still running at the end of the block is killed.

    Args:
        command: Program and arguments.
        env: Environment variables beside our own.
    """

    def __init__(
        self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None
    ) -> None:
        self.shown = ""
        self._seen = 0
        self._command = command
        self._env = {**os.environ, "TERM": "xterm-256color", **(env or {})}

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait for output behind the last match that matches a regular expression."""
        deadline = time.monotonic() + WITHIN
        while (found := re.search(pattern, self.shown[self._seen :])) is None:
            assert self._read(deadline), f"{pattern!r} is not shown:\n{self.shown}"
        self._seen += found.end()
        return found

    def write(self, text: str) -> None:
        """Type something; ``\\n`` is the return key."""
        os.write(self._master, text.encode())

    def ended(self) -> int:
        """Wait for the end; return the exit code."""
        deadline = time.monotonic() + WITHIN
        while self._read(deadline):
            pass
        return self._process.wait(WITHIN)

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            self._command, stdin=slave, stdout=slave, stderr=slave, env=self._env
        )
        os.close(slave)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # what Linux says at the end
            return False
        self.shown += chunk.decode(errors="replace")
        return bool(chunk)


def read_all(terminal: int) -> str:
    """Read a pseudo terminal until its other end is closed, which Linux calls an I/O error."""
    text = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        text += chunk
    return text.decode().replace("\r\n", "\n")
