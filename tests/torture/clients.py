"""Be the clients: they follow, come and go, and never judge what they see.

What they are sent goes into their journals, right or wrong; so a client neither checks nor trusts
more than it needs to go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from random import Random
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from tests.torture.checker.journals import Frame, Journal, number, text
from tests.torture.wire import Wire, opened

PAGE: Final = 200
SHUTTING_DOWN: Final = 503


class RefusedError(Exception):
    """A request was refused; connecting again is the way on."""


class Client:
    """Follow rooms over connections that break, from the beginning on.

    Args:
        name: What reports call it.
        user: Its user id.
        rooms: The rooms it is in.
        chance: Decides what it does.
        clock: Counts the entries of all journals of a run.

    Attributes:
        journal: Everything it has sent and got.
        unread: Frames after which it lets the server wait; None takes whatever comes.
    """

    unread: int | None = None

    def __init__(
        self, name: str, user: str, rooms: Sequence[str], chance: Random, clock: Iterator[int]
    ) -> None:
        self.journal = Journal(name, user)
        self._rooms = rooms
        self._chance = chance
        self._clock = clock
        self._connections = 0
        self._seen = dict.fromkeys(rooms, 0)
        self._epochs = dict.fromkeys(rooms, "")
        self._ahead: dict[str, int] = {}

    async def live(self, url: str) -> None:
        """Visit the server again and again until nobody listens any more."""
        try:
            while True:
                await self._connect(url, self.visit)
        except OSError:
            return

    async def settle(self, url: str) -> None:
        """Visit a server that stays up, and leave with everything seen."""
        while not await self._connect(url, self.finish):
            pass
        self.journal.follows = list(self._rooms)

    async def _connect(self, url: str, visit: Callable[[Wire], Awaitable[None]]) -> bool:
        """Visit once; return whether the visit came to its end.

        Raises:
            OSError: Nobody listens.
        """
        self._connections += 1
        try:
            async with opened(
                url, self.journal, self._connections, self._clock, self.unread
            ) as wire:
                await visit(wire)
        except (ConnectionClosed, InvalidMessage, RefusedError):
            return False
        except InvalidStatus as refused:
            if refused.response.status_code != SHUTTING_DOWN:
                raise
            return False
        return True

    async def visit(self, wire: Wire) -> None:
        """Do what this client does with a connection, for some time or until it breaks."""
        await self.follow(wire)
        while True:
            self.take(await wire.receive())

    async def finish(self, wire: Wire) -> None:
        """Do what is left to do, once everybody else has stopped writing."""
        await self.follow(wire)

    async def follow(self, wire: Wire) -> None:
        """Join all rooms where the last connection left them."""
        for room in self._rooms:
            await self.catch_up(wire, room)

    async def catch_up(self, wire: Wire, room: str) -> None:
        """Join a room and read what was missed, page by page if need be."""
        self._ahead[room] = 0
        since = {"offset": self._seen[room], "epoch": self._epochs[room]}
        joined = await self.ask(wire, "join", room=room, since=since)
        self._epochs[room] = text(joined, "epoch")
        top = number(joined, "offset")
        while joined.get("recovered") is not True and (seen := self._seen[room]) < top:
            page = await self.ask(wire, "history", room=room, since=seen, limit=PAGE)
            place = number(page, "next" if page.get("more") else "offset")
            if place <= seen:
                break
            self._seen[room] = place
        self._seen[room] = max(top, self._ahead.pop(room))

    async def ask(self, wire: Wire, action: str, **payload: object) -> Frame:
        """Send a request and return its reply; take what comes before.

        Raises:
            RefusedError: The reply is an error.
        """
        asked = await wire.send(action, **payload)
        while (frame := await wire.receive()).get("id") != asked:
            self.take(frame)
        if frame["action"] == "error":
            raise RefusedError
        return frame

    def take(self, frame: Frame) -> None:
        """Take a frame that nobody waits for."""
        room = text(frame, "room")
        if "offset" in frame and "id" not in frame:
            # While pages are read, what is live does not count as seen: the pages may not come.
            place = self._ahead if room in self._ahead else self._seen
            place[room] = number(frame, "offset")


class Reader(Client):
    """Follow, and read as fast as it can."""


class SlowReader(Client):
    """Follow, and fall behind; a server may cut it off for that."""

    unread = 16

    async def visit(self, wire: Wire) -> None:
        """Take a breath now and then."""
        await self.follow(wire)
        while True:
            for _ in range(self._chance.randint(50, 300)):
                self.take(await wire.receive())
            await asyncio.sleep(self._chance.uniform(0.05, 0.2))


class Churner(Client):
    """Follow, and be gone soon, whatever the way; leave a room and join it again."""

    async def visit(self, wire: Wire) -> None:
        """Read a little and go."""
        await self.follow(wire)
        for _ in range(self._chance.randint(1, 3)):
            for _ in range(self._chance.randint(1, 60)):
                self.take(await wire.receive())
            room = self._chance.choice(self._rooms)
            if self._chance.random() < 0.5:
                await self.ask(wire, "leave", room=room)
            await self.catch_up(wire, room)
        if self._chance.random() < 0.5:
            wire.drop()


class Latecomer(Client):
    """Know nothing of before: join with the newest messages, read on a little, and again."""

    async def visit(self, wire: Wire) -> None:
        """Join as if it were the first time, sometimes on top of a membership."""
        for _ in range(self._chance.randint(5, 15)):
            room = self._chance.choice(self._rooms)
            await self.ask(wire, "join", room=room, last=self._chance.choice((1, 20, 200)))
            for _ in range(self._chance.randint(1, 30)):
                self.take(await wire.receive())

    async def finish(self, wire: Wire) -> None:
        """See the newest once more; it follows nothing."""
        for room in self._rooms:
            await self.ask(wire, "join", room=room, last=20)

    async def settle(self, url: str) -> None:
        """Visit a server that stays up; nobody can say that it has seen everything."""
        await super().settle(url)
        self.journal.follows = []


class Witness(Client):
    """Read everything at the end, in every way the protocol has."""

    async def finish(self, wire: Wire) -> None:
        """Page both ways, join in the middle and at the end."""
        for room in self._rooms:
            joined = await self.ask(wire, "join", room=room, last=50)
            top, epoch = number(joined, "offset"), text(joined, "epoch")
            await self._page(wire, room, "since", 0)
            await self._page(wire, room, "before", top + 1)
            for back in (0, 1, self._chance.randint(2, 290)):
                since = {"offset": max(0, top - back), "epoch": epoch}
                await self.ask(wire, "join", room=room, since=since)

    async def _page(self, wire: Wire, room: str, way: str, place: int) -> None:
        while True:
            page = await self.ask(wire, "history", room=room, limit=PAGE, **{way: place})
            before, place = place, number(page, "next")
            if not page.get("more") or place == before:
                return
