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


class Idle(NamedTuple):
    """Connections that registered, joined a room and say nothing more."""

    name: str
    title: str
    rooms: int
    members: int
    target: float
    """The most resident kilobytes (of 1000 bytes) for a connection."""


Load: TypeAlias = Traffic | Idle

LOADS: tuple[Load, ...] = (
    Traffic("1x1000", "1 room of 1000, 1 sender, 16 in flight", 1, 1000, 16, 9.0),
    Traffic("50x20", "50 rooms of 20, 1 sender each, 4 in flight", 50, 20, 4, 3.0),
    Traffic("200x1", "200 clients alone in their rooms, 1 in flight", 200, 1, 1, 1.5),
    Traffic("200x1-16", "200 clients alone in their rooms, 16 in flight", 200, 1, 16, 2.5),
    Idle("idle", "5000 idle connections in 250 rooms of 20", 250, 20, 20.0),
)
