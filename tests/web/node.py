"""Find Node and what npm brings, for tests of the JavaScript module."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.missing import missing

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ROOT / ".npm"
OLDEST: Final = (20, 10)
"""The first Node with a WebSocket; before 22 it has to be asked for by a flag."""

TYPESCRIPT: Final = "typescript@5.9.3"
INSTALL_WITHIN: Final = 120


def node() -> str:
    """Return where Node is; without one, skip the test and fail it under CI=true."""
    found = shutil.which("node")
    if found is None:
        missing("node is missing: install Node 20.10 or newer")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    major, minor = map(int, re.findall(r"\d+", version.stdout)[:2])
    if (major, minor) < OLDEST:
        missing(f"node {version.stdout.strip()} has no WebSocket: install Node 20.10 or newer")
    return found


def run(*arguments: str | Path, within: float) -> None:
    """Run a program with Node, and fail the test with what it printed where it fails."""
    done = subprocess.run(
        [node(), "--experimental-websocket", "--no-warnings", *arguments],
        env={**os.environ, "PYTHON": sys.executable},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within,
    )
    assert done.returncode == 0, done.stdout


def tsc() -> Path:
    """Return TypeScript's compiler, installed beside the tests where it is not yet."""
    compiler = PACKAGES / "node_modules" / "typescript" / "bin" / "tsc"
    if compiler.exists():
        return compiler
    npm = shutil.which("npm")
    if npm is None:
        missing("npm is missing: install it, so that it can bring typescript")
    install: list[str | Path] = [npm, "install", "--silent", "--prefix", PACKAGES, TYPESCRIPT]
    try:
        subprocess.run(install, check=True, timeout=INSTALL_WITHIN)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        missing(f"npm brings no {TYPESCRIPT}: {error}")
    return compiler
