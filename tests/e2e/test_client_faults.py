"""The Python client over a bad line: it misses nothing, and nothing comes twice."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from chatserver.client import Backoff, Offline, Online, Recovered, connect
from tests.e2e.callers import configure
from tests.e2e.flaky import FAULTS, FlakyLine, storm
from tests.e2e.process import ServerProcess
from tests.e2e.streams import guarded
from tests.e2e.views import View, judge, read_all

WITHIN = 45
WRITERS = ("ann", "bob")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for all; each test has a room of its own."""
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(configure(folder, **guarded(*WRITERS, "eve"))) as server:
        yield server


@pytest_asyncio.fixture
async def line(server: ServerProcess) -> AsyncIterator[FlakyLine]:
    async with FlakyLine(server.port) as line:
        yield line


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_is_recovered_from(
    server: ServerProcess, line: FlakyLine, fault: str
) -> None:
    ann, eve = View("ann"), View("eve")
    async with (
        asyncio.timeout(WITHIN),
        ann.connect(server.ws) as straight,
        straight.join(fault) as there,
        eve.connect(line.url) as chat,
        chat.join(fault) as room,
        asyncio.TaskGroup() as group,
    ):
        watching = group.create_task(eve.watch(room))
        await ann.write(there, 5)
        await eve.until(5)
        FAULTS[fault](line)
        # What she says needs the line; what she misses was said while it was bad.
        group.create_task(eve.write(room, 10))
        await ann.write(there, 20)
        if fault != "delay":
            while not isinstance(await anext(chat), Offline):
                pass
        line.heal()
        await eve.until(35)
        judge([ann, eve], await read_all(straight, fault))
        assert len(eve.seen) == 35
        assert {type(told) for told in eve.told} <= {Recovered}
        watching.cancel()


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm(server: ServerProcess, seed: int) -> None:
    """Writers and readers, each behind a line of its own that goes from one fault to the next."""
    chance, name = random.Random(seed), f"storm {seed}"
    views = [View(user) for user in (*WRITERS, "eve")]
    async with AsyncExitStack() as stack, asyncio.timeout(WITHIN):
        lines = [await stack.enter_async_context(FlakyLine(server.port)) for _ in views]
        chats = [
            await stack.enter_async_context(view.connect(line.url))
            for view, line in zip(views, lines, strict=True)
        ]
        rooms = [
            # Eve is content with being told what she missed.
            await stack.enter_async_context(chat.join(name, catch_up=view.user != "eve"))
            for view, chat in zip(views, chats, strict=True)
        ]

        async def calm() -> None:
            await asyncio.sleep(chance.uniform(0, 0.2))

        async with asyncio.TaskGroup() as group:
            watching = [
                group.create_task(view.watch(room)) for view, room in zip(views, rooms, strict=True)
            ]
            writing = [group.create_task(views[n].write(rooms[n], 300)) for n in range(2)]
            storms = [group.create_task(storm(line, chance, 8, calm)) for line in lines]
            await asyncio.gather(*writing, *storms)
            for view in views:
                await view.until(600)
            for task in watching:
                task.cancel()
        log = await read_all(chats[0], name)
        assert len(log) == 600
        judge(views, log)
        for view in views:
            assert any(isinstance(told, Recovered) for told in view.told)
        for view in views[:-1]:
            assert len(view.seen) == 600
            assert {type(told) for told in view.told} == {Recovered}


HASTY = {"middlewares": [{"rate_limit": {"connection": {"rate": 100, "burst": 20}}}]}
"""Limits that are soon exceeded; eleven refusals still cost the connection."""


async def test_more_than_the_rate_limit_allows(tmp_path: Path) -> None:
    """Limits cost a hasty writer time, and nothing else."""
    with ServerProcess(configure(tmp_path, **HASTY)) as server:
        async with (
            asyncio.timeout(WITHIN),
            connect(server.ws, username="ann") as chat,
            chat.join("lobby") as room,
        ):
            sent = await asyncio.gather(*(room.publish(str(number)) for number in range(200)))
            assert {each.position.offset for each in sent if each.position} == set(range(1, 201))
            online = await anext(chat)
            assert isinstance(online, Online)
            await chat.close()
            assert [event async for event in chat] == [], "the connection held"


async def test_more_rooms_than_can_be_joined_at_once(tmp_path: Path) -> None:
    """They are joined again at the pace that the limits allow."""
    with ServerProcess(configure(tmp_path, **HASTY)) as server:
        async with (
            asyncio.timeout(WITHIN),
            FlakyLine(server.port) as line,
            connect(line.url, username="ann", backoff=Backoff(0.1, 0.2)) as chat,
        ):
            rooms = [chat.join(f"room {number}") for number in range(40)]
            await asyncio.gather(*(room.publish("first") for room in rooms))
            line.reset()
            await asyncio.gather(*(room.publish("second") for room in rooms))
            await chat.close()
            told = [event async for event in chat if not isinstance(event, Online)]
            assert [event.code for event in told if isinstance(event, Offline)] == [1006]
