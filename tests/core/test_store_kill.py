"""Kill a process that appends, again and again: what it acknowledged is there, and in order."""

import random
import subprocess
import sys
from pathlib import Path
from threading import Timer

from tests.core.stores import FAR, add, found, opened, publication

LIVES = 8


def live_and_die(path: Path, life: int, seconds: float) -> list[tuple[str, str, int, str]]:
    """Let a process append for some time, kill it, and return what it said was stored."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.core.appender", str(path), str(life)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        first = process.stdout.readline()
        timer = Timer(seconds, process.kill)
        timer.start()
        lines = [first, *process.stdout.readlines()]
        timer.join()
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    fields = [line.split() for line in lines]
    return [(f"room{room}", epoch, int(offset), cid) for room, epoch, offset, cid in fields]


async def test_what_was_acknowledged_survives_kill(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "chat.db"
    acknowledged: list[tuple[str, str, int, str]] = []
    for life in range(LIVES):
        told = live_and_die(path, life, chance.uniform(0.02, 0.3))
        assert told
        acknowledged += told
    async with opened(path) as store:
        for room in sorted({each[0] for each in acknowledged}):
            page = await store.read(room, 0, FAR, 2**30)
            kept = {offset: each.cid or "" for offset, each in page.numbered()}
            assert list(kept) == list(range(1, page.state.top + 1))
            for _, epoch, offset, cid in (each for each in acknowledged if each[0] == room):
                assert epoch == page.state.epoch
                assert kept[offset] == cid
            sent = [tuple(map(int, body.split("."))) for body in kept.values()]
            assert sent == sorted(set(sent)), "in the order sent, each once"
            for life in range(LIVES):
                numbers = [number for a_life, number in sent if a_life == life]
                assert numbers == list(range(len(numbers))), "nothing is missing in between"
                assert len(await found(store, f"life{life} ", room, limit=FAR)) == len(numbers)
            offset, cid = chance.choice(list(kept.items()))
            (again,) = await add(store, publication(room, cid=cid, digest=b"d"))
            assert (again.duplicate, again.position.offset) == (True, offset)
