"""Configure a server process, and call on it over WebSocket and HTTP as a stranger would."""

import http.client
import itertools
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

LOOPS = ("asyncio", "uvloop")
DEADLINE = 20.0

Frame = dict[str, object]


def configure(folder: Path, **sections: object) -> Path:
    """Write a configuration; its server listens on a free port of 127.0.0.1 if nothing else."""
    given = sections.pop("server", {})
    assert isinstance(given, dict)
    server = {"host": "127.0.0.1", "port": 0, **given}
    file = folder / "config.yaml"
    file.write_text(json.dumps({"server": server, **sections}, indent=1))
    return file


class Caller:
    """Be one client."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._ids = itertools.count(1)

    def send(self, action: str, **payload: object) -> None:
        """Send one message."""
        self.socket.send(json.dumps({"action": action, **payload}))

    def receive(self) -> Frame:
        """Return the next frame."""
        frame: Frame = json.loads(self.socket.recv(DEADLINE))
        return frame

    def ask(self, action: str, **payload: object) -> Frame:
        """Send a message and return its reply; what comes before is skipped."""
        number = f"ask-{next(self._ids)}"
        self.send(action, id=number, **payload)
        while (frame := self.receive()).get("id") != number:
            pass
        return frame

    def expect(self, action: str) -> Frame:
        """Return the next frame of this name; what comes before is skipped."""
        while (frame := self.receive())["action"] != action:
            pass
        return frame

    def enter(self, name: str, room: str = "lobby") -> None:
        """Register, and join a room."""
        assert self.ask("register", username=name)["action"] == "registered"
        assert self.ask("join", room=room)["action"] == "joined"
        assert self.expect("notification")["username"] == name

    def rest(self) -> tuple[list[Frame], int]:
        """Return all frames up to the end, and the server's close code; 1006 if it gave none."""
        frames: list[Frame] = []
        while True:
            try:
                frames.append(self.receive())
            except ConnectionClosed as closed:
                return frames, closed.rcvd.code if closed.rcvd else 1006


@contextmanager
def call(
    url: str,
    *,
    unix: Path | None = None,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
) -> Iterator[Caller]:
    """Connect to a WebSocket, over a unix socket where one is given; close it at the end.

    Not over TLS: that client reads and writes in two threads, which a TLS socket does not bear.
    """
    sock = None
    if unix is not None:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(unix))
    with connect(
        url,
        sock=sock,
        additional_headers=headers,
        subprotocols=subprotocols,
        proxy=None,
        open_timeout=DEADLINE,
        close_timeout=DEADLINE,
    ) as opened:
        yield Caller(opened)


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, str]:
    """Ask over an HTTP connection that is kept open; return status and body."""
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read().decode()
