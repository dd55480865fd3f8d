"""Run the server in a process of its own: start, read, signal, reap."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

from tests.e2e.forks import Fork
from tests.e2e.programs import Program

START_WITHIN: Final = 40.0
"""Seconds a server has until it says where it listens."""

RUN_WITHIN: Final = 40.0
"""Seconds a command has until it is done."""


class CommandLine(Program):
    """`python -m chatserver`.

    Args:
        arguments: What is given to it.
        env: Environment variables beside our own; None takes one away.
        cwd: The folder it runs in, ours by default.
        python: Which Python runs it; by default it is forked from one that has imported it.
    """

    def __init__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        python: str | Path | None = None,
    ) -> None:
        self._arguments = list(map(str, arguments))
        self._python = python
        super().__init__([python or "python", "-m", "chatserver", *arguments], env=env, cwd=cwd)

    def _start(self, env: Mapping[str, str], cwd: Path | None) -> subprocess.Popen[bytes] | Fork:
        if self._python is None:
            return Fork(self._arguments, env, cwd)
        return super()._start(env, cwd)


def run(
    *arguments: str | Path, given: str = "", cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m chatserver` to its end; return its exit code and what it printed.

    Args:
        arguments: What is given to it.
        given: All of its stdin.
        cwd: The folder it runs in, ours by default.
    """
    with CommandLine(*arguments, cwd=cwd) as command:
        command.feed(given)
        code = command.wait(RUN_WITHIN)
    return subprocess.CompletedProcess(arguments, code, command.stdout, command.stderr)


class ServerProcess(CommandLine):
    """`python -m chatserver`, ready as soon as it says where it listens.

    Its data folder is a temporary one, unless `env` says otherwise: None for
    ``CHATSERVER_SERVER__DATA_DIR`` leaves the folder to the configuration.

    Args:
        config: The configuration file; None for the built-in defaults.
        arguments: More arguments, such as ``"--port", "0"``.
        env: Environment variables beside our own; None takes one away.
        cwd: The folder it runs in, ours by default.
        python: Which Python runs it; by default it is forked from one that has imported it.
        listens: False for a server that is not to come up: nothing is waited for then.
    """

    def __init__(
        self,
        config: Path | None,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        python: str | Path | None = None,
        listens: bool = True,
    ) -> None:
        named = () if config is None else ("--config", config)
        data = TemporaryDirectory(prefix="chatserver-")
        keep = {"CHATSERVER_SERVER__DATA_DIR": data.name}
        env = {**keep, **(env or {})}
        super().__init__(*named, *arguments, env=env, cwd=cwd, python=python)
        self._data = data
        self._listens = listens
        self._address = ("", 0)

    @property
    def url(self) -> str:
        """The first address it listens on, such as ``http://127.0.0.1:4711``."""
        host, port = self._address
        return f"{host}:{port}"

    @property
    def port(self) -> int:
        """The port of the first address."""
        return self._address[1]

    @property
    def ws(self) -> str:
        """Where its WebSocket is."""
        return f"ws{self.url.removeprefix('http')}/ws"

    def stop(self) -> int:
        """End it by SIGTERM; that has to be an orderly end."""
        running = self.process.poll() is None
        code = super().stop()
        assert code == 0 or not running, f"exit code {code} after SIGTERM:\n{self.stderr}"
        return code

    def __enter__(self) -> Self:
        super().__enter__()
        if self._listens:
            try:
                found = self.out.expect(r"^Listening on (https?://.+):(\d+)/$", START_WITHIN)
            except AssertionError as error:
                error.add_note(f"its log:\n{self.stderr}")
                self.__exit__(type(error), error, error.__traceback__)
                raise
            self._address = (found[1], int(found[2]))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            self._data.cleanup()
