"""Run programs in processes of their own: start, read, type into, signal, reap."""

import asyncio
import codecs
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import IO, Final, Self

from tests.e2e.forks import Fork

OUTPUT_WITHIN: Final = 20.0
"""Seconds a program has for what it is expected to print next."""

STOP_WITHIN: Final = 30.0
"""Seconds a program has to end after SIGTERM, before it is killed."""


class Output:
    """Collects what a program prints in a thread, so that no pipe is ever full."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._changed = Condition()
        self._text = ""
        self._seen = 0
        self._ended = False
        self._thread = Thread(target=self._collect, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """Everything printed so far."""
        with self._changed:
            return self._text

    def expect(self, pattern: str, timeout: float = OUTPUT_WITHIN) -> re.Match[str]:
        """Wait for text behind the last match that matches a regular expression.

        Raises:
            AssertionError: It did not come in time, or the program ended without it.
        """
        expression = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = expression.search(self._text, self._seen)
                if found:
                    self._seen = found.end()
                    return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "the program ended" if self._ended else f"waited {timeout:g} s"
                    raise AssertionError(f"{pattern!r} is not printed ({why}):\n{self._text}")
                self._changed.wait(left)

    def close(self) -> None:
        """Wait for the end of the text; the program has to be gone."""
        self._thread.join(STOP_WITHIN)
        self._stream.close()

    def _collect(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while chunk := os.read(self._stream.fileno(), 65536):
            self._add(decoder.decode(chunk))
        self._add(decoder.decode(b"", final=True), ended=True)

    def _add(self, text: str, *, ended: bool = False) -> None:
        with self._changed:
            self._text += text
            self._ended = ended
            self._changed.notify_all()


class Program:
    """A command that runs inside a `with` or `async with` and is gone behind it.

    One that is still running at the end of the block gets SIGTERM, and is killed if that does not
    end it, which fails the test.

    Args:
        command: Program and arguments.
        env: Environment variables beside our own; None takes one away.
        cwd: The folder it runs in, ours by default.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._command = command
        self._env = {"PYTHONUNBUFFERED": "1", **(env or {})}
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | Fork | None = None
        self._out: Output | None = None
        self._err: Output | None = None

    @property
    def process(self) -> subprocess.Popen[bytes] | Fork:
        assert self._process is not None, "enter the program with `with` first"
        return self._process

    @property
    def out(self) -> Output:
        """What it prints on stdout."""
        assert self._out is not None, "enter the program with `with` first"
        return self._out

    @property
    def err(self) -> Output:
        """What it prints on stderr, the log of a server."""
        assert self._err is not None, "enter the program with `with` first"
        return self._err

    @property
    def stdout(self) -> str:
        """What it has printed on stdout so far."""
        return self.out.text

    @property
    def stderr(self) -> str:
        """What it has printed on stderr so far."""
        return self.err.text

    @property
    def pid(self) -> int:
        return self.process.pid

    def write(self, line: str) -> None:
        """Type a line into its stdin."""
        stdin = self.process.stdin
        assert stdin is not None
        stdin.write(f"{line}\n".encode())
        stdin.flush()

    def feed(self, text: str) -> None:
        """Give it all of its stdin, of which it may leave something unread."""
        stdin = self.process.stdin
        assert stdin is not None
        with suppress(BrokenPipeError):
            stdin.write(text.encode())
        with suppress(BrokenPipeError):
            stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_WITHIN) -> int:
        """Wait until it has ended and all it printed is read; return the exit code.

        Raises:
            AssertionError: It is still running after `timeout` seconds.
        """
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self._command} still runs after {timeout:g} s:\n{self.stdout}{self.stderr}"
            ) from None
        self._close()
        return code

    async def ended(self, timeout: float = STOP_WITHIN) -> int:  # noqa: ASYNC109 - as `wait`
        """Wait as `wait` does, while the test's own clients go on."""
        return await asyncio.to_thread(self.wait, timeout)

    def stop(self) -> int:
        """End it by SIGTERM and return the exit code; kill it when that takes too long."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        finally:
            self._kill()

    def __enter__(self) -> Self:
        given = {**os.environ, **self._env}
        env = {key: value for key, value in given.items() if value is not None}
        process = self._process = self._start(env, self._cwd)
        assert process.stdout is not None
        assert process.stderr is not None
        self._out = Output(process.stdout)
        self._err = Output(process.stderr)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.stop()
            return
        try:
            self.stop()
        except AssertionError as late:
            error.add_note(str(late))

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    def _start(self, env: Mapping[str, str], cwd: Path | None) -> subprocess.Popen[bytes] | Fork:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
        )

    def _kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self._close()

    def _close(self) -> None:
        self.out.close()
        self.err.close()
        if self.process.stdin is not None:
            # What was typed after the program had ended cannot be flushed any more.
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                self.process.stdin = None
