import pytest

from chatserver.client import ActionError
from chatserver.client.errors import MOST_WAIT, RETRY_AFTER, retry_after


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(2.5, 2.5), (None, RETRY_AFTER), (0, RETRY_AFTER), (-5, RETRY_AFTER), (1e9, MOST_WAIT)],
)
def test_no_server_can_rush_or_paralyse_the_client(asked: float | None, wait: float) -> None:
    assert retry_after(ActionError("rate_limited", "Wait", retry_after=asked)) == wait
