"""Start stores, and append to them as a broker would."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chatserver.errors import ActionError
from chatserver.publications import Publication, Rules, keep_all
from chatserver.store import Store, Stored
from chatserver.store.sqlite import SqliteStore

STAMP = "2026-11-22T10:41:41.123Z"
FAR = 2**20


def publication(
    room: str = "lobby",
    body: bytes = b"{}",
    *,
    user: str | None = "ann",
    cid: str | None = None,
    digest: bytes = b"",
    timestamp: str = STAMP,
) -> Publication:
    return Publication(room, body, timestamp, user, cid, digest=digest)


def append(store: Store, sent: Publication) -> "asyncio.Future[Stored]":
    """Append, and return a future of the outcome."""
    future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()

    def settle(outcome: Stored | ActionError) -> None:
        if isinstance(outcome, Stored):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)

    store.append(sent, settle)
    return future


async def add(store: Store, *sent: Publication) -> list[Stored]:
    """Append all at once and wait for the outcomes."""
    async with asyncio.timeout(20):
        return list(await asyncio.gather(*[append(store, each) for each in sent]))


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
