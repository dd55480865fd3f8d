"""The server as a process: where it listens, and what keeps it from starting."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.e2e.callers import LOOPS, Caller, call, configure
from tests.e2e.process import ServerProcess


def more_addresses(server: ServerProcess, number: int) -> list[str]:
    """The addresses it names behind its first one."""
    return [server.out.expect(r"^Listening on (\S+)$")[1] for _ in range(number)]


def local_addresses(host: str) -> set[str]:
    """The addresses of a name that this machine has."""
    found = set()
    for family, *_, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
        with socket.socket(family) as probe:
            try:
                probe.bind(address)
            except OSError:
                continue
        found.add(str(address[0]))
    return found


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 on which somebody else listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def expect_pong(caller: Caller) -> None:
    assert caller.ask("ping")["action"] == "pong"


def test_without_a_configuration_it_serves_localhost(tmp_path: Path) -> None:
    known = local_addresses("localhost")
    with ServerProcess(None, "--port", "0", cwd=tmp_path, python=sys.executable) as server:
        urls = [f"{server.url}/", *more_addresses(server, len(known) - 1)]
        hosts = {url.removeprefix("http://").rpartition(":")[0].strip("[]") for url in urls}
        assert hosts == known
        for url in urls:
            with call(f"{url.replace('http', 'ws')}ws") as caller:
                expect_pong(caller)
        server.err.expect("loop uvloop")
        assert "ANYBODY" not in server.stderr
        assert server.stop() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loop", LOOPS)
def test_several_addresses_and_a_unix_socket(tmp_path: Path, loop: str) -> None:
    file = tmp_path / "chat.sock"
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
    config = configure(
        tmp_path,
        server={"host": hosts, "unix": "chat.sock", "loop": loop},
        middlewares=[],
    )
    with ServerProcess(config) as server:
        assert server.url.startswith("http://127.0.0.1:")
        second, unix = more_addresses(server, 2)
        assert second.startswith("http://127.0.0.2:")
        assert unix == f"unix:{file}"
        server.err.expect(f"loop {loop}")
        with (
            call(server.ws) as alice,
            call(f"{second.replace('http', 'ws')}ws") as bob,
            call("ws://localhost/ws", unix=file) as carol,
        ):
            everybody = {"alice": alice, "bob": bob, "carol": carol}
            for name, caller in everybody.items():
                caller.enter(name)
            alice.send("message", text="to all of you")
            for caller in everybody.values():
                assert caller.expect("message")["text"] == "to all of you"

            with ServerProcess(config, listens=False) as late:
                assert late.wait() == 1
                assert late.stderr == (
                    f"chatserver: cannot listen on unix:{file}:"
                    " a server listens there; stop it or choose another path\n"
                )
            expect_pong(carol)
        assert server.stop() == 0
    assert not file.exists()


def test_the_file_of_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    config = configure(tmp_path, server={"host": [], "unix": "chat.sock"})
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(tmp_path / "chat.sock"))
    with ServerProcess(config, listens=False) as server:
        more_addresses(server, 1)
        with call("ws://localhost/ws", unix=tmp_path / "chat.sock") as caller:
            expect_pong(caller)


LAME = """
from chatserver import NoConfig, Plugin


class LamePlugin(Plugin[NoConfig]):
    async def startup(self, hub):
        raise RuntimeError("no\\nlegs")
"""


def test_a_plugin_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "lame.py").write_text(LAME)
    config = configure(tmp_path, plugins={"lame": {"use": "lame:LamePlugin"}})
    with ServerProcess(config, env={"PYTHONPATH": str(tmp_path)}, listens=False) as server:
        assert server.wait() == 78
        assert server.stderr == "chatserver: lame does not start: RuntimeError('no\\nlegs')\n"


def test_what_keeps_it_from_starting(tmp_path: Path, taken: int) -> None:
    (tmp_path / "note.txt").write_text("no socket")
    wrong: dict[str, tuple[int, dict[str, object]]] = {
        f"cannot listen on 127.0.0.1:{taken}: the address is in use;"
        " stop the other server or choose another port": (1, {"port": taken}),
        "cannot listen on 192.0.2.1:0: this machine does not have that address": (
            1,
            {"host": ["127.0.0.1", "192.0.2.1"]},
        ),
        f"cannot listen on unix:{tmp_path}/note.txt: the file is no socket; choose another path": (
            1,
            {"unix": str(tmp_path / "note.txt")},
        ),
        "cannot listen on unix:": (1, {"unix": str(tmp_path / ("long" * 30))}),
        f"{tmp_path}/note.txt cannot be made: File exists; choose another folder": (
            1,
            {"data_dir": str(tmp_path / "note.txt")},
        ),
    }
    with ExitStack() as running:
        servers = []
        for number, (_, settings) in enumerate(wrong.values()):
            (folder := tmp_path / str(number)).mkdir()
            config = configure(folder, server=settings)
            keep = {"CHATSERVER_SERVER__DATA_DIR": None} if "data_dir" in settings else {}
            servers.append(running.enter_context(ServerProcess(config, env=keep, listens=False)))
        for server, (message, (code, _)) in zip(servers, wrong.items(), strict=True):
            assert server.wait() == code
            assert server.stdout == ""
            assert server.stderr.startswith(f"chatserver: {message}")
            assert server.stderr.count("\n") == 1


class TestOpenServers:
    """Whoever lets everybody in from everywhere is told so."""

    WARNING = "ANYBODY WHO CAN REACH 0.0.0.0 CAN CHAT HERE"

    def test_without_auth(self, tmp_path: Path) -> None:
        with ServerProcess(configure(tmp_path, server={"host": "0.0.0.0"})) as server:  # noqa: S104 - the subject
            server.err.expect(self.WARNING)

    def test_with_auth(self, tmp_path: Path) -> None:
        config = configure(
            tmp_path,
            server={"host": "0.0.0.0"},  # noqa: S104 - the subject
            middlewares=[{"auth": {"tokens": ["t0ken"]}}],
        )
        with ServerProcess(config) as server:
            server.stop()
            assert "ANYBODY" not in server.stderr
