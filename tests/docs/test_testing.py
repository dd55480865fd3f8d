"""docs/testing.md has what the torture can be told."""

from tests.docs.pages import first_word, page
from tests.torture.plan import SCENARIOS
from tests.torture.points import POINTS

TESTING = page("docs/testing.md")


def test_scenarios() -> None:
    rows = TESTING.rows("scenario", "what ends a life")
    assert [first_word(row["scenario"]) for row in rows] == list(SCENARIOS)


def test_points() -> None:
    rows = TESTING.rows("point", "the server dies when")
    assert [first_word(row["point"]) for row in rows] == list(POINTS)
