"""The durable loads in small, against a real server."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.client import LoadError, Publisher
from benchmarks.crowd import Crowd
from benchmarks.inserts import insert
from benchmarks.machine import Cores
from benchmarks.process import DURABLE, Process
from benchmarks.scenarios import Acknowledged, Storm
from benchmarks.storm import check, run_storm


@pytest.fixture
def server() -> Iterator[Process]:
    """Start a durable server, and stay on the cores this process had before."""
    allowed = os.sched_getaffinity(0)
    try:
        with Process(DURABLE, Cores(min(allowed), max(allowed))) as process:
            yield process
    finally:
        os.sched_setaffinity(0, allowed)


def stored(server: Process) -> dict[str, list[int]]:
    """Return the offsets of each room that the server has stored."""
    connection = sqlite3.connect(Path(server.data) / "chat.db")
    rooms: dict[str, list[int]] = {}
    for name, offset in connection.execute(
        "SELECT name, offset FROM publication p JOIN room r ON p.room = r.id ORDER BY offset"
    ):
        rooms.setdefault(name, []).append(offset)
    connection.close()
    return rooms


def test_who_comes_back_gets_what_was_missed(server: Process) -> None:
    # So many that their joins take some ticks of the clock that CPU time is measured with.
    figures = run_storm(server, Storm("", "", rooms=3, members=60, missed=5, target=3.0))
    assert figures["return_seconds"] > 0
    # One message in each room for each time everybody joined, and those that were missed.
    assert stored(server) == {f"room-{room:05}": list(range(1, 9)) for room in range(3)}


def test_every_message_is_stored_before_it_counts(
    server: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy disk may store nothing for a while.
    monkeypatch.setattr(load, "WARM_UP_SECONDS", 0.2)
    traffic = Acknowledged("", "", 5, 1, 4, target=1, share=1)
    with Crowd(server, Publisher) as crowd:
        figures = load.run_traffic(crowd, traffic, 1.0)
        sent = sum(room[0].sent for room in crowd.rooms) + len(crowd.rooms)
    assert figures["deliveries_per_s"] > 0
    rooms = stored(server)
    assert sum(map(len, rooms.values())) == sent
    assert all(offsets == list(range(1, len(offsets) + 1)) for offsets in rooms.values())


def reply(offsets: list[int], **changed: object) -> bytes:
    messages = [{"offset": offset, "text": Publisher.text} for offset in offsets]
    fields = {"room": "a", "epoch": "e", "offset": 13, "recovered": True, "messages": messages}
    return json.dumps(fields | changed).encode()


@pytest.mark.parametrize(
    "wrong",
    [
        reply([11, 13]),
        reply([11, 12]),
        reply([11, 12, 12, 13]),
        reply([12, 11, 13]),
        reply([], recovered=False),
        reply([11, 12, 13], epoch="f"),
        reply([11, 12, 13], offset=14),
    ],
)
def test_a_gap_fails_the_storm(wrong: bytes) -> None:
    positions = {"a": ("e", 10)}
    check("ann", reply([11, 12, 13]), positions, 3)
    with pytest.raises(LoadError, match="ann"):
        check("ann", wrong, positions, 3)


def test_the_bare_loop_fills_rooms_as_the_server_does(tmp_path: Path) -> None:
    figures = insert(tmp_path, 0.1, rooms=3, run=4, batch=10)
    assert figures["deliveries_per_s"] > 0
    connection = sqlite3.connect(tmp_path / "chat.db")
    for room in (1, 2, 3):
        rows = connection.execute(
            "SELECT offset, cid FROM publication WHERE room = ? ORDER BY offset", (room,)
        ).fetchall()
        assert [offset for offset, _ in rows] == list(range(1, len(rows) + 1))
        assert len({cid for _, cid in rows}) == len(rows)
    connection.close()
