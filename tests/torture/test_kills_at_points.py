"""Kill the server at each named point, four times: no promise is broken."""

from pathlib import Path

import pytest

from tests.torture.nursery import Nursery
from tests.torture.outcome import ARTIFACTS
from tests.torture.plan import make_plan
from tests.torture.points import POINTS
from tests.torture.run import run

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(
    ("scenario", "seed", "turns"), [("points", 7, 2), ("rooms", 8, 1), ("relaxed", 9, 1)]
)
async def test_no_promise_is_broken(
    nursery: Nursery, tmp_path: Path, scenario: str, seed: int, turns: int
) -> None:
    plan = make_plan(scenario, seed, lives=turns * len(POINTS), ends=tuple(POINTS))
    outcome = await run(plan, nursery, tmp_path, ARTIFACTS)
    assert not outcome.violations, str(outcome)
    assert not outcome.overdue
    assert outcome.killed == len(plan.ends)
    assert outcome.recovered
