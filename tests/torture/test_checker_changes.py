"""Tell the checker stories of messages that are edited, deleted and reacted to."""

from dataclasses import replace

import pytest

from tests.torture.checker import check
from tests.torture.checker.journals import Frame, Journal
from tests.torture.checker.streams import Stream
from tests.torture.checker.violations import Rule
from tests.torture.stories import (
    ROOM,
    TIME,
    ask,
    asking,
    change,
    erased,
    event,
    found,
    join,
    joined,
    journal,
    log_of,
    page,
    say,
    sent,
    since,
)

EDIT = change("ann.2", 1, "edit", text="I was Ann")
LIKE = change("bob.1", 1, "reaction", emoji="👍", remove=False)
LATER = change("ann.4", 3, "edit", text="I was Anna")
DELETE = change("ann.5", 3, "delete")
EVENTS = (event("ann.1"), EDIT, event("ann.3"), LATER, LIKE, DELETE)
LOG = erased(log_of(*EVENTS), 3, 4)
AT = [{**each, "offset": offset} for offset, each in enumerate(EVENTS, 1)]
ERASED: list[Frame] = [{"offset": offset, "deleted": True} for offset in range(len(EVENTS) + 1)]

EDITED = {**AT[0], "text": "I was Ann", "edited": TIME}
LIKED = {**EDITED, "reactions": {"👍": {"count": 1, "senders": ["bob"]}}}
BEFORE = {**AT[2], "text": "I was Anna", "edited": TIME}


def ann(*frames: Frame) -> Journal:
    """Return the journal of who wrote and changed all but the reaction."""
    wrote = (say("ann.1"), asking(EDIT), say("ann.3"), asking(LATER), asking(DELETE))
    return journal("ann", *wrote, *frames)


def refusal(cid: str, code: str) -> Frame:
    """Return a refusal."""
    return {"action": "error", "id": cid, "code": code}


def bob(*frames: Frame) -> Journal:
    """Return the journal of who reacted."""
    return journal("bob", asking(LIKE), *frames)


def test_a_true_story_is_believed() -> None:
    seen = bob(
        *(sent("bob.1", 5), since(2), joined(5, *AT[2:5], recovered=True)),
        *(since(2), joined(6, ERASED[3], ERASED[4], *AT[4:], recovered=True)),
        *(ask(since=0), page(4, EDITED, BEFORE)),
        *(ask(since=0), page(6, LIKED, ERASED[3])),
        *(ask(since=1), page(6, AT[1], ERASED[3], AT[4])),
        *(ask(since=0), page(6, LIKED, next=2), ask(before=3), page(6, next=2)),
        *(join(last=2), joined(5, LIKED, BEFORE)),
        *(join(last=1), joined(6, ERASED[3], more=True)),
    )
    told = ann(
        *(since(0, ""), joined(0, recovered=True, epoch=""), *AT),
        *(sent(cid, offset) for cid, offset in (("ann.1", 1), ("ann.2", 2), ("ann.3", 3))),
        *(sent("ann.4", 4), sent("ann.5", 6)),
        *(asking(DELETE), sent("ann.5", 6, duplicate=True)),
        *(asking({**LATER, "text": "No"}), refusal("ann.4", "conflict")),
        *(asking(LATER), sent("ann.4", 4, duplicate=True)),
        *(asking(change("ann.6", 3, "edit", text="But")), refusal("ann.6", "not_found")),
    )
    seen.follows.append(ROOM)
    assert not check([told, seen], {ROOM: LOG})


@pytest.mark.parametrize(
    ("rules", "frames"),
    [
        ({Rule.UNFOLDED}, (ask(since=0), page(6, AT[0], ERASED[3]))),
        ({Rule.UNFOLDED}, (ask(since=0), page(4, LIKED, BEFORE))),
        ({Rule.UNFOLDED}, (ask(since=0), page(2, EDITED, AT[1]))),
        ({Rule.UNFOLDED}, (ask(before=3), page(6, LIKED, AT[1]))),
        ({Rule.UNFOLDED}, (join(last=2), joined(5, LIKED, BEFORE, AT[4]))),
        ({Rule.UNFOLDED}, (ask(since=0), page(4, EDITED, AT[2]))),
        ({Rule.UNFOLDED}, (join(last=1), joined(4, {**BEFORE, "text": "I was Ann"}, more=True))),
        ({Rule.ALTERED}, (since(0), joined(2, EDITED, AT[1], recovered=True))),
        ({Rule.ALTERED}, (since(4), joined(5, ERASED[5], recovered=True))),
        ({Rule.GAP}, (since(0), joined(2, AT[0], recovered=True))),
        ({Rule.GAP}, (ask(since=1), page(6, ERASED[3], AT[4]))),
        ({Rule.GAP}, (ask(since=0), page(6, LIKED, next=3))),
        ({Rule.RESURRECTED}, (ask(since=0), page(6, LIKED, BEFORE))),
        ({Rule.RESURRECTED}, (since(2), joined(6, *AT[2:], recovered=True))),
        (
            {Rule.RESURRECTED},
            (since(2), joined(6, ERASED[3], *AT[3:], recovered=True)),
        ),
        ({Rule.RESURRECTED}, (join(last=1), joined(6, BEFORE, more=True))),
    ],
)
def test_a_view_that_is_wrong(rules: set[Rule], frames: tuple[Frame, ...]) -> None:
    assert found(LOG, ann(), bob(*frames)) == rules


def test_nobody_who_asks_after_the_acknowledgement_of_a_deletion_is_shown_the_text() -> None:
    shown = (ask(since=2), page(5, BEFORE, AT[4]))
    early = bob(*shown)
    deleter = ann(sent("ann.5", 6))
    assert not found(LOG, deleter, early)
    assert found(LOG, deleter, bob(*shown)) == {Rule.RESURRECTED}


def test_a_reaction_counts_once_until_it_is_taken_back() -> None:
    again, back = {**LIKE, "cid": "bob.2"}, {**LIKE, "cid": "bob.3", "remove": True}
    too = change("ann.2", 1, "reaction", emoji="👍", remove=False)
    stream = log_of(event("ann.1"), LIKE, again, too, back, {**back, "cid": "bob.4"})
    wrote = journal("ann", say("ann.1"), asking(too))
    asked = [asking(each.event) for each in stream.rows if each.user == "bob"]

    def seen(top: int, *senders: str) -> set[Rule]:
        told = {"👍": {"count": len(senders), "senders": [*senders]}}
        shown = {**AT[0], "reactions": told} if senders else AT[0]
        return found(stream, wrote, journal("bob", *asked, ask(since=0), page(top, shown)))

    assert not seen(1) | seen(3, "bob") | seen(4, "bob", "ann") | seen(5, "ann") | seen(6, "ann")
    assert seen(3, "bob", "bob") == seen(3) == seen(5, "bob", "ann") == seen(6) == {Rule.UNFOLDED}


@pytest.mark.parametrize(
    ("rules", "stream"),
    [
        ({Rule.KEPT}, log_of(*EVENTS)),
        ({Rule.KEPT}, erased(log_of(*EVENTS), 3)),
        ({Rule.KEPT}, erased(log_of(*EVENTS), 4)),
        ({Rule.LOST}, erased(log_of(*EVENTS), 1, 3, 4)),
        ({Rule.LOST}, erased(log_of(*EVENTS[:4]), 4)),
        ({Rule.INVENTED}, log_of(EVENTS[0], {**EDIT, "text": "I was never"})),
        ({Rule.INVENTED, Rule.MISTARGETED}, log_of(event("ann.1"), {**EDIT, "target": 4})),
        ({Rule.MISTARGETED}, log_of(EDIT)),
        ({Rule.TWICE, Rule.MISTARGETED}, erased(log_of(*EVENTS, DELETE), 3, 4)),
        ({Rule.TRIMMED}, erased(replace(log_of(*EVENTS[:2]), length=1, floor=3), 1, 2)),
    ],
)
def test_a_log_that_is_wrong(rules: set[Rule], stream: Stream) -> None:
    assert found(stream, ann(), bob()) == rules


@pytest.mark.parametrize("kind", ["edit", "delete"])
def test_only_its_author_changes_a_message(kind: str) -> None:
    bold = change("bob.2", 1, kind, **({"text": "Bob"} if kind == "edit" else {}))
    stream = log_of(event("ann.1"), bold)
    if kind == "delete":
        stream = erased(stream, 1)
    assert found(stream, journal("ann", say("ann.1")), journal("bob", asking(bold))) == {
        Rule.MISTARGETED
    }


PIN = change("eve.1", 1, "pin", remove=False)
UNPIN = change("eve.2", 1, "pin", remove=True)


def test_a_pin_stays_until_it_is_taken_off() -> None:
    stream = log_of(event("ann.1"), PIN, UNPIN)
    wrote = journal("ann", say("ann.1"))

    def seen(top: int, **fields: object) -> set[Rule]:
        shown = page(top, {**AT[0], **fields})
        return found(stream, wrote, journal("eve", asking(PIN), asking(UNPIN), ask(since=0), shown))

    assert not seen(1) | seen(2, pinned=True) | seen(3)
    assert seen(1, pinned=True) == seen(2) == seen(3, pinned=True) == {Rule.UNFOLDED}


@pytest.mark.parametrize("kind", ["pin", "delete", "edit"])
def test_moderators_pin_and_delete_what_others_wrote(kind: str) -> None:
    def told(user: str) -> set[Rule]:
        given: Frame = {"remove": False} if kind == "pin" else {"text": "Mine"}
        made = change(f"{user}.1", 1, kind, **(given if kind != "delete" else {}))
        stream = log_of(event("ann.1"), made)
        if kind == "delete":
            stream = erased(stream, 1)
        return found(stream, journal("ann", say("ann.1")), journal(user, asking(made)))

    assert told("eve") == ({Rule.MISTARGETED} if kind == "edit" else set())
    assert told("bob") == {Rule.MISTARGETED}


def test_only_who_may_not_pin_is_refused_it() -> None:
    for user, rules in (("eve", {Rule.REFUSED}), ("bob", set())):
        pin = change(f"{user}.9", 1, "pin", remove=False)
        refused = journal(user, asking(pin), refusal(f"{user}.9", "forbidden"))
        assert found(log_of(event("ann.1")), journal("ann", say("ann.1")), refused) == rules


@pytest.mark.parametrize(
    ("rules", "frames"),
    [
        ({Rule.MISPLACED}, (sent("ann.2", 1),)),
        ({Rule.FORGOTTEN}, (sent("ann.5", 6), asking(DELETE), sent("ann.5", 6))),
        ({Rule.LOST}, (asking(change("ann.6", 1, "delete")), sent("ann.6", 7))),
        ({Rule.ALTERED}, (asking({**DELETE, "target": 1}), sent("ann.5", 6, duplicate=True))),
        ({Rule.CONFLICT}, (asking(LATER), refusal("ann.4", "conflict"))),
        ({Rule.REFUSED}, (asking(DELETE), refusal("ann.5", "not_found"))),
        ({Rule.REFUSED}, (asking(change("ann.6", 1, "delete")), refusal("ann.6", "not_found"))),
        ({Rule.REFUSED}, (asking(change("ann.6", 1, "delete")), refusal("ann.6", "forbidden"))),
        (set(), (asking(change("ann.6", 3, "delete")), refusal("ann.6", "not_found"))),
        (set(), (asking(change("ann.6", 2, "delete")), refusal("ann.6", "not_found"))),
        (set(), (asking(change("ann.6", 9, "delete")), refusal("ann.6", "not_found"))),
    ],
)
def test_an_answer_that_is_wrong(rules: set[Rule], frames: tuple[Frame, ...]) -> None:
    assert found(LOG, ann(*frames), bob()) == rules


TRIMMED = replace(erased(log_of(*EVENTS[:5]), 1, 2), floor=3, length=2)


@pytest.mark.parametrize(
    ("rules", "frames"),
    [
        (set(), (ask(since=0), page(5, BEFORE, oldest=3))),
        (set(), (ask(), page(5, BEFORE, oldest=3))),
        (set(), (since(0), joined(5, recovered=False, oldest=3))),
        (set(), (since(2), joined(5, *AT[2:5], recovered=True, oldest=3))),
        (set(), (asking(change("bob.2", 1, "delete")), refusal("bob.2", "not_found"))),
        ({Rule.GAP}, (ask(since=0), page(5, oldest=3))),
        ({Rule.GAP}, (since(0), joined(5, *AT[2:5], recovered=True, oldest=3))),
        ({Rule.UNRECOVERED}, (since(2), joined(5, recovered=False, oldest=3))),
        ({Rule.TRIMMED}, (ask(since=0), page(5, oldest=5))),
        ({Rule.TRIMMED}, (since(0), joined(5, recovered=False, oldest=6))),
    ],
)
def test_a_room_that_is_trimmed(rules: set[Rule], frames: tuple[Frame, ...]) -> None:
    assert found(TRIMMED, ann(), bob(*frames)) == rules
