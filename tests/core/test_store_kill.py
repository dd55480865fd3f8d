"""Kill a process that appends, again and again: what it acknowledged is there, and in order."""

import random
from pathlib import Path

from tests.core.lives import Told, begin, check, kill_after
from tests.core.stores import opened

LIVES = 8


async def test_what_was_acknowledged_survives_kill(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "chat.db"
    acknowledged: list[Told] = []
    for life in range(LIVES):
        acknowledged += kill_after(begin(path, life), chance.uniform(0.02, 0.3))
    async with opened(path) as store:
        await check(store, acknowledged, LIVES, chance)
