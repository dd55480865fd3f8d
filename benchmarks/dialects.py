"""What a client says to each kind of server: plain JSON actions, or Socket.IO over Engine.IO."""

import json
from typing import NamedTuple, Protocol


class Step(NamedTuple):
    """One step of joining: send a text, if any, then wait for one text that contains `expect`."""

    send: str | None
    expect: bytes


class Dialect(Protocol):
    """How to join a room and to send a message, in the texts of one kind of server."""

    @property
    def path(self) -> str:
        """The path and query of the WebSocket endpoint."""

    def join(self, username: str, room: str) -> list[Step]:
        """List the steps from the open WebSocket to the membership."""

    def message(self, text: str) -> str:
        """Build the text that sends `text` to the joined room."""

    def answer(self, payload: bytes) -> str | None:
        """Return what a text that needs an answer (a heartbeat) is to be answered with."""


class JsonActions:
    """The guide's protocol, which chatserver speaks as well (`chatserver.v1`)."""

    path = "/"

    def join(self, username: str, room: str) -> list[Step]:
        """List the steps from the open WebSocket to the membership."""
        return [
            Step(json.dumps({"action": "register", "username": username}), b'"registered"'),
            Step(json.dumps({"action": "join", "room": room}), b"joined"),
        ]

    def message(self, text: str) -> str:
        """Build the text that sends `text` to the joined room."""
        return json.dumps({"action": "message", "text": text})

    def answer(self, payload: bytes) -> str | None:
        """Return nothing: these servers ping with WebSocket frames."""
        return None


class Returning(JsonActions):
    """The same from clients that have been in their rooms before, and ask for what they missed.

    Args:
        positions: the epoch and the last offset seen, of each room.
    """

    def __init__(self, positions: dict[str, tuple[str, int]]) -> None:
        self._positions = positions

    def join(self, username: str, room: str) -> list[Step]:
        """List the steps from the open WebSocket to the membership."""
        epoch, offset = self._positions[room]
        since = {"epoch": epoch, "offset": offset}
        register, _ = super().join(username, room)
        return [
            register,
            Step(json.dumps({"action": "join", "room": room, "since": since}), b"joined"),
        ]


class SocketIO:
    """Socket.IO 5 over Engine.IO 4, straight over WebSocket and without acknowledgements.

    Packets of Engine.IO: 0 open, 2 ping, 3 pong, 4 message. Packets of Socket.IO, in a message:
    0 connect, 2 event.
    """

    path = "/socket.io/?EIO=4&transport=websocket"

    def join(self, username: str, room: str) -> list[Step]:
        """List the steps from the open WebSocket to the membership."""
        return [
            Step(None, b'0{"sid"'),
            Step("40", b'40{"sid"'),
            Step(self._event("register", username=username), b'42["registered"'),
            Step(self._event("join", room=room), b'42["joined"'),
        ]

    def message(self, text: str) -> str:
        """Build the text that sends `text` to the joined room."""
        return self._event("message", text=text)

    def answer(self, payload: bytes) -> str | None:
        """Return the pong for a ping."""
        return "3" if payload == b"2" else None

    def _event(self, name: str, **fields: str) -> str:
        return "42" + json.dumps([name, fields])
