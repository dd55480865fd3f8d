"""Who is behind a connection, and what is kept for it."""

import gc
import weakref

import pytest

from chatserver.envelope import parse
from chatserver.errors import ActionError, CloseCode
from chatserver.rights import Right, Rights
from chatserver.session import DETACHED, Identity, Reply, Session, StateKey, User

COUNT: StateKey[int] = StateKey("count")
NAMES: StateKey[list[str]] = StateKey("names")


@pytest.mark.parametrize("user", ["a", "alice", "a b", "auth0|5f", "u" * 255, "花子", "Guest:1"])
def test_a_user_id_is_kept_as_it_is(user: str) -> None:
    assert Identity(user=user).user == user


@pytest.mark.parametrize("user", ["", "u" * 256, "a\nb", "a\0", "a\u202eb", "\ud800", "a\u200bb"])
def test_a_user_id_is_short_and_printable(user: str) -> None:
    with pytest.raises(ValueError, match="1 to 255 printable characters"):
        Identity(user=user)


def test_guest_ids_are_for_guests_only() -> None:
    assert Identity(user="guest:1", guest=True).guest
    with pytest.raises(ValueError, match="for guests only"):
        Identity(user="guest:1")
    with pytest.raises(ValueError, match="for guests only"):
        Identity(user="alice", guest=True)


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "ali\u202ece", "ali\nce", "\ud800"])
def test_a_name_nobody_could_bear_is_refused_before_it_connects(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Identity(user="alice", name=name)


def test_an_identity_may_do_everything_but_moderate_unless_told_otherwise() -> None:
    rights = Identity(user="alice").rights
    assert rights.allows(Right.WRITE, "lobby")
    assert not rights.allows(Right.MODERATE, "lobby")
    limited = Identity(user="alice", rights=Rights.of({"lobby": [Right.READ]}))
    assert not limited.rights.allows(Right.WRITE, "lobby")


def test_a_reply_shows_what_it_says() -> None:
    reply = Reply("joined", room="lobby", members=2)
    assert (reply.action, reply.fields) == ("joined", {"room": "lobby", "members": 2})
    assert "joined" in repr(reply)
    assert "lobby" in repr(reply)


def test_a_reply_may_have_a_field_called_action() -> None:
    assert Reply("help", action="join").fields == {"action": "join"}


def test_state_is_kept_under_typed_keys() -> None:
    state = Session("c1", Identity(user="alice"), "").state
    assert state.get(COUNT) is None
    state[COUNT] = 1
    state[NAMES] = ["alice"]
    state[COUNT] += 1
    assert (state[COUNT], state.get(NAMES)) == (2, ["alice"])
    assert state.pop(COUNT, None) == 2
    assert state.pop(COUNT, None) is None
    with pytest.raises(KeyError):
        state[COUNT]
    assert state[NAMES] == ["alice"]


def test_two_keys_of_one_name_are_two_keys() -> None:
    other: StateKey[int] = StateKey("count")
    state = Session("c1", Identity(user="alice"), "").state
    state[COUNT] = 1
    assert state.get(other) is None
    assert repr(other) == "<StateKey count>"


def test_a_session_begins_as_its_identity_without_a_name() -> None:
    session = Session("c1", Identity(user="alice", expires=99.0), "203.0.113.5")
    assert (session.id, session.user.id, session.remote) == ("c1", "alice", "203.0.113.5")
    assert session.username == "anonymous"
    assert (session.closes_at, session.closes_with) == (99.0, CloseCode.EXPIRED)
    assert not session.greeted
    session.user.name = "Alice"
    assert session.username == "Alice"
    assert repr(session) == "<Session c1 alice>"


def test_a_session_has_no_room_for_stray_attributes() -> None:
    session = Session("c1", Identity(user="alice"), "")
    with pytest.raises(AttributeError):
        session.last_seen = 1  # type: ignore[attr-defined]  # what is tested


async def test_a_session_without_a_connection_takes_everything_and_does_nothing() -> None:
    sink = Session("c1", Identity(user="alice"), "").sink
    assert sink is DETACHED
    envelope = parse('{"action": "ping"}')
    sink.write(b"frames")
    sink.answer(envelope, Reply("pong"))
    sink.refuse(envelope, ActionError("bad", "no"))
    sink.close(1000)
    assert await sink.probe(60) is False


def test_a_session_does_not_outlive_its_last_reference() -> None:
    session = Session("c1", Identity(user="alice"), "")
    watch = weakref.ref(session)
    del session
    gc.collect()
    assert watch() is None


def test_a_user_begins_without_name_and_connections() -> None:
    user = User("alice")
    assert (user.id, user.name, list(user.sessions)) == ("alice", None, [])
