"""What every broker promises; each implementation runs the same tests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from chatserver.broker import Broker, Publication
from chatserver.broker.memory import MemoryBroker
from chatserver.context import Published
from chatserver.pending import Pending
from chatserver.positions import Position

Make = Callable[[Path], Broker]
"""Make a broker; it may keep files in the folder."""

BROKERS: dict[type[Broker], Make] = {MemoryBroker: lambda folder: MemoryBroker()}
STAMP = "2026-11-22T10:41:41.123Z"


@dataclass
class Bench:
    """Have a started broker and everything it has delivered."""

    broker: Broker
    delivered: list[tuple[Publication, Position | None]] = field(default_factory=list)

    def deliver(self, publication: Publication, position: Position | None) -> None:
        self.delivered.append((publication, position))

    @property
    def bodies(self) -> list[bytes]:
        return [publication.body for publication, _ in self.delivered]

    async def settle(self, *outcomes: Pending[Published]) -> list[Published]:
        async with asyncio.timeout(5):
            return [await outcome for outcome in outcomes]


@pytest.fixture(params=BROKERS, ids=lambda kind: kind.__name__)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    kind: type[Broker] = request.param
    return BROKERS[kind](tmp_path)


@pytest.fixture
async def bench(broker: Broker) -> AsyncIterator[Bench]:
    bench = Bench(broker)
    await broker.startup(bench.deliver)
    yield bench
    await broker.cleanup()


def publication(
    room: str = "lobby",
    body: bytes = b'{"action":"message"}',
    *,
    user: str | None = "ann",
    cid: str | None = None,
    ephemeral: bool = False,
) -> Publication:
    return Publication(room, body, STAMP, user, cid, ephemeral)


async def test_a_publication_is_delivered_unchanged_and_told_where_it_went(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    sent = publication(cid="c1")
    (outcome,) = await bench.settle(bench.broker.publish(sent))
    assert (outcome.room, outcome.timestamp, outcome.duplicate) == ("lobby", STAMP, False)
    assert bench.delivered == [(sent, outcome.position)]


async def test_a_room_has_the_order_of_the_calls(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    bodies = [b'{"n":%d}' % number for number in range(200)]
    outcomes = await bench.settle(*[bench.broker.publish(publication(body=b)) for b in bodies])
    assert bench.bodies == bodies
    assert [position for _, position in bench.delivered] == [each.position for each in outcomes]


async def test_positions_are_contiguous_within_one_epoch(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    outcomes = await bench.settle(*[bench.broker.publish(publication()) for _ in range(20)])
    positions = [each.position for each in outcomes if each.position is not None]
    assert len(positions) in (0, 20), "a room keeps a history or it does not"
    assert [place.offset for place in positions] == list(range(1, len(positions) + 1))
    assert len({place.epoch for place in positions}) <= 1


async def test_only_rooms_with_members_here_are_delivered(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    outcomes = await bench.settle(
        bench.broker.publish(publication("elsewhere")), bench.broker.publish(publication("lobby"))
    )
    assert [outcome.room for outcome in outcomes] == ["elsewhere", "lobby"]
    assert [each.room for each, _ in bench.delivered] == ["lobby"]


async def test_a_room_is_delivered_until_its_last_member_is_gone_and_again_after(
    bench: Bench,
) -> None:
    for body, here in ((b'{"n":1}', True), (b'{"n":2}', False), (b'{"n":3}', True)):
        if here:
            bench.broker.subscribe("lobby")
        await bench.settle(bench.broker.publish(publication(body=body)))
        bench.broker.unsubscribe("lobby")
    assert bench.bodies == [b'{"n":1}', b'{"n":3}']


async def test_rooms_are_told_apart_by_case(bench: Bench) -> None:
    for room in ("Lobby", "lobby"):
        bench.broker.subscribe(room)
    bench.broker.unsubscribe("Lobby")
    await bench.settle(
        *[bench.broker.publish(publication(room)) for room in ("Lobby", "lobby", "LOBBY")]
    )
    assert [each.room for each, _ in bench.delivered] == ["lobby"]


async def test_unsubscribing_from_a_room_not_subscribed_does_no_harm(bench: Bench) -> None:
    bench.broker.unsubscribe("nowhere")
    bench.broker.subscribe("lobby")
    await bench.settle(bench.broker.publish(publication()))
    assert len(bench.delivered) == 1


async def test_what_is_ephemeral_is_delivered_and_has_no_position(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    outcomes = await bench.settle(
        bench.broker.publish(publication(ephemeral=True)),
        bench.broker.publish(publication()),
        bench.broker.publish(publication(ephemeral=True)),
    )
    assert [outcome.position for outcome in outcomes][::2] == [None, None]
    assert [each.ephemeral for each, _ in bench.delivered] == [True, False, True]
    assert bench.delivered[1][1] in (None, Position(getattr(outcomes[1].position, "epoch", ""), 1))


async def test_a_retry_is_either_new_or_the_same_and_never_half(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    first, again = await bench.settle(
        bench.broker.publish(publication(cid="c1")), bench.broker.publish(publication(cid="c1"))
    )
    assert not first.duplicate
    assert len(bench.delivered) == (1 if again.duplicate else 2)
    if again.duplicate:
        assert first.position is not None
        assert again == Published("lobby", STAMP, first.position, duplicate=True)


async def test_one_cid_from_two_users_or_in_two_rooms_is_two_messages(bench: Bench) -> None:
    for room in ("lobby", "tea"):
        bench.broker.subscribe(room)
    outcomes = await bench.settle(
        bench.broker.publish(publication("lobby", user="ann", cid="c1")),
        bench.broker.publish(publication("lobby", user="bob", cid="c1")),
        bench.broker.publish(publication("tea", user="ann", cid="c1")),
        bench.broker.publish(publication("lobby", user=None)),
        bench.broker.publish(publication("lobby", user=None)),
    )
    assert not any(outcome.duplicate for outcome in outcomes)
    assert len(bench.delivered) == 5


async def test_ending_settles_what_is_pending(broker: Broker) -> None:
    bench = Bench(broker)
    await broker.startup(bench.deliver)
    broker.subscribe("lobby")
    outcomes = [broker.publish(publication()) for _ in range(50)]
    async with asyncio.timeout(5):
        await broker.cleanup()
    assert all(outcome.is_done for outcome in outcomes)
    assert len([outcome.result() for outcome in outcomes]) == len(bench.delivered) == 50


def test_every_broker_that_is_installed_with_the_server_is_tested_here() -> None:
    ours = [
        point.load()
        for point in entry_points(group="chatserver.brokers")
        if point.value.startswith("chatserver.")
    ]
    assert set(ours) == set(BROKERS)
