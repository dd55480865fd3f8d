"""The bare loop beside the acknowledged load: the same rows into the same table, and no server.

`python -m benchmarks.inserts FOLDER SECONDS ROOMS RUN BATCH` prints its figures as JSON. The rows
are made before the clock starts, in runs of one room as clients with so many in flight send them;
each batch is one `executemany` in a transaction of its own, which waits for the disk as the server
does (`synchronous=FULL`).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from zlib import crc32

from benchmarks.client import LoadError, Publisher
from benchmarks.load import WARM_UP_SECONDS, Figures
from benchmarks.machine import Cores
from benchmarks.process import HERE, RESULTS
from benchmarks.scenarios import Acknowledged
from chatserver.envelope import encode_event
from chatserver.store.schema import new_epoch, open_file

NAME = "bare-inserts"
ROWS = "rows_per_commit"

INSERT = """INSERT INTO publication
    (room, offset, user, cid, checksum, timestamp, target, kind, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
STAMP = "2026-11-22T10:41:41.123Z"

Row = tuple[int, int, str, str, int, str, None, str, bytes]


def run_inserts(cores: Cores, load: Acknowledged, seconds: float, batch: int) -> Figures:
    """Run the loop on the server's core, in a process of its own.

    Args:
        cores: whose core is whose.
        load: says how many rooms there are, and how long runs.
        seconds: how long it is measured.
        batch: rows in a transaction.

    Raises:
        LoadError: it failed; the message has what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="data-", dir=RESULTS) as folder:
        arguments = (folder, seconds, load.rooms, load.in_flight, batch)
        os.sched_setaffinity(0, {cores.server})
        try:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.inserts", *map(str, arguments)],
                cwd=HERE.parent,
                capture_output=True,
                text=True,
            )
        finally:
            os.sched_setaffinity(0, {cores.load})
    if done.returncode:
        raise LoadError(done.stderr.strip()[-2000:])
    figures: Figures = json.loads(done.stdout)
    return figures


def insert(folder: Path, seconds: float, rooms: int, run: int, batch: int) -> Figures:
    """Insert for so long, after a warm-up, into a new file; return rows per second and CPU time."""
    connection = open_file(folder / "chat.db", 1)
    for room in range(rooms):
        epoch = new_epoch()
        connection.execute("INSERT INTO room (name, epoch) VALUES (?, ?)", (_room(room), epoch))
    wall = cpu = 0.0
    inserted = counted = 0
    warm = time.perf_counter() + WARM_UP_SECONDS
    while wall < seconds:
        rows = [_row(number, rooms, run) for number in range(inserted, inserted + batch)]
        started, used = time.perf_counter(), time.process_time()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
        inserted += batch
        if started > warm:
            wall += time.perf_counter() - started
            cpu += time.process_time() - used
            counted += batch
    connection.close()
    return {
        "deliveries_per_s": counted / wall,
        "server_cpu_per_delivery": cpu / counted,
        "server_share": cpu / wall,
        ROWS: batch,
    }


def _room(number: int) -> str:
    return f"room-{number:05}"


def _row(number: int, rooms: int, run: int) -> Row:
    runs, within = divmod(number, run)
    turns, room = divmod(runs, rooms)
    turn = turns * run + within
    user, cid = f"guest:{room:032x}", f"{room:08x}-{turn:08}"
    body = encode_event(
        {
            "action": "message",
            "room": _room(room),
            "text": Publisher.text,
            "timestamp": STAMP,
            "sender": user,
            "username": f"user-{room:05}",
            "cid": cid,
        }
    )
    return (room + 1, turn + 1, user, cid, crc32(body), STAMP, None, "message", body)


if __name__ == "__main__":
    _, given_folder, given_seconds, *given_sizes = sys.argv
    print(json.dumps(insert(Path(given_folder), float(given_seconds), *map(int, given_sizes))))
