from chatserver.bucket import Bucket
from chatserver.client.pace import MEMORY, Pace


def test_there_is_none_before_a_refusal() -> None:
    pace = Pace()
    pace.sent(5)
    assert pace.next_time <= 5


def test_the_longest_wait_of_those_refused_together_sets_it() -> None:
    pace = Pace()
    pace.refused(sent=0, wait=0.1, now=1.0)
    pace.refused(sent=0, wait=0.08, now=1.02)
    assert pace.next_time == 1.1
    pace.sent(2)
    assert pace.next_time == 2.125


def test_a_refusal_at_that_pace_halves_it() -> None:
    pace = Pace()
    pace.refused(sent=0, wait=0.1, now=1)
    pace.sent(2)
    pace.refused(sent=2, wait=0.1, now=2.05)
    pace.sent(3)
    assert pace.next_time == 3.25


def test_it_is_forgotten_in_time() -> None:
    pace = Pace()
    pace.refused(sent=0, wait=0.1, now=1)
    pace.sent(1 + MEMORY)
    assert pace.next_time > 1 + MEMORY
    pace.sent(1.1 + MEMORY)
    assert pace.next_time == 1.1 + MEMORY


def test_a_server_with_a_bucket_hardly_refuses_anything() -> None:
    """64 in flight at once are refused together; the next refusal, if any, is the last one."""
    bucket = Bucket(100, 50, 0)
    pace, now, sent, episodes, last = Pace(), 0.0, 0, 0, -1.0
    while sent < 500:
        now = max(now, pace.next_time) + 0.0001
        went_out, batch = now, 1 if episodes else 64
        for _ in range(batch):
            pace.sent(now)
            wait = bucket.take(1, now)
            if wait:
                episodes += went_out > last
                last = now
                pace.refused(went_out, wait, now)
            else:
                sent += 1
            now += 0.0001 if batch > 1 else 0
    assert 1 <= episodes <= 2
    assert now < 2 * 500 / 50
