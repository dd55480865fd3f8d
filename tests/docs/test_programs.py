"""The programs in the docs run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from chatserver import CHAT
from chatserver.config.load import Settings
from chatserver.testing import ChatServer
from tests.docs.pages import ROOT, page

README = page("README.md")
PLUGINS = page("docs/plugins.md")
MIDDLEWARES = page("docs/middlewares.md")
MODULES = ("dice", "slow_mode")
RUN_WITHIN = 50


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the reader's own, from which modules are imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for module in MODULES:
        sys.modules.pop(module, None)


async def test_the_dice_of_the_readme(folder: Path) -> None:
    (folder / "dice.py").write_text(README.program("dice.py"))
    (folder / "dice.yaml").write_text(README.program("dice.yaml"))
    async with ChatServer(Settings.load(Path("dice.yaml"), env={})) as server:
        alice = await server.connect("alice")
        assert (await alice.request("dice.roll"))["code"] == "not_joined"
        await alice.request("join", room="lobby")
        await alice.send("dice.roll")
        rolled = await alice.expect("dice.rolled", room="lobby", username="alice")
        assert rolled["value"] in {1, 2, 3, 4, 5, 6}
        error = await alice.request("dice.roll", sides=21)
        assert (error["code"], error["message"]) == ("bad_dice", "sides must be 2..20")


async def test_the_application_of_the_readme(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves for ever, so it is served here instead of by its last line."""
    served: list[web.Application] = []
    monkeypatch.setattr(web, "run_app", lambda app, **where: served.append(app))
    (block,) = [block for block in README.blocks_in("python") if "chatserver.setup" in block.text]
    exec(compile(block.text, block.place, "exec"), {})  # noqa: S102 - our own README
    (app,) = served
    async with ChatServer(app=app) as server:
        alice = await server.connect("alice", "orders", path="/chat/ws")
        async with server.http.post("/paid") as answer:
            assert await answer.text() == "thank you\n"
        await alice.expect("order.paid", room="orders", order=7)
    assert app[CHAT].settings.path("data") == folder / "data"


async def test_the_middleware(folder: Path) -> None:
    (folder / "slow_mode.py").write_text(MIDDLEWARES.program("slow_mode.py"))
    (folder / "slow_mode.yaml").write_text(
        MIDDLEWARES.program("slow_mode.yaml").replace("pause: 10", "pause: 1000")
    )
    async with ChatServer(Settings.load(Path("slow_mode.yaml"), env={})) as server:
        alice = await server.connect("alice", "lobby")
        bob = await server.connect("bob", "lobby")
        assert (await alice.request("message", text="first"))["action"] == "sent"
        error = await alice.request("message", text="and another thing")
        assert error["code"] == "rate_limited"
        assert str(error["message"]) in MIDDLEWARES.text
        assert error["retry_after"] == pytest.approx(1000, abs=60)
        assert (await alice.request("ping"))["action"] == "pong"
        assert (await bob.request("message", text="me too"))["action"] == "sent"


def test_the_plugin_with_its_tests(folder: Path) -> None:
    for file in ("seen.py", "conftest.py", "test_seen.py", "pytest.ini"):
        (folder / file).write_text(PLUGINS.program(file))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-W", "error"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=RUN_WITHIN,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_complete_plugin_is_the_example() -> None:
    example = (ROOT / "examples" / "chatserver-dice" / "chatserver_dice.py").read_text()
    assert PLUGINS.blocks_in("python")[0].text == example
