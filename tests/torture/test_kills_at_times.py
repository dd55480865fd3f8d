"""Kill the server whenever, and stop it in order now and then: no promise is broken."""

from pathlib import Path

import pytest

from tests.torture.nursery import Nursery
from tests.torture.outcome import ARTIFACTS
from tests.torture.plan import Stopped, make_plan
from tests.torture.run import run

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(("scenario", "seed"), [("random", 7), ("crowd", 8)])
async def test_no_promise_is_broken(
    nursery: Nursery, tmp_path: Path, scenario: str, seed: int
) -> None:
    plan = make_plan(scenario, seed)
    outcome = await run(plan, nursery, tmp_path, ARTIFACTS)
    assert not outcome.violations, str(outcome)
    assert not outcome.overdue
    assert outcome.killed == sum(not isinstance(end, Stopped) for end in plan.ends)
    assert outcome.recovered
