"""Bring the clients of a run together: they live through its servers, and settle at the end."""

import asyncio
import itertools
from asyncio import Semaphore, Task, TaskGroup
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from types import CoroutineType
from typing import Final

from tests.torture.checker.journals import Journal
from tests.torture.clients import (
    Churner,
    Client,
    Latecomer,
    Reader,
    SlowReader,
    Witness,
)
from tests.torture.plan import Plan
from tests.torture.residents import Resident
from tests.torture.writers import Moderator, Retrier, Writer

GONE_WITHIN: Final = 90.0
"""Seconds after which clients that do not come back from a life fail the run."""


class Crowd:
    """Be all clients of a run.

    Args:
        plan: Says who they are.

    Attributes:
        writers: Those who write.
    """

    def __init__(self, plan: Plan) -> None:
        scenario = plan.scenario
        self._patience = plan.patience
        clock = itertools.count(1)
        rooms = scenario.rooms
        self.writers = [
            Writer(name, name, rooms, plan.chance(name), clock)
            for name in _names("writer", scenario.writers)
        ]
        self.writers += [
            Moderator(name, name, rooms, plan.chance(name), clock)
            for name in _names("moderator", scenario.moderators)
        ]
        self._others: list[Client] = [
            kind(name, name, rooms, plan.chance(name), clock)
            for kind, count in (
                (Reader, scenario.readers),
                (SlowReader, scenario.slow),
                (Churner, scenario.churners),
                (Latecomer, scenario.latecomers),
            )
            for name in _names(kind.__name__.lower(), count)
        ]
        self._others += [
            Retrier(name, writer, rooms, plan.chance(name), clock)
            for name, writer in zip(
                _names("retrier", scenario.retriers), itertools.cycle(self.writers), strict=False
            )
        ]
        self._residents = [
            Resident(name, rooms, plan.chance(name), clock)
            for name in _names("resident", scenario.residents)
        ]
        self._witness = Witness("witness", "witness", rooms, plan.chance("witness"), clock)

    @property
    def journals(self) -> list[Journal]:
        """What all of them sent and got."""
        clients: list[Client | Resident] = [*self.writers, *self._others, *self._residents]
        return [each.journal for each in (*clients, self._witness)]

    async def live(self, url: str, end: Callable[[Semaphore], Coroutine[None, None, None]]) -> None:
        """Use a server until it is gone.

        Args:
            url: Where it is.
            end: Ends it; gets what is released at each acknowledgement of this life.

        Raises:
            ExceptionGroup: A client, or `end`, failed; or somebody still hopes for the server after
                `GONE_WITHIN`, which tells who, and where in its code.
        """
        tally = Semaphore(0)
        for writer in self.writers:
            writer.tally = tally
        clients: list[Client | Resident] = [*self.writers, *self._others, *self._residents]
        async with TaskGroup() as group:
            tasks = [
                group.create_task(each.live(url), name=each.journal.client) for each in clients
            ]
            tasks.append(group.create_task(end(tally), name="the end"))
            _, late = await asyncio.wait(tasks, timeout=GONE_WITHIN)
            if late:
                raise TimeoutError(f"after {GONE_WITHIN:g} s: {'; '.join(map(_whereabouts, late))}")

    async def settle(self, url: str) -> None:
        """Have everything answered first, then seen by all, then read again by a witness.

        Raises:
            ExceptionGroup: The server is gone.
        """
        everybody = (*self.writers, *self._others)
        writing: list[Writer | Resident] = [*self.writers, *self._residents]
        await self._together(each.write_out(url) for each in writing)
        await self._together(each.settle(url) for each in everybody)
        await self._together(each.settle() for each in self._residents)
        await self._together([self._witness.settle(url)])
        await self.close()

    async def close(self) -> None:
        """End what goes on from one life to the next."""
        for each in self._residents:
            await each.close()

    async def _together(self, visits: Iterable[Coroutine[None, None, None]]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience), TaskGroup() as group:
                for each in visits:
                    group.create_task(each)


def _whereabouts(task: Task[None]) -> str:
    """Return what a task waits for, from the outermost call inwards."""
    places: list[str] = []
    awaited: object = task.get_coro()
    while isinstance(awaited, CoroutineType) and (frame := awaited.cr_frame) is not None:
        places.append(f"{awaited.__qualname__}:{frame.f_lineno}")
        awaited = awaited.cr_await
    return f"{task.get_name()} is in {', '.join(places)}"


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(1, count + 1)]
