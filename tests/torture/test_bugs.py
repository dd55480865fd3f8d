"""There is a bug for each promise, so that none is checked in vain."""

from tests.torture.bugs import BUGS
from tests.torture.checker.violations import Rule


def test_each_promise_is_broken_by_a_bug() -> None:
    assert {bug.breaks for bug in BUGS.values()} == set(Rule)
