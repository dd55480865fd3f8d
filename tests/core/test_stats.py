"""Counters of one chat."""

import pytest

from chatserver.stats import BUCKETS, Stats, Timing


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.0001, 0), (0.00011, 1), (1.0, 8), (1.5, 9), (10.0, 10), (10.5, 11), (1e9, 11)],
)
def test_a_duration_counts_in_the_first_bucket_that_holds_it(seconds: float, bucket: int) -> None:
    timing = Timing()
    timing.observe(seconds)
    assert [index for index, count in enumerate(timing.counts) if count] == [bucket]
    assert timing.total == seconds


def test_buckets_ascend_and_the_last_one_is_open() -> None:
    assert list(BUCKETS) == sorted(set(BUCKETS))
    assert len(Timing().counts) == len(BUCKETS) + 1


def test_durations_add_up() -> None:
    timing = Timing()
    for seconds in (0.25, 0.25, 2.0):
        timing.observe(seconds)
    assert sum(timing.counts) == 3
    assert timing.total == 2.5


def test_time_is_kept_for_each_action_on_offer_and_once_for_all_other_names() -> None:
    stats = Stats()
    stats.offer(["join", "message"])
    for name in ("join", "made up", "join", None, "", "x" * 1000):
        stats.timing(name).observe(0.5)
    assert set(stats.handled) == {"join", "message"}
    assert stats.handled["join"].total == 1.0
    assert stats.handled["message"].total == 0.0
    assert stats.unknown.total == 2.0


def test_two_chats_count_apart() -> None:
    one, other = Stats(), Stats()
    one.errors["bad_json"] += 1
    one.unknown.observe(1.0)
    assert not other.errors
    assert other.unknown.total == 0.0
