"""Give the Python client a bug: the checker finds it in what the client tells its user."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import Raw

from chatserver.client import Publication, replies
from chatserver.client.connection import Connection
from chatserver.client.courier import Courier
from chatserver.client.outbox import Letter
from chatserver.client.wire import read_events
from tests.torture.checker.violations import Rule
from tests.torture.nursery import Nursery
from tests.torture.plan import AtPoint, make_plan
from tests.torture.run import run

pytestmark = pytest.mark.timeout(240)


def first_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the first of the messages that a join or a page brings."""

    def read(room: str, messages: list[Raw]) -> list[Publication]:
        return read_events(room, messages[1:])

    monkeypatch.setattr(replies, "read_events", read)


def last_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the last of these twice."""

    def read(room: str, messages: list[Raw]) -> list[Publication]:
        return read_events(room, messages + messages[-1:])

    monkeypatch.setattr(replies, "read_events", read)


def cid_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send again what a lost connection left open, under another cid."""
    correct = Courier._send
    cids: set[str] = set()

    async def send(courier: Courier, connection: Connection, letter: Letter) -> None:
        if letter.cid in cids:
            letter.cid += "+"
        cids.add(letter.cid)
        await correct(courier, connection, letter)

    monkeypatch.setattr(Courier, "_send", send)


LIVES = (AtPoint("after_commit", 40),) * 3
"""Long enough to have everybody in, with something in flight, on a busy machine as well."""


@pytest.mark.parametrize(
    ("plant", "breaks"),
    [
        pytest.param(plant, breaks, id=plant.__name__)
        for plant, breaks in (
            (first_left_out, Rule.MISSED),
            (last_doubled, Rule.REPEATED),
            (cid_renewed, Rule.INVENTED),
        )
    ],
)
async def test_it_is_caught(
    nursery: Nursery,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    breaks: Rule,
) -> None:
    plant(monkeypatch)
    outcome = await run(replace(make_plan("random", 3), ends=LIVES), nursery, tmp_path)
    broken = {each.rule for each in outcome.violations if "resident-1" in each.what}
    assert breaks in broken, str(outcome)
