"""Who is behind a session, and who gets which name when several want it."""

import asyncio
from collections.abc import Callable

import pytest

from chatserver.config import ChatConfig, Config, LimitsConfig, ServerConfig
from chatserver.errors import ActionError, CloseCode, Disconnect
from chatserver.hub import LocalHub
from chatserver.rights import Right, Rights
from chatserver.session import Identity, Session

from .sinks import Place, RecordingSink
from .witness import Witness


async def test_a_session_becomes_another_user_s() -> None:
    place = await Place().start()
    phone, _ = place.connect("ann")
    await place.hub.claim_name(phone, "Ann")
    late, late_sink = place.connect()
    place.hub.join(late, "lobby")
    guest = late.user.id
    place.hub.identify(late, Identity(user="ann", expires=5000.0))
    assert late.user is phone.user
    assert late.username == "Ann"
    assert (late.closes_at, late.closes_with) == (5000.0, CloseCode.EXPIRED)
    assert place.hub.user(guest) is None
    assert list(place.hub.members("lobby")) == []
    assert place.hub.publish_to("ann", "note", text="both") == 2
    assert len(late_sink.events) == 1


async def test_a_session_that_becomes_another_user_s_frees_its_name() -> None:
    place = await Place().start()
    ann, _ = place.connect()
    await place.hub.claim_name(ann, "Ann")
    place.hub.identify(ann, Identity(user="ann"))
    assert ann.username == "anonymous"
    bob, _ = place.connect()
    await place.hub.claim_name(bob, "Ann")
    assert bob.username == "Ann"


async def test_a_refreshed_identity_moves_the_end() -> None:
    place = await Place().start()
    ann, _ = place.connect(Identity(user="ann", name="Ann", expires=100.0))
    user, ends = ann.user, []
    for expires in (200.0, None):
        place.hub.identify(ann, Identity(user="ann", name="Ann", expires=expires))
        ends.append(ann.closes_at)
    assert ann.user is user
    assert ends == [200.0, None]
    place.hub.drop(ann)
    assert place.is_empty


async def test_a_user_has_a_bounded_number_of_connections() -> None:
    place = await Place(Config(server=ServerConfig(max_connections_per_user=2))).start()
    for _ in range(2):
        place.hub.check_connections("ann")
        place.connect("ann")
    with pytest.raises(Disconnect) as caught:
        place.hub.check_connections("ann")
    assert caught.value.code == CloseCode.CONNECTION_LIMIT
    late, _ = place.connect()
    guest = late.user
    with pytest.raises(Disconnect):
        place.hub.identify(late, Identity(user="ann"))
    assert late.user is guest
    assert place.hub.user(guest.id) is guest


async def test_a_name_is_claimed_renamed_and_freed() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    ann, _ = place.connect()
    assert await place.hub.claim_name(ann, " ａnn ") is None
    assert ann.username == "ann"
    assert await place.hub.claim_name(ann, "Ann") == "ann"
    assert await place.hub.claim_name(ann, "Ann") == "Ann"
    assert await place.hub.claim_name(ann, "Anna") == "Ann"
    assert [entry for entry in diary if entry[1] == "rename"] == [
        ("witness", "rename", "ann", "Ann"),
        ("witness", "rename", "Ann", "Anna"),
    ]
    bob, _ = place.connect()
    await place.hub.claim_name(bob, "Ann")
    place.hub.drop(ann)
    await place.hub.claim_name(bob, "Anna")
    assert bob.username == "Anna"


@pytest.mark.parametrize("wanted", ["Ann", "ANN", "ａｎｎ", " ann "])
async def test_a_name_whose_holder_answers_is_taken(wanted: str) -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    bob, _ = place.connect()
    await place.hub.claim_name(ann, "Ann")
    with pytest.raises(ActionError, match="is taken") as caught:
        await place.hub.claim_name(bob, wanted)
    assert caught.value.code == "name_taken"
    assert (ann.username, bob.username) == ("Ann", "anonymous")
    assert ann_sink.closes == []
    assert ann in place.hub.sessions


async def test_a_name_is_taken_if_one_of_the_holder_s_connections_answers() -> None:
    place = await Place().start()
    answers = asyncio.Event()
    answers.set()
    for alive, gate in ((False, answers), (True, answers), (False, asyncio.Event())):
        session, _ = place.connect("ann", alive=alive, gate=gate)
    await place.hub.claim_name(session, "Ann")
    bob, _ = place.connect()
    with pytest.raises(ActionError, match="is taken"):
        await place.hub.claim_name(bob, "Ann")
    assert len(session.user.sessions) == 3
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_name_of_a_silent_holder_passes_on() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    sinks: list[RecordingSink] = []
    for _ in range(2):
        ghost, sink = place.connect("ann", alive=False)
        place.hub.join(ghost, "lobby")
        sinks.append(sink)
    await place.hub.claim_name(ghost, "Ann")
    bob, _ = place.connect()
    assert await place.hub.claim_name(bob, "ann") is None
    assert bob.username == "ann"
    assert [sink.closes for sink in sinks] == [[(CloseCode.NO_PONG, "no pong")]] * 2
    assert place.hub.user("ann") is None
    assert place.hub.rooms() == {}
    assert [entry[1] for entry in diary].count("leave") == 2


async def test_a_silent_holder_has_as_long_as_the_limits_say() -> None:
    place = await Place(Config(limits=LimitsConfig(name_timeout=0.25))).start()

    class Patient(RecordingSink):
        async def probe(self, patience: float) -> bool:
            self.patience = patience
            return False

    ghost, _ = place.connect()
    ghost.sink = sink = Patient()
    await place.hub.claim_name(ghost, "Ann")
    await place.hub.claim_name(place.connect()[0], "Ann")
    assert sink.patience == 0.25


async def test_a_holder_who_comes_back_while_it_is_asked_keeps_the_name() -> None:
    place = await Place().start()
    gate = asyncio.Event()
    lost, lost_sink = place.connect("ann", alive=False, gate=gate)
    await place.hub.claim_name(lost, "Ann")
    bob, _ = place.connect()
    claim = asyncio.create_task(place.hub.claim_name(bob, "Ann"))
    await lost_sink.probed.wait()
    back, back_sink = place.connect("ann")
    gate.set()
    with pytest.raises(ActionError, match="is taken"):
        await claim
    assert back_sink.closes == []
    assert back.username == "Ann"


async def test_of_two_who_want_a_silent_holder_s_name_one_gets_it() -> None:
    place = await Place().start()
    gate = asyncio.Event()
    ghost, ghost_sink = place.connect(alive=False, gate=gate)
    await place.hub.claim_name(ghost, "Ann")
    rivals = [place.connect()[0] for _ in range(2)]
    claims = [asyncio.create_task(place.hub.claim_name(rival, "Ann")) for rival in rivals]
    await ghost_sink.probed.wait()
    gate.set()
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    taken = [outcome for outcome in outcomes if isinstance(outcome, ActionError)]
    assert [error.code for error in taken] == ["name_taken"]
    assert sorted(rival.username for rival in rivals) == ["Ann", "anonymous"]
    assert ghost_sink.closes == [(CloseCode.NO_PONG, "no pong")]


async def test_a_holder_who_leaves_while_it_is_asked_gives_the_name_free() -> None:
    place = await Place().start()
    gate = asyncio.Event()
    ghost, ghost_sink = place.connect(alive=False, gate=gate)
    await place.hub.claim_name(ghost, "Ann")
    bob, _ = place.connect()
    claim = asyncio.create_task(place.hub.claim_name(bob, "Ann"))
    await ghost_sink.probed.wait()
    place.hub.drop(ghost)
    gate.set()
    await claim
    assert bob.username == "Ann"
    assert ghost_sink.closes == []


async def test_who_is_dropped_while_waiting_for_a_name_does_not_get_it() -> None:
    place = await Place().start()
    gate = asyncio.Event()
    ghost, ghost_sink = place.connect(alive=False, gate=gate)
    await place.hub.claim_name(ghost, "Ann")
    bob, _ = place.connect("bob")
    claim = asyncio.create_task(place.hub.claim_name(bob, "Ann"))
    await ghost_sink.probed.wait()
    place.hub.kick("bob", CloseCode.KICKED)
    gate.set()
    with pytest.raises(Disconnect):
        await claim
    cat, _ = place.connect()
    await place.hub.claim_name(cat, "Ann")
    assert cat.username == "Ann"


@pytest.mark.parametrize(
    "act",
    [
        lambda hub, session: hub.join(session, "lobby"),
        lambda hub, session: hub.identify(session, Identity(user="ann")),
    ],
    ids=["join", "identify"],
)
async def test_who_was_dropped_cannot_come_back_by_a_handler_that_waited(
    act: Callable[[LocalHub, Session], object],
) -> None:
    place = await Place().start()
    ann, _ = place.connect()
    place.hub.drop(ann)
    with pytest.raises(Disconnect, match="ended"):
        act(place.hub, ann)
    assert place.is_empty


async def test_names_clash_only_where_they_have_to_be_unique() -> None:
    place = await Place(Config(chat=ChatConfig(unique_names=False))).start()
    sessions = [place.connect()[0] for _ in range(2)]
    for session in sessions:
        await place.hub.claim_name(session, "Ann")
    assert [session.username for session in sessions] == ["Ann", "Ann"]


async def test_a_guest_makes_way_for_a_sign_in_and_is_told_renamed() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    guest, _ = place.connect()
    await place.hub.claim_name(guest, "ANN")
    ann, _ = place.connect(Identity(user="ann", name="Ann"))
    assert ann.username == "Ann"
    assert ("witness", "rename", "ANN", guest.username) in diary
    late, _ = place.connect()
    other, _ = place.connect()
    await place.hub.claim_name(other, "Bob")
    place.hub.identify(late, Identity(user="bob", name="Bob"))
    assert (late.username, other.username.startswith("Bob-")) == ("Bob", True)
    assert ("witness", "rename", "Bob", other.username) in diary


async def test_newer_rights_end_memberships_they_do_not_allow() -> None:
    place = await Place().start()
    phone, _ = place.connect("ann")
    for room in ("lobby", "den"):
        place.hub.join(phone, room)
    rights = Rights.of({"lobby": [Right.JOIN]})
    place.hub.identify(phone, Identity(user="ann", rights=rights))
    assert list(place.hub.joined(phone)) == ["lobby"]
