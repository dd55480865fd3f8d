"""Rooms of two: their users' connections are in them without joining, and nobody else is."""

import pytest

from chatserver.rights import Right, Rights
from chatserver.session import Identity
from tests.core.sinks import Place, RecordingSink
from tests.core.witness import Witness

ROOM = "dm:ann:bob"


@pytest.fixture
async def place() -> Place:
    return await Place().start()


def say(place: Place, text: str, room: str = ROOM) -> None:
    place.hub.publish(room, "message", {"text": text})


def heard(sink: RecordingSink) -> list[object]:
    return [event["text"] for event in sink.events]


async def test_all_connections_of_both_hear_it_and_nobody_else(place: Place) -> None:
    sinks = [place.connect(user)[1] for user in ("ann", "ann", "bob", "eve")]
    say(place, "one")
    say(place, "two")
    place.crank.turn()
    assert [heard(sink) for sink in sinks] == [["one", "two"]] * 3 + [[]]
    assert [len(sink.writes) for sink in sinks] == [1, 1, 1, 0], "a tick costs each one write"


async def test_a_newcomer_hears_what_is_said_from_then_on(place: Place) -> None:
    _, ann = place.connect("ann")
    say(place, "before")
    _, bob = place.connect("bob")
    say(place, "after")
    place.crank.turn()
    assert (heard(ann), heard(bob)) == (["before", "after"], ["after"])


async def test_who_has_gone_within_the_tick_hears_nothing_more(place: Place) -> None:
    session, ann = place.connect("ann")
    _, bob = place.connect("bob")
    say(place, "one")
    place.hub.drop(session)
    say(place, "two")
    place.crank.turn()
    assert (heard(ann), heard(bob)) == ([], ["one", "two"])


async def test_who_becomes_another_user_is_given_the_rest_first(place: Place) -> None:
    session, sink = place.connect("ann")
    say(place, "for ann")
    place.hub.identify(session, Identity(user="eve"))
    assert heard(sink) == ["for ann"]
    say(place, "for ann again")
    say(place, "for eve", "dm:bob:eve")
    place.crank.turn()
    assert heard(sink) == ["for ann", "for eve"]


async def test_nothing_is_left_of_a_room_once_it_is_written(place: Place) -> None:
    session, sink = place.connect("ann")
    say(place, "one")
    place.crank.turn()
    say(place, "two")
    place.crank.turn()
    assert heard(sink) == ["one", "two"]
    place.hub.drop(session)
    assert place.is_empty


async def test_a_greeting_comes_behind_what_it_stands_for(place: Place) -> None:
    session, sink = place.connect("ann")
    place.connect("bob")
    say(place, "before")
    greeted: list[tuple[int, list[object]]] = []
    place.hub.join(session, ROOM, lambda members: greeted.append((members, heard(sink))))
    assert greeted == [(2, ["before"])]
    say(place, "after")
    place.crank.turn()
    assert heard(sink) == ["before", "after"]


async def test_nobody_is_told_of_joining_and_it_is_not_the_room_joined_last() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    session, _ = place.connect("ann")
    place.hub.join(session, "lobby")
    diary.clear()
    place.hub.join(session, ROOM)
    place.hub.leave(session, ROOM)
    assert diary == []
    assert list(place.hub.joined(session)) == ["lobby"]
    assert [each.user.id for each in place.hub.members(ROOM)] == ["ann"]
    assert list(place.hub.rooms()) == ["lobby"]


@pytest.mark.parametrize("right", Right)
async def test_the_two_may_talk_whatever_their_rights_are_and_nobody_may_moderate(
    place: Place, right: Right
) -> None:
    mute, _ = place.connect(Identity(user="ann", rights=Rights.of({})))
    lord, _ = place.connect(Identity(user="eve", rights=Rights.of({"*": list(Right)})))
    assert place.hub.allows(mute, right, ROOM) is (right is not Right.MODERATE)
    assert not place.hub.allows(lord, right, ROOM)
    assert not place.hub.allows(lord, right, "dm:eve")
    assert not place.hub.allows(lord, right, "dm:eve:ann")
