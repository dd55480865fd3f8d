"""Append to a store until killed, and tell of every acknowledgement: the victim of a test.

Run as ``python -m tests.core.appender FILE LIFE [PAGES]``; a tenth of PAGES of the log is copied at
a time, and with PAGES it is begun anew. Each line says room, epoch, offset and cid of one
acknowledged publication; or that one was refused, which ends the sending in that room.
"""

import asyncio
import os
import sys
from pathlib import Path

from chatserver.errors import ActionError
from chatserver.publications import Publication, keep_all
from chatserver.store import checkpoints
from chatserver.store.sqlite import SqliteStore

ROOMS = 8
IN_FLIGHT = 16
STAMP = "2026-11-22T10:41:41.123Z"


async def main(path: Path, life: str, pages: str | None = None) -> None:
    if pages is not None:
        vars(checkpoints).update(PART=int(pages) // 10, LONGEST=int(pages))
    store = SqliteStore(path)
    await store.startup(keep_all)
    os.write(1, b"ready\n")

    def send(room: int, number: int) -> None:
        name = f"{life}.{number}"
        body = f'{{"text":"life{life} number{number}"}}'

        sent = Publication(f"room{room}", body.encode(), STAMP, "ann", name)

        def settle() -> None:
            try:
                place = pending.result().position
            except ActionError as error:
                refused(error)
                return
            assert place is not None
            os.write(1, f"{room} {place.epoch} {place.offset} {name}\n".encode())
            send(room, number + IN_FLIGHT)

        def refused(error: ActionError) -> None:
            os.write(1, f"{room} refused {error.code} {name}\n".encode())

        try:
            pending = store.append(sent)
        except ActionError as error:
            refused(error)
        else:
            pending.when_done(settle)

    for number in range(IN_FLIGHT):
        for room in range(ROOMS):
            send(room, number)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
