"""The clients of one run: connected, joined, and heard out before anything counts."""

import select
import time
from collections.abc import Iterator
from itertools import islice
from typing import Self

from benchmarks.client import Client, LoadError
from benchmarks.process import Process

SET_UP_SECONDS = 180.0
JOINING_AT_ONCE = 64


class Crowd:
    """Clients in rooms; a context manager that closes them all.

    Args:
        process: the server they connect to.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
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

    def fill(self, rooms: int, members: int) -> None:
        """Add rooms, and return when their members have got all that joining made the server send.

        One message in each new room shows it: whoever has it, has all that came before it.

        Raises:
            LoadError: the server refused something, or was not done after 180 s.
        """
        deadline = time.monotonic() + SET_UP_SECONDS
        numbers = range(len(self.rooms), len(self.rooms) + rooms)
        joined = self._join(iter([number for number in numbers for _ in range(members)]), deadline)
        added = [joined[start : start + members] for start in range(0, len(joined), members)]
        for room in added:
            room[0].send(1)
        unsettled = set(joined)
        while unsettled:
            heard = self._advance(deadline, "settling")
            unsettled.difference_update(client for client in heard if client.seen)
        for room in added:
            room[0].take_latencies(1)
        self.rooms += added

    def _join(self, waiting: Iterator[int], deadline: float) -> list[Client]:
        """Open a client for each room number, a few at a time, and return them all when joined."""
        opened: list[Client] = []
        joining: set[Client] = set()
        while True:
            for number in islice(waiting, JOINING_AT_ONCE - len(joining)):
                client = self._connect(f"room-{number:05}")
                opened.append(client)
                joining.add(client)
            if not joining:
                return opened
            heard = self._advance(deadline, "joining")
            joining.difference_update(client for client in heard if client.joined)

    def _connect(self, room: str) -> Client:
        process = self.process
        name = f"user-{len(self._clients):05}"
        client = Client(process.address, process.server.dialect, name, room)
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
