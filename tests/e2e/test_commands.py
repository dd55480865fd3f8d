"""Look after a store from the command line, as an operator does."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e import process
from tests.e2e.callers import call, configure
from tests.e2e.process import ServerProcess
from tests.e2e.terminals import read_all

OWN_FOLDER = {"CHATSERVER_SERVER__DATA_DIR": None}


def run(config: Path, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    return process.run("--config", config, *arguments, given=given, cwd=config.parent)


def done(config: Path, *arguments: str, given: str = "") -> str:
    """Run a command that has to succeed; return what it says."""
    ran = run(config, *arguments, given=given)
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def refused(config: Path, *arguments: str, given: str = "") -> str:
    """Run a command that has to fail with one line; return the line."""
    ran = run(config, *arguments, given=given)
    lines = ran.stderr.splitlines()
    assert ran.returncode != 0, "it succeeded"
    assert len(lines) == 1, lines
    return f"{ran.returncode} {lines[0]}"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Have a configuration whose server has been chatted on."""
    config = configure(tmp_path, server={"data_dir": "data"}, broker="embedded")
    with (
        ServerProcess(config, env=OWN_FOLDER) as server,
        call(server.ws) as ann,
        call(server.ws) as bob,
    ):
        ann.enter("ann")
        bob.enter("bob")
        for number in range(3):
            ann.ask("message", text=f"from ann {number}")
            bob.ask("message", text=f"from bob {number}")
    return config


def said(config: Path) -> list[tuple[str, str | None]]:
    """Return who said what, from an export."""
    lines = map(json.loads, run(config, "export").stdout.splitlines())
    events = [line["event"] for line in lines if line["is"] == "publication"]
    return [(event["username"], event["text"]) if event else ("", None) for event in events]


ALL = [(name, f"from {name} {number}") for number in range(3) for name in ("ann", "bob")]


def test_rooms_move_to_another_server(config: Path, tmp_path: Path) -> None:
    assert said(config) == ALL
    assert done(config, "export", "--output", "all.jsonl") == "Exported 6 messages.\n"
    assert (tmp_path / "all.jsonl").stat().st_mode & 0o777 == 0o600
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = configure(elsewhere, server={"data_dir": "data"}, broker="embedded")
    told = done(other, "import", "../all.jsonl")
    assert told == "Imported 6 messages in 1 rooms.\n"
    assert said(other) == ALL
    with ServerProcess(other, env=OWN_FOLDER) as server, call(server.ws) as ann:
        ann.ask("register", username="ann")
        joined = ann.ask("join", room="lobby", last=2)
        messages = joined["messages"]
        assert isinstance(messages, list)
        assert [message["text"] for message in messages] == ["from ann 2", "from bob 2"]
        assert ann.ask("message", text="and on")["offset"] == 7


def test_an_import_can_be_piped(config: Path, tmp_path: Path) -> None:
    lines = run(config, "export", "--room", "lob*").stdout
    (tmp_path / "piped").mkdir()
    other = configure(tmp_path / "piped", server={"data_dir": "data"})
    assert done(other, "import", "-", given=lines) == "Imported 6 messages in 1 rooms.\n"
    assert run(config, "export", "--room", "nobody's").stdout.count("\n") == 1


def test_an_import_that_is_interrupted_has_done_nothing(config: Path, tmp_path: Path) -> None:
    lines = run(config, "export").stdout
    (tmp_path / "other").mkdir()
    other = configure(tmp_path / "other", server={"data_dir": "data"})
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with process.CommandLine("--config", other, "import", pipe) as command:
        # It opens when the command reads from it.
        with pipe.open("w") as out:
            out.write(lines)
            out.flush()
            command.signal(signal.SIGINT)
            assert command.wait() == 130
        assert command.stderr == "chatserver: interrupted; give the command again\n"
    assert done(other, "import", "-", given=lines) == "Imported 6 messages in 1 rooms.\n"


def test_a_user_is_erased(config: Path) -> None:
    lines = map(json.loads, run(config, "export").stdout.splitlines())
    user = next(line["user"] for line in lines if line["is"] == "publication")
    assert done(config, "erase", "--user", user) == f"Erased 3 messages of {user}.\n"
    assert said(config) == [("", None) if name == "ann" else (name, text) for name, text in ALL]
    assert b"from ann" not in (config.parent / "data" / "chat.db").read_bytes()


def test_a_backup_is_put_back(config: Path) -> None:
    folder = config.parent / "data"
    with ServerProcess(config, env=OWN_FOLDER) as server, call(server.ws) as ann:
        ann.enter("ann")
        joined = ann.ask("join", room="lobby")
        assert "Copied" in done(config, "backup", "copy.db")
        ann.ask("message", text="after the backup")
    (config.parent / "copy.db").replace(folder / "chat.db")
    assert done(config, "reset-epoch") == "1 rooms have a new epoch.\n"
    with ServerProcess(config, env=OWN_FOLDER) as server, call(server.ws) as ann:
        ann.ask("register", username="ann")
        since = {"offset": 7, "epoch": joined["epoch"]}
        again = ann.ask("join", room="lobby", since=since)
        assert (again["recovered"], again["offset"]) == (False, 6)
    assert "bytes and has" in done(config, "vacuum")


def test_what_writes_keeps_off_a_running_server(config: Path) -> None:
    export = run(config, "export").stdout
    with ServerProcess(config, env=OWN_FOLDER) as server, call(server.ws) as ann:
        for command in (["vacuum"], ["reset-epoch"], ["erase", "--user", "x"], ["import", "-"]):
            assert "is in use by process" in refused(config, *command, given=export)
        assert said(config) == ALL
        ann.enter("ann")
        assert ann.ask("message", text="still here")["offset"] == 7


def test_a_file_with_two_names_is_one_file(config: Path) -> None:
    linked = config.parent / "elsewhere" / "data" / "chat.db"
    linked.parent.mkdir(parents=True)
    linked.symlink_to(config.parent / "data" / "chat.db")
    other = configure(linked.parent.parent, server={"data_dir": "data"}, broker="embedded")
    assert said(other) == ALL
    with ServerProcess(config, env=OWN_FOLDER):
        assert "is in use by process" in refused(other, "reset-epoch")
        second = ServerProcess(other, env=OWN_FOLDER, listens=False)
        with second:
            assert second.wait() == 1
        assert "is in use by process" in second.stderr


def test_a_link_that_leads_nowhere_begins_nothing(tmp_path: Path) -> None:
    """The disk behind it may be missing."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "chat.db").symlink_to(tmp_path / "missing" / "chat.db")
    config = configure(tmp_path, server={"data_dir": "data"}, broker="embedded")
    server = ServerProcess(config, env=OWN_FOLDER, listens=False)
    with server:
        assert server.wait() == 1
    assert "chat.db cannot be made" in server.stderr
    assert not (tmp_path / "missing").exists()


def test_mistakes_are_told_in_one_line(config: Path, tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text("precious")
    line = refused(config, "export", "--output", "all.jsonl")
    assert line == "1 chatserver: all.jsonl exists already; choose another name"
    line = refused(config, "import", "missing.jsonl")
    assert line == "1 chatserver: missing.jsonl: No such file or directory"
    line = refused(config, "import", "all.jsonl")
    assert line == "1 chatserver: line 1: JSON is malformed: invalid character (byte 0)"
    for command in (["backup"], ["export", "--output"]):
        line = refused(config, *command, "no/such/copy")
        assert line == (
            "1 chatserver: no/such/copy cannot be written (No such file or directory);"
            " choose another place"
        )
    assert refused(config, "erase", "--user", "").startswith("1 chatserver: an empty user id is")
    (tmp_path / "new").mkdir()
    fresh = configure(tmp_path / "new", server={"data_dir": "data"})
    line = refused(fresh, "export")
    assert line.startswith("1 chatserver: there is no ")
    assert "say with --config which server's data is meant" in line


def test_usage_is_told(config: Path) -> None:
    wrong = run(config, "erase")
    assert wrong.returncode == 2
    assert "the following arguments are required: --user" in wrong.stderr
    assert "invalid choice: 'dance'" in run(config, "dance").stderr


@pytest.mark.parametrize(
    ("command", "drawn", "last"),
    [
        (["export", "--output", "more.jsonl"], "Exporting [", "Exported 6 messages.\n"),
        (["import", "all.jsonl"], "Importing [", "Imported 6 messages in 1 rooms.\n"),
    ],
)
def test_progress_is_seen_on_a_terminal(
    config: Path, command: list[str], drawn: str, last: str
) -> None:
    if command[0] == "import":
        done(config, "export", "--output", "all.jsonl")
        (config.parent / "data" / "chat.db").unlink()
    parent, child = pty.openpty()
    program = [sys.executable, "-m", "chatserver", "--config", str(config), *command]
    ran = subprocess.run(program, stderr=child, timeout=60, cwd=config.parent, check=False)
    os.close(child)
    # The kernel hands over what was written by and by.
    seen = read_all(parent)
    os.close(parent)
    assert ran.returncode == 0
    assert drawn in seen
    assert seen.endswith(last)


@pytest.mark.parametrize("command", [["export", "--output"], ["backup"]])
def test_nothing_is_made_of_a_damaged_file(config: Path, command: list[str]) -> None:
    file = config.parent / "data" / "chat.db"
    with closing(sqlite3.connect(file)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'publication_place'"
        ).fetchone()
    content = bytearray(file.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    line = refused(config, *command, "new")
    assert line.startswith("1 chatserver: ")
    assert "chat.db is damaged" in line
    assert not list(config.parent.glob("new*"))
