"""Kill a server that is being written to, again and again: what it acknowledged is there."""

import asyncio
import random
import signal
from pathlib import Path

from tests.e2e.callers import call, configure
from tests.e2e.process import ServerProcess
from tests.e2e.streams import ROOM, Follower, guarded

LIVES = 10
WRITERS = ("ann", "bob", "cid")


async def live_and_die(config: Path, people: list[Follower], seconds: float) -> None:
    """Have people use a server until it is killed."""
    async with (
        ServerProcess(config, env={"CHATSERVER_SERVER__DATA_DIR": None}) as server,
        asyncio.timeout(30),
        asyncio.TaskGroup() as group,
    ):
        for person in people:
            group.create_task(person.live(server.ws))
        await asyncio.sleep(seconds)
        server.signal(signal.SIGKILL)
        await server.ended()


async def test_what_was_acknowledged_survives_kill(tmp_path: Path) -> None:
    chance = random.Random(3)
    config = configure(tmp_path, server={"data_dir": "data"}, **guarded(*WRITERS, "eve"))
    writers = [Follower(user) for user in WRITERS]
    reader = Follower("eve", writes=False)
    for _ in range(LIVES):
        await live_and_die(config, [*writers, reader], chance.uniform(0.05, 0.5))
    assert sum(len(each.acknowledged) for each in writers) > 500
    with ServerProcess(config, env={"CHATSERVER_SERVER__DATA_DIR": None}) as server:
        with call(server.ws, headers={"Authorization": "Bearer eve-token"}) as late:
            joined = late.ask("join", room=ROOM)
            log: list[str] = []
            more: object = True
            while more:
                page = late.ask("history", since=len(log), limit=1000)
                messages = page["messages"]
                assert isinstance(messages, list)
                for message in messages:
                    assert message["offset"] == len(log) + 1
                    log.append(message["cid"])
                more = page["more"]
            assert len(log) == joined["offset"]
        for writer in writers:
            for cid, offset in writer.acknowledged.items():
                assert log[offset - 1] == cid
            numbers = [int(cid.split(".")[1]) for cid in log if cid.startswith(writer.user)]
            assert numbers == list(range(len(numbers))), "in the order sent, each once"
            with call(server.ws, headers={"Authorization": f"Bearer {writer.user}-token"}) as again:
                again.ask("join", room=ROOM)
                cid, offset = chance.choice(list(writer.acknowledged.items()))
                sent = again.ask("message", text=f"I am {cid}", cid=cid)
                assert (sent["offset"], sent["duplicate"]) == (offset, True)
        for person in (*writers, reader):
            assert person.seen == log[: len(person.seen)], "nobody saw what is not in the log"
            assert person.recovered.count(True) > LIVES / 2
