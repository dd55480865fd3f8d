"""One connection of the load generator: opened, joined to a room, then counted."""

import base64
import os
import socket
import time
from collections import deque

from benchmarks import wire
from benchmarks.dialects import Dialect

READ_SIZE = 65536
TEXT = "x" * 100
"""The text of every message."""

_BLANK_LINE = b"\r\n\r\n"


class LoadError(RuntimeError):
    """The server did what no load can go on with; the message says what."""


class Client:
    """A member of one room, who counts the messages that reach it.

    Sockets do not block; the caller polls them and hands over the bytes.

    Args:
        address: host and port of the server.
        dialect: what the server speaks.
        username: unique in the run.
        room: the room to join.
    """

    marker = TEXT.encode()
    """What is found in nothing but deliveries."""

    __slots__ = (
        "_dialect",
        "_head",
        "_message",
        "_sent_at",
        "_steps",
        "_tail",
        "counter",
        "joined",
        "reply",
        "seen",
        "sends",
        "sent",
        "socket",
        "username",
    )

    def __init__(
        self, address: tuple[str, int], dialect: Dialect, username: str, room: str
    ) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.username = username
        self.joined = False
        """Whether the server confirmed the room."""
        self.reply = b""
        """How it did."""
        self.seen = 0
        """Deliveries during the set-up: one for the probe of the room."""
        self.sends = False
        """Whether this client answers its own copies with new messages."""
        self.sent = 0
        self.counter = wire.Counter(self.marker)
        self._dialect = dialect
        self._message = self._frame(dialect.message(TEXT))
        self._sent_at: deque[float] = deque()
        self._steps = deque(dialect.join(username, room))
        self._head: bytes | None = b""
        self.socket.sendall(_upgrade(address, dialect.path))
        self.socket.setblocking(False)

    def read(self) -> bytes:
        """Return what the socket holds, up to 64 KiB.

        Raises:
            LoadError: the server closed the connection.
        """
        data = self.socket.recv(READ_SIZE)
        if not data:
            raise LoadError(f"the server dropped {self.username}")
        return data

    def set_up(self, data: bytes) -> None:
        """Go on with the handshake and the steps of joining, by the next bytes of the stream.

        Raises:
            LoadError: the server refused, or said something else than the step expects.
        """
        if self._head is not None:
            self._head += data
            if _BLANK_LINE not in self._head:
                return
            status, _, data = self._head.partition(_BLANK_LINE)
            if not status.startswith(b"HTTP/1.1 101 "):
                raise LoadError(f"no upgrade: {(status + data).decode(errors='replace')}")
            self._head = None
            self._next_step()
        self.seen += self.counter.count(data)
        self.attend()

    def attend(self) -> None:
        """Take what came beside deliveries: answer heartbeats, follow the steps of joining.

        Raises:
            LoadError: the server closed, or refused a step.
        """
        for opcode, payload in self.counter.others:
            if opcode == wire.PING:
                self._write(wire.encode(wire.PONG, payload, os.urandom(4)))
            elif opcode == wire.CLOSE:
                code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
                raise LoadError(f"{self.username} was closed: {code} {reason}")
            elif opcode != wire.TEXT:
                continue
            elif answer := self._dialect.answer(payload):
                self._write(self._frame(answer))
            elif self._steps:
                if self._steps[0].expect not in payload:
                    raise LoadError(f"{self.username} was told {payload[:500].decode()}")
                self._steps.popleft()
                self.reply = payload
                self._next_step()
        self.counter.others.clear()

    def send(self, count: int) -> None:
        """Send `count` messages in one write and remember when."""
        self._write(self._messages(count))
        self.sent += count
        self._sent_at.extend([time.perf_counter()] * count)

    def take_latencies(self, count: int) -> list[float]:
        """Return how many seconds ago the `count` oldest of the messages in flight were sent."""
        now, pop = time.perf_counter(), self._sent_at.popleft
        return [now - pop() for _ in range(count)]

    def close(self) -> None:
        """Close the socket without a closing handshake."""
        self.socket.close()

    def _messages(self, count: int) -> bytes:
        return self._message * count

    def _next_step(self) -> None:
        if not self._steps:
            self.joined = True
        elif (text := self._steps[0].send) is not None:
            self._write(self._frame(text))

    def _frame(self, text: str) -> bytes:
        return wire.encode(wire.TEXT, text.encode(), os.urandom(4))

    def _write(self, data: bytes) -> None:
        # What is in flight is small beside a socket buffer: a short write means a stuck server.
        if self.socket.send(data) != len(data):
            raise LoadError(f"the server does not read from {self.username}")


class Publisher(Client):
    """A client of chatserver who gives each message an id and a cid.

    It counts how many are acknowledged; the events of its room are nothing to it.
    """

    marker = b'"action":"sent"'
    text = "y" * 100

    __slots__ = ("_cid", "_number")

    def __init__(
        self, address: tuple[str, int], dialect: Dialect, username: str, room: str
    ) -> None:
        super().__init__(address, dialect, username, room)
        self._number = 0
        self._cid = os.urandom(4).hex()

    def _messages(self, count: int) -> bytes:
        first, self._number = self._number, self._number + count
        return b"".join(
            self._frame(
                f'{{"action":"message","id":{number},"cid":"{self._cid}-{number:08}",'
                f'"text":"{self.text}"}}'
            )
            for number in range(first, self._number)
        )


def _upgrade(address: tuple[str, int], path: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
