"""Follow the conversations of the guide and what protocol.md makes of them."""

from chatserver.testing import ChatServer


async def test_two_people_talk_in_a_room(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")
    bob = await chat.connect("bob", "lobby")
    await alice.expect("notification", text="bob joined lobby")

    await bob.send("message", text="hello")

    for peer in (alice, bob):
        frame = await peer.expect("message")
        assert frame["username"] == "bob"
        assert frame["text"] == "hello"
        assert frame["room"] == "lobby"
        assert str(frame["timestamp"]).endswith("Z")
