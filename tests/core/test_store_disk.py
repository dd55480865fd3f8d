"""Take the power from a store, and let its disk fail to sync; see disk.c for the disk."""

import os
import random
import shutil
import subprocess
from pathlib import Path
from threading import Timer

import pytest

from tests.core.lives import Told, begin, check, kill_after, told
from tests.core.stores import add, opened, publication
from tests.missing import missing

LIVES = 8
PAGES = 500
PATIENCE = 20


class Disk:
    """Hold a folder whose files are on a disk that can be watched.

    Args:
        folder: An empty folder.
        library: What is preloaded into its users.

    Attributes:
        file: The store's file.
        environment: What its users are started with.
    """

    def __init__(self, folder: Path, library: Path) -> None:
        self._written, self._synced = folder / "disk", folder / "platter"
        self._written.mkdir()
        self._synced.mkdir()
        self.file = self._written / "chat.db"
        self.environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "DISK": str(self._written),
            "PLATTER": str(self._synced),
        }

    def fail(self) -> None:
        """Sync nothing from now on, and say so."""
        (self._synced / "broken").touch()

    def lose_power(self, chance: random.Random) -> None:
        """Leave of each file what was synced last, or all that was written."""
        (self._synced / "broken").unlink(missing_ok=True)
        for name in ("chat.db", "chat.db-wal"):
            written, synced = self._written / name, self._synced / name
            if chance.random() < 0.75:
                written.unlink(missing_ok=True)
                if synced.exists():
                    shutil.copy(synced, written)
            elif written.exists():
                shutil.copy(written, synced)
        (self._written / "chat.db-shm").unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """Have a disk; it needs a C compiler, which also tests/system_packages.sh knows."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("there is no C compiler to make a disk with")
    library = tmp_path / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return Disk(tmp_path, library)


async def test_what_was_acknowledged_survives_a_power_loss(disk: Disk) -> None:
    chance = random.Random(11)
    acknowledged: list[Told] = []
    for life in range(LIVES):
        process = begin(disk.file, life, PAGES, environment=disk.environment)
        acknowledged += kill_after(process, chance.uniform(0.02, 0.3))
        disk.lose_power(chance)
    async with opened(disk.file) as store:
        await check(store, acknowledged, LIVES, chance)


async def test_nothing_is_acknowledged_that_could_not_be_synced(disk: Disk) -> None:
    chance = random.Random(13)
    process = begin(disk.file, 0, PAGES, environment=disk.environment)
    limit = Timer(PATIENCE, process.kill)
    limit.start()
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(200)]
        disk.fail()
        for line in process.stdout:
            lines.append(line)
            if sum("refused" in each for each in lines[-20:]) == 20:
                process.kill()
    limit.cancel()
    acknowledged = [line for line in lines if "refused" not in line]
    refused = [line for line in lines if "refused" in line]
    assert refused
    assert lines == acknowledged + refused, "nothing is stored after the first failure"
    assert {line.split()[2] for line in refused} == {"unavailable"}
    disk.lose_power(chance)
    async with opened(disk.file) as store:
        await check(store, list(map(told, acknowledged)), 1, chance)
        await add(store, publication("room0"))
