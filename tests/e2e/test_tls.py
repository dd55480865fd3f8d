"""TLS: pages and chat over it, certificates exchanged while the server runs."""

import signal
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from chatserver.testing import Peer
from tests.e2e.callers import DEADLINE, LOOPS, configure
from tests.e2e.process import ServerProcess

TLS = {"certificate": "cert.pem", "key": "key.pem"}


class Authority:
    """Issues certificates for localhost into a folder, and trusts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.trusting = ssl.create_default_context()
        self._authority.configure_trust(self.trusting)

    def issue(self, kind: trustme.KeyType = trustme.KeyType.ECDSA) -> int:
        """Put a new certificate in place, and return its serial number."""
        issued = self._authority.issue_cert("localhost", key_type=kind)
        issued.private_key_pem.write_to_path(self._folder / "key.pem")
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        (self._folder / "cert.pem").write_bytes(chain)
        return x509.load_pem_x509_certificate(chain).serial_number

    def shown(self, port: int, name: str | None = "localhost") -> x509.Certificate:
        """Shake hands and return the certificate that a server shows."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        context.check_hostname = name is not None
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE) as plain,
            context.wrap_socket(plain, server_hostname=name) as wrapped,
        ):
            return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def enter(http: ClientSession, url: str, name: str) -> Peer:
    """Connect, take a name and join the lobby."""
    peer = Peer(await http.ws_connect(url))
    await peer.send("register", username=name)
    await peer.send("join", room="lobby")
    await peer.expect("notification", event="join", username=name)
    return peer


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_new_certificate_is_shown_after_sighup(
    tmp_path: Path, authority: Authority, loop: str
) -> None:
    old = authority.issue()
    config = configure(tmp_path, server={"tls": TLS, "loop": loop})
    trusting = TCPConnector(ssl=authority.trusting)
    with ServerProcess(config) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        assert authority.shown(server.port).serial_number == old
        async with ClientSession(connector=trusting) as http:
            alice = await enter(http, f"wss://localhost:{server.port}/ws", "alice")

            # Another kind of key: OpenSSL would keep both certificates side by side.
            new = authority.issue(trustme.KeyType.RSA)
            server.signal(signal.SIGHUP)
            server.err.expect("configuration reloaded")
            for name in ("localhost", None):
                certificate = authority.shown(server.port, name)
                assert certificate.serial_number == new
                assert isinstance(certificate.public_key(), RSAPublicKey)

            (tmp_path / "key.pem").write_text("broken")
            server.signal(signal.SIGHUP)
            server.err.expect(
                "configuration not reloaded, the old one stays:"
                r" .*config\.yaml:\d+:\d+: TLS cannot use the certificate"
            )
            assert authority.shown(server.port).serial_number == new

            await alice.send("message", text="still here")
            await alice.expect("message", text="still here")
            bob = await enter(http, f"wss://localhost:{server.port}/", "bob")
            await alice.expect("notification", text="bob joined lobby")
            await bob.close()
            server.signal(signal.SIGTERM)
            assert await alice.closed() == 3001
        assert server.wait() == 0


def test_whoever_speaks_plain_http_does_no_harm(tmp_path: Path, authority: Authority) -> None:
    serial = authority.issue()
    with ServerProcess(configure(tmp_path, server={"tls": TLS})) as server:
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"HTTP" not in plain.recv(1024)
        certificate = authority.shown(server.port)
        assert certificate.serial_number == serial
        assert isinstance(certificate.public_key(), EllipticCurvePublicKey)
        server.stop()
        assert "Traceback" not in server.stderr


@pytest.mark.parametrize("loop", LOOPS)
def test_a_lost_connection_is_nothing_to_log_as_an_error(
    tmp_path: Path, authority: Authority, loop: str
) -> None:
    authority.issue()
    with ServerProcess(configure(tmp_path, server={"tls": TLS, "loop": loop})) as server:
        with (
            socket.create_connection(("127.0.0.1", server.port), DEADLINE) as plain,
            authority.trusting.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            wrapped.sendall(
                b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            assert b" 101 " in wrapped.recv(4096)
        server.err.expect('"message": "disconnected"')
    assert "Traceback" not in server.stderr
    assert '"error"' not in server.stderr


@pytest.mark.parametrize("loop", LOOPS)
def test_half_a_handshake_does_not_stay(tmp_path: Path, authority: Authority, loop: str) -> None:
    authority.issue()
    config = configure(tmp_path, server={"tls": TLS, "loop": loop, "request_timeout": 0.5})
    with (
        ServerProcess(config) as server,
        socket.create_connection(("127.0.0.1", server.port), DEADLINE) as silent,
    ):
        assert silent.recv(1) == b""
