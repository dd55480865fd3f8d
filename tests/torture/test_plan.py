"""Plans come from the seed and from nothing else."""

from tests.torture.plan import AtPoint, make_plan
from tests.torture.points import POINTS


def test_the_same_seed_makes_the_same_plan() -> None:
    plan = make_plan("mixed", 7)
    assert plan == make_plan("mixed", 7)
    assert plan.chance("ann").random() == make_plan("mixed", 7).chance("ann").random()
    assert plan.ends != make_plan("mixed", 8).ends
    assert plan.chance("ann").random() != plan.chance("bob").random()


def test_all_points_have_their_turn() -> None:
    ends = make_plan("points", 7, lives=len(POINTS)).ends
    assert {end.point for end in ends if isinstance(end, AtPoint)} == set(POINTS)


def test_a_plan_says_how_it_is_made_again() -> None:
    shown = str(make_plan("points", 7, lives=2))
    assert shown.startswith("--scenario points --seed 7\n  life 1: killed at ")
    assert "\n  life 2: killed at " in shown
