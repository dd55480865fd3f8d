"""Be users of the Python client: they stay entered while servers come and go under them.

Their journals have no frames but what the client told its user, written as frames: one life in each
room from the first join on. So the checker finds a hole, a repetition or a swap that reconnecting
makes, as if there had been one connection to a server that never died.
"""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Final
from urllib.parse import urlsplit

from msgspec import to_builtins

from chatserver.client import (
    ActionError,
    ChatClient,
    Erased,
    Event,
    Gap,
    Joined,
    LostError,
    Message,
    Notification,
    Page,
    Position,
    Recovered,
    Room,
)
from tests.e2e.flaky import FlakyLine
from tests.e2e.views import View
from tests.torture.checker.journals import Entry, Frame, Journal, Way

IN_FLIGHT: Final = 4
PAGE: Final = 200
PAUSE: Final = 0.05
"""Seconds after which it asks again that was not in the room yet, or was refused for now."""

LISTEN: Final = 1.0
"""Seconds after which it looks whether a server that says nothing is still there."""

QUIET: Final = 15.0
"""Seconds without an event after which a server that stays up has nothing more to show."""

FOLDED: Final = ("edited", "pinned", "reactions")
"""What a message has only once it has been changed."""


class Resident:
    """Follow rooms and write to them, through all lives of the server.

    Args:
        name: What reports call it, and its user id.
        rooms: The rooms it is in.
        chance: Decides what it does.
        clock: Counts the entries of all journals of a run.

    Attributes:
        journal: What it asked the client for and was told.
    """

    def __init__(
        self, name: str, rooms: Sequence[str], chance: Random, clock: Iterator[int]
    ) -> None:
        self.journal = Journal(name, name)
        self._rooms = {room: number for number, room in enumerate(rooms, 1)}
        self._chance = chance
        self._clock = clock
        self._ids = itertools.count(1)
        self._line = FlakyLine(0)
        self._staying: asyncio.Task[None] | None = None
        self._entered: list[Room] = []
        self._silent = asyncio.Event()
        self._answered = asyncio.Event()
        self._progress = asyncio.Event()

    async def live(self, url: str) -> None:
        """Lead the line to a server, and cut it once that is gone."""
        self._lead(url)
        await _outlive(self._line.port)
        self._line.dead = True
        if self._staying is not None and self._staying.done():
            self._staying.result()

    async def write_out(self, url: str) -> None:
        """Write no more, and wait until a server that stays up has answered everything."""
        self.journal.settled = True
        self._lead(url)
        self._silent.set()
        await self._until(self._answered)

    async def settle(self) -> None:
        """Wait until everything is seen, once everybody else has stopped writing.

        What a server keeps to itself is not waited for, and is left to the checker.
        """
        with suppress(TimeoutError):
            for room in self._entered:
                top = (await self._page(room, 0)).position.offset
                while room.position is None or room.position.offset < top:
                    self._progress.clear()
                    async with asyncio.timeout(QUIET):
                        await self._until(self._progress)
        self.journal.follows = list(self._rooms)

    async def close(self) -> None:
        """Leave, whatever is going on."""
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.wait([self._staying])

    def _lead(self, url: str) -> None:
        port = urlsplit(url).port
        assert port is not None
        self._line.port = port
        self._line.heal()
        if self._staying is None:
            self._staying = asyncio.create_task(self._stay())

    async def _until(self, event: asyncio.Event) -> None:
        waiting = asyncio.create_task(event.wait())
        assert self._staying is not None
        try:
            await asyncio.wait([waiting, self._staying], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._staying.done():
            self._staying.result()

    async def _stay(self) -> None:
        async with (
            self._line as line,
            View(self.journal.user).connect(line.url) as chat,
            asyncio.TaskGroup() as group,
        ):
            for name in self._rooms:
                room = chat.join(name, since=Position("", 0))
                self._entered.append(room)
                group.create_task(self._watch(room))
            await self._write(chat)
            self._answered.set()

    async def _write(self, chat: ChatClient) -> None:
        free = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            for number in itertools.count(1):
                await free.acquire()
                if self._silent.is_set():
                    return
                room = self._chance.choice(list(self._rooms))
                saying = self._say(chat, room, f"{self.journal.client}.{number}")
                group.create_task(saying).add_done_callback(lambda _: free.release())

    async def _say(self, chat: ChatClient, room: str, cid: str) -> None:
        asked = {"action": "message", "id": next(self._ids), "room": room, "cid": cid}
        self._note(Way.SENT, {**asked, "text": f"I am {cid}"})
        sent = await chat.publish(room, f"I am {cid}", cid=cid)
        assert sent.position is not None
        told: Frame = {**asked, "action": "sent", "timestamp": sent.timestamp}
        told |= {"offset": sent.position.offset, "epoch": sent.position.epoch}
        self._note(Way.GOT, {**told, "duplicate": sent.duplicate})

    async def _watch(self, room: Room) -> None:
        async for event in room:
            match event:
                case Joined(position=Position(epoch=epoch)):
                    # It knows nothing yet: what was said before follows, or a gap.
                    self._join(room, Position(epoch, 0))
                case Gap(resumes=Position() as resumes):
                    seen = 0 if event.seen is None else event.seen.offset
                    await self._read(room, seen, resumes.offset)
                    self._join(room, resumes)
                case Message() | Erased() | Event():
                    self._note(Way.GOT, {"room": room.name, **_frame(event)})
                case _:
                    assert isinstance(event, Notification | Recovered), f"{event} is no life here"
            self._progress.set()

    def _join(self, room: Room, position: Position) -> None:
        asked: Frame = {"action": "join", "id": next(self._ids), "room": room.name}
        self._note(Way.SENT, asked)
        place = {"offset": position.offset, "epoch": position.epoch}
        self._note(Way.GOT, {**asked, "action": "joined", **place, "messages": []})

    async def _read(self, room: Room, seen: int, top: int) -> None:
        """Read by pages what a join did not bring."""
        while seen < top:
            page = await self._page(room, seen)
            seen = page.position.offset if page.next is None else page.next

    async def _page(self, room: Room, since: int) -> Page:
        while True:
            asked: Frame = {"action": "history", "id": next(self._ids), "room": room.name}
            self._note(Way.SENT, {**asked, "since": since, "limit": PAGE})
            try:
                page = await room.history(since=since, limit=PAGE)
            except (LostError, TimeoutError):
                continue
            except ActionError as refused:
                if refused.code not in ("not_joined", "unavailable", "draining"):
                    raise
                await asyncio.sleep(PAUSE)
                continue
            self._note(Way.GOT, {**asked, **_told(page)})
            return page

    def _note(self, way: Way, frame: Frame) -> None:
        # A room is a connection of its own: the client promises no order between rooms.
        connection = self._rooms[str(frame["room"])]
        self.journal.entries.append(Entry(next(self._clock), connection, way, frame))


def _told(page: Page) -> Frame:
    told: Frame = {"offset": page.position.offset, "epoch": page.position.epoch}
    told |= {"oldest": page.oldest, "more": page.more, "messages": list(map(_frame, page.events))}
    return told if page.next is None else {**told, "next": page.next}


def _frame(event: Message | Notification | Event | Erased) -> Frame:
    """Return an event as the server wrote it."""
    if isinstance(event, Event):
        return event.fields
    if isinstance(event, Erased):
        return {"offset": event.offset, "deleted": True}
    fields: Frame = {"action": "message", **to_builtins(event)}
    return {
        name: value
        for name, value in fields.items()
        if value is not None and (value or name not in FOLDED)
    }


async def _outlive(port: int) -> None:
    """Wait until nobody listens any more, even if the end of a connection is never heard."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return
        try:
            async with asyncio.timeout(LISTEN):
                await reader.read()
        except OSError:
            pass  # its end, or the timeout, which is one of these
        finally:
            writer.close()
