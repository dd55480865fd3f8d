"""What happens is told in the formats of the guide's client, a line each."""

import pytest

from chatserver.client import (
    ActionError,
    ClosedError,
    Erased,
    Event,
    Gap,
    GapReason,
    Message,
    Notification,
    Reaction,
)
from chatserver.terminal.lines import line_of, missing, numbered, reason_of
from chatserver.terminal.transcript import Transcript

HELLO = Message(
    room="lobby",
    text="Hello!\n** x **",
    timestamp="now",
    sender="u1",
    username="bob",
    offset=7,
    edited="now",
    reactions={"👍": Reaction(2, ["u1", "u2"])},
)


def test_a_message() -> None:
    entry = Transcript().take(HELLO)
    assert entry is not None
    assert line_of("lobby", HELLO, entry) == r"[lobby] bob: Hello!\n** x **"
    assert numbered("lobby", entry) == r"#7 [lobby] bob: Hello!\n** x ** (edited) 👍 2"
    assert line_of("lobby", HELLO, None) is None, "it has been told"


def test_what_becomes_of_it() -> None:
    kept = Transcript()
    kept.take(HELLO)

    def told(action: str, **fields: object) -> str | None:
        event = Event(action=action, room="lobby", fields={"target": 7, "sender": "u3", **fields})
        return line_of("lobby", event, kept.take(event))

    assert told("reaction", emoji="👍", remove=False) == "[lobby] #7 has 👍 3"
    assert told("edit", text="Hi!") == "[lobby] #7 is now: Hi!"
    assert told("delete") == "[lobby] #7 was deleted"
    assert told("rolled", value=6) is None
    erased = Erased(room="lobby", offset=8)
    assert line_of("lobby", erased, kept.take(erased)) == "[lobby] #8 was deleted"


def test_who_comes_and_goes() -> None:
    event = Notification(room="lobby", event="join", text="b\x1b joined lobby", timestamp="now")
    assert line_of("lobby", event, None) == r"** b\x1b joined lobby **"


@pytest.mark.parametrize("reason", GapReason)
def test_each_reason_of_a_gap_is_told(reason: GapReason) -> None:
    gap = Gap(room="lobby", reason=reason, seen=None, resumes=None)
    assert missing("lobby", gap).startswith("[lobby] Messages may be missing here: ")


def test_why_the_chat_is_over() -> None:
    assert reason_of(ActionError("name_taken", "Somebody has it")) == "Somebody has it"
    assert reason_of(ClosedError(3503, "kicked")) == "The conversation is over: kicked (3503)"
