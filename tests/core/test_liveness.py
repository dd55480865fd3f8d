"""One timer looks after everybody; its clock stands still while the loop is blocked."""

import asyncio
import logging
import selectors
import time
from collections.abc import Coroutine

import pytest

from chatserver.config import LimitsConfig
from chatserver.liveness import Sweeper
from chatserver.stats import Stats


class Clock(selectors.SelectSelector):
    """Be a selector that does not wait for a timer but turns the clock to it."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class TimelessLoop(asyncio.SelectorEventLoop):
    """Run timers in their order without waiting for any."""

    def __init__(self) -> None:
        self.clock = Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def run(main: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        runner.run(main)


def block(seconds: float) -> None:
    """Do what a handler does that waits without giving way."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TimelessLoop)
    loop.clock.now += seconds


class Watch:
    """Write down each look at the time, and set an event at the one that was waited for."""

    def __init__(self, looks: int = 1) -> None:
        self.seen: list[tuple[float, float]] = []
        self.done = asyncio.Event()
        self.looks = looks

    def check(self, now: float, wall: float) -> None:
        self.seen.append((now, wall))
        if len(self.seen) == self.looks:
            self.done.set()

    async def wait(self) -> None:
        async with asyncio.timeout(3600):
            await self.done.wait()


@pytest.mark.parametrize(
    ("limits", "interval"),
    [
        (LimitsConfig(), 1.0),
        (LimitsConfig(ping_interval=2), 0.5),
        (LimitsConfig(ping_timeout=2), 0.5),
        (LimitsConfig(action_timeout=2), 0.5),
        (LimitsConfig(slow_timeout=2), 0.5),
        (LimitsConfig(ping_interval=0.5, action_timeout=2), 0.125),
    ],
)
def test_the_shortest_timeout_decides_how_often_to_look(
    limits: LimitsConfig, interval: float
) -> None:
    async def main() -> None:
        sweeper = Sweeper(limits, Stats())
        watch = Watch(looks=4)
        sweeper.watched[watch] = None
        sweeper.start()
        started = asyncio.get_running_loop().time()
        await watch.wait()
        sweeper.stop()
        assert asyncio.get_running_loop().time() - started == pytest.approx(4 * interval)

    run(main())


def test_everybody_is_looked_at_again_and_again() -> None:
    async def main() -> None:
        sweeper = Sweeper(LimitsConfig(), Stats())
        watches = [Watch(looks=3) for _ in range(3)]
        before = time.time()
        for watch in watches:
            sweeper.watched[watch] = None
        sweeper.start()
        for watch in watches:
            await watch.wait()
        sweeper.stop()
        first = sweeper.now - 2.0
        for watch in watches:
            assert [now for now, _ in watch.seen] == pytest.approx([first, first + 1, first + 2])
            assert all(before <= wall <= time.time() for _, wall in watch.seen)

    run(main())


def test_who_is_gone_is_not_looked_at_and_may_go_during_a_look() -> None:
    async def main() -> None:
        sweeper = Sweeper(LimitsConfig(), Stats())
        stays = Watch(looks=3)

        class Leaver(Watch):
            def check(self, now: float, wall: float) -> None:
                super().check(now, wall)
                del sweeper.watched[self]

        leaver = Leaver()
        sweeper.watched |= {leaver: None, stays: None}
        sweeper.start()
        await stays.wait()
        sweeper.stop()
        assert len(leaver.seen) == 1

    run(main())


def test_after_stopping_nobody_is_looked_at() -> None:
    async def main() -> None:
        sweeper = Sweeper(LimitsConfig(), Stats())
        sweeper.stop()
        watch = Watch()
        sweeper.watched[watch] = None
        sweeper.start()
        sweeper.stop()
        sweeper.stop()
        await asyncio.sleep(60)
        assert watch.seen == []

    run(main())


def test_one_who_cannot_be_looked_at_does_not_stop_the_sweep(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def check(self, now: float, wall: float) -> None:
            raise RuntimeError("broken")

        def __repr__(self) -> str:
            return "<Broken one>"

    async def main() -> None:
        sweeper = Sweeper(LimitsConfig(), Stats())
        watch = Watch(looks=3)
        sweeper.watched |= {Broken(): None, watch: None}
        sweeper.start()
        await watch.wait()
        sweeper.stop()

    run(main())
    assert caplog.messages == ["looking after <Broken one> failed"] * 3
    assert "RuntimeError: broken" in caplog.text


def test_the_sweeper_s_clock_stands_still_while_the_loop_is_blocked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stats = Stats()

    async def main() -> None:
        sweeper = Sweeper(LimitsConfig(), stats)
        first, second = Watch(), Watch(looks=2)
        sweeper.watched |= {first: None, second: None}
        sweeper.start()
        await first.wait()
        block(61.0)
        await second.wait()
        sweeper.stop()
        (before, _), (after, _) = second.seen
        assert after - before == pytest.approx(1.0)

    run(main())
    assert stats.lag == pytest.approx(60.0)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("the event loop was blocked for 60.0 s")


def test_being_a_little_late_is_noted_but_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    stats = Stats()

    async def main() -> None:
        sweeper = Sweeper(LimitsConfig(), stats)
        for seconds in (1.5, 1.25):
            watch = Watch()
            sweeper.watched = {watch: None}
            sweeper.start()
            block(seconds)
            await watch.wait()
            sweeper.stop()

    run(main())
    assert stats.lag == pytest.approx(0.5)
    assert caplog.records == []
