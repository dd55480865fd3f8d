"""What is exported is a promise: it is there, documented, and not imported too early."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest

import chatserver

PUBLIC = {
    *("ActionError", "ChatError", "CloseCode", "ConfigError", "Disconnect", "ErrorCode", "Refused"),
    "StoreError",
    *("Context", "Handshake", "Hub", "Outcome", "Published", "Pending"),
    *("Plugin", "Middleware", "ConnectNext", "MessageNext", "NoConfig", "action"),
    *("Identity", "Reply", "Session", "State", "StateKey", "User"),
    *("Found", "History", "Messages", "Page", "Position", "Publication", "RoomState", "Unread"),
    *("EVERYWHERE", "Grant", "Guard", "Right", "Rights", "clean_name"),
    *("CHAT", "Chat", "create_app", "setup", "__version__"),
}
HOST_ONLY = {"CHAT", "Chat", "create_app", "setup"}
"""What needs aiohttp."""

PURE = [
    *("errors", "envelope", "frames", "names", "rooms", "bucket", "rights", "positions"),
    *("addresses", "clock", "stats", "config", "session", "pending", "history", "context"),
    *("extension", "plugin", "middleware", "broker", "broker.memory", "fanout", "users", "hub"),
    *("pipeline", "dispatch", "registry", "acknowledgements", "liveness", "logs"),
]
"""Modules that know nothing of aiohttp, as the contracts in setup.cfg have it."""


def test_the_public_names_are_these() -> None:
    assert set(chatserver.__all__) == PUBLIC
    assert len(chatserver.__all__) == len(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(chatserver, name) is not None


def test_everything_can_be_imported_at_once() -> None:
    names: dict[str, object] = {}
    exec("from chatserver import *", names)  # noqa: S102 - the statement is what is tested
    assert set(names) >= PUBLIC


def test_what_is_not_public_is_not_there() -> None:
    for name in ("Dispatcher", "create", "chatserver"):
        with pytest.raises(AttributeError, match=f"module 'chatserver' has no attribute '{name}'"):
            getattr(chatserver, name)


def home(name: str) -> str:
    """Return the name of the module that defines a public name."""
    tree = ast.parse(Path(chatserver.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return str(node.module)
    return "chatserver"


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_a_public_name_is_documented_where_it_is_defined(name: str) -> None:
    thing = getattr(chatserver, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert thing.__module__ == home(name)
        assert thing.__doc__
        return
    path = import_module(home(name)).__file__
    assert path is not None
    body = ast.parse(Path(path).read_text(encoding="utf-8")).body
    below = {
        ast.unparse(target): after
        for node, after in pairwise(body)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    text = below[name]
    assert isinstance(text, ast.Expr)
    assert isinstance(text.value, ast.Constant)
    assert isinstance(text.value.value, str)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_classes_document_their_public_methods(name: str) -> None:
    thing = getattr(chatserver, name)
    if not inspect.isclass(thing) or issubclass(thing, str | int):
        return
    methods = {
        key: getattr(value, "__func__", value)
        for key, value in vars(thing).items()
        if not key.startswith("_")
        and (callable(value) or isinstance(value, classmethod | property))
    }
    missing = [key for key, value in methods.items() if not value.__doc__]
    assert missing == []


def test_the_version_is_the_distribution_s() -> None:
    assert chatserver.__version__ == version("chatserver")


def loaded_by(code: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after some code."""
    code += "\nimport sys\nprint(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    return set(done.stdout.split())


def test_pure_modules_and_contracts_load_no_server() -> None:
    modules = [f"chatserver.{name}" for name in PURE]
    loaded = loaded_by("import " + ", ".join(modules))
    assert "chatserver" in loaded
    assert loaded.isdisjoint({"aiohttp", "aiohttp_jinja2", "jinja2", "prometheus_client", "uvloop"})
    assert loaded.isdisjoint({"chatserver_middlewares", "chatserver_plugins"})


def test_what_authors_of_extensions_import_loads_no_server() -> None:
    names = ", ".join(sorted(PUBLIC - HOST_ONLY))
    assert "aiohttp" not in loaded_by(f"from chatserver import {names}")


def test_what_embedding_apps_import_is_loaded_when_asked_for() -> None:
    names = ", ".join(sorted(HOST_ONLY))
    assert "aiohttp" in loaded_by(f"from chatserver import {names}")
