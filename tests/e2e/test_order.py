"""Messages that a client sends without waiting are stored in their order, whatever is refused."""

from typing import Final

import pytest

from chatserver.testing import ChatServer, Frame, Peer

COUNT: Final = 300


@pytest.fixture
def chat_config() -> dict[str, object]:
    limits = {"connection": {"rate": 300, "burst": 20}, "max_strikes": 10_000}
    return {"middlewares": [{"rate_limit": {**limits, "user": None, "ip": None}}]}


async def send_all(peer: Peer, numbers: list[int]) -> list[Frame]:
    """Send messages at once, and return their answers in the order they came."""
    for number in numbers:
        await peer.send("message", id=number, room="lobby", text=str(number), cid=f"c-{number}")
    answers: list[Frame] = []
    while len(answers) < len(numbers):
        frame = await peer.receive()
        if "id" in frame:
            answers.append(frame)
    return answers


async def test_refused_messages_are_not_overtaken(chat: ChatServer) -> None:
    peer = await chat.connect("ann", "lobby")
    numbers = list(range(COUNT))
    rounds = 0
    while numbers:
        answers = await send_all(peer, numbers)
        refused = [each["id"] for each in answers if each["action"] == "error"]
        stored = [each["id"] for each in answers if each["action"] == "sent"]
        assert {each["code"] for each in answers if each["id"] in refused} <= {"rate_limited"}
        assert stored == numbers[: len(stored)]
        numbers = numbers[len(stored) :]
        rounds += 1
    assert rounds > 1
    bob = await chat.connect("bob")
    joined = await bob.request("join", room="lobby", last=COUNT)
    messages = joined["messages"]
    assert isinstance(messages, list)
    assert [each["text"] for each in messages] == [str(number) for number in range(COUNT)]
