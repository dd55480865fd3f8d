"""Find Node and what npm brings, for tests of the JavaScript module."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.missing import missing

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ROOT / ".npm"
OLDEST: Final = (20, 10)
"""The first Node with a WebSocket; before 22 it has to be asked for by a flag."""

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
    folder = prefix / "node_modules" / name
    if (folder / "package.json").exists():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        missing(f"npm is missing: install it, so that it can bring {name}")
    install: list[str | Path] = [npm, "install", "--silent", "--prefix", prefix]
    try:
        subprocess.run([*install, f"{name}@{version}"], check=True, timeout=INSTALL_WITHIN)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        missing(f"npm brings no {name} {version}: {error}")
    return folder
