"""What every store promises; each implementation runs the same tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from msgspec import convert
from msgspec.structs import replace

from chatserver.errors import ActionError
from chatserver.guard import Guard
from chatserver.pairs import direct_room
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import (
    MOST_UNREAD,
    UNREAD_WITHIN,
    Keeping,
    Publication,
    Published,
    RoomState,
    Unread,
)
from chatserver.store import Settlement, Store, Stored
from chatserver.store.memory import MemoryStore
from chatserver.store.sqlite import SqliteStore
from tests.core.stores import (
    FAR,
    LATER,
    STAMP,
    add,
    append,
    bodies,
    delete,
    edit,
    found,
    message,
    publication,
)

STORES: dict[type[Store], Callable[[Path], Store]] = {
    MemoryStore: lambda folder: MemoryStore(),
    SqliteStore: lambda folder: SqliteStore(folder / "chat.db"),
}


def rules(room: str) -> Keeping:
    return Keeping(length={"short": 100, "long": 20_000}.get(room))


@pytest.fixture(params=STORES, ids=lambda kind: kind.__name__)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    kind: type[Store] = request.param
    store = STORES[kind](tmp_path)
    await store.startup(rules)
    yield store
    await store.cleanup()


def numbered(count: int, room: str = "lobby") -> list[Publication]:
    return [publication(room, b'{"n":%d}' % number) for number in range(1, count + 1)]


async def test_offsets_are_contiguous_and_in_the_order_of_the_calls(store: Store) -> None:
    stored = await add(store, *numbered(500))
    assert [each.position.offset for each in stored] == list(range(1, 501))
    assert len({each.position.epoch for each in stored}) == 1
    assert await bodies(store) == [b'{"n":%d}' % number for number in range(1, 501)]


async def test_outcomes_come_in_the_order_of_the_calls(store: Store) -> None:
    seen: list[int] = []
    done = asyncio.Event()

    def settle(number: int) -> None:
        seen.append(number)
        if len(seen) == 300:
            done.set()

    for number in range(300):
        pending = store.append(publication(f"room{number % 7}"))
        pending.when_done(partial(settle, number))
    async with asyncio.timeout(10):
        await done.wait()
    assert seen == list(range(300))


async def test_what_became_of_a_room_s_publications_is_told_before_those_who_wait_hear(
    tmp_path: Path,
) -> None:
    for make in STORES.values():
        events: list[tuple[str, str, int]] = []

        def settle(
            room: str,
            publications: Sequence[Publication],
            outcomes: Sequence[Settlement],
            events: list[tuple[str, str, int]] = events,
        ) -> None:
            for each, outcome in zip(publications, outcomes, strict=True):
                assert isinstance(outcome, Stored)
                assert outcome.room == each.room == room
                events.append(("told", room, outcome.position.offset))

        store = make(tmp_path)
        await store.startup(rules, settle=settle)

        def hear(waiting: Pending[Published], events: list[tuple[str, str, int]] = events) -> None:
            stored = waiting.result()
            assert stored.position is not None
            events.append(("heard", stored.room, stored.position.offset))

        for each in (*numbered(2, "a"), *numbered(2, "b")):
            waiting = store.append(each)
            waiting.when_done(partial(hear, waiting))
        await waiting
        for room in "a", "b":
            for offset in 1, 2:
                told = events.index(("told", room, offset))
                assert told < events.index(("heard", room, offset))
        assert len(events) == 8
        await store.cleanup()


async def test_rooms_have_their_own_numbers_and_epochs(store: Store) -> None:
    stored = await add(store, *numbered(2, "a"), *numbered(2, "b"), *numbered(1, "A"))
    assert [each.position.offset for each in stored] == [1, 2, 1, 2, 1]
    assert len({each.position.epoch for each in stored}) == 3


async def test_what_was_stored_is_read_whole(store: Store) -> None:
    alone = publication("räum", user=None)
    sent = Publication(
        "räum", '{"text":"grüße"}'.encode(), STAMP, "ann", "c1", kind="edit", target=1
    )
    await add(store, alone, sent)
    page = await store.read("räum", 0, FAR, FAR)
    assert page.publications == [alone, sent]
    assert dict(page.numbered()) == {1: alone, 2: sent}


async def test_the_same_cid_is_one_publication(store: Store) -> None:
    first = publication(cid="c1")
    retry = publication(cid="c1", timestamp="2026-11-22T10:50:00.000Z")
    stored, in_batch = await add(store, first, retry)
    (later,) = await add(store, retry)
    assert stored.duplicate is False
    assert in_batch == later == replace(stored, duplicate=True)
    (next_one,) = await add(store, publication(cid="c2"))
    assert next_one.position == Position(stored.position.epoch, 2)


async def test_the_same_cid_for_something_else_is_a_conflict(store: Store) -> None:
    first = append(store, publication(cid="c1"))
    others = [append(store, publication(body=b"other", cid="c1"))]
    await first
    others.append(append(store, publication(body=b"other", cid="c1")))
    for other in others:
        with pytest.raises(ActionError) as caught:
            await other
        assert caught.value.code == "conflict"
    assert len(await bodies(store)) == 1


async def test_a_cid_belongs_to_its_user_and_room(store: Store) -> None:
    stored = await add(
        store,
        publication(cid="c1"),
        publication(cid="c1", user="bob"),
        publication(cid="c1", user=None),
        publication("tea", cid="c1"),
    )
    assert not any(each.duplicate for each in stored)
    (again,) = await add(store, publication(cid="c1", user=None))
    assert again.duplicate


async def test_reading_forwards_goes_on_where_the_page_ended(store: Store) -> None:
    await add(store, *numbered(25))
    after, seen = 0, []
    while True:
        page = await store.read("lobby", after, 10, FAR)
        assert page.first == after + 1
        seen += page.publications
        after = page.last
        if not page.more:
            break
    assert seen == numbered(25)
    end = await store.read("lobby", 25, 10, FAR)
    assert (end.publications, end.more, end.first) == ([], False, 26)


async def test_reading_backwards_goes_on_where_the_page_began(store: Store) -> None:
    await add(store, *numbered(25))
    before: int | None = None
    seen: list[Publication] = []
    while True:
        page = await store.read_before("lobby", before, 10, FAR)
        seen = page.publications + seen
        before = page.first
        if not page.more:
            break
    assert seen == numbered(25)
    assert before == 1
    newest = await store.read_before("lobby", None, 3, FAR)
    assert (newest.first, newest.last) == (23, 25)


async def test_a_page_ends_before_it_becomes_too_large_but_holds_one(store: Store) -> None:
    await add(store, *[publication(body=b"x" * 1000) for _ in range(10)])
    forwards = await store.read("lobby", 0, FAR, 3500)
    assert (forwards.first, forwards.last, forwards.more) == (1, 3, True)
    backwards = await store.read_before("lobby", None, FAR, 3500)
    assert (backwards.first, backwards.last, backwards.more) == (8, 10, True)
    single = await store.read("lobby", 4, FAR, 10)
    assert (single.first, single.last, single.more) == (5, 5, True)


async def test_a_room_nobody_wrote_to_is_empty(store: Store) -> None:
    assert await store.state("nowhere") == RoomState("", 0, 1)
    for page in (
        await store.read("nowhere", 0, 10, FAR),
        await store.read("nowhere", 5, 10, FAR),
        await store.read_before("nowhere", None, 10, FAR),
        await store.read_before("nowhere", 3, 10, FAR),
    ):
        assert (page.state, page.publications, page.more) == (RoomState(), [], False)


async def test_a_room_keeps_its_length_and_not_much_more(store: Store) -> None:
    for part in range(20):
        stored = await add(store, *numbered(23, "short"))
        top = 23 * (part + 1)
        assert stored[-1].position.offset == top
        state = await store.state("short")
        assert state.top == top
        kept = top - state.oldest + 1
        assert min(top, 100) <= kept <= 100 + 39
        page = await store.read("short", 0, FAR, FAR)
        assert (page.first, page.last) == (state.oldest, top)


async def test_what_is_trimmed_is_told_once_it_can_no_longer_be_read(tmp_path: Path) -> None:
    for make in STORES.values():
        told: list[int] = []
        store = make(tmp_path)
        await store.startup(rules, lambda room, oldest: told.append(oldest))  # noqa: B023
        for _ in range(4):
            await add(store, *numbered(50, "short"), *numbered(50))
        await add(store, publication())
        assert told == sorted(set(told))
        assert told[-1] == (await store.state("short")).oldest > 1
        await store.cleanup()


async def test_a_cid_outlives_the_length_of_its_room(store: Store) -> None:
    (first,) = await add(store, publication("short", cid="c1"))
    await add(store, *numbered(400, "short"))
    assert (await store.state("short")).oldest > 1
    (again,) = await add(store, publication("short", cid="c1"))
    assert again == replace(first, duplicate=True)
    with pytest.raises(ActionError, match="cid"):
        await add(store, publication("short", b"other", cid="c1"))
    page = await store.read("short", 0, 1, FAR)
    assert page.first == (await store.state("short")).oldest


def change(
    body: bytes, target: int, *, erases: bool = False, cid: str | None = None, **guard: object
) -> Publication:
    return Publication(
        *("lobby", body, LATER, "ann", cid),
        kind="edit",
        target=target,
        erases=erases,
        guard=convert(guard, Guard),
    )


async def refused(store: Store, sent: Publication) -> str:
    """Append what is to be refused; return the code."""
    with pytest.raises(ActionError) as caught:
        await add(store, sent)
    return caught.value.code


async def test_erasing_empties_a_publication_and_what_changed_it(store: Store) -> None:
    await add(store, publication(body=b"first", cid="c1"), publication(body=b"second"))
    await add(store, change(b"edit of first", 1), change(b"edit of second", 2))
    await add(store, publication(body=b"last"), change(b"delete", 1, erases=True))
    assert await bodies(store) == [b"", b"second", b"", b"edit of second", b"last", b"delete"]
    (again,) = await add(store, publication(body=b"first", cid="c1"))
    assert (again.duplicate, again.position.offset) == (True, 1)
    assert (await bodies(store))[0] == b""


async def test_a_change_may_follow_its_message_within_one_batch(store: Store) -> None:
    outcomes = [
        append(store, each)
        for each in (
            publication(body=b"first"),
            change(b"edit", 1),
            publication(body=b"second"),
            change(b"edit of second", 3),
            change(b"delete", 1, erases=True),
            change(b"late", 1),
            change(b"ahead", 6),
            publication(body=b"last"),
        )
    ]
    results = await asyncio.gather(*outcomes, return_exceptions=True)
    codes = [each.code if isinstance(each, ActionError) else "" for each in results]
    assert codes == [""] * 5 + ["not_found", "not_found", ""]
    assert await bodies(store) == [b"", b"", b"second", b"edit of second", b"delete", b"last"]


async def test_only_messages_that_are_kept_can_be_changed(store: Store) -> None:
    await add(store, publication("tea"), publication(), change(b"edit", 1))
    for target in (0, 2, 3, 99, 2**62):
        assert await refused(store, change(b"more", target)) == "not_found"
    assert await refused(store, change(b"more", 1, kind="notice")) == "not_found"
    await add(store, change(b"delete", 1, kind="message", erases=True))
    assert await refused(store, change(b"more", 1)) == "not_found"
    assert await refused(store, change(b"delete", 1, erases=True)) == "not_found"
    assert await bodies(store, "tea") == [b"{}"]


async def test_a_message_that_was_trimmed_cannot_be_changed(store: Store) -> None:
    await add(store, publication("short", cid="c1"), *numbered(200, "short"))
    sent = Publication("short", b"edit", LATER, "ann", target=1)
    assert await refused(store, sent) == "not_found"


async def test_a_refused_change_makes_no_room(store: Store) -> None:
    sent = Publication("nowhere", b"edit", LATER, "ann", target=1)
    assert await refused(store, sent) == "not_found"
    assert await store.state("nowhere") == RoomState("", 0, 1)


async def test_a_message_can_be_changed_by_its_author_for_a_while(store: Store) -> None:
    await add(store, publication(user="ann"), publication(user="bob"), publication(user=None))
    for target in (2, 3):
        assert await refused(store, change(b"edit", target, author="ann")) == "forbidden"
    assert await refused(store, change(b"edit", 1, author="ann", within=59)) == "forbidden"
    await add(store, change(b"edit", 1, author="ann", within=61), change(b"react", 2))


async def test_a_message_takes_so_many_changes_and_can_still_be_deleted(store: Store) -> None:
    await add(store, publication(), publication())
    await add(store, change(b"1", 1, most=3), change(b"2", 1, most=3), change(b"other", 2))
    outcomes = [append(store, change(b"more", 1, most=3)) for _ in range(3)]
    results = await asyncio.gather(*outcomes, return_exceptions=True)
    assert [isinstance(each, Stored) for each in results] == [True, False, False]
    assert await refused(store, change(b"more", 1, most=3)) == "forbidden"
    await add(store, change(b"delete", 1, erases=True))


async def test_a_change_that_is_sent_again_is_the_same_whatever_has_become_of_its_message(
    store: Store,
) -> None:
    delete = change(b"delete", 1, erases=True, cid="c1", author="ann")
    _, edit, first = await add(store, publication(), change(b"edit", 1, cid="c2"), delete)
    (again,) = await add(store, delete)
    assert again == replace(first, duplicate=True)
    (again,) = await add(store, change(b"edit", 1, cid="c2"))
    assert again == replace(edit, duplicate=True)


async def test_a_refusal_leaves_no_hole_and_its_cid_free(store: Store) -> None:
    await add(store, publication())
    assert await refused(store, change(b"edit", 5, cid="c1")) == "not_found"
    (stored,) = await add(store, change(b"edit", 1, cid="c1"))
    assert (stored.position.offset, stored.duplicate) == (2, False)


async def test_a_search_finds_what_is_kept_for_good_in_the_rooms_asked_for(store: Store) -> None:
    """What is kept in memory is not searched; the answer is the same as for an unknown word."""
    await add(store, message("Hello, tea", "tea"), message("hello lobby"), message("bye"))
    await add(store, message("hello again"), edit("hello, edited", 2), delete(1))
    searches = isinstance(store, SqliteStore)
    kept = ["hello again", "hello, edited"] if searches else []
    assert await found(store, "hello") == kept
    assert await found(store, "hello", limit=1) == kept[:1]
    assert await found(store, "hel", "tea") == (["Hello, tea"] if searches else [])
    assert await found(store, "hello", "nowhere") == await found(store, '"', "tea") == []


async def test_messages_of_others_are_unread(store: Store) -> None:
    await add(
        store,
        publication(body=b"1", user="ann"),
        publication(body=b"2", user="bob"),
        publication(body=b"3", user=None),
        change(b"edit", 2),
        publication(body=b"5", user="eve"),
        publication("tea", b"1", user="eve"),
    )
    counted = {user: await store.unread("lobby", user, 0) for user in ("ann", "bob", "new")}
    assert counted == {"ann": Unread(3, 5), "bob": Unread(3, 5), "new": Unread(4, 5)}
    behind = [(await store.unread("lobby", "ann", after)).count for after in range(7)]
    assert behind == [3, 3, 2, 1, 1, 0, 0]
    await add(store, change(b"delete", 5, erases=True))
    assert await store.unread("lobby", "ann", 0) == Unread(2, 6)
    assert await store.unread("nowhere", "ann", 0) == Unread(0, 0)


async def test_counting_what_is_unread_ends(store: Store) -> None:
    await add(store, *(publication("long", user="ann") for _ in range(MOST_UNREAD + 10)))
    assert await store.unread("long", "bob", 0) == Unread(MOST_UNREAD, MOST_UNREAD + 10)
    assert (await store.unread("long", "bob", 11)).count == MOST_UNREAD - 1
    await add(store, *(publication("long", user="bob") for _ in range(UNREAD_WITHIN - 20)))
    assert (await store.unread("long", "bob", 0)).count == 20, "among the newest"


async def test_what_is_no_longer_kept_is_not_unread(store: Store) -> None:
    await add(store, *(publication("short", user="ann", cid=str(each)) for each in range(300)))
    state = await store.state("short")
    assert (await store.unread("short", "bob", 0)).count == 300 - state.oldest + 1


async def test_a_user_s_rooms_of_two_are_found_on_either_side(store: Store) -> None:
    users = ["bob", "a", "guest:1f", "bob's", "bo", "bob:x", "z", "dm:", "é"]
    rooms = sorted(direct_room("bob", other) for other in users[1:])
    others = ["lobby", "bob", "dm", "dn:bob:z", direct_room("a", "z"), direct_room("bob:x", "bo")]
    await add(store, *(publication(room) for room in (*rooms, *others)))
    assert await store.direct_rooms("bob", "", FAR) == rooms
    assert await store.direct_rooms("nobody", "", FAR) == []
    assert await store.direct_rooms("bob:x", "", FAR) == sorted(
        [direct_room("bob:x", "bob"), direct_room("bob:x", "bo")]
    )
    seen: list[str] = []
    while page := await store.direct_rooms("bob", seen[-1] if seen else "", 3):
        assert len(page) <= 3
        seen += page
    assert seen == rooms


async def test_cursors_are_as_they_were_moved_last(store: Store) -> None:
    one, two = Position("e", 1), Position("f", 2)
    await store.move_cursors({"ann": {"lobby": one, "tea": one}, "bob": {"lobby": two}})
    assert (await store.cursors(["ann"]))["ann"] == {"lobby": one, "tea": one}
    await store.move_cursors({"ann": {"lobby": two, "tea": None, "nowhere": None}})
    assert (await store.cursors(["ann"]))["ann"] == {"lobby": two}
    assert (await store.cursors(["bob"]))["bob"] == {"lobby": two}
    assert (await store.cursors(["eve"]))["eve"] == {}


async def test_ending_settles_cursors_on_their_way(tmp_path: Path) -> None:
    for make in STORES.values():
        store = make(tmp_path)
        await store.startup(rules)
        moving = [
            asyncio.create_task(store.move_cursors({"ann": {str(n): Position("e", n)}}))
            for n in range(10)
        ]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await store.cleanup()
            await asyncio.gather(*moving)


async def test_ending_settles_what_is_queued(tmp_path: Path) -> None:
    for make in STORES.values():
        store = make(tmp_path)
        await store.startup(rules)
        outcomes = [append(store, each) for each in numbered(50)]
        async with asyncio.timeout(10):
            await store.cleanup()
        assert [(await each).position.offset for each in outcomes] == list(range(1, 51))


async def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    for make in STORES.values():
        store = make(tmp_path)
        await store.startup(rules)
        await store.cleanup()
        with pytest.raises(ActionError) as caught:
            store.append(publication())
        assert caught.value.code == "unavailable"
