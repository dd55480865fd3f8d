"""A storm of clients that come back: what they missed reaches them all, without a gap."""

import json
import time
from collections.abc import Iterable

from benchmarks.client import Client, LoadError, Publisher
from benchmarks.crowd import Crowd
from benchmarks.dialects import Returning
from benchmarks.load import Figures
from benchmarks.process import Process
from benchmarks.scenarios import Storm

AT_ONCE = 1000
"""How many clients are joining at the same time: about what a server lets the kernel queue."""

EMPTY_SECONDS = 30.0

Position = tuple[str, int]
"""Epoch and offset."""


def run_storm(process: Process, load: Storm) -> Figures:
    """Let all clients join; let messages be stored while they are gone; let all come back.

    They join twice before, since the first time makes the server grow. An end is when everybody has
    got everything, one message in each room after the joins included.

    Raises:
        LoadError: the server refused something, or a client did not get just what it missed.
        OSError: a connection broke.
        ValueError: the server sent what is no WebSocket frame, or no JSON.
    """
    for _ in range(2):
        joins, join_cpu = _measure(process, Crowd(process, at_once=AT_ONCE), load)
    with Crowd(process, Publisher) as publishers:
        publishers.fill(load.rooms, 1, load.missed)
        positions = dict(map(_position, _all(publishers)))
    _wait_until_empty(process)
    crowd = Crowd(process, dialect=Returning(positions), at_once=AT_ONCE)
    returns, return_cpu = _measure(process, crowd, load)
    for client in _all(crowd):
        check(client.username, client.reply, positions, load.missed)
    return {
        "join_seconds": joins,
        "join_cpu_seconds": join_cpu,
        "return_seconds": returns,
        "return_cpu_seconds": return_cpu,
        "times_plain_joins": return_cpu / join_cpu,
    }


def check(username: str, reply: bytes, positions: dict[str, Position], missed: int) -> None:
    """Check that a `joined` has just what was missed.

    Raises:
        LoadError: it has not; the message says who got what.
    """
    joined = json.loads(reply)
    epoch, offset = positions[joined["room"]]
    got = [message.get("offset") for message in joined["messages"]]
    if (
        not joined.get("recovered")
        or (joined["epoch"], joined["offset"]) != (epoch, offset + missed)
        or got != list(range(offset + 1, offset + missed + 1))
        or any(message["text"] != Publisher.text for message in joined["messages"])
    ):
        raise LoadError(f"{username} was to get {missed} messages, and got {got}")


def _measure(process: Process, crowd: Crowd, load: Storm) -> tuple[float, float]:
    with crowd:
        started, used = time.perf_counter(), process.cpu_seconds()
        crowd.fill(load.rooms, load.members)
        taken = time.perf_counter() - started, process.cpu_seconds() - used
    _wait_until_empty(process)
    return taken


def _all(crowd: Crowd) -> Iterable[Client]:
    return (client for room in crowd.rooms for client in room)


def _position(client: Client) -> tuple[str, Position]:
    joined = json.loads(client.reply)
    return joined["room"], (joined["epoch"], joined["offset"])


def _wait_until_empty(process: Process) -> None:
    deadline = time.monotonic() + EMPTY_SECONDS
    while time.monotonic() < deadline:
        if not process.metric("chatserver_connections"):
            return
        time.sleep(0.05)
    raise LoadError(f"clients are still connected {EMPTY_SECONDS:g} s after they left")
