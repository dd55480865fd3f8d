from hypothesis import given
from hypothesis import strategies as st

from chatserver.bucket import Bucket, take_all, wait_all

CAPACITIES = st.floats(min_value=1, max_value=1e6)
RATES = st.floats(min_value=0.001, max_value=1e6)
COSTS = st.floats(min_value=0, max_value=2e6)
TIMES = st.floats(min_value=0, max_value=1e8)
STEPS = st.lists(st.tuples(st.floats(min_value=-10, max_value=100), COSTS), max_size=30)


def test_a_full_bucket_grants_its_burst_then_the_rate() -> None:
    bucket = Bucket(3, 2, now=100.0)
    assert [bucket.take(1, 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(1, 100.25) == 0.25
    assert bucket.take(1, 100.5) == 0.0
    assert bucket.take(1, 100.5) == 0.5


def test_a_pause_never_saves_up_more_than_the_capacity() -> None:
    bucket = Bucket(2, 1, now=0.0)
    assert [bucket.take(1, 1000.0) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_what_costs_more_than_the_capacity_takes_all_of_it() -> None:
    bucket = Bucket(2, 1, now=0.0)
    assert bucket.take(5, 0.0) == 0.0
    assert bucket.take(1, 0.0) == 1.0
    assert bucket.take(5, 0.0) == 2.0


def test_a_clock_that_jumps_back_grants_nothing() -> None:
    bucket = Bucket(1, 1, now=50.0)
    assert bucket.take(1, 50.0) == 0.0
    assert bucket.take(1, 20.0) > 0
    assert bucket.take(1, 51.0) == 0.0
    assert bucket.take(1, 51.0) == 1.0


def test_a_bucket_knows_when_it_is_full() -> None:
    bucket = Bucket(4, 2, now=10.0)
    assert bucket.full_at <= 10.0
    bucket.take(3, 10.0)
    assert bucket.full_at == 11.5


def test_waiting_time_can_be_asked_for_without_taking() -> None:
    bucket = Bucket(2, 1, now=0.0)
    assert bucket.wait(2, 0.0) == 0.0
    assert bucket.take(2, 0.0) == 0.0
    assert bucket.wait(1, 0.0) == 1.0


def test_resizing_keeps_what_is_missing() -> None:
    bucket = Bucket(10, 1, now=0.0)
    bucket.take(6, 0.0)
    bucket.resize(20, 2, 0.0)
    assert bucket.take(14, 0.0) == 0.0
    assert bucket.take(1, 0.0) == 0.5


def test_resizing_never_leaves_more_missing_than_fits() -> None:
    bucket = Bucket(100, 1, now=0.0)
    bucket.take(100, 0.0)
    bucket.resize(2, 1, 0.0)
    assert bucket.take(2, 0.0) == 2.0


def test_taking_from_several_takes_from_all() -> None:
    small, large = Bucket(2, 1, 0.0), Bucket(5, 1, 0.0)
    assert take_all((large, small), 2, 0.0) == 0.0
    assert small.wait(1, 0.0) == 1.0
    assert large.wait(4, 0.0) == 1.0


def test_taking_from_several_takes_from_none_if_one_refuses() -> None:
    large, small = Bucket(5, 1, 0.0), Bucket(1, 1, 0.0)
    small.take(1, 0.0)
    assert take_all((large, small), 1, 0.0) == 1.0
    assert large.take(5, 0.0) == 0.0


def test_waiting_for_several_is_waiting_for_the_slowest() -> None:
    fast, slow = Bucket(1, 10, 0.0), Bucket(1, 0.5, 0.0)
    assert take_all((fast, slow), 1, 0.0) == 0.0
    assert take_all((fast, slow), 1, 0.0) == 2.0
    assert wait_all((fast, slow), 1, 0.0) == 2.0
    assert take_all((fast, slow), 1, 2.0) == 0.0


def test_no_bucket_refuses_nothing() -> None:
    assert take_all((), 1, 0.0) == 0.0


@given(CAPACITIES, RATES, TIMES, STEPS)
def test_never_more_is_granted_than_burst_and_rate_allow(
    capacity: float, rate: float, start: float, steps: list[tuple[float, float]]
) -> None:
    bucket = Bucket(capacity, rate, start)
    now = latest = start
    granted = 0.0
    for step, cost in steps:
        now = max(now + step, 0.0)
        latest = max(latest, now)
        if bucket.take(cost, now) == 0.0:
            granted += min(cost, capacity)
            allowed = capacity + (latest - start) * rate
            # A microsecond's worth of tokens is the tolerance that `take` documents.
            assert granted <= allowed * (1 + 1e-9) + rate * 2e-6


@given(CAPACITIES, RATES, TIMES, STEPS, COSTS)
def test_who_waits_as_told_is_granted(
    capacity: float, rate: float, start: float, steps: list[tuple[float, float]], last: float
) -> None:
    bucket = Bucket(capacity, rate, start)
    now = start
    for step, cost in steps:
        now = max(now + step, 0.0)
        bucket.take(cost, now)
    wait = bucket.take(last, now)
    assert 0.0 <= wait <= capacity / rate + 10 * len(steps) + 1e-6
    if wait:
        assert bucket.take(last, now + wait) == 0.0


@given(CAPACITIES, RATES, TIMES, STEPS, COSTS)
def test_a_refusal_and_a_gift_change_nothing(
    capacity: float, rate: float, start: float, steps: list[tuple[float, float]], probe: float
) -> None:
    """Buckets that were refused, or given back to, answer as one that was never asked."""
    asked, quiet = Bucket(capacity, rate, start), Bucket(capacity, rate, start)
    now = start
    for step, cost in steps:
        now += abs(step)
        if asked.take(cost, now) == 0.0:
            asked.give_back(cost)
    now += 1.0
    assert abs(asked.wait(probe, now) - quiet.wait(probe, now)) < 1e-5
