"""Who may change which message, and for how long."""

import pytest

from chatserver.guard import Guard, Target, refusal

AT = "2026-11-22T23:59:59.500Z"
THEN = "2026-11-23T00:00:00.500Z"
MINE = Target("ann", AT, "message")


@pytest.mark.parametrize(
    ("guard", "target"),
    [
        (Guard(), MINE),
        (Guard(), Target(None, AT, "dice.rolled", changes=10**6)),
        (Guard(author="ann", within=1, kind="message", most=1), MINE),
    ],
)
def test_what_may_be_changed(guard: Guard, target: Target) -> None:
    assert refusal(guard, target, THEN) is None


@pytest.mark.parametrize(
    ("guard", "target", "code", "words"),
    [
        (Guard(), None, "not_found", "no such message"),
        (Guard(), Target("ann", AT, "edit", is_change=True), "not_found", "no such message"),
        (Guard(), Target("ann", AT, "message", erased=True), "not_found", "no such message"),
        (Guard(kind="message"), Target("ann", AT, "notice"), "not_found", "no such message"),
        (Guard(author="bob"), MINE, "forbidden", "author"),
        (Guard(author="bob"), Target(None, AT, "message"), "forbidden", "author"),
        (Guard(within=0.999), MINE, "forbidden", "too old"),
        (Guard(most=3), Target("ann", AT, "message", changes=3), "forbidden", "3 times"),
    ],
)
def test_what_may_not(guard: Guard, target: Target | None, code: str, words: str) -> None:
    refused = refusal(guard, target, THEN)
    assert refused is not None
    assert refused.code == code
    assert words in refused.message


def test_a_clock_that_was_put_back_refuses_nobody() -> None:
    assert refusal(Guard(within=1), Target("ann", THEN, "message"), AT) is None
