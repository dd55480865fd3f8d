"""Addresses that are there, absent, taken; files of unix sockets."""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from chatserver.sockets import SocketFile, make_room, open_tcp, unix_failure
from tests.missing import missing

ABSENT = "192.0.2.1"
"""An address for documentation (RFC 5737), which no machine has."""

Open = Callable[..., list[tuple[str, int]]]


@pytest.fixture
def listen() -> Iterator[Open]:
    """Opens sockets, which end with the test, and returns their names."""
    with ExitStack() as opened:

        def listen(*hosts: str, port: int = 0) -> list[tuple[str, int]]:
            found = [opened.enter_context(closing(each)) for each in open_tcp(hosts, port, 10)]
            return [each.getsockname()[:2] for each in found]

        yield listen


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes every name stand for these addresses: machines differ in what localhost is."""

    def resolve(*addresses: str) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    return resolve


def bound(path: Path) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX)
    opened.bind(str(path))
    return opened


class TestTcp:
    def test_hosts_are_listened_on_in_their_order_and_once(self, listen: Open) -> None:
        names = listen("127.0.0.2", "127.0.0.1", "127.0.0.2")
        assert [host for host, _ in names] == ["127.0.0.2", "127.0.0.1"]
        for name in names:
            socket.create_connection(name).close()

    def test_ipv6_leaves_ipv4_alone(self) -> None:
        try:
            (opened,) = open_tcp(["::1"], 0, 10)
        except OSError:
            missing("this machine has no IPv6")
        with closing(opened):
            assert opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)

    def test_an_absent_address_of_a_name_is_left_out(
        self, listen: Open, resolve: Callable[..., None]
    ) -> None:
        resolve(ABSENT, "127.0.0.1")
        assert [host for host, _ in listen("some-name")] == ["127.0.0.1"]

    def test_a_name_without_any_address_here(
        self, listen: Open, resolve: Callable[..., None]
    ) -> None:
        resolve(ABSENT)
        with pytest.raises(OSError, match="this machine does not have that address") as caught:
            listen("some-name")
        assert caught.value.errno == errno.EADDRNOTAVAIL

    def test_a_taken_port(self, listen: Open) -> None:
        ((_, port),) = listen("127.0.0.1")
        with pytest.raises(OSError, match=f"127.0.0.1:{port}: the address is in use") as caught:
            listen("127.0.0.1", port=port)
        assert caught.value.errno == errno.EADDRINUSE

    def test_after_a_failure_nothing_stays_open(self, listen: Open) -> None:
        with socket.socket() as holder:
            holder.bind(("127.0.0.2", 0))
            holder.listen()
            port = holder.getsockname()[1]
            with pytest.raises(OSError, match=f"127.0.0.2:{port}"):
                listen("127.0.0.1", "127.0.0.2", port=port)
        assert len(listen("127.0.0.1", "127.0.0.2", port=port)) == 2

    @pytest.mark.parametrize("host", ["..", "a" * 64])
    def test_a_name_that_is_none(self, listen: Open, host: str) -> None:
        with pytest.raises(OSError, match="that is no host name") as caught:
            listen(host, port=80)
        assert caught.value.strerror == f"cannot listen on {host}:80: that is no host name"


class TestUnix:
    def test_there_is_room_where_nothing_is(self, tmp_path: Path) -> None:
        make_room(tmp_path / "chat.sock")
        assert list(tmp_path.iterdir()) == []

    def test_what_a_dead_server_left_is_removed(self, tmp_path: Path) -> None:
        bound(tmp_path / "chat.sock").close()
        make_room(tmp_path / "chat.sock")
        assert list(tmp_path.iterdir()) == []

    def test_a_live_server_keeps_its_file(self, tmp_path: Path) -> None:
        with closing(bound(tmp_path / "chat.sock")) as live:
            live.listen(1)
            with pytest.raises(OSError, match="a server listens there"):
                make_room(tmp_path / "chat.sock")
            live.accept()[0].close()
        assert (tmp_path / "chat.sock").exists()

    @pytest.mark.parametrize("folder", [True, False])
    def test_other_files_are_left_alone(self, tmp_path: Path, folder: bool) -> None:
        path = tmp_path / "chat.sock"
        path.mkdir() if folder else path.write_text("precious")
        with pytest.raises(OSError, match="the file is no socket"):
            make_room(path)
        assert path.exists()

    def test_a_socket_of_another_kind(self, tmp_path: Path) -> None:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as other:
            other.bind(str(tmp_path / "chat.sock"))
            with pytest.raises(OSError, match="cannot listen on unix:"):
                make_room(tmp_path / "chat.sock")

    def test_the_file_is_removed_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "chat.sock"
        with closing(bound(path)):
            file = SocketFile(path)
            file.remove()
            assert not path.exists()
            file.remove()

    def test_somebody_elses_file_is_not_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "chat.sock"
        with closing(bound(path)):
            file = SocketFile(path)
            path.rename(tmp_path / "kept")
            with closing(bound(path)):
                file.remove()
                assert path.is_socket()

    def test_a_failure_in_one_line(self, tmp_path: Path) -> None:
        error = unix_failure(tmp_path, OSError("AF_UNIX path too long"))
        assert error.strerror == f"cannot listen on unix:{tmp_path}: AF_UNIX path too long"
