"""Let processes append to a store and die, and check that it has what they acknowledged."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from threading import Timer

from chatserver.store.sqlite import SqliteStore
from tests.core.stores import FAR, add, found, publication

Told = tuple[str, str, int, str]
"""What was acknowledged: room, epoch, offset, cid."""


def begin(
    path: Path, *arguments: object, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Start an appender, see there; return when it has opened the file."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.core.appender", str(path), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_after(process: "subprocess.Popen[str]", seconds: float) -> list[Told]:
    """Kill an appender some time after its first acknowledgement; return all of them."""
    with process:
        assert process.stdout is not None
        first = process.stdout.readline()
        timer = Timer(seconds, process.kill)
        timer.start()
        lines = [first, *process.stdout.readlines()]
        timer.join()
    if not lines[-1].endswith("\n"):
        lines.pop()
    return [told(line) for line in lines]


def told(line: str) -> Told:
    """Read what an appender says was stored."""
    room, epoch, offset, cid = line.split()
    return f"room{room}", epoch, int(offset), cid


async def check(
    store: SqliteStore, acknowledged: Sequence[Told], lives: int, chance: Random
) -> None:
    """Check that a store has all that was acknowledged, whole, in order and nothing twice."""
    for room in sorted({each[0] for each in acknowledged}):
        page = await store.read(room, 0, FAR, 2**30)
        kept = {offset: each.cid or "" for offset, each in page.numbered()}
        assert list(kept) == list(range(1, page.state.top + 1))
        for _, epoch, offset, cid in (each for each in acknowledged if each[0] == room):
            assert epoch == page.state.epoch
            assert kept.get(offset) == cid
        sent = [tuple(map(int, body.split("."))) for body in kept.values()]
        assert sent == sorted(set(sent)), "in the order sent, each once"
        for life in range(lives):
            numbers = [number for a_life, number in sent if a_life == life]
            assert numbers == list(range(len(numbers))), "nothing is missing in between"
            assert len(await found(store, f"life{life} ", room, limit=FAR)) == len(numbers)
        offset, cid = chance.choice(list(kept.items()))
        (again,) = await add(store, publication(room, page.publications[offset - 1].body, cid=cid))
        assert (again.duplicate, again.position.offset) == (True, offset)
