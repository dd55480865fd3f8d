"""Append to a store until killed, and tell of every acknowledgement: the victim of a test.

Run as ``python -m tests.core.appender FILE LIFE``. Each line says room, offset and cid of one
acknowledged publication.
"""

import asyncio
import os
import sys
from pathlib import Path

from chatserver.publications import Publication, keep_all
from chatserver.store import Stored
from chatserver.store.sqlite import SqliteStore

ROOMS = 8
IN_FLIGHT = 16
STAMP = "2026-11-22T10:41:41.123Z"


async def main(path: Path, life: str) -> None:
    store = SqliteStore(path)
    await store.startup(keep_all)
    os.write(1, b"ready\n")

    def send(room: int, number: int) -> None:
        name = f"{life}.{number}"
        body = f'{{"text":"life{life} number{number}"}}'

        def settle(outcome: object) -> None:
            assert isinstance(outcome, Stored)
            line = f"{room} {outcome.position.epoch} {outcome.position.offset} {name}\n"
            os.write(1, line.encode())
            send(room, number + IN_FLIGHT)

        store.append(
            Publication(f"room{room}", body.encode(), STAMP, "ann", name, digest=b"d"), settle
        )

    for number in range(IN_FLIGHT):
        for room in range(ROOMS):
            send(room, number)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
