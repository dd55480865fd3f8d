"""A damaged search index is made anew from the messages, and takes nothing else with it."""

import io
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chatserver.config import StoreConfig
from chatserver.errors import ActionError, StoreError
from chatserver.publications import Keeping, keep_all
from chatserver.store.failures import DamagedIndex
from chatserver.store.index import Index
from chatserver.store.schema import open_file
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer
from chatserver.upkeep.progress import Progress
from chatserver.upkeep.tidy import backup, erase
from tests.core.stores import FAR, add, bodies, delete, found, message, opened
from tests.core.test_store_index import NOW, SECRET, files_with, index_all, sweep_all

COUNT = 600
ANEW = "the search index is damaged and made anew"

Damage = Callable[[sqlite3.Connection], object]


def garble(connection: sqlite3.Connection) -> None:
    """Put 512 other bytes into each leaf."""
    numbers = random.Random(1)
    for number, block in connection.execute("SELECT id, block FROM search_data WHERE id > 10"):
        garbled = block[:10] + numbers.randbytes(512) + block[522:]
        connection.execute("UPDATE search_data SET block = ? WHERE id = ?", (garbled, number))


def statement(text: str) -> Damage:
    return lambda connection: connection.execute(text)


WITHOUT_STRUCTURE = statement("DELETE FROM search_data WHERE id = 10")
DAMAGES: dict[str, Damage] = {
    "zeroed": statement("UPDATE search_data SET block = zeroblob(length(block)) WHERE id > 10"),
    "garbled": garble,
    "leaf lost": statement(
        "DELETE FROM search_data WHERE id = (SELECT max(id) FROM search_data WHERE id < 1 << 40)"
    ),
    "structure garbled": statement(
        "UPDATE search_data SET block = x'00000000ffffffffffff' WHERE id = 10"
    ),
    "structure zeroed": statement(
        "UPDATE search_data SET block = zeroblob(length(block)) WHERE id = 10"
    ),
    "structure lost": WITHOUT_STRUCTURE,
    "averages": statement("UPDATE search_data SET block = x'ff' WHERE id = 1"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def filled(path: Path) -> Path:
    """Have messages that are indexed, one of them with a secret."""
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, Wiper(path))
        for part in range(3):
            numbers = range(part * 200, part * 200 + 200)
            writer.write([message(f"number {n} word{n * 7919}") for n in numbers])
            index_all(writer)
        writer.write([message(f"the word is {SECRET}")])
        index_all(writer)
        connection.execute("DELETE FROM running")
    return path


def harm(path: Path, damage: Damage) -> None:
    with closing(sqlite3.connect(path)) as connection:
        damage(connection)
        connection.commit()


def indexed(connection: sqlite3.Connection) -> int:
    """Look at each word of the index; return how many messages have one that all have."""
    connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
    query = "SELECT count(*) FROM search WHERE search MATCH 'number'"
    (count,) = connection.execute(query).fetchone()
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize("running", [True, False], ids=["beside a server", "before the start"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_deleted_leaves_a_damaged_index(
    filled: Path, caplog: pytest.LogCaptureFixture, damage: Damage, running: bool
) -> None:
    if not running:
        harm(filled, damage)
    with closing(open_file(filled, 1)) as connection:
        writer = Writer(connection, keep_all, Wiper(filled))
        if running:
            harm(filled, damage)
        writer.write([delete(COUNT + 1), message("number next")])
        index_all(writer)
        sweep_all(writer)
        assert files_with(SECRET, filled) == []
        assert indexed(connection) == COUNT + 1
        assert caplog.text.count(ANEW) == 1
        assert not writer.behind


def test_an_index_is_made_anew_more_than_once(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_file(filled, 1)) as connection:
        writer = Writer(connection, keep_all, Wiper(filled))
        for count in (1, 2):
            harm(filled, WITHOUT_STRUCTURE)
            writer.write([delete(count)])
            index_all(writer)
            sweep_all(writer)
            assert indexed(connection) == COUNT - count
            assert caplog.text.count(ANEW) == count


async def test_a_search_that_finds_damage_has_the_index_made_anew(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(filled) as store:
        assert len(await found(store, "number", limit=FAR)) == COUNT
        harm(filled, WITHOUT_STRUCTURE)
        with pytest.raises(ActionError, match="cannot be searched right now") as caught:
            await found(store, "number")
        assert (caught.value.code, caught.value.retry_after) == ("unavailable", 5)
        assert len(await found(store, "number", limit=FAR)) == COUNT
        await add(store, message("number next"))
        assert len(await found(store, "number", limit=FAR)) == COUNT + 1
        assert [each.levelname for each in caplog.records] == ["ERROR"]
        assert ANEW in caplog.text


def test_searches_wait_while_it_is_made_anew(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behind: list[int] = []
    renew = Index.renew

    def watched(index: Index, found: DamagedIndex) -> None:
        behind.append(writer.behind)
        renew(index, found)

    monkeypatch.setattr(Index, "renew", watched)
    with closing(open_file(filled, 1)) as connection:
        writer = Writer(connection, keep_all, Wiper(filled))
        assert writer.behind == 0
        writer.renew_index(DamagedIndex("found"))
        assert behind == [COUNT + 1]
        index_all(writer)
        assert writer.behind == 0


async def test_a_damaged_page_of_messages_is_not_taken_for_the_index(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_file(path, 1)) as connection:
        Writer(connection, keep_all, Wiper(path)).write([message("x" * 200) for _ in range(COUNT)])
        connection.execute("DELETE FROM running")
    content = bytearray(path.read_bytes())
    page = content.index(b'{"action": "message"') // 4096 * 4096
    content[page : page + 100] = b"\xff" * 100
    path.write_bytes(content)
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, Wiper(path))
        for _ in range(3):
            with pytest.raises(sqlite3.DatabaseError, match="malformed"):
                writer.index()
        assert writer.behind == COUNT
        connection.execute("DELETE FROM running")
    async with opened(path) as store:
        with pytest.raises(ActionError, match="cannot be searched right now"):
            await found(store, "x")
    assert ANEW not in caplog.text


def test_an_index_that_cannot_be_understood_keeps_nobody_from_storing(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harm(filled, statement("UPDATE search_config SET v = 99 WHERE k = 'version'"))
    with closing(open_file(filled, 1)) as connection:
        writer = Writer(connection, keep_all, Wiper(filled))
        assert not writer.can_search
        writer.write([message("number next")])
        assert connection.execute("SELECT count(*) FROM publication").fetchone() == (COUNT + 2,)
    assert "messages cannot be searched" in caplog.text


def break_root(path: Path, table: str) -> None:
    """Break the first page of a table."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = connection.execute(query, (table,)).fetchone()
    content = bytearray(path.read_bytes())
    start = (page - 1) * 4096
    content[start : start + 100] = b"\xff" * 100
    path.write_bytes(content)


@pytest.mark.parametrize("table", ["search_data", "search_idx", "search_content"])
def test_what_cannot_be_made_anew_is_a_damaged_file(filled: Path, table: str) -> None:
    break_root(filled, table)
    if table != "search_idx":
        with pytest.raises(StoreError, match="is damaged"):
            open_file(filled, 1)
        return
    with closing(open_file(filled, 1)) as connection:
        writer = Writer(connection, keep_all, Wiper(filled))
        writer.write([message("number next")])
        for _ in range(3):
            with pytest.raises(sqlite3.DatabaseError, match="malformed"):
                writer.index()
        assert connection.execute("SELECT count(*) FROM publication").fetchone() == (COUNT + 2,)


def test_what_cannot_be_indexed_does_not_count_for_ever(filled: Path) -> None:
    break_root(filled, "search_idx")
    bounds = StoreConfig(max_store_bytes=2**20)
    with closing(open_file(filled, 1)) as connection:
        writer = Writer(connection, lambda _: Keeping(length=10), Wiper(filled), bounds)
        for _ in range(200):
            writer.write([message("x" * 1000) for _ in range(10)])
            assert not writer.refused
            with pytest.raises(sqlite3.DatabaseError, match="malformed"):
                writer.index()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_what_is_too_old_goes_where_the_index_is_damaged(
    filled: Path, damage: Damage
) -> None:
    harm(filled, damage)
    with closing(open_file(filled, 1)) as connection:
        writer = Writer(connection, lambda _: Keeping(length=10), Wiper(filled))
        sweep_all(writer)
        assert writer.take_floors() == {"lobby": COUNT + 1 - 9}
        connection.execute("DELETE FROM running")
    async with opened(filled) as store:
        assert len(await bodies(store)) == 10


def test_what_is_too_old_goes_where_the_index_cannot_be_made_anew(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its tree is broken where words stand that only cleaning looks at."""
    with closing(sqlite3.connect(filled)) as connection:
        leaves = connection.execute("SELECT block FROM search_data WHERE id > 10").fetchall()
    content = filled.read_bytes()
    page = content.index(leaves[1][0]) // 4096 * 4096
    filled.write_bytes(content[:page] + b"\xff" * 100 + content[page + 100 :])
    with closing(open_file(filled, 1)) as connection:
        writer = Writer(connection, lambda _: Keeping(length=10), Wiper(filled))
        assert writer.sweep(NOW)
        assert writer.take_floors() == {"lobby": COUNT + 1 - 9}
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            writer.sweep(NOW)
    assert ANEW not in caplog.text


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_erasing_makes_a_damaged_index_anew(filled: Path, damage: Damage) -> None:
    harm(filled, damage)
    assert erase(filled, "ann") == COUNT + 1
    assert files_with(SECRET, filled) == []
    async with opened(filled) as store:
        await add(store, message("number next"))
        assert await found(store, "number") == ["number next"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_index_keeps_nobody_from_starting_or_from_a_backup(
    filled: Path, tmp_path: Path, damage: Damage
) -> None:
    """Newer versions of SQLite find it when they check the file."""
    harm(filled, damage)
    copy = tmp_path / "copy.db"
    backup(filled, copy, Progress("", 0, io.StringIO()))
    harm(filled, statement("INSERT INTO running VALUES ('2026-11-26')"))
    for path in (filled, copy):
        async with opened(path) as store:
            assert len(await bodies(store)) == COUNT + 1
