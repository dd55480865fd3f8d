"""What is exported is a promise: it is there, documented, and needs nothing of the server."""

import inspect
import subprocess
import sys

import pytest

from chatserver import client

SERVER_ONLY = ("yaml", "jwt", "cryptography", "jinja2", "aiohttp_jinja2", "prometheus_client")


@pytest.mark.parametrize("name", client.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(client, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert thing.__doc__
        methods = [
            getattr(value, "fget", value)
            for key, value in vars(thing).items()
            if not key.startswith("_") and (callable(value) or isinstance(value, property))
        ]
        assert [method for method in methods if not method.__doc__] == []


def test_everything_can_be_imported_at_once() -> None:
    names: dict[str, object] = {}
    exec("from chatserver.client import *", names)  # noqa: S102 - the statement is what is tested
    assert set(names) >= set(client.__all__)
    assert len(set(client.__all__)) == len(client.__all__)


def test_it_runs_where_nothing_of_the_server_is_installed() -> None:
    code = f"import sys; sys.modules.update(dict.fromkeys({SERVER_ONLY!r}))\n"
    code += "from chatserver.client import *\n"
    code += "print(*[name for name in sys.modules if sys.modules[name] is not None])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = set(done.stdout.split())
    assert "chatserver.client" in loaded
    assert loaded.isdisjoint({"aiohttp.web", "sqlite3", "chatserver.hub", "chatserver.app"})
