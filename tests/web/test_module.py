"""chatserver.js under Node, against servers that are killed, restarted and full."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.process import START_WITHIN
from tests.e2e.programs import Program
from tests.ports import kept_port
from tests.web.node import ROOT, run, tsc

HERE: Final = Path(__file__).parent
RUN_WITHIN: Final = 280
"""Seconds: each of the tests starts servers of its own."""

MOST_SERVERS: Final = 50
"""How many servers one file starts at most, each on a port of its own."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the socket at which the tests are served; a start costs no imports there."""
    socket = tmp_path_factory.mktemp("servers") / "socket"
    with Program([sys.executable, "-m", "tests.web.servers", socket], cwd=ROOT) as program:
        program.out.expect("^ready$", START_WITHIN)
        yield socket
        program.signal(signal.SIGKILL)
        program.wait()
        print(program.stderr)


@pytest.mark.timeout(RUN_WITHIN + 10)
@pytest.mark.parametrize("file", sorted(HERE.glob("*.test.mjs")), ids=lambda file: file.name)
def test_under_node(servers: Path, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("SERVERS", str(servers))
    with ExitStack() as kept:
        ports = [kept.enter_context(kept_port()) for _ in range(MOST_SERVERS)]
        monkeypatch.setenv("PORTS", " ".join(map(str, ports)))
        # Without --test the file runs in this process and not in one more.
        run("--test-reporter=spec", file, within=RUN_WITHIN)


@pytest.mark.timeout(RUN_WITHIN + 10)
def test_the_types() -> None:
    strict = ["--strict", "--noPropertyAccessFromIndexSignature", "--exactOptionalPropertyTypes"]
    target = ["--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom"]
    # TypeScript's own declarations are not checked, only ours: that is half of the time.
    ours = ["--noEmit", "--skipDefaultLibCheck"]
    run(tsc(), *ours, *strict, *target, HERE / "use.ts", within=RUN_WITHIN)
