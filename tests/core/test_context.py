"""What a handler may ask of its context."""

import pytest
from multidict import CIMultiDict

from chatserver.context import Context, Handshake
from chatserver.envelope import parse
from chatserver.errors import ActionError
from chatserver.rights import Right, Rights
from chatserver.session import Identity, Reply

from .sinks import Place, RecordingSink


async def enter(*rooms: str, rights: Rights | None = None) -> tuple[Context, Place, RecordingSink]:
    place = await Place().start()
    identity = Identity(user="ann", name="Ann")
    if rights is not None:
        identity = Identity(user="ann", name="Ann", rights=rights)
    session, sink = place.connect(identity)
    for room in rooms:
        place.hub.join(session, room)
    return Context(session, place.hub, parse('{"action": "x", "id": 7}')), place, sink


async def test_the_room_meant_is_the_one_named_or_the_one_joined_last() -> None:
    ctx, place, _ = await enter("lobby", "tea")
    assert ctx.require_room() == "tea"
    assert ctx.require_room("lobby") == "lobby"
    place.hub.join(ctx.session, "lobby")
    assert ctx.require_room() == "lobby"
    place.hub.leave(ctx.session, "lobby")
    assert ctx.require_room(None, Right.READ) == "tea"


async def test_a_room_not_joined_is_refused() -> None:
    ctx, place, _ = await enter()
    with pytest.raises(ActionError, match="Join a room first") as caught:
        ctx.require_room()
    assert caught.value.code == "not_joined"
    other, _ = place.connect()
    place.hub.join(other, "tea")
    for room in ("tea", "nowhere", ""):
        with pytest.raises(ActionError, match="not in that room") as caught:
            ctx.require_room(room)
        assert caught.value.code == "not_joined"


async def test_what_is_not_granted_is_forbidden_also_in_a_joined_room() -> None:
    ctx, _, _ = await enter("news", rights=Rights.of({"news": [Right.JOIN, Right.READ]}))
    assert ctx.require_room("news", Right.READ) == "news"
    with pytest.raises(ActionError, match="may not write") as caught:
        ctx.require_room()
    assert caught.value.code == "forbidden"
    ctx.require_right("news", Right.JOIN)
    with pytest.raises(ActionError, match="may not join that room"):
        ctx.require_right("elsewhere", Right.JOIN)


async def test_publishing_is_done_in_the_sender_s_name() -> None:
    ctx, place, sink = await enter("lobby")
    published = await ctx.publish("lobby", "dice.rolled", cid="c", value=6)
    ctx.publish("lobby", "dice.shaken", ephemeral=True)
    place.crank.turn()
    first, second = sink.events
    assert first == {
        "action": "dice.rolled",
        "room": "lobby",
        "value": 6,
        "username": "Ann",
        "sender": "ann",
        "cid": "c",
        "timestamp": published.timestamp,
    }
    assert second["action"] == "dice.shaken"
    assert sink.essential[0] is not None
    with pytest.raises(ValueError, match="sender"):
        ctx.publish("lobby", "dice.rolled", sender="bob")


async def test_an_answer_given_early_goes_to_the_sender_s_message() -> None:
    ctx, _, sink = await enter()
    ctx.respond(Reply("early", n=1))
    ((envelope, reply),) = sink.answers
    assert envelope is ctx.envelope
    assert (reply.action, reply.fields) == ("early", {"n": 1})


def test_a_handshake_knows_whether_the_host_said_who_it_is() -> None:
    def shake(identity: Identity | None) -> Handshake:
        return Handshake(
            headers=CIMultiDict(),
            query={},
            remote="",
            local="",
            scheme="http",
            host="",
            identity=identity,
        )

    signed_in = shake(Identity(user="ann"))
    assert signed_in.from_host
    stranger = shake(None)
    stranger.identity = Identity(user="ann")
    assert not stranger.from_host
    assert stranger.max_message_size == stranger.max_frame == 2**20
