"""Roll dice in a real chat server."""

import pytest

from chatserver import ConfigError, create_app
from chatserver.testing import ChatServer


@pytest.fixture
def chat_config() -> dict[str, object]:
    """Let the `chat` fixture serve with these dice."""
    return {"plugins": {"dice": {"use": "chatserver_dice:DicePlugin", "max_sides": 20}}}


async def test_everybody_in_the_room_sees_the_roll(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")
    bob = await chat.connect("bob", "lobby")

    await alice.send("dice.roll", sides=20)

    seen = await alice.expect("dice.rolled", room="lobby", username="alice", sides=20)
    assert seen["value"] in range(1, 21)
    assert await bob.expect("dice.rolled") == seen


async def test_a_die_has_six_sides_unless_told_otherwise(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")

    await alice.send("dice.roll")

    assert (await alice.expect("dice.rolled", sides=6))["value"] in range(1, 7)


@pytest.mark.parametrize("sides", [-1, 0, 1, 21])
async def test_impossible_dice_are_refused(chat: ChatServer, sides: int) -> None:
    alice = await chat.connect("alice", "lobby")

    error = await alice.request("dice.roll", sides=sides)

    assert error["code"] == "bad_dice"
    assert error["message"] == "sides must be 2 to 20"
    assert error["field"] == "$.sides"
    await alice.silent()


async def test_dice_are_rolled_in_rooms_only(chat: ChatServer) -> None:
    alice = await chat.connect("alice")

    assert (await alice.request("dice.roll"))["code"] == "not_joined"


def test_a_limit_without_dice_below_it_is_a_mistake() -> None:
    dice = {"use": "chatserver_dice:DicePlugin", "max_sides": 1}
    with pytest.raises(ConfigError, match="max_sides"):
        create_app({"plugins": {"dice": dice}})
