"""The Python client while its server is killed and restarted, again and again."""

import asyncio
import random
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chatserver.client import Backoff, Gap, GapReason, Message, Recovered, connect
from tests.e2e.callers import configure
from tests.e2e.flaky import FlakyLine
from tests.e2e.process import ServerProcess
from tests.e2e.streams import guarded
from tests.e2e.views import ROOM, View, judge, read_all

LIVES = 3
WRITERS = ("ann", "bob")
WITHIN = 100

pytestmark = pytest.mark.timeout(WITHIN + 20)
"""Four servers are started one after another, which takes its time on a busy machine."""


async def test_what_clients_see_stays_true_when_the_server_is_killed(tmp_path: Path) -> None:
    """They stay entered all the time: their line leads to the next server as soon as it runs."""
    chance = random.Random(4)
    config = configure(tmp_path, server={"data_dir": "data"}, **guarded(*WRITERS, "eve"))
    views = [View(user) for user in (*WRITERS, "eve")]
    env = {"CHATSERVER_SERVER__DATA_DIR": None}
    async with (
        asyncio.timeout(WITHIN),
        FlakyLine(0) as line,
        AsyncExitStack() as stack,
    ):
        users = asyncio.TaskGroup()
        for life in range(LIVES):
            async with ServerProcess(config, env=env) as server:
                line.port = server.port
                line.heal()
                if life == 0:
                    chats = [
                        await stack.enter_async_context(view.connect(line.url)) for view in views
                    ]
                    rooms = [
                        await stack.enter_async_context(chat.join(ROOM, catch_up=True))
                        for chat in chats
                    ]
                    await stack.enter_async_context(users)
                    pairs = list(zip(views, rooms, strict=True))
                    tasks = [users.create_task(view.watch(room)) for view, room in pairs]
                    tasks += [users.create_task(view.write(room)) for view, room in pairs[:-1]]
                await views[-1].until(views[-1].reached + 20)
                await asyncio.sleep(chance.uniform(0, 0.2))
                line.dead = True
                server.signal(signal.SIGKILL)
                await server.ended()
        async with ServerProcess(config, env=env) as server:
            line.port = server.port
            line.heal()
            acknowledged = len(views[0].acknowledged)
            while len(views[0].acknowledged) < acknowledged + 10:
                views[0].progress.clear()
                await views[0].progress.wait()
            for view in views:
                view.done = True
            await asyncio.wait(tasks[len(views) :])
            log = await read_all(chats[0], ROOM)
            for view in views:
                await view.until(len(log))
            judge(views, log)
            for view in views:
                assert len(view.seen) == len(log), "nobody has missed anything"
                assert not any(isinstance(told, Gap) for told in view.told)
            # She was in every life; writers may have come too late for a short one.
            assert sum(isinstance(told, Recovered) for told in views[-1].told) >= LIVES
            for task in tasks:
                task.cancel()
            # Clients say goodbye to a server that is there.
            await stack.aclose()


async def test_a_room_that_keeps_no_history_tells_of_a_gap(tmp_path: Path) -> None:
    config = configure(tmp_path, broker="memory")
    async with asyncio.timeout(WITHIN), FlakyLine(0) as line, AsyncExitStack() as stack:
        async with ServerProcess(config) as server:
            line.port = server.port
            client = connect(line.url, username="ann", backoff=Backoff(0.02, 0.2))
            chat = await stack.enter_async_context(client)
            room = await stack.enter_async_context(chat.join(ROOM))
            assert (await room.publish("said before")).position is None
            server.signal(signal.SIGKILL)
            await server.ended()
        async with ServerProcess(config) as server:
            line.port = server.port
            events = aiter(room)
            while not isinstance(gap := await anext(events), Gap):
                pass
            assert gap == Gap(room=ROOM, reason=GapReason.NO_HISTORY, seen=None, resumes=None)
            await room.publish("said after")
            while not isinstance(message := await anext(events), Message):
                pass
            assert (message.text, message.offset) == ("said after", None)
            await stack.aclose()
