"""Read rooms: from memory where what is wanted is there, from their store where not.

What is read is shared until something is published in the room; equal reads of one moment are one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from chatserver.broker.line import Line
from chatserver.broker.pages import Pages
from chatserver.broker.reads import Reads, Wanted
from chatserver.broker.tail import Placed, Tails
from chatserver.fold import Messages
from chatserver.pending import Pending
from chatserver.publications import Page, RoomState
from chatserver.store import Store

NEWEST: Final[Wanted] = (None, None, 1, 1)
"""The newest publication, or what tells that there is none."""


class Reading:
    """Read, and follow what is published.

    Args:
        tails: The newest publications of rooms.
        lines: The rooms in which something is on its way to the store.
    """

    def __init__(self, tails: Tails, lines: Mapping[str, Line]) -> None:
        self._tails = tails
        self._lines = lines
        self._pages: Pages[Page] = Pages()
        self._folded: Pages[Messages] = Pages()
        self._reads: Reads[Page] = Reads()
        self._folding: Reads[Messages] = Reads()

    def position(self, store: Store, room: str) -> Pending[RoomState | None]:
        """Return where a room stands."""
        tail = self._tails.get(room)
        known = tail.state if tail else None
        if known is not None:
            return Pending.done(known)
        return Pending(self._read(store, room, NEWEST)).then(lambda page: page.state)

    def publications(self, store: Store, room: str, wanted: Wanted) -> Pending[Page | None]:
        """Read a page of what was published."""
        page = self._pages.get(room, wanted)
        if page is not None:
            return Pending.done(page)
        tail = self._tails.get(room)
        if tail is not None:
            after, before, limit, max_bytes = wanted
            page = (
                tail.before(before, limit, max_bytes)
                if after is None
                else tail.after(after, limit, max_bytes)
            )
            if page is not None:
                self._pages.add(room, wanted, page)
                return Pending.done(page)
        return Pending(self._read(store, room, wanted)).then(lambda page: page)

    def messages(self, store: Store, room: str, wanted: Wanted) -> Pending[Messages | None]:
        """Read a page of messages, each with its changes.

        Newest ones that are not in memory are brought there, if the room has not too many changes.
        """
        known = self._known(room, wanted)
        if known is not None:
            return Pending.done(known)
        read = self._folding.share(room, wanted, lambda: self._fold(store, room, wanted))
        return Pending(read).then(lambda messages: messages)

    def add(self, room: str, stored: Sequence[Placed]) -> None:
        """Add what is about to be delivered; a read that began before is of no use any longer."""
        self._forget(room)
        self._tails.add(room, stored)

    def trim(self, room: str, oldest: int) -> None:
        """Drop what is no longer kept, before an offset."""
        self._forget(room)
        self._tails.trim(room, oldest)

    def release(self, room: str) -> None:
        """Forget a room."""
        self._forget(room)
        self._tails.forget(room)

    def _forget(self, room: str) -> None:
        self._reads.forget(room)
        self._folding.forget(room)
        self._pages.forget(room)
        self._folded.forget(room)

    def _read(self, store: Store, room: str, wanted: Wanted) -> "asyncio.Task[Page]":
        return self._reads.share(room, wanted, lambda: self._fetch(store, room, wanted))

    async def _fetch(self, store: Store, room: str, wanted: Wanted) -> Page:
        after, before, limit, max_bytes = wanted
        line = self._lines.get(room)
        if line is not None and after is None and before is None and self._tails.get(room) is None:
            # With what is on its way a tail begins, and nothing that was read before adjoins it.
            await line.news()
        if after is None:
            page = await store.read_before(room, before, limit, max_bytes)
        else:
            page = await store.read(room, after, limit, max_bytes)
        current = self._reads.is_current(room, wanted) and room not in self._lines
        self._tails.seed(room, page, current=current)
        return page

    def _known(self, room: str, wanted: Wanted) -> Messages | None:
        known = self._folded.get(room, wanted)
        tail = self._tails.get(room)
        if known is None and tail is not None:
            known = tail.messages(*wanted)
            if known is not None:
                self._folded.add(room, wanted, known)
        return known

    async def _fold(self, store: Store, room: str, wanted: Wanted) -> Messages:
        after, before, limit, max_bytes = wanted
        if after is None and before is None:
            # Twice as many publications, as some of them may be changes.
            await self._read(store, room, (None, None, 2 * limit, 2 * max_bytes))
            known = self._known(room, wanted)
            if known is not None:
                return known
        return await store.messages(room, after, before, limit, max_bytes)
