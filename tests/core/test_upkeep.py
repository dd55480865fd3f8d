"""Copy, move, erase and tidy a store's file, with a server on it or without."""

import asyncio
import io
import json
import os
import resource
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from chatserver.errors import StoreError
from chatserver.positions import Position
from chatserver.publications import Durability, Keeping
from chatserver.store import index
from chatserver.store.schema import close_file, open_file
from chatserver.store.sqlite import SqliteStore
from chatserver.upkeep import UpkeepError, files, tidy
from chatserver.upkeep.export import export, size
from chatserver.upkeep.files import appearing
from chatserver.upkeep.load import Loaded, load
from chatserver.upkeep.progress import Progress
from chatserver.upkeep.tidy import backup, erase, pages, reset_epochs, vacuum
from tests.core.histories import answer, message
from tests.core.stores import FAR, add, bodies, found, opened, publication

NOW = "2026-11-25T10:00:00.000Z"


class Screen(io.StringIO):
    """Be a terminal."""

    def isatty(self) -> bool:
        return True


def quiet() -> Progress:
    return Progress("", 0, io.StringIO())


def event(text: str) -> bytes:
    return json.dumps({"action": "message", "text": text}, separators=(",", ":")).encode()


def exported(path: Path, pattern: str = "*") -> list[bytes]:
    out = io.BytesIO()
    export(path, out, pattern, NOW, quiet())
    return out.getvalue().splitlines(keepends=True)


def contents(*files: Path) -> bytes:
    return b"".join(file.read_bytes() for file in files if file.exists())


def all_of(path: Path) -> bytes:
    """Return every byte of a store, its log included."""
    return contents(path, path.with_name(f"{path.name}-wal"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
async def filled(path: Path) -> Path:
    """Have two rooms, one of which has lost its oldest publications but not their cids."""

    def rules(room: str) -> Keeping:
        return Keeping(length=16) if room == "short" else Keeping()

    async with opened(path, rules) as store:
        for number in range(60):
            await add(
                store,
                publication("long", event(f"long {number}"), user=f"u{number % 3}"),
                publication("short", event(f"short {number}"), cid=f"c{number}"),
            )
        await add(store, structs.replace(answer(1), room="long"))
    return path


async def test_an_import_of_an_export_is_the_same_store(filled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy.db"
    lines = exported(filled)
    assert load(copy, lines, quiet()) == Loaded(2, 121)
    assert exported(copy) == lines
    async with opened(filled) as first, opened(copy) as second:
        for room in ("long", "short"):
            assert await bodies(second, room) == await bodies(first, room)
            before, after = await first.state(room), await second.state(room)
            assert (after.top, after.oldest) == (before.top, before.oldest)
            assert after.epoch != before.epoch
        thread = await second.thread("long", 1, 0, 9, FAR)
        assert [offset for offset, _ in thread.events] == [1, 61]
        old = publication("short", event("short 3"), cid="c3")
        (again,) = await add(second, old)
        assert (again.duplicate, again.position.offset) == (True, 4)
        (new,) = await add(second, publication("short", event("new")))
        assert new.position.offset == 61


async def test_an_export_is_one_json_object_a_line(filled: Path) -> None:
    header, room, first, *_ = map(json.loads, exported(filled, "l*"))
    assert header == {"is": "export", "format": 1, "exported": NOW}
    assert room == {"is": "room", "room": "long", "floor": 1, "top": 61}
    assert first["event"] == {"action": "message", "text": "long 0"}
    assert (first["room"], first["offset"], first["user"]) == ("long", 1, "u0")


async def test_an_export_beside_a_server_is_of_one_moment(path: Path) -> None:
    async with opened(path) as store:
        for number in range(50):
            await add(store, publication("a", event(f"{number}")), publication("b", event("b")))
        writing = asyncio.create_task(_write_on(store))
        try:
            lines = await asyncio.to_thread(exported, path)
        finally:
            writing.cancel()
    rooms = [line for line in map(json.loads, lines) if line["is"] == "room"]
    assert rooms[0]["top"] == rooms[1]["top"] >= 50
    assert len(lines) == 3 + 2 * rooms[0]["top"]


async def _write_on(store: SqliteStore) -> None:
    while True:
        await add(store, publication("a", event("more")), publication("b", event("more")))


WRONG = {
    "nothing": ([], "there is nothing in it"),
    "no export": ([b'{"is":"room","room":"a","floor":1,"top":0}\n'], "line 1: this is no export"),
    "another format": ([b'{"is":"export","format":9,"exported":""}'], "line 1: format 9 is not"),
    "no JSON": ([b"hello\n"], "line 1: JSON is malformed"),
    "another object": ([b'{"is":"pie"}'], "line 1: Invalid value 'pie'"),
}


@pytest.mark.parametrize(("lines", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_export_is_refused(path: Path, lines: list[bytes], message: str) -> None:
    with pytest.raises(UpkeepError, match=message):
        load(path, lines, quiet())


FIRST = b'{"action":"message","text":"long 0"}'
Change = Callable[[list[bytes]], list[bytes]]

DAMAGED: dict[str, tuple[Change, str]] = {
    "cut off": (lambda lines: lines[:-1], "'short' has 27 publications from 33 to 60"),
    "a line is missing": (lambda lines: lines[:9] + lines[10:], "'long' has 60 publications"),
    "two lines swapped": (
        lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]],
        "line 6: the offset 3 does not follow 4",
    ),
    "no room": (lambda lines: lines[:1] + lines[2:], "line 2: a publication has to follow"),
    "twice": (lambda lines: lines + lines, "line 125: a second export begins here"),
    "no object": (
        lambda lines: [*lines[:2], lines[2].replace(FIRST, b"7")],
        "line 3: `event` is no event",
    ),
    "an empty object": (
        lambda lines: [*lines[:2], lines[2].replace(FIRST, b"{}")],
        "line 3: `event` is empty",
    ),
    "no event": (
        lambda lines: [*lines[:2], lines[2].replace(b'"event":' + FIRST + b",", b"")],
        "line 3: Object missing required field `event`",
    ),
    "another time": (
        lambda lines: [*lines[:2], lines[2].replace(b'"timestamp":"2026', b'"timestamp":"about')],
        "line 3: the timestamp 'about-11-22T10:41:41.123Z' is not as the server writes it",
    ),
    "no such day": (
        lambda lines: [*lines[:2], lines[2].replace(b"2026-11-22T", b"2026-11-31T")],
        "line 3: the timestamp '2026-11-31T10:41:41.123Z' is not as the server writes it",
    ),
    "other digits": (
        lambda lines: [*lines[:2], lines[2].replace(b'"2026', '"٢٠٢٦'.encode())],
        "line 3: the timestamp '٢٠٢٦-11-22T10:41:41.123Z' is not as the server writes it",
    ),
    "another time zone": (
        lambda lines: [*lines[:2], lines[2].replace(b".123Z", b".123+01:00")],
        r"line 3: the timestamp '2026-11-22T10:41:41.123\+01:00' is not as",
    ),
    "a checksum too large": (
        lambda lines: [*lines[:2], lines[2].replace(b'"kind"', b'"checksum":4294967296,"kind"')],
        "line 3: the checksum 4294967296 is none of 32 bits",
    ),
    "a checksum below zero": (
        lambda lines: [*lines[:2], lines[2].replace(b'"kind"', b'"checksum":-1,"kind"')],
        "line 3: the checksum -1 is none of 32 bits",
    ),
    "more than a cid below the floor": (
        lambda lines: [
            lines[0],
            lines[1].replace(b'"floor":1', b'"floor":2'),
            *lines[2:],
        ],
        "line 3: only the `cid` is kept of what lies before 2",
    ),
    "a target ahead": (
        lambda lines: [*lines[:2], lines[2].replace(b'"kind"', b'"target":7,"kind"')],
        "line 3: the target 7 does not lie before its change",
    ),
    "an offset in it": (
        lambda lines: [*lines[:2], lines[2].replace(FIRST, b'{"offset":5}')],
        "line 3: `event` is empty, or has an `offset`",
    ),
    "no kind": (
        lambda lines: [*lines[:2], lines[2].replace(b',"kind":"message"', b"")],
        "line 3: a publication that is kept needs its `kind`",
    ),
    "a cid twice": (
        lambda lines: [line.replace(b'"cid":"c4"', b'"cid":"c5"') for line in lines],
        "one user has the same cid twice",
    ),
}


@pytest.mark.parametrize(("change", "message"), DAMAGED.values(), ids=DAMAGED)
async def test_a_damaged_export_is_refused_and_leaves_nothing(
    filled: Path, tmp_path: Path, change: Change, message: str
) -> None:
    copy = tmp_path / "copy.db"
    with pytest.raises(UpkeepError, match=message):
        load(copy, change(exported(filled)), quiet())
    assert len(exported(copy)) == 1


async def test_a_room_that_exists_is_not_imported_over(filled: Path) -> None:
    before = exported(filled)
    with pytest.raises(UpkeepError, match="line 2: the room 'long' exists already"):
        load(filled, before, quiet())
    assert exported(filled) == before


async def test_who_is_erased_left_no_byte(path: Path) -> None:
    secret = b"kumquat-marmalade"
    async with opened(path) as store:
        await add(
            store,
            *[publication(body=event(f"{secret.decode()} {n}"), user="eve") for n in range(300)],
            publication(body=event("other"), user="ann", cid="c"),
            publication(body=event(secret.decode()), user="eve", cid="secret-cid"),
        )
        assert len(await found(store, "kumquat")) == 100
        await store.move_cursors({"eve": {"secret-room": Position("e", 1)}})
        await store.move_cursors({"ann": {"lobby": Position("e", 1)}})
    assert secret in all_of(path)
    assert erase(path, "eve") == 301
    for word in (secret, b"kumquat", b"secret-cid", b"secret-room"):
        assert word not in all_of(path)
    async with opened(path) as store:
        assert await bodies(store) == [*[b""] * 300, event("other"), b""]
        page = await store.read("lobby", 0, 1000, 2**20)
        assert {each.user for each in page.publications} == {None, "ann"}
        assert (await found(store, "kumquat"), await found(store, "other")) == ([], ["other"])
        assert (await store.cursors(["eve"]))["eve"] == {}
        assert (await store.cursors(["ann"]))["ann"] == {"lobby": Position("e", 1)}


async def test_who_is_erased_left_no_byte_where_pages_were_joined(path: Path) -> None:
    """SQLite moves what is left to other pages, and leaves copies of it where nothing is.

    That is seldom: with these messages one word was left.
    """
    chance = Random(6)
    said = {f"zq{number}zq": chance.choice(["ann", "eve"]) for number in range(600)}
    sent = [
        message("tea " * chance.randint(0, chance.choice([3, 20, 60])) + word, user=user)
        for word, user in said.items()
    ]
    async with opened(path) as store:
        await add(store, *sent)
        assert await found(store, "zq599zq")
    erase(path, "eve")
    left = all_of(path)
    for word, user in said.items():
        assert (word.encode() in left) == (user == "ann"), word


async def test_nobody_is_erased_by_halves_without_fts5(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as store:
        await add(store, publication(body=event("kumquat"), user="eve"))
        assert await found(store, "kumquat")
    with monkeypatch.context() as patch:
        patch.setattr(index, "_usable", lambda connection: False)
        with pytest.raises(UpkeepError, match="the SQLite of this Python has no FTS5"):
            erase(path, "eve")
    assert erase(path, "eve") == 1


async def test_what_cannot_be_wiped_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, os.strerror(5))

    async with opened(path) as store:
        sent = [message("tea " * 60, user=user) for user in ("ann", "eve") * 300]
        await add(store, *sent)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        with pytest.raises(UpkeepError, match="unused parts of the file: Input/output error"):
            erase(path, "eve")
    assert erase(path, "eve") == 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT unclean FROM indexed").fetchone() == (0,)


async def test_erasing_needs_no_more_space_than_the_file_has(path: Path) -> None:
    """Also where it changes all pages of it: they are in the log once."""
    async with opened(path) as store:
        sent = [publication(body=event("x" * 900), user=user) for user in ("ann", "eve") * 250]
        await add(store, *sent)
    with largest(path.stat().st_size * 11 // 10):
        assert erase(path, "eve") == 250


def test_a_folder_that_sql_cannot_name_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9") / "chat.db"
    path.parent.mkdir()
    close_file(open_file(path, 1))
    assert erase(path, "eve") == 0
    before, after = vacuum(path)
    assert before >= after


async def test_who_is_erased_has_answered_nothing(path: Path) -> None:
    """A thread is not read past thousands of places where there is nothing."""
    async with opened(path) as store:
        await add(store, publication(body=event("tea?")), *[answer(1, user="eve")] * 9, answer(1))
    erase(path, "eve")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT offset FROM reply").fetchall() == [(11,)]
    async with opened(path) as store:
        thread = await store.thread("lobby", 1, 0, 9, FAR)
        assert [offset for offset, _ in thread.events] == [1, 11]


async def test_nobody_s_messages_are_not_erased(path: Path) -> None:
    """The server's own events have no user, and what was erased has none any longer."""
    async with opened(path) as store:
        await add(store, publication(body=event("the server restarts at noon"), user=None))
    with pytest.raises(UpkeepError, match="an empty user id is nobody's"):
        erase(path, "")
    async with opened(path) as store:
        assert await bodies(store) == [event("the server restarts at noon")]


async def test_erasing_beside_a_reader_is_not_called_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    async with opened(path) as store:
        await add(store, publication(body=event("kumquat"), user="eve"))
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM publication").fetchall()
    with pytest.raises(UpkeepError, match="another program reads the file"):
        erase(path, "eve")
    reader.close()
    assert erase(path, "eve") == 0
    assert b"kumquat" not in all_of(path)


async def test_new_epochs_for_all_rooms(filled: Path) -> None:
    async with opened(filled) as store:
        before = [await store.state(room) for room in ("long", "short")]
    assert reset_epochs(filled) == 2
    async with opened(filled) as store:
        after = [await store.state(room) for room in ("long", "short")]
    assert [state.top for state in after] == [state.top for state in before]
    assert not {state.epoch for state in after} & {state.epoch for state in before}


async def test_vacuum_gives_space_back(path: Path) -> None:
    async with opened(path) as store:
        await add(store, *[publication(body=event("x" * 900), user="eve") for _ in range(2000)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE publication SET body = NULL")
        connection.execute("DELETE FROM search")
    before, after = vacuum(path)
    assert after < before / 4
    assert path.stat().st_size == after
    async with opened(path) as store:
        assert (await store.state("lobby")).top == 2000


async def test_the_copy_of_a_file_that_is_written_anew_lies_beside_it(path: Path) -> None:
    """Elsewhere, as in a container that cannot be written to, there may be no place for it."""
    async with opened(path) as store:
        await add(store, *[publication(body=event("x" * 900)) for _ in range(2000)])
    copies: set[Path] = set()

    def look() -> int:
        links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        copies.update(each.parent for each in links if each.name.startswith("etilqs_"))
        return 0

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_progress_handler(look, 1000)
        tidy._rewrite(connection, path)
        assert connection.execute("PRAGMA temp_store_directory").fetchall() == []
    assert copies == {path.parent}


async def test_a_backup_beside_a_server_is_of_one_moment(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    async with opened(path) as store:
        await add(store, *[publication("a", event("x" * 900)) for _ in range(3000)])
        writing = asyncio.create_task(_write_on(store))
        try:
            copied = await asyncio.to_thread(backup, path, target, quiet())
        finally:
            writing.cancel()
        top = (await store.state("a")).top
    assert copied == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    async with opened(target) as again:
        a, b = [await again.state(room) for room in ("a", "b")]
        assert 3000 <= a.top <= top
        assert a.top - 3000 == b.top
    assert sorted(each.name for each in tmp_path.glob("*.part*")) == []


async def test_a_backup_does_not_overwrite(filled: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious.db"
    target.write_text("precious")
    with pytest.raises(UpkeepError, match=r"precious\.db exists already"):
        backup(filled, target, quiet())
    assert target.read_text() == "precious"


@contextmanager
def largest(size: int) -> Iterator[None]:
    """Let no file become larger, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "all.jsonl"
    with (
        largest(5000),
        pytest.raises(UpkeepError, match=r"all\.jsonl cannot be written \(File too large\)"),
        appearing(target) as part,
    ):
        part.write_bytes(b"x" * 10_000)
    assert list(tmp_path.iterdir()) == []


async def spoilt(path: Path) -> None:
    """Make a file of which the second half is not what was written."""
    async with opened(path) as store:
        await add(store, *[publication(body=event("x" * 500)) for _ in range(200)])
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xa5" * (len(content) - len(content) // 2)
    path.write_bytes(content)


async def test_damage_is_told_and_what_to_do(path: Path) -> None:
    await spoilt(path)
    for command in (lambda: exported(path), lambda: erase(path, "ann"), lambda: vacuum(path)):
        with pytest.raises(StoreError, match=r"chat\.db is damaged .*; restore it from a backup"):
            command()


async def test_there_is_no_copy_of_a_damaged_file(path: Path, tmp_path: Path) -> None:
    await spoilt(path)
    before = sorted(tmp_path.rglob("*"))
    told = r"chat\.db is damaged \(.+\), so there is no copy; .* put an earlier backup back$"
    with pytest.raises(UpkeepError, match=told):
        backup(path, tmp_path / "copy.db", quiet())
    assert sorted(tmp_path.rglob("*")) == before


MANY = 4000
LINE = 5000


async def test_memory_does_not_grow_with_what_is_moved(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        await add(store, *[publication(body=event("x" * LINE)) for _ in range(MANY)])
    lines = tmp_path / "all.jsonl"

    def out() -> int:
        with lines.open("wb") as file:
            return export(path, file, "*", NOW, quiet())

    def back() -> int:
        with lines.open("rb") as file:
            return load(tmp_path / "copy.db", file, quiet()).publications

    assert peak(out) < MANY * LINE / 10
    assert lines.stat().st_size > MANY * LINE
    assert peak(back) < MANY * LINE / 2


def peak(command: Callable[[], int]) -> int:
    """Return the bytes of memory that a command has had at most."""
    tracemalloc.start()
    try:
        assert command() == MANY
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def writers(path: Path) -> Iterator[Callable[[], object]]:
    yield lambda: load(path, [b'{"is":"export","format":1,"exported":""}'], quiet())
    yield lambda: erase(path, "ann")
    yield lambda: reset_epochs(path)
    yield lambda: vacuum(path)


def readers(path: Path) -> Iterator[Callable[[], object]]:
    yield lambda: exported(path)
    yield lambda: size(path)
    yield lambda: pages(path)


async def test_what_writes_keeps_off_a_live_file(path: Path) -> None:
    async with opened(path) as store:
        await add(store, publication())
        for command in writers(path):
            with pytest.raises(StoreError, match="is in use by process"):
                command()
        assert len(await bodies(store)) == 1


def test_without_a_file_there_is_nothing_to_look_after(path: Path) -> None:
    for command in (*list(writers(path))[1:], *readers(path)):
        with pytest.raises(UpkeepError, match=r"there is no .*chat\.db; say with --config"):
            command()
    assert not path.exists()


def test_a_foreign_file_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    for command in (*writers(path), *readers(path)):
        with pytest.raises(StoreError, match="is a database of another program"):
            command()
    assert path.read_bytes() == before


def test_an_empty_or_broken_file_is_told(path: Path) -> None:
    path.touch()
    with pytest.raises(UpkeepError, match="is empty"):
        exported(path)
    path.write_bytes(b"no database, that is for sure" * 100)
    with pytest.raises(StoreError, match="is no chat database"):
        exported(path)


async def test_a_relaxed_room_keeps_its_note(path: Path) -> None:
    async with opened(path, lambda room: Keeping(Durability.RELAXED)) as store:
        await add(store, publication(body=event("a")))
        assert len(exported(path)) == 3


def test_progress_is_drawn_on_a_terminal_only() -> None:
    times = iter([0.0, 0.05, 0.2])
    screen = Screen()
    progress = Progress("Exporting", 200, screen, lambda: next(times))
    for done in (50, 60, 100):
        progress.reach(done)
    progress.clear()
    drawn = screen.getvalue().split("\r")
    assert [part.strip() for part in drawn if "#" in part] == [
        f"Exporting [{'#' * 7:<30}]  25%",
        f"Exporting [{'#' * 15:<30}]  50%",
    ]
    assert drawn[-1] == "\x1b[K"
    silent = io.StringIO()
    progress = Progress("Exporting", 200, silent)
    progress.reach(100)
    progress.clear()
    assert silent.getvalue() == ""


def test_progress_without_a_total_counts() -> None:
    screen = Screen()
    Progress("Importing, bytes:", 0, screen, lambda: 1.0).reach(12_345)
    assert screen.getvalue() == "\rImporting, bytes: 12,345"
