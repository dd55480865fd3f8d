from chatserver.client.backoff import Backoff


def test_the_bounds_double_up_to_the_largest() -> None:
    backoff = Backoff(1, 30, random=lambda: 1.0)
    assert [backoff.wait() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_waits_are_drawn_from_nothing_up_to_the_bound() -> None:
    draws = iter([0.0, 0.5, 0.25])
    backoff = Backoff(1, 30, random=lambda: next(draws))
    assert [backoff.wait() for _ in range(3)] == [0, 1, 1]


def test_a_connection_that_held_starts_the_waits_anew() -> None:
    backoff = Backoff(1, 30, steady=10, random=lambda: 1.0)
    assert [backoff.wait(), backoff.wait()] == [1, 2]
    backoff.held(9.9)
    assert backoff.wait() == 4
    backoff.held(10)
    assert backoff.wait() == 1


def test_chance_is_used_by_default() -> None:
    backoff = Backoff(1, 1)
    waits = [backoff.wait() for _ in range(20)]
    assert len(set(waits)) > 1
    assert all(0 <= wait < 1 for wait in waits)
