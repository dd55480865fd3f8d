"""Find Node and what npm brings, for tests of the JavaScript module."""

import fcntl
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from tests.missing import missing

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ROOT / ".npm"
OLDEST: Final = 18
"""The first Node with fetch."""

MODERN: Final = 22
"""The first one with a WebSocket; it also knows ES modules by sight."""

INSTALL_WITHIN: Final = 100


@cache
def node() -> Sequence[str]:
    """Return how to run Node; without one, skip the test and fail it under CI=true."""
    found = shutil.which("node")
    if found is None:
        missing("node is missing: install Node 18 or newer")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    major = int(version.stdout.strip().removeprefix("v").split(".")[0])
    if major < OLDEST:
        missing(f"node {version.stdout.strip()} has no fetch: install Node 18 or newer")
    if major >= MODERN:
        return [found]
    _package("ws", "8.18.3")
    preload = (Path(__file__).parent / "older.mjs").as_uri()
    return [found, "--no-warnings", "--experimental-default-type=module", "--import", preload]


def run(*arguments: str | Path, within: float) -> None:
    """Run a program with Node, and fail the test with what it printed where it fails."""
    done = subprocess.run(
        [*node(), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within,
    )
    assert done.returncode == 0, done.stdout


def tsc() -> Path:
    """Return TypeScript's compiler."""
    return _package("typescript", "5.9.3") / "bin" / "tsc"


def axe() -> Path:
    """Return the script of axe-core, which finds what keeps people out of a page."""
    return _package("axe-core", "4.11.0") / "axe.min.js"


def _package(name: str, version: str) -> Path:
    """Return a package's folder; npm brings it beside the tests where it is not there yet."""
    prefix = PACKAGES / name
    PACKAGES.mkdir(exist_ok=True)
    with (PACKAGES / f"{name}.lock").open("w") as turn:
        # Other workers want it, too.
        fcntl.flock(turn, fcntl.LOCK_EX)
        # npm writes this file once all others are there.
        if not (prefix / "node_modules" / ".package-lock.json").exists():
            fault = _bring(f"{name}@{version}", prefix)
            if fault is not None:
                missing(fault)
    return prefix / "node_modules" / name


@cache
def _bring(package: str, prefix: Path) -> str | None:
    """Let npm install a package; return why it cannot, which is not tried again."""
    npm = shutil.which("npm")
    if npm is None:
        return f"npm is missing: install it, so that it can bring {package}"
    install: list[str | Path] = [npm, "install", "--silent", "--prefix", prefix, package]
    try:
        subprocess.run(install, check=True, timeout=INSTALL_WITHIN)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"npm brings no {package}: {error}"
    return None
