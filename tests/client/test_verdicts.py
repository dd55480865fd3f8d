import pytest

from chatserver.client import CloseCode, ClosedError, HandshakeError
from chatserver.client.verdicts import PAUSE, after_close, after_refusal
from tests.docs.pages import page

AGAIN = [1001, 1006, 1011, 1012, 1013, 3000, 3001, 3005, 3499, 4000, 4499]
STOP = [1000, 1002, 1003, 1007, 1008, 1009, 3500, 3503, 3507, 3999, 4500, 4999]


@pytest.mark.parametrize("code", AGAIN)
def test_codes_that_ask_to_come_back(code: int) -> None:
    verdict = after_close(code, "why")
    assert (verdict.error, verdict.wait, verdict.code, verdict.reason) == (None, None, code, "why")


@pytest.mark.parametrize("code", STOP)
def test_codes_that_end_the_conversation(code: int) -> None:
    error = after_close(code, "you are banned").error
    assert isinstance(error, ClosedError)
    assert (error.code, error.reason) == (code, "you are banned")
    assert str(error) == f"The conversation is over: you are banned ({code})"


def test_each_code_of_the_protocol_is_judged_as_the_docs_say() -> None:
    for row in page("docs/protocol.md").rows("code", "name", "when", "connect again"):
        again = row["connect again"].startswith("yes")
        assert (after_close(int(row["code"]), "").error is None) is again, row


def test_who_was_too_fast_pauses() -> None:
    assert after_close(CloseCode.TOO_MANY_REQUESTS, "").at_least == PAUSE
    assert after_close(CloseCode.SHUTDOWN, "").at_least == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 200, 302, 426])
def test_refusals_that_would_be_repeated(status: int) -> None:
    error = after_refusal(status, None, 0).error
    assert isinstance(error, HandshakeError)
    assert error.status == status
    assert str(error).endswith(f"(HTTP {status})")


@pytest.mark.parametrize("status", [400, 404, 200, 302, 426])
def test_an_address_that_was_right_is_asked_again(status: int) -> None:
    verdict = after_refusal(status, None, 0, known=True)
    assert (verdict.error, verdict.wait) == (None, None)
    assert verdict.reason.endswith(f"(HTTP {status})")


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_not_let_in_any_more_stays_away(status: int) -> None:
    assert isinstance(after_refusal(status, None, 0, known=True).error, HandshakeError)


def test_a_wrong_token_is_named() -> None:
    assert "token" in str(after_refusal(401, None, 0).error)


@pytest.mark.parametrize("status", [429, 503, 502, 504, 500, 521, 408])
def test_refusals_that_pass(status: int) -> None:
    verdict = after_refusal(status, None, 0)
    assert verdict.error is None
    assert verdict.wait is None
    assert str(status) in verdict.reason


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("Sun, 22 Nov 2026 10:41:46 GMT", 5),
        ("Sun, 22 Nov 2026 10:41:36 GMT", 0),
        ("soon", None),
    ],
)
def test_retry_after(header: str, wait: float | None) -> None:
    now = 1795344101.0  # 2026-11-22 10:41:41
    assert after_refusal(503, header, now).wait == wait
