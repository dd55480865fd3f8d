"""Install chatserver and a third party's plugin into a fresh environment, and use them there."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession

from chatserver.testing import Peer
from tests.e2e.process import ServerProcess

pytestmark = [
    pytest.mark.install,
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).parents[2]
INSTALL_WITHIN = 240
RUN_WITHIN = 60

TAKEN_AWAY = {
    "PYTHONPATH": "it may lead back into the checkout",
    "PYTHONDONTWRITEBYTECODE": "modules are compiled when first imported, not all of them by pip",
}
"""Environment variables that are not passed on."""

PARTS = (
    *("chatserver", "middlewares", "plugins"),
    *("setup.cfg", "pyproject.toml", "README.md", "LICENSE"),
)
"""What a built chatserver is made of."""

TOP_LEVEL = """
import importlib.metadata, json
names = importlib.metadata.packages_distributions()
print(json.dumps(sorted(name for name, of in names.items() if "chatserver" in of)))
"""


class Environment:
    """A fresh environment with chatserver and the dice, installed as anybody would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.dice = folder / "chatserver-dice"
        self.config = self.dice / "config.yaml"

    def install(self) -> None:
        """Build both from copies, so that nothing is left behind in the checkout."""
        source = self.folder / "chatserver"
        source.mkdir()
        for part in PARTS:
            copy(ROOT / part, source / part)
        copy(ROOT / "examples" / "chatserver-dice", self.dice)
        self.finish(sys.executable, "-m", "venv", "--without-pip", self.folder / "venv")
        pip = (sys.executable, "-m", "pip", "--python", self.python)
        options = ("-q", "--no-compile", "-c", ROOT / "constraints.txt")
        done = self.run(*pip, "install", *options, source, f"{self.dice}[test]")
        if done.returncode:
            offline = "connection broken" in done.stderr and os.environ.get("CI") != "true"
            (pytest.skip if offline else pytest.fail)(f"pip cannot install: {done.stderr}")

    def finish(self, *command: str | Path) -> str:
        """Run a command to its good end and return what it printed."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command outside of the checkout."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if name not in TAKEN_AWAY},
            capture_output=True,
            text=True,
            timeout=INSTALL_WITHIN,
            check=False,
        )

    def chatserver(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the installed command line."""
        return self.run(self.python, "-m", "chatserver", *arguments)

    def serve(self, config: Path | None = None) -> ServerProcess:
        """Make a server of what is installed, on a free port."""
        return ServerProcess(
            config,
            *("--port", "0"),
            env=dict.fromkeys(TAKEN_AWAY),
            cwd=self.folder,
            python=self.python,
        )


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy(source, target)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Give the fresh environment, which all tests here share."""
    environment = Environment(tmp_path_factory.mktemp("third-party"))
    environment.install()
    return environment


def test_nothing_is_installed_under_a_common_name(environment: Environment) -> None:
    names = json.loads(environment.finish(environment.python, "-c", TOP_LEVEL))
    assert names == ["chatserver", "chatserver_middlewares", "chatserver_plugins"]

    for name in ("middlewares", "plugins"):
        failed = environment.run(environment.python, "-c", f"import {name}")
        assert f"No module named '{name}'" in failed.stderr


def test_the_command_is_installed_as_well(environment: Environment) -> None:
    printed = environment.finish(environment.python.with_name("chatserver"), "--version")
    assert printed.startswith("chatserver ")


def test_the_plugin_is_listed_with_its_distribution(environment: Environment) -> None:
    listed = environment.chatserver("plugins", "--config", environment.config).stdout
    assert re.search(r"^plugin +dice +chatserver-dice 1\.0 +on +dice\.roll$", listed, re.MULTILINE)

    listed = environment.chatserver("plugins").stdout
    assert re.search(r"^plugin +dice +chatserver-dice 1\.0 +off", listed, re.MULTILINE)


async def test_dice_roll_in_the_installed_server(environment: Environment) -> None:
    async with (
        environment.serve(environment.config) as server,
        ClientSession(server.url) as http,
    ):
        alice, bob = [await enter(http, name) for name in ("alice", "bob")]

        await alice.send("dice.roll", sides=20)

        rolled = await bob.expect("dice.rolled", room="lobby", username="alice", sides=20)
        assert rolled["value"] in range(1, 21)
        assert await alice.expect("dice.rolled") == rolled

        error = await alice.request("dice.roll", sides=21)
        assert error["code"] == "bad_dice"
        assert error["message"] == "sides must be 2 to 20"
        await alice.close()
        await bob.close()


async def test_the_installed_server_has_its_page(environment: Environment) -> None:
    """The page and its files are data, which a wheel is easily made without."""
    async with (
        environment.serve() as server,
        ClientSession(server.url, raise_for_status=True) as http,
    ):
        page = await (await http.get("/")).text()
        files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
        assert files
        for file in files:
            assert await (await http.get(file)).read()


@pytest.mark.parametrize(
    ("dice", "where", "says"),
    [
        ("{max_side: 20}", "2:10", "did you mean 'max_sides'"),
        ("{max_sides: many}", "2:21", "plugins.dice.max_sides must be"),
        ("{max_sides: 1}", "2:21", "plugins.dice.max_sides must be"),
    ],
)
def test_a_mistake_in_the_dice_is_one_line_and_78(
    environment: Environment, tmp_path: Path, dice: str, where: str, says: str
) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text(f"plugins:\n  dice: {dice}\n")

    done = environment.chatserver("--config", config)

    assert done.returncode == 78
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"wrong.yaml:{where}: " in line
    assert says in line


def test_the_plugin_passes_its_own_tests(environment: Environment) -> None:
    pytest_in_it = (environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    printed = environment.finish(*pytest_in_it, environment.dice)
    assert re.search(r"^\d+ passed", printed, re.MULTILINE)


async def enter(http: ClientSession, name: str) -> Peer:
    """Connect, take a name and join the lobby."""
    async with asyncio.timeout(RUN_WITHIN):
        peer = Peer(await http.ws_connect("/ws"))
        await peer.send("register", username=name)
        await peer.send("join", room="lobby")
        await peer.expect("notification", event="join", username=name)
    return peer
