"""The clients of one run: connected, joined, and heard out before anything counts."""

import select
import time
from collections.abc import Iterator
from itertools import islice
from typing import Self

from benchmarks.client import Client, LoadError
from benchmarks.dialects import Dialect
from benchmarks.process import Process

SET_UP_SECONDS = 180.0
JOINING_AT_ONCE = 64


class Crowd:
    """Clients in rooms; a context manager that closes them all.

    Args:
        process: the server they connect to.
        kind: what the clients do.
        dialect: what they speak, if it is not simply what the server does.
        at_once: how many of them may be joining at the same time.
    """

    def __init__(
        self,
        process: Process,
        kind: type[Client] = Client,
        dialect: Dialect | None = None,
        at_once: int = JOINING_AT_ONCE,
    ) -> None:
        self.process = process
        self._kind = kind
        self._dialect = dialect or process.server.dialect
        self._at_once = at_once
        self.rooms: list[list[Client]] = []
        """The members of each room; the first of them is its sender."""
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}

    def __enter__(self) -> Self:
        """Start without clients."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._epoll.close()
        for client in self._clients.values():
            client.close()

    def fill(self, rooms: int, members: int, messages: int = 1) -> None:
        """Add rooms, and return when their members have got all that joining made the server send.

        Messages in each new room show it: whoever has them, has all that came before them.

        Raises:
            LoadError: the server refused something, or was not done after 180 s.
        """
        deadline = time.monotonic() + SET_UP_SECONDS
        numbers = range(len(self.rooms), len(self.rooms) + rooms)
        joined = self._join(iter([number for number in numbers for _ in range(members)]), deadline)
        added = [joined[start : start + members] for start in range(0, len(joined), members)]
        for room in added:
            room[0].send(messages)
        unsettled = set(joined)
        while unsettled:
            heard = self._advance(deadline, "settling")
            unsettled.difference_update(client for client in heard if client.seen >= messages)
        for room in added:
            room[0].take_latencies(messages)
        self.rooms += added

    def _join(self, waiting: Iterator[int], deadline: float) -> list[Client]:
        """Open a client for each room number, a few at a time, and return them all when joined."""
        opened: list[Client] = []
        joining: set[Client] = set()
        while True:
            for number in islice(waiting, self._at_once - len(joining)):
                client = self._connect(f"room-{number:05}")
                opened.append(client)
                joining.add(client)
            if not joining:
                return opened
            heard = self._advance(deadline, "joining")
            joining.difference_update(client for client in heard if client.joined)

    def _connect(self, room: str) -> Client:
        name = f"user-{len(self._clients):05}"
        client = self._kind(self.process.address, self._dialect, name, room)
        self._clients[client.socket.fileno()] = client
        self._epoll.register(client.socket, select.EPOLLIN)
        return client

    def _advance(self, deadline: float, doing: str) -> list[Client]:
        """Hand one round of reads to the clients; return those that had something to read."""
        if time.monotonic() > deadline:
            raise LoadError(f"still {doing} after {SET_UP_SECONDS:g} s")
        heard = [self._clients[descriptor] for descriptor, _ in self._epoll.poll(1.0)]
        for client in heard:
            client.set_up(client.read())
        return heard
