"""Give the server each bug of its changes: the checker finds the promise that it breaks."""

from pathlib import Path

import pytest

from tests.torture.bugs import BUGS, changing
from tests.torture.nursery import Nursery
from tests.torture.plan import plan_for
from tests.torture.run import run

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("bug", [name for name in BUGS if hasattr(changing, name)])
async def test_it_is_caught(nursery: Nursery, tmp_path: Path, bug: str) -> None:
    outcome = await run(plan_for(bug, 1), nursery, tmp_path)
    assert BUGS[bug].breaks in {each.rule for each in outcome.violations}, str(outcome)
