"""The loads, and what chatserver must reach under each."""

from typing import NamedTuple, TypeAlias


class Traffic(NamedTuple):
    """Rooms of one size with one sender each, who keeps so many messages in flight.

    In flight is a message that its sender has not got its own copy of.
    """

    name: str
    title: str
    rooms: int
    members: int
    in_flight: int
    target: float
    """The least deliveries per second, in those of the `websockets` server."""
    durable: bool = False
    """Whether chatserver stores each message before anybody sees it; `websockets` never does."""


class Acknowledged(NamedTuple):
    """The same from clients that count the acknowledgements of what was stored.

    Beside it runs a bare loop that inserts the same rows into the same table, as many in a
    transaction as the server.
    """

    name: str
    title: str
    rooms: int
    members: int
    in_flight: int
    target: float
    """The least messages per second that are stored and acknowledged, or else `share`."""
    share: float
    """The least of them for each that the bare loop inserts."""


class Storm(NamedTuple):
    """Clients in rooms that all come back at once, after some messages each that they missed."""

    name: str
    title: str
    rooms: int
    members: int
    missed: int
    target: float
    """The most CPU time of the server, in that of the same clients' plain joins."""


class Idle(NamedTuple):
    """Connections that registered, joined a room and say nothing more."""

    name: str
    title: str
    rooms: int
    members: int
    target: float
    """The most resident kilobytes (of 1000 bytes) for a connection."""


Load: TypeAlias = Traffic | Acknowledged | Storm | Idle

LOADS: tuple[Load, ...] = (
    Traffic("1x1000", "1 room of 1000, 1 sender, 16 in flight", 1, 1000, 16, 9.0),
    Traffic("50x20", "50 rooms of 20, 1 sender each, 4 in flight", 50, 20, 4, 3.0),
    Traffic("200x1", "200 clients alone in their rooms, 1 in flight", 200, 1, 1, 1.5),
    Traffic("200x1-16", "200 clients alone in their rooms, 16 in flight", 200, 1, 16, 2.5),
    Traffic("1x1000-stored", "The first load, each message stored", 1, 1000, 16, 7.0, True),
    Traffic("50x20-stored", "The second load, each message stored", 50, 20, 4, 2.2, True),
    Acknowledged(
        "acknowledged",
        "200 clients alone in their rooms, 16 in flight, stored and acknowledged",
        *(200, 1, 16),
        target=30_000,
        share=0.6,
    ),
    Storm("storm", "3000 clients come back at once, 50 missed messages each", 60, 50, 50, 3.0),
    Idle("idle", "5000 idle connections in 250 rooms of 20", 250, 20, 20.0),
)
