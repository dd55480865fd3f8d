"""Bugs of a server that does not show its members what it has stored."""

import itertools
from collections.abc import Sequence

from chatserver import hub
from chatserver.broker import Due, embedded
from chatserver.fanout import FanOut
from chatserver.rooms import Room
from chatserver.session import Session
from tests.torture.planting import plant


def delivery_dropped() -> None:
    """Leave one member out, one after another, now and then."""
    count = itertools.count(1)

    class Dropping(FanOut):
        def flush(self, room: Room[Session]) -> None:
            members = room.members
            flush = next(count)
            if flush % 5 == 0:
                unlucky = list(members)[flush // 5 % len(members)]
                room.members = {**members, unlucky: lambda frames, essential: None}
            super().flush(room)
            room.members = members

    plant(hub, "FanOut", Dropping)


def deliveries_swapped() -> None:
    """Show one message in ten after the one behind it."""
    late: dict[str, Due] = {}

    class Broker(embedded.EmbeddedBroker):
        def _hand_out(self, room: str, due: Sequence[Due]) -> None:
            for each in due:
                _, position = each
                if position is not None and position.offset % 10 == 0:
                    late[room] = each
                    continue
                super()._hand_out(room, [each])
                if position is not None and room in late:
                    super()._hand_out(room, [late.pop(room)])

    plant(embedded, "EmbeddedBroker", Broker)


def delivery_doubled() -> None:
    """Show one message in ten twice."""

    class Broker(embedded.EmbeddedBroker):
        def _hand_out(self, room: str, due: Sequence[Due]) -> None:
            for each in due:
                _, position = each
                doubled = position is not None and position.offset % 10 == 0
                super()._hand_out(room, [each] * (2 if doubled else 1))

    plant(embedded, "EmbeddedBroker", Broker)
