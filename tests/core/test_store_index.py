"""The index follows what is stored: new messages, edits, deletes, retention, crashes."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from chatserver.errors import ActionError
from chatserver.publications import Keeping, Rules, keep_all
from chatserver.store import cleaning, schema
from chatserver.store.index import STEP, STEP_BYTES
from chatserver.store.schema import open_file
from chatserver.store.transactions import Transactions
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer
from tests.core.stores import (
    FAR,
    LATER,
    add,
    bodies,
    delete,
    edit,
    found,
    message,
    opened,
    publication,
)

NOW = 1_800_000_000.0
SECRET = "qxyzzyq"
"""A word whose beginning no other word shares: the index would leave that out."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_file(path, 1)) as connection:
        yield connection


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cleaning take many steps with the little that tests store."""
    monkeypatch.setattr(cleaning, "MERGED", 4)


def index_all(writer: Writer) -> int:
    """Index what is left; return in how many steps."""
    steps = 0
    while writer.behind:
        writer.index()
        steps += 1
    return steps


def sweep_all(writer: Writer, now: float = NOW) -> None:
    while writer.sweep(now):
        pass


def entries(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    return connection.execute("SELECT rowid, text FROM search ORDER BY rowid").fetchall()


def files_with(word: str, path: Path) -> list[str]:
    return [each.name for each in path.parent.iterdir() if word.encode() in each.read_bytes()]


async def test_what_is_stored_is_found_at_once(path: Path) -> None:
    async with opened(path) as store:
        for number in range(30):
            await add(store, *[message(f"word{number} of {each}") for each in range(number)])
            assert len(await found(store, f"word{number} ")) == number


async def test_an_index_that_was_left_behind_goes_on_from_its_mark(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    writer.write([message(f"early {number}") for number in range(STEP + 10)])
    writer.index()
    assert writer.behind == 10
    writer.write([edit("changed", 1), message("late")])
    connection.close()
    async with opened(path) as store:
        assert len(await found(store, "early", limit=FAR)) == STEP + 9
        assert await found(store, "changed") == ["changed"]
        assert await found(store, "late") == ["late"]


def test_a_step_is_bounded_in_messages_and_in_bytes(
    path: Path, connection: sqlite3.Connection
) -> None:
    writer = Writer(connection, keep_all, Wiper(path))
    writer.write([message("small") for _ in range(3 * STEP)])
    assert index_all(writer) == 3
    writer.write([message("x" * STEP_BYTES) for _ in range(5)])
    assert index_all(writer) == 5


def test_a_step_that_fails_is_done_again(path: Path, connection: sqlite3.Connection) -> None:
    writer = Writer(connection, keep_all, Wiper(path))
    writer.write([message("hello " * 1000) for _ in range(50)])
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        writer.index()
    assert (writer.behind, entries(connection)) == (50, [])
    connection.execute("PRAGMA max_page_count = 100000")
    index_all(writer)
    assert len(entries(connection)) == 50


def test_a_batch_that_failed_leaves_nothing_to_be_indexed(
    path: Path, connection: sqlite3.Connection
) -> None:
    writer = Writer(connection, keep_all, Wiper(path))
    known = structs.replace(message("known"), cid="c")
    writer.write([known])
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 40}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        writer.write([*[message("small") for _ in range(512)], message("x" * 500_000)])
    writer.write([known])
    writer.index()
    assert writer.behind == 0


def test_only_messages_with_a_text_are_indexed(path: Path, connection: sqlite3.Connection) -> None:
    writer = Writer(connection, keep_all, Wiper(path))
    writer.write(
        [
            publication(body=b"no JSON"),
            publication(body=b'{"text":5}'),
            publication(body=b'{"action":"message"}'),
            publication(body=b'["text"]'),
            publication(body=b'{"text":"a\0b c d"}'),
            publication(body=b'{"text":"\xff"}'),
            message("words"),
        ]
    )
    index_all(writer)
    assert entries(connection) == [(7, "words")]


@pytest.mark.parametrize("together", [True, False])
async def test_an_edit_replaces_the_words(path: Path, together: bool) -> None:
    async with opened(path) as store:
        sent = [message("first draft"), message("second"), edit("final text", 1)]
        if together:
            await add(store, *sent)
        else:
            for each in sent:
                await add(store, each)
                await found(store, "anything")
        assert await found(store, "draft") == []
        assert await found(store, "final") == ["final text"]
        result = await store.search(["lobby"], "final", limit=1, max_bytes=FAR)
        (event,) = map(json.loads, result.events)
        assert (event["offset"], event["action"], event["edited"]) == (1, "message", LATER)
        await add(store, edit("last word", 1))
        assert (await found(store, "final"), await found(store, "last")) == ([], ["last word"])


async def test_an_edit_of_what_is_no_message_is_not_found(path: Path) -> None:
    async with opened(path) as store:
        await add(store, message("one"), edit("two", 1))
        for change in (edit("three", 2), edit("four", 99)):
            with pytest.raises(ActionError):
                await add(store, change)
        assert await found(store, "two") == ["two"]
        assert (await found(store, "three"), await found(store, "four")) == ([], [])


@pytest.mark.parametrize("together", [True, False])
async def test_what_is_deleted_is_not_found(path: Path, together: bool) -> None:
    async with opened(path) as store:
        sent = [message("stays here"), message("goes away"), edit("gone away", 2), delete(2)]
        if together:
            await add(store, *sent)
        else:
            for each in sent:
                await add(store, each)
                await found(store, "anything")
        assert (await found(store, "away"), await found(store, "stays")) == ([], ["stays here"])


def stored_with_secret(path: Path) -> tuple[sqlite3.Connection, Writer]:
    """Have a secret in the midst of messages, in a piece of the index that has been merged."""
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    for part in range(20):
        texts = [f"part {part} number {number} word{number * 7919}" for number in range(300)]
        writer.write([message(text) for text in texts])
        if part == 7:
            writer.write([message(f"the word is {SECRET}")])
            assert connection.execute("SELECT max(offset) FROM publication").fetchone() == (2401,)
        index_all(writer)
    return connection, writer


@pytest.mark.usefixtures("small_steps")
def test_what_is_erased_is_soon_in_no_byte_of_the_files(path: Path) -> None:
    connection, writer = stored_with_secret(path)
    writer.write([edit("harmless", 2401), message("more")])
    index_all(writer)
    writer.write([delete(2401)])
    sweep_all(writer)
    assert files_with(SECRET, path) == []
    assert files_with("word7919", path)
    connection.close()


def test_erasing_goes_on_after_a_restart(path: Path) -> None:
    connection, writer = stored_with_secret(path)
    writer.write([delete(2401)])
    index_all(writer)
    connection.close()
    connection = open_file(path, 1)
    sweep_all(Writer(connection, keep_all, Wiper(path)))
    assert files_with(SECRET, path) == []
    connection.close()


@pytest.mark.usefixtures("small_steps")
def test_what_is_erased_while_the_index_is_cleaned_goes_as_well(path: Path) -> None:
    connection, writer = stored_with_secret(path)
    writer.write([delete(1)])
    while connection.execute("SELECT unclean FROM indexed").fetchone() != (2,):
        writer.sweep(NOW)
    writer.sweep(NOW)
    writer.write([delete(2401)])
    sweep_all(writer)
    sweep_all(writer, NOW + 3600)
    assert files_with(SECRET, path) == []
    connection.close()


@pytest.mark.usefixtures("small_steps")
def test_cleaning_is_done_in_small_steps_and_rests(path: Path) -> None:
    connection, writer = stored_with_secret(path)
    writer.write([delete(1)])
    steps = 0
    while writer.sweep(NOW):
        steps += 1
    assert steps > 5
    writer.write([delete(2401)])
    sweep_all(writer, NOW)
    assert files_with(SECRET, path)
    sweep_all(writer, NOW + 3600)
    assert files_with(SECRET, path) == []
    connection.close()


def test_a_step_of_cleaning_that_is_undone_is_done_again(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, commits = Transactions.commit, 0

    def fail_once(transactions: Transactions) -> None:
        nonlocal commits
        commits += 1
        if commits == 2:  # The first is that of what is too old.
            raise sqlite3.OperationalError("database or disk is full")
        commit(transactions)

    writer = Writer(connection, keep_all, Wiper(path))
    writer.write([message(f"word{number}") for number in range(200)])
    index_all(writer)
    writer.write([message(f"the word is {SECRET}")])
    index_all(writer)
    writer.write([delete(201)])
    index_all(writer)
    monkeypatch.setattr(Transactions, "commit", fail_once)
    sweep_all(writer)
    sweep_all(writer, NOW + 3600)
    assert commits > 2
    assert files_with(SECRET, path) == []


def shortened(room: str) -> Keeping:
    return Keeping(length=20) if room == "short" else Keeping()


async def test_what_retention_removes_leaves_the_index(path: Path) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, shortened, Wiper(path))
    for _ in range(10):
        writer.write([message("hello", "short") for _ in range(30)])
        writer.write([message("hello", "lobby")])
        index_all(writer)
    sweep_all(writer)
    kept = connection.execute("SELECT id FROM publication WHERE kind IS NOT NULL").fetchall()
    assert [(number,) for number, _ in entries(connection)] == kept
    connection.close()
    async with opened(path, shortened) as store:
        assert len(await found(store, "hello", "short")) == len(await bodies(store, "short"))


async def test_what_is_below_the_floor_is_not_found_before_it_leaves_the_index(path: Path) -> None:
    async with opened(path, shortened) as store:
        for part in range(10):
            sent = [message("hello", "short") for _ in range(30)]
            await add(
                store,
                *[structs.replace(each, cid=f"{part}.{n}") for n, each in enumerate(sent)],
            )
            assert len(await found(store, "hello", "short")) == len(await bodies(store, "short"))


def hour(room: str) -> Keeping:
    return Keeping(age=3600)


async def swept(path: Path, rules: Rules) -> None:
    connection = open_file(path, 1)
    sweep_all(Writer(connection, rules, Wiper(path)))
    connection.execute("DELETE FROM running")
    connection.close()


async def test_no_id_is_given_twice_so_new_messages_are_indexed(path: Path) -> None:
    """After everything was too old, the next message does not take the place of an old one."""
    async with opened(path, hour) as store:
        await add(store, *[message("old", "tea") for _ in range(10)])
        assert len(await found(store, "old", "tea")) == 10
    await swept(path, hour)
    async with opened(path, hour) as store:
        assert await bodies(store, "tea") == []
        await add(store, message("new"))
        assert await found(store, "new", "lobby", "tea") == ["new"]
        assert await found(store, "old", "lobby", "tea") == []


async def test_without_fts5_all_else_works_and_the_index_comes_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "SEARCH", schema.SEARCH.replace("fts5", "fts5_is_missing"))
        async with opened(path) as store:
            assert "messages cannot be searched" in caplog.text
            await add(store, message("hello"), message("gone"), delete(2))
            assert len(await bodies(store)) == 3
            with pytest.raises(ActionError, match="FTS5") as caught:
                await found(store, "hello")
            assert (caught.value.code, caught.value.retry_after) == ("unavailable", None)
    async with opened(path) as store:
        assert (await found(store, "hello"), await found(store, "gone")) == (["hello"], [])
