"""What counts as reached."""

import pytest

from benchmarks.scenarios import Acknowledged, Idle, Load, Storm, Traffic
from benchmarks.targets import RATIO, aim, base, score

TRAFFIC = Traffic("t", "", 1, 1, 1, target=7.0)
ACKNOWLEDGED = Acknowledged("a", "", 1, 1, 1, target=30_000, share=0.6)
STORM = Storm("s", "", 1, 1, 1, target=3.0)
IDLE = Idle("i", "", 1, 1, target=20.0)


@pytest.mark.parametrize(
    ("load", "figures", "reached"),
    [
        (TRAFFIC, {RATIO: 7.0}, True),
        (TRAFFIC, {RATIO: 6.9}, False),
        (ACKNOWLEDGED, {"deliveries_per_s": 30_000, RATIO: 0.3}, True),
        (ACKNOWLEDGED, {"deliveries_per_s": 9_000, RATIO: 0.6}, True),
        (ACKNOWLEDGED, {"deliveries_per_s": 29_000, RATIO: 0.5}, False),
        (STORM, {"times_plain_joins": 2.9}, True),
        (STORM, {"times_plain_joins": 3.1}, False),
        (IDLE, {"bytes_per_connection": 20_000}, True),
        (IDLE, {"bytes_per_connection": 20_100}, False),
    ],
)
def test_the_figures_decide(load: Load, figures: dict[str, float], reached: bool) -> None:
    found = score(load, {"chatserver": figures})
    assert found is not None
    assert found.reached is reached


@pytest.mark.parametrize("load", [TRAFFIC, ACKNOWLEDGED])
def test_without_what_it_is_compared_with_nothing_is_decided(load: Load) -> None:
    assert base(load) is not None
    assert score(load, {"chatserver": {"deliveries_per_s": 1e6}}) is None


@pytest.mark.parametrize("load", [TRAFFIC, ACKNOWLEDGED, STORM, IDLE])
def test_what_was_not_measured_is_not_decided(load: Load) -> None:
    assert score(load, {}) is None
    assert f"{load.target:,.0f}" in aim(load)
