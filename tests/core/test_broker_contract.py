"""What every broker promises; each implementation runs the same tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from msgspec import structs

from chatserver.broker import Broker, Due, Publication
from chatserver.broker.embedded import EmbeddedBroker
from chatserver.broker.memory import MemoryBroker
from chatserver.broker.tail import Tails
from chatserver.errors import ActionError
from chatserver.fold import Messages
from chatserver.guard import Guard
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import Durability, Found, Keeping, Page, Published, RoomState, Unread
from chatserver.store.sqlite import SqliteStore
from tests.core.histories import answer, delete, edit, message, pin, reaction

Make = Callable[[Path], Broker]
"""Make a broker; it may keep files in the folder."""

BROKERS: dict[str, Make] = {
    "memory": lambda folder: MemoryBroker(),
    "embedded": lambda folder: EmbeddedBroker(SqliteStore(folder / "chat.db")),
    "embedded, relaxed": lambda folder: EmbeddedBroker(
        SqliteStore(folder / "chat.db"), lambda room: Keeping(Durability.RELAXED)
    ),
    "embedded, in memory": lambda folder: EmbeddedBroker(
        SqliteStore(folder / "chat.db"), lambda room: Keeping(Durability.MEMORY)
    ),
    "embedded, no history": lambda folder: EmbeddedBroker(
        SqliteStore(folder / "chat.db"), lambda room: Keeping(Durability.NONE)
    ),
    "embedded, short memory": lambda folder: EmbeddedBroker(
        SqliteStore(folder / "chat.db"), tails=Tails(most_bytes=4000, room_most=3)
    ),
}
ON_DISK = {"embedded", "embedded, relaxed", "embedded, short memory"}
STAMP = "2026-11-22T10:41:41.123Z"


@dataclass
class Bench:
    """Have a started broker and everything it has delivered."""

    broker: Broker
    on_disk: bool = False
    delivered: list[tuple[Publication, Position | None]] = field(default_factory=list)

    def deliver(self, room: str, due: Sequence[Due]) -> None:
        assert {publication.room for publication, _ in due} == {room}
        self.delivered += due

    @property
    def bodies(self) -> list[bytes]:
        return [publication.body for publication, _ in self.delivered]

    async def settle(self, *outcomes: Pending[Published]) -> list[Published]:
        async with asyncio.timeout(20):
            return [await outcome for outcome in outcomes]


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    name: str = request.param
    return BROKERS[name](tmp_path)


@pytest.fixture
async def bench(broker: Broker, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    name: str = request.node.callspec.params["broker"]
    bench = Bench(broker, on_disk=name in ON_DISK)
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


async def test_rooms_of_two_are_delivered_always(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    for room in ("dm:ann:bob", "lobby", "dm:ann:bob"):
        await bench.settle(bench.broker.publish(publication(room)))
    assert [each.room for each, _ in bench.delivered] == ["dm:ann:bob", "lobby", "dm:ann:bob"]


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


async def test_a_retry_is_the_same_where_there_is_a_history_and_else_new(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    first, at_once = await bench.settle(
        bench.broker.publish(publication(cid="c1")), bench.broker.publish(publication(cid="c1"))
    )
    await bench.settle(*[bench.broker.publish(publication("tea")) for _ in range(20)])
    (later,) = await bench.settle(bench.broker.publish(publication(cid="c1")))
    assert not first.duplicate
    if first.position is None:
        assert [at_once.duplicate, later.duplicate] == [False, False]
        assert len(bench.delivered) == 3
    else:
        assert at_once == later == structs.replace(first, duplicate=True)
        assert len(bench.delivered) == 1


@pytest.mark.parametrize("name", sorted(ON_DISK))
async def test_what_is_on_disk_goes_on_after_a_restart(tmp_path: Path, name: str) -> None:
    sent = [publication(body=b'{"n":%d}' % number, cid=f"c{number}") for number in range(4)]
    lives: list[list[Published]] = []
    for life in (sent[:2], sent[1:]):
        bench = Bench(BROKERS[name](tmp_path))
        await bench.broker.startup(bench.deliver)
        bench.broker.subscribe("lobby")
        lives.append(await bench.settle(*[bench.broker.publish(each) for each in life]))
        page = await read(bench)
        await bench.broker.cleanup()
    assert lives[1][0] == structs.replace(lives[0][1], duplicate=True)
    assert [publication for publication, _ in bench.delivered] == sent[2:]
    places = [each.position for each in (*lives[0], *lives[1][1:])]
    assert places[0] is not None
    assert places == [Position(places[0].epoch, offset) for offset in range(1, 5)]
    assert page is not None
    assert [each.body for each in page.publications] == [each.body for each in sent]


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
    async with asyncio.timeout(20):
        await broker.cleanup()
    assert all(outcome.is_done for outcome in outcomes)
    assert len([outcome.result() for outcome in outcomes]) == len(bench.delivered) == 50


# History


async def read(
    bench: Bench, *, after: int | None = None, before: int | None = None, limit: int = 1000
) -> Page | None:
    async with asyncio.timeout(20):
        return await bench.broker.publications(
            "lobby", after=after, before=before, limit=limit, max_bytes=2**20
        )


async def test_a_room_has_a_position_and_a_history_or_neither(bench: Bench) -> None:
    state, page = await bench.broker.position("lobby"), await read(bench)
    assert (state is None) == (page is None)
    assert state in (None, RoomState("", 0, 1))
    sent = [publication(body=b'{"n":%d}' % number) for number in range(10)]
    outcomes = await bench.settle(*[bench.broker.publish(each) for each in sent])
    state, page = await bench.broker.position("lobby"), await read(bench)
    place = outcomes[-1].position
    if place is None:
        assert (state, page) == (None, None)
    else:
        assert state == RoomState(place.epoch, 10, 1)
        assert page is not None
        assert page.state == state
        assert [each.body for each in page.publications] == [each.body for each in sent]
        assert (page.first, page.more) == (1, False)


async def test_history_is_read_both_ways_in_pages(bench: Bench) -> None:
    await bench.settle(
        *[bench.broker.publish(publication(body=b'{"n":%d}' % number)) for number in range(1, 21)]
    )
    if await bench.broker.position("lobby") is None:
        return
    for start in range(22):
        forwards = await read(bench, after=start, limit=4)
        assert forwards is not None
        expected = list(range(start + 1, min(start + 4, 20) + 1))
        assert [offset for offset, _ in forwards.numbered()] == expected
        assert [each.body for each in forwards.publications] == [b'{"n":%d}' % n for n in expected]
        assert forwards.more == (start + 4 < 20)
        backwards = await read(bench, before=start + 1, limit=4)
        assert backwards is not None
        expected = list(range(max(1, min(start, 20) - 3), min(start, 20) + 1))
        assert [offset for offset, _ in backwards.numbered()] == expected
        assert backwards.more == bool(expected and expected[0] > 1)
    newest = await read(bench, limit=3)
    assert newest is not None
    assert (newest.first, newest.last, newest.more) == (18, 20, True)


async def test_what_is_not_stored_has_no_place_in_the_history(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    passing = Publication("lobby", b'{"joined":1}', STAMP, stored=False)
    outcomes = await bench.settle(
        bench.broker.publish(publication()),
        bench.broker.publish(passing),
        bench.broker.publish(publication()),
    )
    assert outcomes[1].position is None
    assert bench.bodies[1] == passing.body
    page = await read(bench)
    if page is not None:
        assert len(page.publications) == 2


async def test_what_is_erased_is_erased_for_every_reader(bench: Bench) -> None:
    sent = [publication(body=b'{"n":%d}' % number) for number in (1, 2)]
    await bench.settle(*[bench.broker.publish(each) for each in sent])
    if await bench.broker.position("lobby") is None:
        return
    edit = Publication("lobby", b'{"n":3}', STAMP, "ann", kind="edit", target=1)
    eraser = Publication("lobby", b'{"n":4}', STAMP, "ann", target=1, erases=True)
    await bench.settle(bench.broker.publish(edit))
    await read(bench)
    await bench.settle(bench.broker.publish(eraser))
    page = await read(bench)
    assert page is not None
    assert [each.body for each in page.publications] == [b"", b'{"n":2}', b"", b'{"n":4}']


async def test_a_change_that_is_refused_is_not_delivered_and_leaves_no_hole(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    await bench.settle(bench.broker.publish(publication()))
    theirs = Publication("lobby", b"{}", STAMP, "bob", target=1, guard=Guard(author="bob"))
    keeps = await bench.broker.position("lobby") is not None
    with pytest.raises(ActionError) as caught:
        await bench.broker.publish(theirs)
    assert caught.value.code == ("forbidden" if keeps else "not_found")
    (last,) = await bench.settle(bench.broker.publish(publication()))
    assert len(bench.delivered) == 2
    assert last.position in (None, Position(getattr(last.position, "epoch", ""), 2))


async def test_a_search_finds_what_is_on_disk_in_the_rooms_asked_for(bench: Bench) -> None:
    sent = [
        publication(room, b'{"text":"hello %d"}' % number)
        for number, room in enumerate(("lobby", "tea", "lobby", "lobby"))
    ]
    await bench.settle(*[bench.broker.publish(each) for each in sent])
    hits: list[object] = []
    before = None
    while True:
        async with asyncio.timeout(20):
            found = await bench.broker.search(
                ["lobby"], "hello", before=before, limit=2, max_bytes=2**20
            )
        hits += map(json.loads, found.events)
        before = found.next
        if before is None:
            break
    if bench.on_disk:
        assert hits == [{"text": f"hello {n}", "offset": at} for n, at in ((3, 3), (2, 2), (0, 1))]
    else:
        assert hits == []
    assert await bench.broker.search([], "hello", limit=2, max_bytes=2**20) == Found([])


async def test_what_is_unread_is_counted_wherever_it_is(bench: Bench) -> None:
    authors = ("ann", "bob", None, "ann", "bob")
    await bench.settle(*[bench.broker.publish(publication(user=each)) for each in authors])
    state = await bench.broker.position("lobby")
    counted = [await bench.broker.unread("lobby", "ann", after) for after in range(7)]
    if state is None:
        assert counted == [None] * 7
    else:
        assert counted == [Unread(count, 5) for count in (3, 3, 2, 1, 1, 0, 0)]


async def test_what_is_unread_and_known_at_once_agrees_with_what_was_delivered(
    bench: Bench,
) -> None:
    bench.broker.subscribe("lobby")
    for _ in range(10):
        outcomes = [bench.broker.publish(publication(user="bob")) for _ in range(5)]
        while not all(outcome.is_done for outcome in outcomes):
            unread = bench.broker.unread("lobby", "ann", 0)
            if unread.is_done and (found := unread.result()) is not None:
                assert found == Unread(len(bench.delivered), len(bench.delivered))
            await asyncio.sleep(0)


async def test_a_cursor_is_known_as_soon_as_it_is_moved(bench: Bench) -> None:
    if await bench.broker.position("lobby") is None:
        return
    one, two = Position("e", 1), Position("e", 2)
    bench.broker.move_cursor("ann", "lobby", one)
    bench.broker.move_cursor("bob", "tea", one)
    reading = bench.broker.cursors("ann")
    bench.broker.move_cursor("ann", "tea", two)
    assert await reading == {"lobby": one, "tea": two}
    bench.broker.move_cursor("ann", "lobby", None)
    assert await bench.broker.cursors("ann") == {"tea": two}
    assert await bench.broker.cursors("eve") == {}


async def test_rooms_of_two_with_a_history_are_found(bench: Bench) -> None:
    rooms = ["dm:ann:bob", "dm:ann:eve", "dm:bob:eve"]
    await bench.settle(*[bench.broker.publish(publication(room)) for room in (*rooms, "lobby")])
    found = await bench.broker.direct_rooms("ann", after="", limit=10)
    if await bench.broker.position("lobby") is None:
        assert found == []
    else:
        assert found == rooms[:2]
        assert await bench.broker.direct_rooms("eve", after="dm:ann:eve", limit=10) == rooms[2:]
        assert await bench.broker.direct_rooms("bob", after="", limit=1) == rooms[:1]


async def folded(
    bench: Bench, *, after: int | None = None, before: int | None = None, limit: int = 1000
) -> Messages | None:
    async with asyncio.timeout(20):
        return await bench.broker.messages(
            "lobby", after=after, before=before, limit=limit, max_bytes=2**20
        )


async def test_messages_are_read_as_people_read_them(bench: Bench) -> None:
    (first,) = await bench.settle(bench.broker.publish(message("a")))
    if first.position is None:
        assert await folded(bench) is None
        return
    changes = [message("b"), edit(1, "A"), reaction(2), message("c"), delete(2)]
    await bench.settle(*[bench.broker.publish(each) for each in changes])
    for bounds, offsets in (
        ({}, [1, 2, 5]),
        ({"limit": 2}, [2, 5]),
        ({"before": 5, "limit": 1}, [2]),
        ({"after": 0, "limit": 2}, [1, 2]),
        ({"after": 2}, [3, 5, 6]),
        ({"after": 6}, []),
    ):
        page = await folded(bench, **bounds)
        assert page is not None
        assert [offset for offset, _ in page.events] == offsets
        assert (page.state.epoch, page.state.top) == (first.position.epoch, 6)
    everything = await folded(bench)
    assert everything is not None
    told = [json.loads(event) for _, event in everything.events]
    assert (told[0]["text"], told[0]["edited"], told[2]["text"]) == ("A", STAMP, "c")
    assert told[1] == {"offset": 2, "deleted": True}


async def test_pins_and_who_reacted_are_read_wherever_they_are(bench: Bench) -> None:
    async def pinned(before: int | None, limit: int) -> Messages | None:
        return await bench.broker.pinned("lobby", before=before, limit=limit, max_bytes=2**20)

    (first,) = await bench.settle(bench.broker.publish(message("a")))
    if first.position is None:
        assert await pinned(None, 9) is None
        assert await bench.broker.reactions("lobby", 1) is None
        return
    changes = [message("b"), message("c"), message("d"), *[pin(offset) for offset in (1, 2, 3, 4)]]
    changes += [reaction(1, user=user) for user in ("ann", "bob")]
    changes += [edit(1, "A"), pin(2, remove=True), delete(3), *[message() for _ in range(20)]]
    await bench.settle(*[bench.broker.publish(each) for each in changes])
    page = await pinned(None, 1)
    assert page is not None
    assert ([offset for offset, _ in page.events], page.more, page.next) == ([4], True, 4)
    assert (page.state.epoch, page.state.top) == (first.position.epoch, len(changes) + 1)
    rest = await pinned(page.next, 9)
    assert rest is not None
    ((offset, event),) = rest.events
    told = json.loads(event)
    assert (offset, told["text"], told["pinned"], rest.more) == (1, "A", True, False)
    reactions = await bench.broker.reactions("lobby", 1)
    assert reactions is not None
    assert {emoji: list(senders) for emoji, senders in reactions.items()} == {"👍": ["ann", "bob"]}
    assert await bench.broker.reactions("lobby", 2) == {}
    for offset in (3, 5, 99):
        assert await bench.broker.reactions("lobby", offset) is None


async def test_a_thread_is_a_message_and_what_answers_it(bench: Bench) -> None:
    async def thread(root: int, after: int, limit: int) -> Messages | None:
        async with asyncio.timeout(20):
            return await bench.broker.thread(
                "lobby", root, after=after, limit=limit, max_bytes=2**20
            )

    said = [message("a"), message("b"), answer(1, "c"), answer(2, "d"), answer(1, "e")]
    (first, *_) = await bench.settle(*[bench.broker.publish(each) for each in said])
    if first.position is None:
        assert await thread(1, 0, 9) is None
        return
    changes = [edit(5, "E", user="bob"), answer(1, "f"), delete(3)]
    await bench.settle(*[bench.broker.publish(each) for each in changes])
    after = 0
    for expected in ([(1, "a"), (5, "E")], [(7, "f")]):
        page = await thread(1, after, 2)
        assert page is not None
        assert [(at, json.loads(event)["text"]) for at, event in page.events] == expected
        assert (page.state.epoch, page.state.top) == (first.position.epoch, 8)
        assert page.more is (after == 0)
        after = page.next


async def test_messages_known_at_once_agree_with_what_was_delivered(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    await bench.settle(bench.broker.publish(message()))
    if await bench.broker.position("lobby") is None:
        return
    for _ in range(20):
        outcomes = [bench.broker.publish(reaction(1, user=f"u{n}")) for n in range(5)]
        while not all(outcome.is_done for outcome in outcomes):
            pending = bench.broker.messages("lobby", limit=2, max_bytes=2**20)
            if pending.is_done:
                page = pending.result()
                assert page is not None
                assert page.state.top == len(bench.delivered)
            await asyncio.sleep(0)


async def test_a_position_known_at_once_agrees_with_what_was_delivered(bench: Bench) -> None:
    bench.broker.subscribe("lobby")
    for _ in range(20):
        outcomes = [bench.broker.publish(publication()) for _ in range(5)]
        while not all(outcome.is_done for outcome in outcomes):
            for pending in (
                bench.broker.position("lobby"),
                bench.broker.publications("lobby", limit=2, max_bytes=2**20).then(
                    lambda page: page.state if page else None
                ),
            ):
                if pending.is_done:
                    state = pending.result()
                    assert state is None or state.top == len(bench.delivered)
            await asyncio.sleep(0)


async def test_a_conflicting_cid_is_refused_and_the_room_goes_on(bench: Bench) -> None:
    if await bench.broker.position("lobby") is None:
        return
    bench.broker.subscribe("lobby")
    first = bench.broker.publish(Publication("lobby", b"{}", STAMP, "ann", "c1"))
    other = bench.broker.publish(Publication("lobby", b"other", STAMP, "ann", "c1"))
    last = bench.broker.publish(publication())
    assert (await bench.settle(first, last))[1].position == Position(
        getattr(first.result().position, "epoch", ""), 2
    )
    with pytest.raises(ActionError) as caught:
        other.result()
    assert caught.value.code == "conflict"
    assert len(bench.delivered) == 2


async def test_an_author_who_went_away_does_not_stop_the_room(bench: Bench) -> None:
    bench.broker.subscribe("lobby")

    async def send() -> Published:
        return await bench.broker.publish(publication())

    author = asyncio.create_task(send())
    await asyncio.sleep(0)
    author.cancel()
    await bench.settle(bench.broker.publish(publication()))
    assert len(bench.delivered) == 2


def test_every_broker_that_is_installed_with_the_server_is_tested_here(tmp_path: Path) -> None:
    ours = [
        point.load()
        for point in entry_points(group="chatserver.brokers")
        if point.value.startswith("chatserver.")
    ]
    assert set(ours) <= {type(make(tmp_path)) for make in BROKERS.values()}
