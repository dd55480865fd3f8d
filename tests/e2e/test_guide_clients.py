"""Run the guide's own client programs, unchanged, against its samples served from our configs.

The programs connect to port 8765 and stand beside the checkout; tests/e2e/test_guide.py and
test_guide_rooms.py do the same with clients of our own, everywhere.
"""

import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.e2e.guide import GUIDE
from tests.e2e.process import ServerProcess
from tests.e2e.programs import Program

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT.parent / "shared" / "seed" / "clients"
PORT = 8765
WITHIN = 40

pytestmark = [
    pytest.mark.skipif(
        not CLIENTS.is_dir(),
        reason="the guide's clients are not beside the checkout, in ../shared/seed/clients",
    ),
    pytest.mark.usefixtures("port"),
]


@pytest.fixture
def port() -> None:
    """Check that the one port the guide's clients know is free."""
    for family, kind, protocol, _, address in socket.getaddrinfo(
        "localhost", PORT, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                pytest.fail(
                    f"the guide's clients connect to port {PORT}, which cannot be listened on"
                    f" ({error}); end the program that uses it and run the tests again"
                )


def serve(sample: str) -> ServerProcess:
    """Make the server of a sample, on the port its config names."""
    return ServerProcess(GUIDE / f"{sample}.yaml")


def client(name: str) -> Program:
    """Make one of the guide's programs."""
    return Program([sys.executable, CLIENTS / name], env={"PYTHONDONTWRITEBYTECODE": "1"})


def token_client(function: str) -> Program:
    """Make a program of one of the guide's two functions, which it leaves to the reader to call."""
    program = f"import asyncio, token_clients; asyncio.run(token_clients.{function}())"
    env = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(CLIENTS)}
    return Program([sys.executable, "-c", program], env=env)


def output(program: Program) -> str:
    """Run a program to its good end and return what it printed."""
    with program:
        code = program.wait(WITHIN)
        assert (code, program.stderr) == (0, "")
        return program.stdout


def test_basic_and_interactive_client() -> None:
    with serve("echo"), client("interactive_client.py") as interactive:
        interactive.out.expect("^Got: Echo: Message 0$")

        assert output(client("basic_client.py")) == "Server says: Echo: Hello, server!\n"

        assert interactive.wait(WITHIN) == 0
        assert interactive.stdout == "".join(f"Got: Echo: Message {n}\n" for n in range(5))


def test_json_client() -> None:
    with serve("json"):
        printed = output(client("json_client.py"))
    assert printed == "{'type': 'chat', 'user': 'alice', 'text': 'Hello everyone!'}\n"


def test_token_clients() -> None:
    with serve("auth"):
        query = output(token_client("authenticated_client"))
        header = output(token_client("header_auth_client"))
    assert query == "Authenticated echo: Private message\n"
    assert header == "Authenticated echo: Hello\n"


def test_token_clients_are_told_when_their_token_is_wrong(tmp_path: Path) -> None:
    text = (GUIDE / "auth.yaml").read_text()
    config = tmp_path / "auth.yaml"
    config.write_text(text.replace("secret-token-123", "another-token"))
    with ServerProcess(config), token_client("authenticated_client") as program:
        assert program.wait(WITHIN) == 1
        assert "HTTP 401" in program.stderr


def test_resilient_client_waits_and_comes_back() -> None:
    """A close code that looks like a good end would make it connect again without a pause."""
    with serve("errors") as server, client("resilient_client.py") as resilient:
        resilient.out.expect("^Connected\n")
        assert resilient.stdout == "Connected\n"

        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        resilient.out.expect(r"^Connection lost\. Reconnecting in 3 seconds\.\.\.$")

        with serve("errors"):
            resilient.out.expect("^Connected$", WITHIN)
        assert resilient.stdout.count("Connected\n") == 2


def test_chat_clients_talk() -> None:
    with serve("chat"), client("chat_client.py") as alice, client("chat_client.py") as bob:
        for person, name in ((alice, "alice"), (bob, "bob")):
            person.write(name)
            person.write("lobby")
            person.out.expect(rf"\*\* {name} joined lobby \*\*$")
        alice.out.expect(r"^\*\* bob joined lobby \*\*$")

        alice.write("hello bob")
        bob.out.expect("^.lobby. alice: hello bob$")
        bob.write("hello alice")
        alice.out.expect("^.lobby. bob: hello alice$")
        alice.write("/rooms")
        alice.out.expect(r"^ lobby: 2 user\(s\)$")
        bob.write("/quit")
        assert bob.wait(WITHIN) == 0
        alice.out.expect(r"^\*\* bob left lobby \*\*$")
        alice.write("/quit")
        assert alice.wait(WITHIN) == 0

        assert alice.stdout == (
            "Enter your username: Enter room name: Registered as alice\n"
            "** alice joined lobby **\n"
            "** bob joined lobby **\n"
            "[lobby] alice: hello bob\n"
            "[lobby] bob: hello alice\n"
            "Active rooms:\n"
            " lobby: 2 user(s)\n"
            "** bob left lobby **\n"
        )
        assert bob.stdout == (
            "Enter your username: Enter room name: Registered as bob\n"
            "** bob joined lobby **\n"
            "[lobby] alice: hello bob\n"
            "[lobby] bob: hello alice\n"
        )
