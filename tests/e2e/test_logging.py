"""The log of a server process: one form for people, one for programs, and no secrets in either."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.e2e.callers import DEADLINE, Caller, call, configure
from tests.e2e.process import ServerProcess
from tests.e2e.terminals import read_all

FAULTY = """
import time
from pathlib import Path

from msgspec import Struct

from chatserver import NoConfig, Plugin, action


class Text(Struct):
    text: str = ""


class FaultyPlugin(Plugin[NoConfig]):
    @action("faulty.raise")
    async def raise_(self, ctx, msg: Text):
        raise KeyError("what only the log may tell")

    @action("faulty.forge")
    async def forge(self, ctx, msg: Text):
        raise RuntimeError("\\n2026-11-22T00:00:00.000Z ERROR forged\\x1b[31m")

    @action("faulty.block")
    async def block(self, ctx, msg: Text):
        print("blocked", flush=True)
        while not Path(msg.text).exists():
            time.sleep(0.01)
"""

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) +[\w.]+"
    r"( \[(?P<connection>\w+) (?P<user>\S+)\])? .+"
)


@pytest.fixture
def faulty(tmp_path: Path) -> dict[str, str | None]:
    """Environment of a server that can import the plugin above."""
    (tmp_path / "faulty_plugin.py").write_text(FAULTY)
    return {"PYTHONPATH": str(tmp_path)}


PLUGINS = {"faulty": {"use": "faulty_plugin:FaultyPlugin"}}


class Secrets:
    """Makes secrets up, and keeps them to look for them later."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __call__(self, what: str) -> str:
        secret = f"secret-{what}-{len(self.told)}"
        self.told += [secret, base64url(secret)]
        return secret


def base64url(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def offer(token: str) -> list[Subprotocol]:
    return [Subprotocol("chatserver.v1"), Subprotocol(f"bearer.{base64url(token)}")]


def refused(
    url: str,
    headers: dict[str, str] | None = None,
    subprotocols: list[Subprotocol] | None = None,
) -> None:
    with (
        pytest.raises(InvalidStatus),
        call(url, headers=headers, subprotocols=subprotocols),
    ):
        pass


def send_raw(port: int, request: str) -> None:
    """Send something that may be no HTTP, and read until the server has answered and closed."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        client.sendall(request.encode("latin-1"))
        while client.recv(65536):
            pass


def test_no_secret_and_no_text_is_ever_logged(
    tmp_path: Path, faulty: dict[str, str | None]
) -> None:
    secret = Secrets()
    known = [secret("known") for _ in range(3)]
    tokens = [{"token": token, "user": f"user{i}"} for i, token in enumerate(known)]
    config = configure(
        tmp_path,
        middlewares=["origin", {"auth": {"tokens": tokens, "query": True, "anonymous": True}}],
        plugins=PLUGINS,
        log={"level": "debug", "access": True},
    )
    with ServerProcess(config, env=faulty) as server:
        # Good tokens and bad ones, by every carrier.
        with (
            call(f"{server.ws}?token={known[0]}") as queried,
            call(server.ws, headers=bearer(known[1])) as headed,
            call(server.ws, subprotocols=offer(known[2])) as offered,
            call(server.ws) as guest,
        ):
            assert headed.ask("refresh", token=known[1])["action"] == "refreshed"
            assert headed.ask("refresh", token=secret("refresh"))["code"] == "unauthorized"
            guest_token = str(guest.ask("hello")["guest_token"])
            secret.told += [guest_token, guest_token.rpartition(".")[2]]
            assert guest.ask("hello", token=secret("hello"))["code"] == "unauthorized"
            for caller in (queried, headed, offered, guest):
                talk(caller, secret)
        with call(server.ws) as returning:
            assert returning.ask("hello", guest_token=guest_token)["action"] == "welcome"
            wrong = f"{secret('guest')}.{'0' * 64}"
            assert returning.ask("hello", guest_token=wrong)["code"] == "unauthorized"
        refused(f"{server.ws}?token={secret('query')}")
        refused(server.ws, headers=bearer(secret("header")))
        refused(server.ws, subprotocols=offer(secret("subprotocol")))
        refused(server.ws, subprotocols=offer(secret("only"))[1:])
        # Requests that aiohttp cannot read; it would quote them.
        for request in (
            f"GET /ws?token={secret('version')} HTTP/9.x\r\nHost: localhost\r\n\r\n",
            f"GET /ws HTTP/1.1\r\nHost: localhost\r\nAuthorization: {secret('control')}\1\r\n\r\n",
            f"GET /ws?token={secret('long')}{'x' * 9000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            f"GET /ws HTTP/1.1\r\nHost: localhost\r\n{secret('no-colon')}\r\n\r\n",
            f"GET /\x1b[31m?token={secret('escape')} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            f"GET /%1b%0a?token={secret('page')} HTTP/1.0\r\n\r\n",
            f"\x16\x03\x01{secret('tls')}\r\n\r\n",
        ):
            send_raw(server.port, request)
        server.stop()
        log = server.stderr

    assert [told for told in secret.told if told in log] == []
    assert all(line.isprintable() for line in log.splitlines())
    records = [json.loads(line) for line in log.splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, records))
    about = [record for record in records if record["logger"] == "chatserver.connection"]
    assert all(re.fullmatch(r"\w+", record["connection"]) for record in about)
    assert {"user0", "user1", "user2"} < {record["user"] for record in about}
    failures = [record for record in about if record["message"] == "faulty.raise failed"]
    assert [record["level"] for record in failures] == ["error"] * 4
    assert all("what only the log may tell" in record["traceback"] for record in failures)
    assert sum(record["logger"] == "aiohttp.access" for record in records) > 10
    unreadable = [record for record in records if record["logger"] == "aiohttp.server"]
    assert {record["level"] for record in unreadable} == {"info"}
    assert "Error handling request from 127.0.0.1: BadStatusLine" in {
        record["message"] for record in unreadable
    }


def talk(caller: Caller, secret: Secrets) -> None:
    """Say things of all kinds, right and wrong."""
    room, name = f"room of {caller.socket.id}", f"{caller.socket.id}"
    assert caller.ask("register", username=name)["action"] == "registered"
    assert caller.ask("join", room=room)["action"] == "joined"
    assert caller.ask("message", text=secret("text"))["action"] == "sent"
    assert caller.ask("echo", text=secret("echo"))["action"] == "echo"
    error = caller.ask("faulty.raise", text=secret("handled"))
    assert error["code"] == "internal_error"
    assert "only the log" not in str(error)
    assert caller.ask("message", text=[secret("list")])["code"] == "bad_payload"
    assert caller.ask("message", room=secret("elsewhere"))["code"] == "not_joined"
    assert caller.ask("register", username=f"\x1b[31m{secret('name')}")["code"] == "bad_name"
    assert caller.ask("\x1b]0;evil\a\n\u2028")["code"] == "unknown_action"
    caller.socket.send(secret("plain"))
    assert caller.receive()["code"] == "bad_json"


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a pseudo terminal."""
    ours, theirs = pty.openpty()
    with closing(os.fdopen(ours, "rb", buffering=0)):
        yield ours, theirs


def test_on_a_terminal_it_is_written_for_people(
    tmp_path: Path, faulty: dict[str, str | None], terminal: tuple[int, int]
) -> None:
    config = configure(tmp_path, plugins=PLUGINS, server={"data_dir": "data"})
    ours, theirs = terminal
    with subprocess.Popen(
        [sys.executable, "-m", "chatserver", "--config", config],
        env={**os.environ, **{key: value for key, value in faulty.items() if value}},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        try:
            port = process.stdout.readline().rpartition(b":")[2].strip(b"/\n").decode()
            with call(f"ws://127.0.0.1:{port}/ws") as caller:
                user = caller.ask("hello")["user"]
                assert caller.ask("faulty.forge")["code"] == "internal_error"
                caller.send("faulty.block", text=str(tmp_path / "go on"))
                assert process.stdout.readline() == b"blocked\n"
                process.send_signal(signal.SIGHUP)
                (tmp_path / "go on").touch()
                assert caller.ask("ping")["action"] == "pong"
        finally:
            process.send_signal(signal.SIGTERM)
        lines = read_all(ours).splitlines()
        assert process.wait(DEADLINE) == 0

    assert all(line.isprintable() for line in lines)
    matches = [LINE.fullmatch(line) for line in lines]
    about = {match["user"] for match in matches if match and match["connection"]}
    assert about == {user}
    # Not about the user in whose handler the signal came.
    assert any(
        line.endswith("Z INFO    chatserver.server configuration reloaded") for line in lines
    )
    (failed,) = (i for i, line in enumerate(lines) if line.endswith("faulty.forge failed"))
    assert lines[failed + 1] == "    Traceback (most recent call last):"
    below = [line for line, match in zip(lines, matches, strict=True) if not match]
    assert all(line.startswith("    ") for line in below)
    assert "    2026-11-22T00:00:00.000Z ERROR forged\\x1b[31m" in below
