"""Carry out a plan: torture servers with clients, then judge."""

import asyncio
import signal
from asyncio import Semaphore
from pathlib import Path
from typing import Final

from tests.e2e.callers import configure
from tests.e2e.streams import guarded
from tests.torture.crowd import Crowd
from tests.torture.nursery import Nursery, Order
from tests.torture.outcome import Outcome
from tests.torture.plan import LENGTHS, MODERATORS, RELAXED, AtPoint, AtTime, End, Plan, Stopped

END_WITHIN: Final = 60.0
"""Seconds in which a life has to come to its planned end; then it is killed."""

DATA: Final = "data"
"""The server's data folder, beside its configuration."""


async def run(plan: Plan, nursery: Nursery, folder: Path, artifacts: Path | None = None) -> Outcome:
    """Carry out a plan and judge what came of it.

    Args:
        plan: The plan.
        nursery: Starts the servers.
        folder: An empty folder for the configuration and the server's data.
        artifacts: Where to keep the evidence if a promise was broken or the run itself failed.

    Raises:
        AssertionError: A server did not start or end.
        ExceptionGroup: A client failed, or the last server was gone before all had settled.
    """
    crowd = Crowd(plan)
    outcome = Outcome(plan, crowd.journals)
    users = {journal.user for journal in outcome.journals}
    sections = {"server": {"data_dir": DATA}, "log": {"level": "warning"}, **guarded(*users)}
    rooms: list[dict[str, object]] = [{"match": room, "durability": "relaxed"} for room in RELAXED]
    rooms += [{"match": room, "length": length} for room, length in LENGTHS.items()]
    rooms.append({"match": "*"})
    for rule in rooms:
        rule["moderate"] = [*MODERATORS]
    config = str(configure(folder, **sections, rooms=rooms))
    failed = True
    try:
        for life, end in enumerate(plan.ends, 1):
            order = Order(config, bug=plan.bug)
            if isinstance(end, AtPoint):
                order = Order(config, end.point, end.times, plan.bug)
            url = await asyncio.to_thread(nursery.start_server, order)

            async def finish(tally: Semaphore, end: End = end, life: int = life) -> None:
                try:
                    await _bring_about(end, nursery, tally)
                except (AssertionError, TimeoutError):
                    outcome.overdue.append(f"life {life}: {end}")
                    nursery.signal_server(signal.SIGKILL)
                    await asyncio.to_thread(nursery.await_end)
                else:
                    outcome.killed += not isinstance(end, Stopped)

            await crowd.live(url, finish)
        url = await asyncio.to_thread(nursery.start_server, Order(config, bug=plan.bug))
        await crowd.settle(url)
        nursery.signal_server(signal.SIGTERM)
        await asyncio.to_thread(nursery.await_end)
        outcome.judge(folder / DATA)
        failed = bool(outcome.violations)
    finally:
        await crowd.close()
        if failed and artifacts is not None:
            outcome.save(folder / DATA, artifacts)
    return outcome


async def _bring_about(end: End, nursery: Nursery, tally: Semaphore) -> None:
    """End a life as planned; return when the server is gone.

    Raises:
        AssertionError: The server did not end, or not by the signal.
        TimeoutError: What was to come first did not come.
    """
    expected = -signal.SIGKILL
    async with asyncio.timeout(END_WITHIN):
        if isinstance(end, AtTime):
            await asyncio.sleep(end.seconds)
            nursery.signal_server(signal.SIGKILL)
        elif isinstance(end, Stopped):
            expected = 0
            for _ in range(end.acknowledged):
                await tally.acquire()
            nursery.signal_server(signal.SIGTERM)
    code = await asyncio.to_thread(nursery.await_end, END_WITHIN)
    assert code == expected, f"exit code {code}:\n{nursery.stderr}"
