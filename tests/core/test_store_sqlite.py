"""What the SQLite store keeps over restarts, and what it forgets in time."""

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from chatserver.config import StoreConfig
from chatserver.errors import ActionError, StoreError
from chatserver.positions import Position
from chatserver.publications import Durability, Keeping, Publication, Rules, keep_all
from chatserver.store import CONFLICT, CURSOR_LIFE, MOST_CURSORS, Settlement, Stored
from chatserver.store.appending import WARY
from chatserver.store.cursors import move_cursors, sweep_cursors
from chatserver.store.reader import Reader
from chatserver.store.retention import AT_ONCE
from chatserver.store.rows import SIZES, cut
from chatserver.store.schema import open_file
from chatserver.store.sqlite import SqliteStore
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer
from tests.core.histories import answer, delete, edit, message, pin, reaction
from tests.core.stores import FAR, STAMP, add, append, bodies, opened, publication

NOW = 1_800_000_000.0
HOUR = 3600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


def relaxed(room: str) -> Keeping:
    return Keeping(Durability.RELAXED)


def crashed(path: Path, folder: str) -> Path:
    """Return a copy of the files as they are, as if the process had ended here."""
    target = path.parent / folder
    target.mkdir()
    for each in path.parent.glob("chat.db*"):
        shutil.copy(each, target / each.name)
    return target / "chat.db"


async def test_a_restart_goes_on_where_it_ended(path: Path) -> None:
    async with opened(path) as store:
        first = await add(store, publication(cid="a"), publication("tea"))
    async with opened(path) as store:
        again, second = await add(store, publication(cid="a"), publication())
        assert again == replace(first[0], duplicate=True)
        assert second.position == Position(first[0].position.epoch, 2)
        assert (await store.state("tea")).epoch == first[1].position.epoch


async def test_what_is_queued_together_is_synced_together(path: Path) -> None:
    async with opened(path) as store:
        stored = await add(store, *[publication(f"room{number % 7}") for number in range(1000)])
        assert len(stored) == 1000
        assert sum(store.stats.commits.counts) == 1
        for _ in range(3):
            await add(store, publication())
        assert sum(store.stats.commits.counts) == 4


async def test_an_unclean_stop_keeps_the_epoch_of_what_was_synced(path: Path) -> None:
    async with opened(path) as store:
        (stored,) = await add(store, publication())
        copy = crashed(path, "crashed")
    async with opened(copy) as store:
        assert (await store.state("lobby")).epoch == stored.position.epoch
        assert len(await bodies(store)) == 1


async def test_an_unclean_stop_ends_the_epoch_of_relaxed_rooms_once(path: Path) -> None:
    def mixed(room: str) -> Keeping:
        return relaxed(room) if room == "relaxed" else Keeping()

    async with opened(path, mixed) as store:
        loose, safe = await add(store, publication("relaxed"), publication("safe"))
        copy = crashed(path, "crashed")
    async with opened(copy, mixed) as store:
        assert (await store.state("safe")).epoch == safe.position.epoch
        changed = await store.state("relaxed")
        assert changed.epoch != loose.position.epoch
        (later,) = await add(store, publication("relaxed"))
        assert later.position == Position(changed.epoch, 2)
    async with opened(copy, mixed) as store:
        assert (await store.state("relaxed")).epoch == changed.epoch
        untouched = crashed(copy, "untouched")
    async with opened(untouched, mixed) as store:
        assert (await store.state("relaxed")).epoch == changed.epoch


async def test_a_clean_stop_keeps_the_epoch_of_relaxed_rooms(path: Path) -> None:
    async with opened(path, relaxed) as store:
        (stored,) = await add(store, publication())
    async with opened(path, relaxed) as store:
        assert (await store.state("lobby")).epoch == stored.position.epoch


def synchronous(connection: sqlite3.Connection) -> int:
    level: int = connection.execute("PRAGMA synchronous").fetchone()[0]
    return level


def test_relaxed_rooms_do_not_wait_for_the_disk_once_the_file_knows_them(path: Path) -> None:
    def rules(room: str) -> Keeping:
        return relaxed(room) if room == "fast" else Keeping()

    connection = open_file(path, 1)
    writer = Writer(connection, rules, Wiper(path))
    levels = []
    for rooms in (["fast"], ["fast"], ["fast", "safe"], ["fast", "fast"], ["safe"]):
        writer.write([publication(room) for room in rooms])
        levels.append(synchronous(connection))
    connection.close()
    normal, full = 1, 2
    assert levels == [full, normal, full, normal, full]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 31, 128, 129, 300, 1001])
def test_rows_are_cut_into_statements_without_loss(count: int) -> None:
    values = list(range(3 * count))
    parts = [list(part) for part in cut(values, 3)]
    assert [value for part in parts for value in part] == values
    assert all(len(part) in [3 * size for size in SIZES] for part in parts)


# Forgetting


async def test_what_follows_each_other_in_a_room_is_handed_on_at_once(path: Path) -> None:
    told: list[list[int]] = []

    def settle(
        room: str, publications: Sequence[Publication], outcomes: Sequence[Settlement]
    ) -> None:
        told.append([int(each.body) for each in publications])

    store = SqliteStore(path)
    await store.startup(keep_all, settle=settle)
    rooms = ["tea", "tea", "tea", "lobby", "tea"]
    await add(store, *[publication(room, b"%d" % place) for place, room in enumerate(rooms)])
    assert told == [[0, 1, 2], [3], [4]]
    await store.cleanup()


def test_only_what_may_be_tried_again_has_a_checksum(path: Path) -> None:
    connection = open_file(path, 1)
    Writer(connection, keep_all, Wiper(path)).write([publication(cid="c1"), publication()])
    found = connection.execute("SELECT checksum IS NULL FROM publication ORDER BY offset")
    assert found.fetchall() == [(0,), (1,)]
    connection.close()


def test_the_log_does_not_grow_without_end(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    for _ in range(20):
        writer.write([publication(body=b"x" * 65_000)] * 100)
    assert path.with_name(f"{path.name}-wal").stat().st_size < 80_000_000 < path.stat().st_size
    connection.close()


def test_a_retry_among_new_ones_keeps_their_order_and_leaves_no_hole(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    (first,) = writer.write([publication(cid="old")])
    assert isinstance(first, Stored)
    again, *others, conflict, new_room = writer.write(
        [
            publication(cid="old", timestamp="2026-11-22T10:50:00.000Z"),
            publication(cid="new"),
            publication(),
            publication(cid="old", body=b"other"),
            publication("tea", cid="old"),
        ]
    )
    assert again == replace(first, duplicate=True)
    assert [each.position.offset for each in others if isinstance(each, Stored)] == [2, 3]
    assert conflict is CONFLICT
    assert isinstance(new_room, Stored)
    assert new_room.position.offset == 1
    found = connection.execute("SELECT epoch FROM room WHERE name = 'tea'").fetchall()
    assert found == [(new_room.position.epoch,)], "it was created twice"
    connection.close()


def test_a_message_is_retried_beside_a_change(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    sent = [publication(cid="said"), replace(edit(1), cid="edited")]
    writer.write(sent)
    again = writer.write([*sent, publication(cid="new")])
    stored = [each for each in again if isinstance(each, Stored)]
    places = [(each.position.offset, each.duplicate) for each in stored]
    assert places == [(1, True), (2, True), (3, False)]
    connection.close()


@pytest.mark.parametrize(("every", "twice"), [(1, 1), (WARY, 1), (WARY + 1, 4)])
def test_duplicates_at_any_pace_make_few_batches_be_written_twice(
    path: Path, every: int, twice: int
) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    writer.write([publication(cid="old")])
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    batches = 4 * (WARY + 1)
    for number in range(batches):
        cids = [f"new {number}", "old"] if number % every == 0 else [f"new {number}"]
        outcomes = writer.write([publication(cid=cid) for cid in cids])
        stored = [each for each in outcomes if isinstance(each, Stored)]
        assert [each.duplicate for each in stored] == [False, True][: len(cids)]
        assert stored[0].position.offset == number + 2
    assert statements.count("BEGIN IMMEDIATE") == batches + twice
    connection.close()


def at(hours: float) -> str:
    """Return the timestamp of so many hours before NOW."""

    moment = datetime.fromtimestamp(NOW - hours * HOUR, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def swept(path: Path, rules: Rules, now: float = NOW) -> None:
    """Sweep a file that nobody has open until there is nothing left to remove."""
    connection = open_file(path, 1)
    writer = Writer(connection, rules, Wiper(path))
    while writer.sweep(now):
        pass
    connection.execute("DELETE FROM running")
    connection.close()


async def fill(path: Path, rules: Rules, ages: list[float], room: str = "lobby") -> str:
    async with opened(path, rules) as store:
        stored = await add(
            store,
            *[
                publication(room, b"%d" % number, timestamp=at(age), cid=f"c{number}")
                for number, age in enumerate(ages, 1)
            ],
        )
    return stored[0].position.epoch


async def test_what_is_too_old_goes_and_its_offsets_are_not_given_again(path: Path) -> None:
    def rules(room: str) -> Keeping:
        return Keeping(age=10 * HOUR)

    epoch = await fill(path, rules, [40, 30, 20, 9, 1])
    await swept(path, rules)
    async with opened(path, rules) as store:
        page = await store.read("lobby", 0, FAR, FAR)
        assert (page.first, [each.body for each in page.publications]) == (4, [b"4", b"5"])
        assert page.state.oldest == 4
    await swept(path, rules, NOW + 100 * HOUR)
    async with opened(path, rules) as store:
        state = await store.state("lobby")
        assert (state.epoch, state.top, state.oldest) == (epoch, 5, 6)
        (stored,) = await add(store, publication())
        assert stored.position == Position(epoch, 6)


async def test_a_cid_is_remembered_for_a_day_at_least_and_then_forgotten(path: Path) -> None:
    def rules(room: str) -> Keeping:
        return Keeping(age=1 * HOUR)

    await fill(path, rules, [25, 23, 2])
    await swept(path, rules)
    async with opened(path, rules) as store:
        assert await bodies(store) == []
        young, old = await add(store, publication(body=b"2", cid="c2"), publication(cid="c1"))
        assert (young.duplicate, young.position.offset) == (True, 2)
        assert (old.duplicate, old.position.offset) == (False, 4)
        with pytest.raises(ActionError, match="cid"):
            await add(store, publication(body=b"other", cid="c3"))


async def test_a_cid_is_remembered_as_long_as_its_message(path: Path) -> None:
    await fill(path, keep_all, [10_000, 5000])
    await swept(path, keep_all)
    async with opened(path) as store:
        (again,) = await add(store, publication(body=b"1", cid="c1"))
        assert (again.duplicate, again.position.offset) == (True, 1)


async def test_rooms_that_are_kept_are_left_alone(path: Path) -> None:
    def rules(room: str) -> Keeping:
        return Keeping() if room == "kept" else Keeping(length=3, age=HOUR)

    rooms = ["kept", *[f"room{number}" for number in range(250)]]
    async with opened(path, rules) as store:
        await add(
            store, *[publication(each, timestamp=at(2), cid=cid) for cid in "ab" for each in rooms]
        )
    await swept(path, rules)
    async with opened(path, rules) as store:
        assert (await store.state("kept")).oldest == 1
        for room in ("room0", "room199", "room200", "room249"):
            assert (await store.state(room)).oldest == 3


async def test_of_a_thread_is_left_what_the_room_keeps(path: Path) -> None:
    def rules(room: str) -> Keeping:
        return Keeping(length=2)

    async with opened(path) as store:
        await add(store, message("root"), *[answer(1) for _ in range(3)])
    await swept(path, rules)
    async with opened(path, rules) as store:
        page = await store.thread("lobby", 1, 0, 9, FAR)
        assert [offset for offset, _ in page.events] == [3, 4]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM reply").fetchone() == (2,)
    connection.close()


async def test_what_is_no_longer_kept_is_not_pinned(path: Path) -> None:
    def rules(room: str) -> Keeping:
        return Keeping(length=3)

    async with opened(path) as store:
        await add(store, message("a"), message("b"), pin(1), pin(2))
    await swept(path, rules)
    async with opened(path, rules) as store:
        page = await store.pinned("lobby", None, 9, FAR)
        assert ([offset for offset, _ in page.events], page.more) == ([2], False)
        assert await store.reactions("lobby", 1) is None


async def test_a_room_of_which_nothing_is_left_is_removed_at_the_next_start(path: Path) -> None:
    def rules(room: str) -> Keeping:
        return Keeping(age=HOUR)

    epoch = await fill(path, rules, [2, 3], "tea")
    await fill(path, rules, [2], "newest")
    await swept(path, rules)
    async with opened(path, rules) as store:
        (again,) = await add(store, publication("tea", b"2", cid="c2"))
        assert again.duplicate, "its cids are still known"
    await swept(path, rules, NOW + 30 * HOUR)
    bounds = StoreConfig(max_rooms=2)
    store = SqliteStore(path, bounds)
    await store.startup(rules)
    assert (await store.state("tea")).epoch == ""
    assert (await store.state("newest")).top == 1
    await add(store, publication("other"))
    with pytest.raises(ActionError, match="as many rooms"):
        await add(store, publication("tea"))
    await store.cleanup()
    async with opened(path, rules) as store:
        (later,) = await add(store, publication("tea", cid="c2"))
        assert not later.duplicate
        assert later.position.offset == 1
        assert later.position.epoch != epoch


async def test_a_shorter_length_is_applied_by_sweeping(path: Path) -> None:
    await fill(path, keep_all, [1.0] * 5000)

    def rules(room: str) -> Keeping:
        return Keeping(length=10)

    await swept(path, rules)
    async with opened(path, rules) as store:
        state = await store.state("lobby")
        assert (state.oldest, state.top) == (4991, 5000)


@pytest.mark.parametrize("each", [1, 100])
def test_a_shorter_length_holds_up_no_batch_for_long(path: Path, each: int) -> None:
    """What a batch leaves goes with the next ones or is swept; busy rooms do not grow."""
    rooms = [f"room{number}" for number in range(40)]
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    writer.write([publication(room) for room in rooms for _ in range(200)])
    writer = Writer(connection, lambda room: Keeping(length=10), Wiper(path))
    for kept in (8000 - AT_ONCE, 8000 - 2 * AT_ONCE):
        writer.write([publication(room) for room in rooms for _ in range(each)])
        assert _count(connection) == kept
    while writer.sweep(NOW):
        assert _count(connection) >= kept - AT_ONCE
        kept = _count(connection)
    assert kept == 400
    connection.close()


def _count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM publication").fetchone()
    return int(count)


async def test_what_is_removed_is_not_left_in_the_file(path: Path) -> None:
    def rules(room: str) -> Keeping:
        return Keeping(age=HOUR)

    async with opened(path, rules) as store:
        secret = Publication("lobby", b"the secret word is xyzzy" * 20, at(30), "ann", "c")
        await add(store, secret, publication(timestamp=at(0)))
    assert b"xyzzy" in path.read_bytes()
    await swept(path, rules)
    assert b"xyzzy" not in path.read_bytes()


def test_trimming_after_a_sweep_never_brings_anything_back(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, lambda room: Keeping(length=20, age=HOUR), Wiper(path))
    writer.write([publication(timestamp=at(2)) for _ in range(30)])
    while writer.sweep(NOW):
        pass
    writer.write([publication(timestamp=at(0)) for _ in range(10)])
    floor, kept = connection.execute(
        "SELECT floor, (SELECT count(*) FROM publication WHERE kind IS NOT NULL) FROM room"
    ).fetchone()
    connection.close()
    assert (floor, kept) == (31, 10)


async def test_what_is_erased_is_in_no_file_soon_after(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    writer.write([publication(body=b"the secret word is xyzzy" * 100), publication()])
    writer.write([Publication("lobby", b"{}", STAMP, "ann", target=1, erases=True)])
    while writer.sweep(NOW):
        pass
    for file in path.parent.iterdir():
        assert b"xyzzy" not in file.read_bytes(), file.name
    connection.close()


async def test_a_cursor_that_is_not_moved_for_long_is_forgotten(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    place = Position("e", 1)
    writer.move_cursors({"ann": {"old": place, "again": place}, "bob": {"old": place}}, NOW)
    writer.move_cursors({"ann": {"again": place, "new": place}}, NOW + 1)
    connection.execute("DELETE FROM running")
    connection.close()
    await swept(path, keep_all, NOW + CURSOR_LIFE)
    async with opened(path) as store:
        assert set((await store.cursors(["ann"]))["ann"]) == {"old", "again", "new"}
    await swept(path, keep_all, NOW + CURSOR_LIFE + 0.5)
    async with opened(path) as store:
        assert set((await store.cursors(["ann"]))["ann"]) == {"again", "new"}
        assert (await store.cursors(["bob"]))["bob"] == {}


async def test_of_too_many_cursors_those_moved_last_count(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    rooms = [str(number) for number in range(MOST_CURSORS + 3)]
    for number, room in enumerate(rooms):
        writer.move_cursors({"ann": {room: Position("e", 1)}}, NOW + number)
    connection.execute("DELETE FROM running")
    connection.close()
    async with opened(path) as store:
        assert list((await store.cursors(["ann"]))["ann"]) == rooms[3:]


@pytest.mark.parametrize("size", [1, 300, 5000])
async def test_a_deleted_message_and_all_its_changes_are_in_no_file(path: Path, size: int) -> None:
    """Among others that stay, and with a reader that has seen them."""
    connection = open_file(path, 1)
    writer, reader = Writer(connection, keep_all, Wiper(path)), Reader(path, 1)
    for number in range(50):
        writer.write([message("kept"), message("plugh" * size)])
        secret = 2 + 6 * number
        writer.write([edit(secret, f"xyzzy{number}" * size), reaction(secret, "frotz")])
        writer.write([edit(1 + 6 * number, "changed")])
        page = await reader.messages("lobby", 6 * number, None, 10, FAR)
        assert b"xyzzy" in bytes(page.encoded)
        writer.write([delete(secret)])
    while writer.sweep(NOW):
        pass
    files = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    for word in (b"xyzzy", b"plugh", b"frotz"):
        assert [name for name, content in files.items() if word in content] == []
    assert any(b"changed" in content for content in files.values())
    await reader.close()
    connection.close()


async def test_of_too_many_cursors_of_all_users_those_moved_last_stay(path: Path) -> None:
    connection = open_file(path, 1)
    moves = {f"user{number}": {"tea": Position("e", 1)} for number in range(8)}
    for at, user in enumerate(moves):
        move_cursors(connection, {user: moves[user]}, NOW + at)
    assert sweep_cursors(connection, NOW, 3, kept=4) == 3
    assert sweep_cursors(connection, NOW, 3, kept=4) == 1
    assert sweep_cursors(connection, NOW, 3, kept=4) == 0
    left = connection.execute("SELECT user FROM cursor ORDER BY user").fetchall()
    assert [user for (user,) in left] == ["user4", "user5", "user6", "user7"]
    connection.close()


async def test_a_cleanup_that_is_cancelled_loses_nothing_and_can_be_waited_for(path: Path) -> None:
    store = SqliteStore(path)
    await store.startup(keep_all)
    waiting = [append(store, message("word " * 1000)) for _ in range(3000)]
    async with asyncio.timeout(20):
        closing = asyncio.create_task(store.cleanup())
        await waiting[0]
        closing.cancel()
        await asyncio.wait([closing])
        with pytest.raises(StoreError, match="is in use by process"):
            await SqliteStore(path).startup(keep_all)
        await store.cleanup()
        await asyncio.gather(*waiting)
    async with opened(path) as store:
        assert (await store.state("lobby")).top == len(waiting)


async def test_who_reads_after_the_end_is_told_so(path: Path) -> None:
    async with opened(path) as store:
        await add(store, publication())
    with pytest.raises(ActionError, match="shutting down"):
        await store.read("lobby", 0, 10, FAR)
