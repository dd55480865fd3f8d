"""Clients that write to a room, follow its stream over broken connections, and miss nothing."""

import json
from collections import deque
from collections.abc import Mapping

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.callers import DEADLINE, Frame

ROOM = "lobby"
IN_FLIGHT = 16


def guarded(*users: str) -> dict[str, object]:
    """Return a configuration that keeps rooms, and lets these users in by tokens of their names."""
    tokens = [{"token": f"{user}-token", "user": user, "name": user} for user in users]
    return {
        "broker": "embedded",
        "middlewares": [{"auth": {"anonymous": True, "tokens": tokens}}, "size_limit"],
    }


class Follower:
    """A user who sees a room's stream from its beginning, and goes on writing to it.

    Every message has a `cid`. What was not acknowledged before the connection broke is sent again
    over the next one, in the same order.

    Args:
        user: User id and name.
        writes: Whether it writes as long as it is connected.

    Attributes:
        seen: The `cid` of each message of the stream, from offset 1 on.
        epoch: The stream's.
        acknowledged: The offset of each `cid` that the server has acknowledged.
        unsettled: Each `cid` that was sent and not acknowledged, in order.
        recovered: What each `join` said.
    """

    def __init__(self, user: str, *, writes: bool = True) -> None:
        self.user = user
        self.seen: list[str] = []
        self.epoch = ""
        self.acknowledged: dict[str, int] = {}
        self.unsettled: deque[str] = deque()
        self.recovered: list[object] = []
        self._writes = writes
        self._sent = 0

    async def live(self, url: str) -> None:
        """Connect, catch up, and write and listen until the connection breaks."""
        headers = {"Authorization": f"Bearer {self.user}-token"}
        try:
            async with connect(
                url, additional_headers=headers, proxy=None, open_timeout=DEADLINE, max_size=None
            ) as socket:
                await self._catch_up(socket)
                for cid in self.unsettled:
                    await self._say(socket, cid)
                while True:
                    await self._fill(socket)
                    self._take(json.loads(await socket.recv()))
        except (ConnectionClosed, OSError):
            return

    async def _fill(self, socket: ClientConnection) -> None:
        while self._writes and len(self.unsettled) < IN_FLIGHT:
            cid = f"{self.user}.{self._sent}"
            self._sent += 1
            self.unsettled.append(cid)
            await self._say(socket, cid)

    async def _say(self, socket: ClientConnection, cid: str) -> None:
        await _send(socket, action="message", room=ROOM, text=f"I am {cid}", cid=cid, id=cid)

    async def _catch_up(self, socket: ClientConnection) -> None:
        since = {"offset": len(self.seen), "epoch": self.epoch}
        await _send(socket, action="join", room=ROOM, since=since, id="join")
        joined = await _receive(socket)
        assert joined["action"] == "joined", f"the first frame of a room is {joined}"
        self.recovered.append(joined["recovered"])
        assert self.epoch in ("", joined["epoch"])
        self.epoch = str(joined["epoch"])
        self._see_all(joined)
        later: list[Frame] = []
        while len(self.seen) < int(str(joined["offset"])):
            await _send(socket, action="history", since=len(self.seen), limit=100, id="page")
            while (frame := await _receive(socket)).get("id") != "page":
                later.append(frame)
            self._see_all(frame)
        for frame in later:
            if frame["action"] != "message" or int(str(frame["offset"])) > len(self.seen):
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        if frame["action"] == "message":
            self._see(frame)
        elif frame["action"] == "sent":
            cid = self.unsettled.popleft()
            assert frame["cid"] == cid, "acknowledgements come in the order sent"
            # Who joined before the first message was not told of an epoch.
            self.epoch = self.epoch or str(frame["epoch"])
            assert frame["epoch"] == self.epoch
            self.acknowledged[cid] = int(str(frame["offset"]))
        else:
            assert frame["action"] == "notification", frame

    def _see_all(self, frame: Frame) -> None:
        messages = frame["messages"]
        assert isinstance(messages, list)
        for message in messages:
            self._see(message)

    def _see(self, message: Mapping[str, object]) -> None:
        assert message["offset"] == len(self.seen) + 1, "no hole and nothing twice"
        assert message["text"] == f"I am {message['cid']}"
        self.seen.append(str(message["cid"]))


async def _send(socket: ClientConnection, **message: object) -> None:
    await socket.send(json.dumps(message))


async def _receive(socket: ClientConnection) -> Frame:
    frame: Frame = json.loads(await socket.recv())
    return frame
