"""Which files a store takes, and what it says of those it does not take."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatserver.errors import StoreError
from chatserver.publications import keep_all
from chatserver.store import schema
from chatserver.store.schema import open_file
from chatserver.store.sqlite import SqliteStore
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer
from tests.core.stores import add, bodies, delete, opened, publication


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


async def refusal(path: Path) -> str:
    """Return the one line that starting with this file ends in; the lock is free again then."""
    with pytest.raises(StoreError) as caught:
        await SqliteStore(path, patience=0.1).startup(keep_all)
    message = str(caught.value)
    assert "\n" not in message
    return message


async def written(path: Path) -> None:
    async with opened(path) as store:
        await add(store, *[publication(body=b"x" * 500) for _ in range(200)])


def edit(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def test_a_new_file_is_made_with_its_folder_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deeper" / "chat.db"
    async with opened(path) as store:
        await add(store, publication())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    names = {each.name for each in path.parent.iterdir()}
    assert names == {"chat.db", "chat.db.lock"}


async def test_an_empty_file_is_taken(path: Path) -> None:
    path.touch()
    async with opened(path) as store:
        await add(store, publication())
        assert len(await bodies(store)) == 1


async def test_a_second_server_is_told_who_has_the_file(path: Path) -> None:
    async with opened(path) as store:
        assert (
            await refusal(path) == f"{path} is in use by process {os.getpid()}; stop that one first"
        )
        await add(store, publication())
    async with opened(path) as store:
        assert len(await bodies(store)) == 1


async def test_a_file_that_another_program_has_locked_is_refused(path: Path) -> None:
    await written(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "locked by another program" in await refusal(path)
    other.close()
    async with opened(path) as store:
        assert len(await bodies(store)) == 200


async def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    for statement in ("CREATE TABLE cakes (name)", "PRAGMA application_id = 7"):
        path.unlink(missing_ok=True)
        edit(path, "CREATE TABLE t (x)", statement)
        before = path.read_bytes()
        assert "another program" in await refusal(path)
        assert path.read_bytes() == before


async def test_what_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1000)
    assert "no chat database" in await refusal(path)
    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_a_file_of_a_newer_server_is_refused(path: Path) -> None:
    await written(path)
    edit(path, "PRAGMA user_version = 99")
    message = await refusal(path)
    assert "newer chatserver (schema 99" in message
    edit(path, f"PRAGMA user_version = {len(schema.MIGRATIONS)}")
    async with opened(path) as store:
        assert len(await bodies(store)) == 200


async def test_damage_is_found_after_an_unclean_stop(path: Path) -> None:
    await written(path)
    edit(path, "INSERT INTO running VALUES ('2026-11-22')")
    content = bytearray(path.read_bytes())
    assert len(content) > 12 * 4096
    content[4 * 4096 : 12 * 4096] = b"\xa5" * (8 * 4096)
    path.write_bytes(content)
    assert "is damaged" in await refusal(path)
    path.write_bytes(content[: 9 * 4096 + 100])
    assert "is damaged" in await refusal(path)


async def test_damage_of_what_is_read_first_is_told_also_after_a_clean_stop(path: Path) -> None:
    await written(path)
    connection = sqlite3.connect(path)
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'publication'"
    ).fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    assert "is damaged" in await refusal(path)


async def test_what_was_deleted_just_before_a_kill_is_in_no_file_after_the_next_start(
    path: Path,
) -> None:
    connection = open_file(path, 1)
    writer = Writer(connection, keep_all, Wiper(path))
    writer.write([publication(body=b'{"text":"xyzzy"}')])
    writer.write([delete(1)])
    wal = path.with_name("chat.db-wal")
    assert b"xyzzy" in wal.read_bytes(), "there is nothing to be removed"
    killed = path.parent / "killed"
    killed.mkdir()
    for file in (path, wal):
        shutil.copy(file, killed / file.name)
    async with opened(killed / path.name):
        for file in killed.iterdir():
            assert b"xyzzy" not in file.read_bytes()
    connection.close()


async def test_a_file_that_was_not_closed_is_checked_and_used(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await written(path)
    assert not caplog.records
    edit(path, "INSERT INTO running VALUES ('2026-11-22')")
    async with opened(path) as store:
        assert len(await bodies(store)) == 200
    assert "was not closed; checking it" in caplog.text
    caplog.clear()
    async with opened(path):
        assert not caplog.records


@pytest.fixture
def common_folder() -> Iterator[Path]:
    """Have a folder that anybody may enter, and run as somebody who is not root."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


async def test_a_file_that_may_only_be_read_is_refused(common_folder: Path) -> None:
    path = common_folder / "chat.db"
    await written(path)
    path.chmod(0o444)
    (common_folder / "chat.db.lock").chmod(0o666)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        assert "give the server the right to write" in await refusal(path)
    finally:
        os.seteuid(user)


async def test_a_folder_that_may_only_be_read_is_refused(common_folder: Path) -> None:
    common_folder.chmod(0o755)
    user = os.geteuid()
    if user != 0:
        common_folder.chmod(0o555)
    try:
        if user == 0:
            os.seteuid(65534)
        assert "give the server the right to write" in await refusal(common_folder / "chat.db")
        assert "cannot be made" in await refusal(common_folder / "deeper" / "chat.db")
    finally:
        os.seteuid(user)


async def test_every_earlier_schema_is_brought_up_to_date(path: Path) -> None:
    for version in range(len(schema.MIGRATIONS)):
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
        for statements in schema.MIGRATIONS[:version]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
        if version:
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.close()
        async with opened(path) as store:
            await add(store, publication())
            assert len(await bodies(store)) == 1


async def test_a_server_that_could_not_migrate_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(path)
    broken = ("CREATE TABLE half (x)", "CREATE TABLE half (x)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    assert "half already exists" in await refusal(path)
    monkeypatch.undo()
    async with opened(path) as store:
        assert len(await bodies(store)) == 200
