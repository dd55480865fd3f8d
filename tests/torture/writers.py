"""Be the clients that publish: they write, change, and send again what is open or stored."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from tests.torture.checker.journals import FINAL, Frame, number, text
from tests.torture.clients import Client, RefusedError
from tests.torture.wire import Wire

IN_FLIGHT: Final = 16

LARGE: Final = 2000
"""Characters of the larger messages, one in ten."""

CHANGING: Final = 0.35
"""How much of what is written changes a message; there has to be one that can be."""

CHANGED: Final = 8
"""Offsets between messages that are changed; so a few are changed often, and most never."""

RECENT: Final = 4
"""Messages of a room that a writer may want to change."""

MEDDLING: Final = 0.3
"""How many of the messages of others a writer may want to change."""

EMOJIS: Final = ("👍", "🎉")


class Request(NamedTuple):
    """Hold something to publish, as it is sent each time.

    Attributes:
        action: What is asked for.
        payload: The action's fields, with room and cid.
    """

    action: str
    payload: Frame


class Writer(Client):
    """Follow, write and change, 16 in flight; send again what a broken connection left open.

    Attributes:
        acknowledged: Messages and changes that are stored.
        open: Those by cid that were sent and are not answered for good yet.
        tally: Released once for each acknowledgement.
        changes: What it wants to do to a message that it may change.
    """

    changes: Sequence[str] = ("react", "edit", "edit", "delete", "pin")

    def __init__(
        self, name: str, user: str, rooms: Sequence[str], chance: Random, clock: Iterator[int]
    ) -> None:
        super().__init__(name, user, rooms, chance, clock)
        self.acknowledged: list[Request] = []
        self.open: dict[str, Request] = {}
        self.tally = asyncio.Semaphore(0)
        self._written = 0
        self._asked: dict[object, str] = {}
        self._known = {room: deque[tuple[int, str]](maxlen=RECENT) for room in rooms}

    async def visit(self, wire: Wire) -> None:
        """Write until it is time to cut the connection with messages in flight."""
        await self.follow(wire)
        await self.send_again(wire)
        for _ in range(self._chance.randint(200, 2000)):
            while len(self.open) < IN_FLIGHT:
                await self._write(wire)
            self.take(await wire.receive())
        wire.drop()

    async def write_out(self, url: str) -> None:
        """Visit a server that stays up until everything is answered, the last changes too."""
        self.journal.settled = True
        while not await self._connect(url, self._write_out):
            pass

    async def _write_out(self, wire: Wire) -> None:
        await self.follow(wire)
        await self.send_again(wire)
        while self.open:
            self.take(await wire.receive())
        await self._change_own(wire)

    async def _change_own(self, wire: Wire) -> None:
        """Make each change once, and some in vain: chance does so too, but not in every run."""
        room = self._rooms[0]
        kept, gone = [
            number(await self._ask_for(wire, room, "message", text=said), "offset")
            for said in ("I stand by this", "I take this back")
        ]
        for offset in (kept, gone):
            await self._ask_for(wire, room, "edit", offset=offset, text="I never said that")
            await self._ask_for(wire, room, "pin", offset=offset, remove=False)
        await self._ask_for(wire, room, "delete", offset=gone)
        await self._ask_for(wire, room, "react", offset=gone, emoji=EMOJIS[0], remove=False)

    async def _ask_for(self, wire: Wire, room: str, action: str, **payload: object) -> Frame:
        """Write something and return the answer."""
        asked = await self._begin(wire, room, self._new_cid(), Request(action, payload))
        while (frame := await wire.receive()).get("id") != asked:
            self.take(frame)
        self.take(frame)
        return frame

    async def send_again(self, wire: Wire) -> None:
        """Send everything that is not answered, in order, under the same cids."""
        self._asked.clear()
        for request in list(self.open.values()):
            await self._send(wire, request)

    def take(self, frame: Frame) -> None:
        """Take acknowledgements and refusals as well, and what can be changed."""
        super().take(frame)
        cid = self._asked.pop(frame.get("id"), None)
        if frame["action"] == "sent" and cid in self.open:
            self.acknowledged.append(self.open.pop(cid))
            self.tally.release()
        elif frame["action"] == "error":
            if frame.get("code") not in FINAL or cid not in self.open:
                raise RefusedError
            del self.open[cid]
        elif frame["action"] == "message" and number(frame, "offset") % CHANGED == 0:
            author = text(frame, "sender")
            if author == self.journal.user or self._chance.random() < MEDDLING:
                self._known[text(frame, "room")].append((number(frame, "offset"), author))

    async def _write(self, wire: Wire) -> None:
        cid = self._new_cid()
        room = self._chance.choice(self._rooms)
        request = self._say(cid)
        if self._known[room] and self._chance.random() < CHANGING:
            request = self._change(cid, *self._chance.choice(self._known[room]))
        await self._begin(wire, room, cid, request)

    async def _begin(self, wire: Wire, room: str, cid: str, request: Request) -> int:
        self.open[cid] = Request(request.action, {"room": room, "cid": cid, **request.payload})
        return await self._send(wire, self.open[cid])

    def _new_cid(self) -> str:
        self._written += 1
        return f"{self.journal.client}.{self._written}"

    def _say(self, cid: str) -> Request:
        body = "x" * self._chance.randint(0, LARGE) if self._chance.random() < 0.1 else ""
        return Request("message", {"text": f"I am {cid} {body}"})

    def _change(self, cid: str, offset: int, author: str) -> Request:
        # What is somebody else's is edited and deleted in vain; that is tried now and then.
        action = "react"
        if self._may_change(author) or self._chance.random() < 0.1:
            action = self._chance.choice(self.changes)
        payload: Frame = {"offset": offset}
        if action == "edit":
            payload["text"] = f"I was another before {cid}"
        elif action in ("react", "pin"):
            payload["remove"] = self._chance.random() < 0.4
        if action == "react":
            payload["emoji"] = self._chance.choice(EMOJIS)
        return Request(action, payload)

    def _may_change(self, author: str) -> bool:
        return author == self.journal.user

    async def _send(self, wire: Wire, request: Request) -> int:
        asked = await wire.send(request.action, **request.payload)
        self._asked[asked] = text(request.payload, "cid")
        return asked


class Moderator(Writer):
    """Write, pin what anybody wrote, and delete some of it."""

    changes = ("react", "pin", "pin", "delete")

    def _may_change(self, author: str) -> bool:
        return True


class Retrier(Client):
    """Send a writer's messages again over another connection: stored ones, and those in flight.

    Args:
        name: What reports call it.
        writer: Whose messages.
        rooms: The rooms it is in.
        chance: Decides what it does.
        clock: Counts the entries of all journals of a run.
    """

    def __init__(
        self, name: str, writer: Writer, rooms: Sequence[str], chance: Random, clock: Iterator[int]
    ) -> None:
        super().__init__(name, writer.journal.user, rooms, chance, clock)
        self._writer = writer

    async def visit(self, wire: Wire) -> None:
        """Retry a few, and then what is in flight."""
        await self.follow(wire)
        while True:
            await self._retry(wire, self._stored(5))
            # In order and from the first one that is open: so the order of sending is kept.
            await self._retry(wire, list(self._writer.open.values()))
            for _ in range(self._chance.randint(1, 50)):
                self.take(await wire.receive())

    async def finish(self, wire: Wire) -> None:
        """Retry what was ever acknowledged, up to a thousand of it."""
        await self.follow(wire)
        again = self._stored(1000)
        for start in range(0, len(again), IN_FLIGHT):
            await self._retry(wire, again[start : start + IN_FLIGHT])

    def _stored(self, most: int) -> list[Request]:
        """Choose from what was acknowledged; one is sent with another text before."""
        acknowledged = self._writer.acknowledged
        again = self._chance.sample(acknowledged, min(most, len(acknowledged)))
        changed = [
            Request(each.action, {**each.payload, "text": "I have changed my mind"})
            for each in again
            if "text" in each.payload
        ]
        return [*changed[:1], *again]

    async def _retry(self, wire: Wire, again: Sequence[Request]) -> None:
        waiting = {await wire.send(request.action, **request.payload) for request in again}
        while waiting:
            frame = await wire.receive()
            waiting.discard(number(frame, "id"))
            self.take(frame)
