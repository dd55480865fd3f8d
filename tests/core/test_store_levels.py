"""An index that is cleaned again and again has no more levels than it needs, and the same words."""

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.publications import keep_all
from chatserver.store import cleaning, index
from chatserver.store.levels import count_levels, without_empty_levels
from chatserver.store.schema import open_file
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer
from tests.core.stores import delete, edit, message
from tests.core.test_store_index import NOW, index_all, sweep_all

COOKIE = b"\0\0\0\7"
ONE_SEGMENT = (0, 1, 5, 1, 9)
MERGING = (2, 3, 300, 1, 20000, 301, 1, 2, 302, 1, 1)
EMPTY = (0, 0)


def record(*levels: tuple[int, ...], writes: int = 70_000, count: int | None = None) -> bytes:
    """Return a record as FTS5 writes it."""
    segments = sum(level[1] for level in levels)
    head = (len(levels) if count is None else count, segments, writes)
    numbers = [*head, *[number for level in levels for number in level]]
    return COOKIE + b"".join(map(written, numbers))


def written(number: int) -> bytes:
    """Return a number as SQLite does: up to 127 in a byte, up to 16383 in two, and so on."""
    groups = [number >> shift & 127 for shift in range(49, -1, -7) if number >> shift]
    return bytes([*[128 | group for group in groups[:-1]], *(groups[-1:] or [0])])


def test_levels_without_a_segment_are_left_out() -> None:
    before = record(EMPTY, MERGING, *[EMPTY] * 500, ONE_SEGMENT, EMPTY)
    assert count_levels(before) == 504
    assert without_empty_levels(before) == record(MERGING, ONE_SEGMENT)
    assert without_empty_levels(record(*[EMPTY] * 3)) == record()


@pytest.mark.parametrize(
    "unsound",
    [
        b"",
        COOKIE,
        record(EMPTY, ONE_SEGMENT)[:-1],
        record(EMPTY, ONE_SEGMENT) + b"\1",
        record(EMPTY, ONE_SEGMENT, count=3),
        record(EMPTY, ONE_SEGMENT, count=1),
        COOKIE + b"\xff\x00\x00\x01" + record(EMPTY, ONE_SEGMENT)[4:],
    ],
)
def test_what_is_not_understood_is_left_alone(unsound: bytes) -> None:
    assert without_empty_levels(unsound) == unsound


@given(st.binary(max_size=60))
def test_no_record_is_too_strange(structure: bytes) -> None:
    once = without_empty_levels(structure)
    assert len(once) <= len(structure)
    assert without_empty_levels(once) == once


@pytest.mark.parametrize("fewest", [True, False], ids=["in each round", "now and then"])
def test_rounds_of_cleaning_do_not_wear_the_index_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fewest: bool
) -> None:
    """A thousand of them did: FTS5 added two levels in each, and took none away."""
    monkeypatch.setattr(cleaning, "REST", 0)
    monkeypatch.setattr(cleaning, "MERGED", 4)
    if fewest:
        monkeypatch.setattr(index, "MOST_LEVELS", 0)
    chance, path = Random(1), tmp_path / "chat.db"
    kept: dict[int, str] = {}
    most = 0
    with closing(Wiper(path)) as wiper, closing(open_file(path, 1)) as connection:
        writer = Writer(connection, keep_all, wiper)
        offset = 0
        for turn in range(40 if fewest else 200):
            for _ in range(4):
                offset += 1
                kept[offset] = f"zq{offset}zq"
                writer.write([message(f"{kept[offset]} {chance.random()} tea")])
            index_all(writer)
            for target in chance.sample(sorted(kept), 2):
                offset += 2
                writer.write([edit(f"zq{target}zq changed", target), delete(target)])
                del kept[target]
            index_all(writer)
            while writer.sweep(NOW):
                if turn % 3 == 0:
                    offset += 1
                    writer.write([message("meanwhile")])
                    index_all(writer)
            (structure,) = connection.execute(
                "SELECT block FROM search_data WHERE id = 10"
            ).fetchone()
            most = max(most, count_levels(structure))
        sweep_all(writer)
        connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
        found = {word: searched(connection, word) for word in kept.values()}
        assert all(rows == 1 for rows in found.values())
        assert searched(connection, "tea") == len(kept)
        assert searched(connection, "changed") == 0
    assert most < index.MOST_LEVELS + 10


def searched(connection: sqlite3.Connection, word: str) -> int:
    query = "SELECT count(*) FROM search WHERE search MATCH ?"
    (count,) = connection.execute(query, (f'text: "{word}"',)).fetchone()
    assert isinstance(count, int)
    return count
