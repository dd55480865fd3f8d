"""What users of the Python client see and are told, and whether it can be true."""

import asyncio
import itertools
from dataclasses import dataclass, field

from chatserver.client import (
    Backoff,
    ChatClient,
    Gap,
    Joined,
    Message,
    Position,
    Recovered,
    Room,
    connect,
)

ROOM = "lobby"
IN_FLIGHT = 8


@dataclass
class View:
    """One user of one room.

    Attributes:
        user: User id and name.
        seen: Position, `cid` and text of each message, in the order of seeing them.
        told: What was said of recovery, in order.
        reached: The offset up to which it has seen the room, or was told of a gap.
        acknowledged: The position of each `cid` that the client returned.
        progress: Set whenever there is something new.
        numbers: Count its messages.
        done: Whether it writes no more.
    """

    user: str
    seen: list[tuple[Position, str, str]] = field(default_factory=list)
    told: list[Recovered | Gap] = field(default_factory=list)
    acknowledged: dict[str, Position] = field(default_factory=dict)
    reached: int = 0
    progress: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    done: bool = False

    def connect(self, url: str) -> ChatClient:
        """Make a client that comes back soon and notices a stalled line soon."""
        return connect(
            url,
            token=f"{self.user}-token",
            backoff=Backoff(0.02, 0.2),
            ping_interval=1,
            timeout=5,
        )

    async def watch(self, room: Room) -> None:
        """Look at the room until it is left."""
        async for event in room:
            match event:
                case Recovered() | Gap():
                    self.told.append(event)
                    if isinstance(event, Gap) and event.resumes is not None:
                        self._reach(event.resumes.offset)
                case Message(cid=str(cid)):
                    assert room.position is not None
                    assert room.position.offset == event.offset
                    self.seen.append((room.position, cid, event.text))
                    self._reach(room.position.offset)
                case _:
                    assert isinstance(event, Joined) or event.offset is None

    async def write(self, room: Room, count: int | None = None) -> None:
        """Write messages, a few at a time; without a count, until it is `done`."""
        numbers = iter(self.numbers) if count is None else itertools.islice(self.numbers, count)

        async def say() -> None:
            for number in itertools.takewhile(lambda _: not self.done, numbers):
                cid = f"{self.user}.{number}"
                sent = await room.publish(f"I am {cid}", cid=cid)
                assert sent.position is not None
                self.acknowledged[cid] = sent.position
                self.progress.set()

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(say())

    async def until(self, offset: int) -> None:
        """Wait until it has seen an offset, or was told that it will not."""
        while self.reached < offset:
            self.progress.clear()
            await self.progress.wait()

    def _reach(self, offset: int) -> None:
        self.reached = offset
        self.progress.set()


def judge(views: list[View], log: list[str]) -> None:
    """Check views against the room's history, which has `log` as its `cid`s from offset 1 on."""
    assert len(set(log)) == len(log), "nothing is stored twice"
    for view in views:
        for cid, position in view.acknowledged.items():
            assert log[position.offset - 1] == cid, "what was acknowledged is where it was said"
        numbers = [int(cid.split(".")[1]) for cid in log if cid.startswith(f"{view.user}.")]
        assert numbers == sorted(numbers), "messages are stored in the order they were written"
        gaps = [told.resumes for told in view.told if isinstance(told, Gap)]
        behind = 0
        for position, cid, text in view.seen:
            if position.offset != behind + 1:
                before = Position(position.epoch, position.offset - 1)
                assert before in gaps, f"{view.user} was not told of a gap before {position}"
            assert log[position.offset - 1] == cid, "nobody sees what is not there"
            assert text == f"I am {cid}"
            behind = position.offset


async def read_all(chat: ChatClient, room: str) -> list[str]:
    """Read the `cid`s of a room's whole history by pages."""
    log: list[str] = []
    more = True
    while more:
        page = await chat.history(room, since=len(log), limit=1000)
        for event in page.events:
            assert isinstance(event, Message)
            assert event.offset == len(log) + 1
            log.append(str(event.cid))
        more = page.more
    return log
