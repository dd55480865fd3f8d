"""What was removed is in no byte of the file, and nothing else is touched."""

import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatserver.publications import Keeping, keep_all
from chatserver.store import Stored, cleaning, wiping
from chatserver.store.schema import open_file
from chatserver.store.wiping import Wiper, unallocated
from chatserver.store.writer import Writer
from tests.core.stores import delete, message, publication
from tests.core.test_store_index import NOW, index_all, sweep_all

SIZES = (512, 1024, 4096, 65536)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def wiper(path: Path) -> Iterator[Wiper]:
    with closing(Wiper(path)) as wiper:
        yield wiper


def word(number: int) -> str:
    return f"zq{number}zq"


def wipe_all(wiper: Wiper, count: int = 1000) -> int:
    """Wipe the file from end to end; return how many pages had something."""
    found, first, more = 0, 0, True
    while more:
        wiped, more = wiper.wipe(first, count)
        found += wiped
        first += count
    return found


@pytest.mark.parametrize("seed", [1, 2, 10])
@pytest.mark.parametrize("length", [None, 200])
def test_what_is_deleted_is_in_no_byte_however_pages_were_joined_before(
    path: Path, wiper: Wiper, seed: int, length: int | None
) -> None:
    """SQLite leaves copies where rows were before: in each of these files, unless it is wiped."""
    chance = Random(seed)
    kept: set[int] = set()
    gone: set[int] = set()
    offset = 0
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, lambda _: Keeping(length=length), wiper)
        for _ in range(20):
            for _ in range(60):
                offset += 1
                writer.write([message(word(offset) + " tea" * chance.randrange(250))])
                kept.add(offset)
            index_all(writer)
            for target in chance.sample(sorted(kept), len(kept) // 4):
                (outcome,) = writer.write([delete(target)])
                offset += isinstance(outcome, Stored)
                kept.remove(target)
                gone.add(target)
            index_all(writer)
            sweep_all(writer)
        sweep_all(writer, NOW + 3600)
        if length is not None:
            gone |= {number for number in kept if number <= offset - length}
        content = path.read_bytes()
        assert {number for number in gone if word(number).encode() in content} == set()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(gone) > 200


def dump(connection: sqlite3.Connection) -> list[str]:
    return list(connection.iterdump())


CHANGE = st.one_of(
    st.tuples(st.just("INSERT"), st.integers(0, 300), st.integers(0, 9000)),
    st.tuples(st.just("UPDATE"), st.integers(0, 300), st.integers(0, 2000)),
    st.tuples(st.just("DELETE"), st.integers(0, 300), st.integers(1, 100)),
)


@settings(max_examples=60, deadline=None)
@given(size=st.sampled_from(SIZES), changes=st.lists(CHANGE, max_size=60))
def test_nothing_that_is_used_is_touched(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    changes: list[tuple[str, int, int]],
) -> None:
    path = tmp_path_factory.mktemp("wiped") / "any.db"
    with (
        closing(Wiper(path)) as wiper,
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
    ):
        connection.execute(f"PRAGMA page_size = {size}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("CREATE INDEX i ON t (text)")
        connection.execute("CREATE TABLE w (a TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID")
        for action, number, length in changes:
            if action == "INSERT":
                values = (number, "x" * length)
                connection.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", values)
                connection.execute("INSERT OR REPLACE INTO w VALUES (?, ?)", values)
            elif action == "UPDATE":
                connection.execute("UPDATE t SET text = ? WHERE id = ?", ("y" * length, number))
            else:
                last = number + length
                connection.execute("DELETE FROM t WHERE id BETWEEN ? AND ?", (number, last))
                connection.execute("DELETE FROM w WHERE a BETWEEN ? AND ?", (number, last))
        before = dump(connection)
        wipe_all(wiper, 7)
        connection.execute("PRAGMA shrink_memory")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert dump(connection) == before
        assert wipe_all(wiper) == 0


JUNK = b"zq-left-behind-zq"


def leave_behind(path: Path) -> list[int]:
    """Have words in the parts of leaves that are not used; return where these leaves begin."""
    content = bytearray(path.read_bytes())
    leaves = []
    for start in range(0, len(content), 4096):
        header = start or 100
        rows, first = struct.unpack_from(">HH", content, header + 3)
        behind = header - start + 8 + 2 * rows
        if content[header] == 13 and first - behind > len(JUNK):
            content[start + behind : start + behind + len(JUNK)] = JUNK
            leaves.append(start)
    path.write_bytes(content)
    assert leaves
    return leaves


def left_behind(path: Path) -> sqlite3.Connection:
    """Have a table of some pages with words in what is not used."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, text TEXT)")
        values = [(number, word(number) + "x" * 300) for number in range(200)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", values)
    leave_behind(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("SELECT * FROM t").fetchall()
    return connection


def remains(path: Path) -> bool:
    return JUNK in path.read_bytes()


def test_what_sqlite_leaves_behind_goes(path: Path, wiper: Wiper) -> None:
    with closing(left_behind(path)):
        assert remains(path)
        assert wipe_all(wiper)
        assert not remains(path)


def test_what_the_writer_has_in_memory_does_not_bring_it_back(
    path: Path, wiper: Wiper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "WIPED", 3)
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, wiper)
        writer.write([message(word(number) + "x" * 700) for number in range(1, 201)])
        index_all(writer)
    leave_behind(path)
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, wiper)
        connection.execute("SELECT * FROM publication").fetchall()
        writer.write([delete(1)])
        sweep_all(writer)
        assert not remains(path)
        connection.execute("UPDATE publication SET timestamp = 'later'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert not remains(path)


def test_a_file_whose_log_has_something_is_not_wiped(path: Path, wiper: Wiper) -> None:
    with closing(left_behind(path)) as connection:
        connection.execute("INSERT INTO t VALUES (1000, 'new')")
        with pytest.raises(BlockingIOError, match="in its log"):
            wiper.wipe(0, 1000)
        assert remains(path)


def test_a_file_with_pages_of_another_kind_is_left_alone(path: Path, wiper: Wiper) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    left_behind(path).close()
    before = path.read_bytes()
    assert wiper.wipe(0, 1000) == (0, False)
    assert path.read_bytes() == before


def test_a_file_too_large_to_tell_pages_apart_is_left_alone(
    path: Path, wiper: Wiper, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(path).close()
    monkeypatch.setattr(wiping, "MOST_PAGES", path.stat().st_size // 4096)
    before = path.read_bytes()
    assert wiper.wipe(0, 1000) == (0, False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [2, 5, 10, 13])
@pytest.mark.parametrize("skipped", [0, 100])
def test_what_is_not_used_lies_between_the_list_of_rows_and_the_rows(
    kind: int, skipped: int
) -> None:
    header = skipped + (12 if kind in (2, 5) else 8)
    found = partial(place_of, kind, skipped, header)
    assert found([4000, 3000], 3000) == (header + 4, 3000)
    assert found([4000, 3000], 3000, free=3500) == (header + 4, 3000)
    assert found([], 4096) == (header, 4096)
    assert found([], 65536, size=65536) == (header, 65536)
    nothing = (0, 0)
    assert found([4000, 2999], 3000) == nothing
    assert found([4000, 3000], 3000, free=2999) == nothing
    assert found([4000, 3000], header + 3) == nothing
    assert found([4098, 4097], 4097) == nothing
    assert place_of(kind + 1, skipped, header, [4000, 3000], 3000) == nothing


def place_of(
    kind: int,
    skipped: int,
    header: int,
    rows: list[int],
    content: int,
    free: int = 0,
    size: int = 4096,
) -> tuple[int, int]:
    """Return what of a page with rows at these places is not used, behind another page."""
    page = bytearray(2 * size)
    struct.pack_into(">BHHH", page, size + skipped, kind, free, len(rows), content % 65536)
    struct.pack_into(f">{len(rows)}H", page, size + header, *rows)
    begin, end = unallocated(bytes(page), size, size, skipped)
    return begin - size, end - size


def test_what_is_not_as_sqlite_makes_it_is_left_alone(path: Path, wiper: Wiper) -> None:
    """A page whose rows begin before its list of rows says so is for the check at the start."""
    left_behind(path).close()
    for place in leave_behind(path)[1:]:
        with path.open("r+b") as file:
            file.seek(place + 5)
            file.write(b"\x10\x00")
    before = path.read_bytes()
    wipe_all(wiper)
    assert path.read_bytes().count(JUNK) == before.count(JUNK) - 1


OTHER_MODE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
print(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0])
"""


def change_mode(path: Path) -> str:
    """Let another process end the log, which it may where nobody has the file open."""
    found = subprocess.run(
        [sys.executable, "-c", OTHER_MODE, path], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or found.stderr.strip().splitlines()[-1]


def test_others_see_that_the_file_is_in_use_until_it_is_closed(path: Path) -> None:
    wiper = Wiper(path)
    connection = left_behind(path)
    wipe_all(wiper)
    assert change_mode(path) == "sqlite3.OperationalError: database is locked"
    connection.close()
    wiper.close()
    assert change_mode(path) == "delete"


def test_a_round_waits_for_a_reader_of_old_rows(path: Path, wiper: Wiper) -> None:
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, wiper)
        writer.write([message(word(number)) for number in range(1, 4)])
        index_all(writer)
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN")
            other.execute("SELECT * FROM publication").fetchall()
            writer.write([delete(1)])
            index_all(writer)
            steps = [writer.sweep(NOW) for _ in range(40)]
            assert False in steps, "within a minute it is tried only a few times"
            assert word(1).encode() in path.with_name("chat.db-wal").read_bytes()
        sweep_all(writer)
        assert all(word(1).encode() not in file.read_bytes() for file in path.parent.iterdir())


def test_a_round_that_was_interrupted_comes_again(path: Path, wiper: Wiper) -> None:
    def unclean(connection: sqlite3.Connection) -> int:
        number: int = connection.execute("SELECT unclean FROM indexed").fetchone()[0]
        return number

    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, wiper)
        writer.write([message(word(number)) for number in range(1, 4)])
        assert unclean(connection) == 0
        writer.write([delete(1)])
        assert unclean(connection) == 1
        index_all(writer)
        writer.sweep(NOW)
        while unclean(connection) == 1:
            writer.sweep(NOW)
        assert unclean(connection) == 2
    with closing(open_file(path, 1)) as connection:
        sweep_all(Writer(connection, keep_all, wiper))
        assert unclean(connection) == 0
        assert all(word(1).encode() not in file.read_bytes() for file in path.parent.iterdir())


def test_a_disk_that_does_not_take_the_zeros_has_them_written_again(
    path: Path, wiper: Wiper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(cleaning, "WIPED", 3)
    with closing(open_file(path, 1)) as connection:
        Writer(connection, keep_all, wiper).write([message("x" * 900)] * 100 + [delete(1)])
    leaves = leave_behind(path)
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, wiper)
        index_all(writer)
        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", fail)
            with pytest.raises(OSError, match="Input/output error"):
                sweep_all(writer)
        # The disk has them still, whatever is read.
        written: list[int] = []
        write = os.pwrite

        def watched(descriptor: int, data: bytes, place: int) -> int:
            written.append(place // 4096 * 4096)
            return write(descriptor, data, place)

        monkeypatch.setattr(os, "pwrite", watched)
        sweep_all(writer)
        assert not remains(path)
        assert set(leaves) <= set(written)


def test_readers_see_nothing_of_it(path: Path, wiper: Wiper) -> None:
    query = "SELECT group_concat(hex(body)) FROM publication"
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, wiper)
        writer.write([message(word(number) + "x" * 700) for number in range(1, 201)])
        index_all(writer)
        with closing(sqlite3.connect(path)) as other:
            other.execute(query).fetchone()
            writer.write([delete(number) for number in range(1, 100)])
            index_all(writer)
            sweep_all(writer)
            assert other.execute(query).fetchone() == connection.execute(query).fetchone()


def test_what_retention_removes_begins_a_round_also_where_nothing_was_indexed(
    path: Path, wiper: Wiper
) -> None:
    with closing(open_file(path, 1)) as connection:
        writer = Writer(connection, lambda _: Keeping(length=5), wiper)
        writer.write([publication(body=b'{"action": "notice"}') for _ in range(60)])
        assert connection.execute("SELECT unclean FROM indexed").fetchone() == (1,)
        sweep_all(writer)
        assert connection.execute("SELECT unclean FROM indexed").fetchone() == (0,)
