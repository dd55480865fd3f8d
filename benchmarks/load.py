"""The load generator: one thread, raw sockets, nothing parsed.

It must cost less than the server it drives, on a core like the server's. So a read takes all that
a socket holds and is counted as a whole (`benchmarks.wire.Counter`), the messages that it sets free
go out in one write, and members that only listen are read in turns some milliseconds apart, when
several frames wait for them. Senders are read at once: the server must never wait for them.
"""

import gc
import select
import time
from typing import NamedTuple, Self

from benchmarks.client import Client, LoadError
from benchmarks.crowd import Crowd
from benchmarks.machine import busy_seconds
from benchmarks.process import Process
from benchmarks.scenarios import Acknowledged, Idle, Traffic

WARM_UP_SECONDS = 1.0
DRAIN_SECONDS = 30.0
TURN_SECONDS = 0.005
CHUNK = 64
"""How many listeners are read before the senders are looked after again."""

Figures = dict[str, float]
"""What one run measured, by name: seconds, bytes, or shares of one core."""


def run_traffic(crowd: Crowd, load: Traffic | Acknowledged, seconds: float) -> Figures:
    """Join, warm up, measure for so long, then check that every message reached every member.

    Raises:
        LoadError: the server refused something, or deliveries are missing or too many.
        OSError: a connection broke.
        ValueError: the server sent what is no WebSocket frame.
    """
    crowd.fill(load.rooms, load.members)
    gc.collect()
    gc.disable()  # its pauses would count as the server's latency
    try:
        return _measure(crowd, load, seconds)
    finally:
        gc.enable()


def run_idle(crowd: Crowd, load: Idle) -> Figures:
    """Join the first room and then all others, and read the server's memory after each.

    The first room keeps out of the figures what a server imports or allocates only once.

    Raises:
        LoadError, OSError, ValueError: as `run_traffic`.
    """
    crowd.fill(1, load.members)
    before = crowd.process.resident_bytes()
    crowd.fill(load.rooms - 1, load.members)
    after = crowd.process.resident_bytes()
    return {
        "bytes_per_connection": (after - before) / ((load.rooms - 1) * load.members),
        "bytes_before": before,
        "bytes_after": after,
    }


def _measure(crowd: Crowd, load: Traffic | Acknowledged, seconds: float) -> Figures:
    process = crowd.process
    with _Pump(crowd) as pump:
        pump.start(load.in_flight)
        pump.run(WARM_UP_SECONDS)
        pump.latencies.clear()
        start, already = _Clocks.read(process), pump.delivered
        pump.run(seconds)
        spent, deliveries = _Clocks.read(process).since(start), pump.delivered - already
        latencies = sorted(pump.latencies)
        pump.stop(load.members)
    if not latencies:
        raise LoadError(f"no sender got its own copy within {seconds:g} s")
    return {
        "deliveries_per_s": deliveries / spent.wall,
        "server_cpu_per_delivery": spent.server / deliveries,
        "server_share": spent.server / spent.wall,
        "generator_share": spent.own / spent.wall,
        "server_core_others": max(0.0, (spent.server_core - spent.server) / spent.wall),
        "load_core_others": max(0.0, (spent.load_core - spent.own) / spent.wall),
        "own_copy_p50": latencies[len(latencies) // 2],
        "own_copy_p99": latencies[len(latencies) * 99 // 100],
    }


class _Clocks(NamedTuple):
    """All clocks of a run, in seconds: the wall, both processes' CPU time, both busy cores."""

    wall: float
    server: float
    own: float
    server_core: float
    load_core: float

    @classmethod
    def read(cls, process: Process) -> Self:
        cores = process.cores
        return cls(
            time.perf_counter(),
            process.cpu_seconds(),
            time.process_time(),
            busy_seconds(cores.server),
            busy_seconds(cores.load),
        )

    def since(self, start: Self) -> Self:
        return type(self)(*(end - begin for end, begin in zip(self, start, strict=True)))


class _Pump:
    """Keeps messages in flight and counts their deliveries."""

    def __init__(self, crowd: Crowd) -> None:
        self.delivered = 0
        self.latencies: list[float] = []
        self._clients: dict[int, Client] = {}
        self._all_senders: list[Client] = []
        self._senders = select.epoll()
        self._listeners = select.epoll()
        for sender, *listeners in crowd.rooms:
            self._all_senders.append(sender)
            self._register(self._senders, sender)
            for listener in listeners:
                self._register(self._listeners, listener)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._senders.close()
        self._listeners.close()

    def start(self, in_flight: int) -> None:
        """Let each sender send that many messages, and one more for each that comes back."""
        for sender in self._all_senders:
            sender.sends, sender.sent = True, 0
            sender.send(in_flight)

    def run(self, seconds: float) -> None:
        """Read, count and send for so long."""
        clock, serve, senders = time.perf_counter, self._serve, self._senders.poll
        end, turn = clock() + seconds, 0.0
        while (now := clock()) < end:
            serve(senders(max(0.0, min(turn, end) - now)))
            if clock() < turn:
                continue
            turn = clock() + TURN_SECONDS
            ready = self._listeners.poll(0)
            for start in range(0, len(ready), CHUNK):
                serve(ready[start : start + CHUNK])
                serve(senders(0))

    def stop(self, members: int) -> None:
        """Send no more, and compare all deliveries with what was sent to rooms of that size.

        Raises:
            LoadError: some are missing after 30 s, or there are too many.
        """
        for sender in self._all_senders:
            sender.sends = False
        expected = sum(sender.sent for sender in self._all_senders) * members
        deadline = time.perf_counter() + DRAIN_SECONDS
        while self.delivered < expected and time.perf_counter() < deadline:
            self.run(0.05)
        if self.delivered != expected:
            raise LoadError(f"{self.delivered} deliveries instead of {expected}")

    def _register(self, epoll: select.epoll, client: Client) -> None:
        self._clients[client.socket.fileno()] = client
        epoll.register(client.socket, select.EPOLLIN)

    def _serve(self, ready: list[tuple[int, int]]) -> None:
        clients, delivered = self._clients, 0
        for descriptor, _ in ready:
            client = clients[descriptor]
            count = client.counter.count(client.read())
            delivered += count
            if client.counter.others:
                client.attend()
            if count and client.sends:
                self.latencies += client.take_latencies(count)
                client.send(count)
        self.delivered += delivered
