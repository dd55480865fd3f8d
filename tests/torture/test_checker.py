"""Tell the checker small stories, true and false ones, and hear what it finds."""

from dataclasses import replace

import pytest

from tests.torture.checker import check
from tests.torture.checker.journals import Frame, Journal
from tests.torture.checker.streams import Stream
from tests.torture.checker.violations import Rule, report
from tests.torture.stories import (
    EPOCH,
    ROOM,
    ask,
    event,
    found,
    join,
    joined,
    journal,
    live,
    log,
    page,
    say,
    sent,
    since,
    writes,
)

ANN = ("ann.1", "ann.2", "ann.3")
SEES = live(*ANN)


def test_a_true_story_is_believed() -> None:
    ann = journal(
        "ann",
        since(0, ""),
        joined(0, recovered=True, epoch=""),
        *map(say, ANN[:2]),
        SEES[0],
        sent("ann.1", 1),
        SEES[1],
        sent("ann.2", 2),
        say("ann.1"),
        sent("ann.1", 1, duplicate=True),
        say("ann.1", text="I am not"),
        {"action": "error", "id": "ann.1", "code": "conflict"},
        say("ann.3"),
    )
    bob = journal(
        "bob",
        since(1),
        joined(2, SEES[1], recovered=True),
        SEES[2],
        ask(since=0),
        page(3, SEES[0], next=1),
        ask(before=3),
        page(3, *SEES[:2]),
        join(last=2),
        joined(3, *SEES[1:], more=True),
    )
    bob.follows.append(ROOM)
    assert not check([ann, bob], {ROOM: log(*ANN)})


def test_what_was_refused_may_be_stored_or_not_and_anywhere() -> None:
    refusal: Frame = {"action": "error", "id": "ann.1", "code": "unavailable"}
    refused = journal("ann", say("ann.1"), refusal, say("ann.2"))
    assert not found(log("ann.2"), refused)
    assert not found(log("ann.2", "ann.1"), refused)


@pytest.mark.parametrize(
    ("rule", "stream", "sender"),
    [
        (Rule.TWICE, log("ann.1", "ann.1"), writes("ann.1")),
        (Rule.ORDER, log("ann.2", "ann.1"), writes("ann.1", "ann.2")),
        (Rule.INVENTED, log("ann.1", "ann.2"), writes("ann.1")),
        (Rule.INVENTED, log("ann.1", text="You are"), writes("ann.1")),
        (Rule.NUMBERING, Stream(ROOM, EPOCH, log(*ANN).rows[1:]), writes(*ANN)),
        (
            Rule.NUMBERING,
            Stream(ROOM, EPOCH, (*log("ann.1").rows, replace(log(*ANN).rows[1], offset=1))),
            writes(*ANN),
        ),
    ],
)
def test_a_log_that_is_wrong(rule: Rule, stream: Stream, sender: Journal) -> None:
    assert found(stream, sender) == {rule}


@pytest.mark.parametrize(
    ("rules", "frames"),
    [
        ({Rule.LOST}, (say("ann.4"), sent("ann.4", 4))),
        ({Rule.MISPLACED}, (sent("ann.1", 2),)),
        (
            {Rule.MISPLACED, Rule.MOVED},
            (sent("ann.1", 1), say("ann.1"), sent("ann.1", 4, duplicate=True)),
        ),
        ({Rule.FORGOTTEN}, (sent("ann.1", 1), say("ann.1"), sent("ann.1", 1))),
        ({Rule.ALTERED}, (sent("ann.1", 1, timestamp="yesterday"),)),
        (
            {Rule.ALTERED},
            (sent("ann.1", 1), say("ann.1", text="No"), sent("ann.1", 1, duplicate=True)),
        ),
        ({Rule.CONFLICT}, ({"action": "error", "id": "ann.1", "code": "conflict"},)),
        ({Rule.OUT_OF_TURN}, (sent("ann.2", 2), sent("ann.1", 1))),
        ({Rule.EPOCH}, (sent("ann.1", 1, epoch="e2"),)),
    ],
)
def test_an_acknowledgement_that_is_wrong(rules: set[Rule], frames: tuple[Frame, ...]) -> None:
    ann = journal("ann", *map(say, ANN), *frames)
    assert found(log(*ANN), ann) == rules


def test_a_message_that_is_never_answered() -> None:
    ann = journal("ann", *map(say, ANN), sent("ann.1", 1), sent("ann.3", 3))
    assert not found(log(*ANN), ann)
    ann.settled = True
    assert found(log(*ANN), ann) == {Rule.UNANSWERED}


@pytest.mark.parametrize(
    ("rules", "frames"),
    [
        ({Rule.MISSED}, (join(), joined(0), SEES[0], SEES[2])),
        ({Rule.MISSED}, (join(), joined(1), SEES[2])),
        ({Rule.MISSED}, (join(), joined(0), SEES[2], join(), joined(3))),
        ({Rule.REPEATED}, (join(), joined(0), SEES[0], SEES[0])),
        ({Rule.REPEATED}, (join(), joined(1), SEES[0])),
        ({Rule.DISORDER}, (join(), joined(0), SEES[1], SEES[0], SEES[2])),
        ({Rule.DISORDER}, (SEES[0],)),
        (
            {Rule.DISORDER},
            (join(), joined(0), {"action": "left", "id": 1, "room": ROOM}, SEES[0]),
        ),
        ({Rule.GAP}, (since(0), joined(3, *SEES[1:], recovered=True))),
        ({Rule.GAP}, (since(0), joined(3, *SEES[:2], recovered=True))),
        ({Rule.GAP}, (since(0), joined(3, SEES[0], SEES[2], recovered=True))),
        ({Rule.GAP, Rule.UNRECOVERED}, (since(0), joined(3, *SEES, recovered=False))),
        ({Rule.UNRECOVERED}, (since(1), joined(3, recovered=False))),
        ({Rule.REPEATED}, (since(1), joined(3, *SEES, recovered=True))),
        ({Rule.REPEATED}, (since(0), joined(3, *SEES, SEES[2], recovered=True))),
        ({Rule.DISORDER}, (since(0), joined(3, *reversed(SEES), recovered=True))),
        ({Rule.DISORDER}, (since(0), joined(2, *SEES, recovered=True))),
        ({Rule.EPOCH}, (since(0, "e0"), joined(3, *SEES, recovered=True))),
        ({Rule.EPOCH}, (join(), joined(2, epoch="e2"), SEES[2])),
        ({Rule.GAP}, (join(last=2), joined(3, SEES[1], more=True))),
        ({Rule.GAP}, (join(last=3), joined(3, *SEES[1:]))),
        ({Rule.GAP}, (ask(since=0), page(3, SEES[0], SEES[2]))),
        ({Rule.GAP}, (ask(since=0), page(3, *SEES[:2]))),
        ({Rule.GAP}, (ask(before=3), page(3, SEES[1]))),
        ({Rule.GAP}, (ask(before=3), page(3, SEES[0], next=1))),
        ({Rule.REPEATED}, (ask(since=1), page(3, *SEES))),
        ({Rule.DISORDER}, (ask(before=3), page(3, *SEES))),
    ],
)
def test_a_view_that_is_wrong(rules: set[Rule], frames: tuple[Frame, ...]) -> None:
    assert found(log(*ANN), writes(*ANN), journal("bob", *frames)) == rules


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule.UNLOGGED, event("ann.4", offset=4)),
        (Rule.UNLOGGED, event("ann.2", offset=4)),
        (Rule.ALTERED, event("ann.4", offset=4, text="You are")),
        (Rule.ALTERED, event("ann.4", offset=4, username="bob")),
    ],
)
def test_a_message_that_is_not_the_one_in_the_log(rule: Rule, message: Frame) -> None:
    stream = log(*ANN) if rule is Rule.UNLOGGED else log(*ANN, "ann.4")
    bob = journal("bob", join(), joined(3), message)
    assert found(stream, writes(*ANN, "ann.4"), bob) == {rule}


def test_a_position_that_is_given_twice() -> None:
    bob = journal("bob", join(), joined(2), *live("ann.4", first=3))
    eve = journal("eve", join(), joined(2), SEES[2])
    assert found(log(*ANN), writes(*ANN, "ann.4"), bob, eve) == {Rule.REUSED, Rule.UNLOGGED}


def test_a_room_has_another_epoch_after_a_kill_only_and_only_if_it_is_relaxed() -> None:
    stream = log(*ANN)
    retried = (sent("ann.1", 1, epoch="e0"), say("ann.1"), sent("ann.1", 1, duplicate=True))
    ann = journal("ann", *map(say, ANN), *retried)
    for relaxed, kills, rules in (
        (True, 1, set[Rule]()),
        (True, 0, {Rule.EPOCH}),
        (False, 1, {Rule.EPOCH}),
    ):
        streams = {ROOM: replace(stream, relaxed=relaxed)}
        assert {each.rule for each in check([ann], streams, kills=kills)} == rules


def test_who_follows_to_the_end_has_to_see_everything() -> None:
    bob = journal("bob", join(), joined(1), *SEES[1:])
    assert not found(log(*ANN), writes(*ANN), bob)
    bob.follows.append(ROOM)
    assert found(log(*ANN), writes(*ANN), bob) == {Rule.INCOMPLETE}


def test_a_report_names_client_frame_and_row() -> None:
    ann = journal("ann", *map(say, ANN), sent("ann.1", 2))
    told = report(check([ann], {ROOM: log(*ANN)}))
    assert "MISPLACED, 1 times" in told
    assert "ann was told that ann.1 is at 2 of room lobby, but it is at 1" in told
    assert f"ann, connection 1, {ann.entries[-1].at}: <" in told
    assert "the log, 1: ann ann.1" in told
    assert "the log, 2: ann ann.2" in told
