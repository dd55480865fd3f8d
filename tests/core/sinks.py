"""Stand in for connections and for the loop's next tick, so that hub and fan-out need no socket."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from websockets.frames import Frame
from websockets.streams import StreamReader

from chatserver.broker.memory import MemoryBroker
from chatserver.config import Config
from chatserver.envelope import Envelope
from chatserver.errors import ActionError
from chatserver.hub import LocalHub
from chatserver.plugin import AnyPlugin
from chatserver.session import Identity, Reply, Session
from chatserver.stats import Stats


def decode(data: bytes) -> list[Frame]:
    """Return the frames in what a server wrote, as another implementation reads them."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    frames = []
    while reader.buffer:
        try:
            next(Frame.parse(reader.read_exact, mask=False))
        except StopIteration as stop:
            frames.append(stop.value)
    return frames


class RecordingSink:
    """Keep what a peer would get.

    Args:
        alive: What a probe finds out.
        gate: Holds a probe's answer back until it is set.
    """

    def __init__(self, *, alive: bool = True, gate: asyncio.Event | None = None) -> None:
        self.alive = alive
        self.gate = gate
        self.probed = asyncio.Event()
        self.writes: list[bytes] = []
        self.essential: list[bytes | None] = []
        self.answers: list[tuple[Envelope, Reply]] = []
        self.refusals: list[tuple[Envelope, ActionError]] = []
        self.closes: list[tuple[int, str]] = []

    def write(self, frames: bytes, essential: bytes | None = None) -> None:
        self.writes.append(frames)
        self.essential.append(essential)

    def answer(self, envelope: Envelope, reply: Reply) -> None:
        self.answers.append((envelope, reply))

    def refuse(self, envelope: Envelope, error: ActionError) -> None:
        self.refusals.append((envelope, error))

    def close(self, code: int, reason: str = "") -> None:
        self.closes.append((code, reason))

    async def probe(self, patience: float) -> bool:
        self.probed.set()
        if self.gate is not None:
            await self.gate.wait()
        return self.alive

    @property
    def texts(self) -> list[str]:
        """All texts written so far, in order."""
        return [bytes(frame.data).decode() for data in self.writes for frame in decode(data)]

    @property
    def events(self) -> list[dict[str, object]]:
        """All events written so far, in order."""
        return [json.loads(text) for text in self.texts]


class Crank:
    """Be a loop whose ticks are turned by hand; what comes later is noted with its delay."""

    def __init__(self) -> None:
        self.calls: list[Turn] = []
        self.delays: list[float] = []

    def __call__(self, delay: float, call: Callable[[], None]) -> "Turn":
        self.delays.append(delay)
        turn = Turn(self, call)
        self.calls.append(turn)
        return turn

    def turn(self) -> None:
        """Run one tick; what is called in it for the next one waits."""
        calls, self.calls = self.calls, []
        for turn in calls:
            turn.call()


class Turn:
    """A call that comes with the next tick.

    Args:
        crank: Turns the tick.
        call: What is called.
    """

    def __init__(self, crank: Crank, call: Callable[[], None]) -> None:
        self.call = call
        self._crank = crank

    def cancel(self) -> None:
        """Have it not called."""
        self._crank.calls.remove(self)


class Place:
    """Run a hub with an in-memory broker and a hand-cranked tick.

    Attributes:
        hub: The hub.
        crank: Its schedule.
        broker: What it publishes through.
    """

    def __init__(self, config: Config | None = None, plugins: Sequence[AnyPlugin] = ()) -> None:
        self.crank = Crank()
        self.broker = MemoryBroker()
        self.stats = Stats()
        self.hub = LocalHub(
            config or Config(), Path("data"), self.broker, plugins, self.crank, self.stats
        )
        self._count = 0

    async def start(self) -> "Place":
        """Begin to take publications."""
        await self.hub.startup()
        return self

    def connect(
        self,
        identity: Identity | str | None = None,
        *,
        alive: bool = True,
        gate: asyncio.Event | None = None,
        admitted: bool = True,
    ) -> tuple[Session, RecordingSink]:
        """Attach a session: an identity's, a user id's, or a new guest's."""
        self._count += 1
        if identity is None:
            identity = Identity(user=f"guest:{self._count}", guest=True)
        elif isinstance(identity, str):
            identity = Identity(user=identity)
        session = Session(f"c{self._count}", identity, "127.0.0.1")
        sink = RecordingSink(alive=alive, gate=gate)
        session.sink = sink
        session.admitted = admitted
        self.hub.attach(session)
        return session, sink

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left behind of anybody."""
        return not (self.hub.sessions or len(self.hub.users) or self.hub.rooms())
