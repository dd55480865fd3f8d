"""Start stores, and append to them as a broker would."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chatserver.publications import Publication, Rules, keep_all
from chatserver.store import Store, Stored
from chatserver.store.sqlite import SqliteStore

STAMP = "2026-11-22T10:41:41.123Z"
LATER = "2026-11-22T10:42:41.123Z"
FAR = 2**20


def publication(
    room: str = "lobby",
    body: bytes = b"{}",
    *,
    user: str | None = "ann",
    cid: str | None = None,
    timestamp: str = STAMP,
) -> Publication:
    return Publication(room, body, timestamp, user, cid)


def append(store: Store, sent: Publication) -> "asyncio.Future[Stored]":
    """Append, and return a future of the outcome."""
    future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
    pending = store.append(sent)

    def settle() -> None:
        if pending.error is not None:
            future.set_exception(pending.error)
        else:
            stored = pending.result()
            assert isinstance(stored, Stored)
            future.set_result(stored)

    pending.when_done(settle)
    return future


async def add(store: Store, *sent: Publication) -> list[Stored]:
    """Append all at once and wait for the outcomes."""
    async with asyncio.timeout(20):
        return list(await asyncio.gather(*[append(store, each) for each in sent]))


def message(text: str, room: str = "lobby") -> Publication:
    """Make a message with a text, as a room gets it."""
    event = {"action": "message", "room": room, "text": text, "timestamp": STAMP}
    return publication(room, json.dumps(event, ensure_ascii=False).encode())


def edit(text: str, target: int, room: str = "lobby") -> Publication:
    event = {"action": "edit", "room": room, "target": target, "text": text, "timestamp": LATER}
    body = json.dumps(event).encode()
    return Publication(room, body, LATER, "ann", kind="edit", target=target)


def delete(target: int, room: str = "lobby") -> Publication:
    body = json.dumps({"action": "delete", "room": room, "target": target}).encode()
    return Publication(room, body, LATER, "ann", kind="delete", target=target, erases=True)


async def found(
    store: Store, text: str, *rooms: str, before: int | None = None, limit: int = 100
) -> list[str]:
    """Search, by default the lobby; return the texts found, the newest first."""
    async with asyncio.timeout(20):
        result = await store.search(
            rooms or ["lobby"], text, before=before, limit=limit, max_bytes=FAR
        )
    return [json.loads(event)["text"] for event in result.events]


async def bodies(store: Store, room: str = "lobby") -> list[bytes]:
    """Read a whole room."""
    page = await store.read(room, 0, FAR, 2**30)
    return [each.body for each in page.publications]


@asynccontextmanager
async def opened(path: Path, rules: Rules = keep_all) -> AsyncIterator[SqliteStore]:
    """Have a store on a file, closed in order at the end."""
    store = SqliteStore(path, patience=0.1)
    await store.startup(rules)
    try:
        yield store
    finally:
        async with asyncio.timeout(20):
            await store.cleanup()
