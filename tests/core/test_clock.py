"""Timestamps as the wire has them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.clock import Stamper


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("now", "stamp"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1.0625, "1970-01-01T00:00:01.062Z"),
        (951782399.5, "2000-02-28T23:59:59.500Z"),
        (951782400.0, "2000-02-29T00:00:00.000Z"),
        (1795344101.125, "2026-11-22T10:41:41.125Z"),
        (1795344101.9999998, "2026-11-22T10:41:41.999Z"),
    ],
)
def test_a_stamp_is_rfc_3339_in_utc_with_milliseconds(now: float, stamp: str) -> None:
    assert Stamper(Clock(now)).stamp() == stamp


def test_each_second_is_formatted_anew_also_when_the_clock_goes_back() -> None:
    clock = Clock(100.25)
    stamp = Stamper(clock).stamp
    seen = []
    for now in (100.25, 100.75, 101.0, 100.5, 100.5):
        clock.now = now
        seen.append(stamp()[-10:])
    assert seen == ["01:40.250Z", "01:40.750Z", "01:41.000Z", "01:40.500Z", "01:40.500Z"]


@given(st.floats(min_value=0, max_value=4e9))
def test_a_stamp_reads_back_as_the_time_it_was_taken(now: float) -> None:
    stamp = Stamper(Clock(now)).stamp()
    assert len(stamp) == 24
    moment = datetime.fromisoformat(stamp)
    assert moment.tzinfo == UTC
    assert -1e-5 <= now - moment.timestamp() < 0.0011
