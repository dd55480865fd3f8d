"""Check keys, ids, replies and the guide's little protocols."""

import pytest

from chatserver.testing import ChatServer


async def test_type_is_taken_for_action_and_answered_with_type(chat: ChatServer) -> None:
    peer = await chat.connect()
    await peer.socket.send_json({"type": "ping", "timestamp": 12.5, "id": 3})
    reply = await peer.receive()
    assert reply["type"] == "pong"
    assert reply["timestamp"] == 12.5
    assert reply["id"] == 3
    assert "action" not in reply


@pytest.mark.parametrize("key", ["action", "type"])
async def test_who_publishes_is_answered_in_the_same_word(chat: ChatServer, key: str) -> None:
    peer = await chat.connect("alice")
    await peer.request("join", room="lobby")
    await peer.socket.send_json({key: "message", "id": 8, "text": "hi"})
    while (sent := await peer.receive()).get("id") != 8:
        pass
    assert {key: "sent", "room": "lobby"}.items() <= sent.items()
    assert {"action", "type"} & sent.keys() == {key}


async def test_action_wins_over_type(chat: ChatServer) -> None:
    peer = await chat.connect()
    await peer.socket.send_json({"type": "nonsense", "action": "ping"})
    assert (await peer.receive())["action"] == "pong"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"type": "nope"}, "Unknown type: nope"),
        ({"action": "nope"}, "Unknown action: nope"),
        ({}, "Unknown action: None"),
        ({"action": "a\nb" + "c" * 100}, "Unknown action: a\ufffdb" + "c" * 61 + "…"),
    ],
)
async def test_unknown_actions_are_named(
    chat: ChatServer, message: dict[str, str], answer: str
) -> None:
    peer = await chat.connect()
    await peer.socket.send_json(message)
    error = await peer.receive()
    assert error["type" if "type" in message else "action"] == "error"
    assert error["code"] == "unknown_action"
    assert error["message"] == answer


@pytest.mark.parametrize("id_", [0, -5, 2**63 - 1, "", "x" * 64, "\u00fc"])
async def test_ids_come_back(chat: ChatServer, id_: int | str) -> None:
    peer = await chat.connect()
    await peer.send("ping", id=id_)
    assert (await peer.receive())["id"] == id_


@pytest.mark.parametrize("id_", [2**63, "x" * 65, 1.5, True, [1], {"a": 1}])
async def test_ids_of_other_kinds_are_refused(chat: ChatServer, id_: object) -> None:
    peer = await chat.connect()
    await peer.send("ping", id=id_)
    error = await peer.receive()
    assert error["code"] == "bad_payload"
    assert error["field"] == "$.id"
    await peer.silent()


async def test_ping_without_a_timestamp(chat: ChatServer) -> None:
    pong = await (await chat.connect()).request("ping")
    assert pong["timestamp"] is None
    assert str(pong["time"]).endswith("Z")


async def test_echo_and_chat_answer_the_sender_only(chat: ChatServer) -> None:
    other = await chat.connect()
    peer = await chat.connect()
    assert (await peer.request("echo", text="hi"))["text"] == "hi"
    assert (await peer.request("chat", text="hi"))["user"] == "anonymous"
    assert (await peer.request("chat", user="zoe", text="hi"))["user"] == "zoe"
    await peer.request("register", username="alice")
    assert (await peer.request("chat", user="zoe", text="hi"))["user"] == "alice"
    await other.silent()


async def test_wrong_fields_name_their_path(chat: ChatServer) -> None:
    peer = await chat.connect("alice", "lobby")
    for payload, field in (
        ({"text": 5}, "$.text"),
        ({"room": ["lobby"]}, "$.room"),
        ({"text": "x", "cid": "c" * 65}, "$.cid"),
        ({"text": "x", "reply_to": 2**63}, "$.reply_to"),
    ):
        error = await peer.request("message", **payload)
        assert error["code"] == "bad_payload"
        assert error["field"] == field
    missing = await peer.request("register")
    assert missing["code"] == "bad_payload"
    assert "username" in str(missing["message"])


async def test_unknown_fields_are_ignored(chat: ChatServer) -> None:
    peer = await chat.connect()
    assert (await peer.request("echo", text="hi", colour="red", nested={"a": [1]}))["text"] == "hi"


class TestPlainText:
    """The guide's first servers, as configurations."""

    @pytest.fixture
    def chat_config(self) -> dict[str, object]:
        return {"chat": {"plain_text": {"action": "echo", "prefix": "Echo: "}}}

    @pytest.mark.parametrize("text", ["Hello, server!", "123", '"x"', "[1, 2]", "{broken", "ü", ""])
    async def test_text_is_echoed(self, chat: ChatServer, text: str) -> None:
        peer = await chat.connect()
        await peer.socket.send_str(text)
        assert await peer.receive_text() == f"Echo: {text}"

    async def test_json_objects_are_still_messages(self, chat: ChatServer) -> None:
        peer = await chat.connect()
        assert (await peer.request("ping"))["action"] == "pong"


async def test_errors_in_plain_text_are_plain() -> None:
    async with ChatServer({"chat": {"plain_text": {"action": "broadcast"}}}) as chat:
        peer = await chat.connect()
        await peer.socket.send_str("hello")
        assert (await peer.receive_text()).startswith("Error: broadcast is off")


async def test_broadcast_hands_text_to_every_connection() -> None:
    config = {
        "chat": {"plain_text": {"action": "broadcast"}},
        "plugins": {"echo": {"broadcast": True}},
    }
    async with ChatServer(config) as chat:
        peers = [await chat.connect() for _ in range(3)]
        await peers[0].socket.send_str("to all of you")
        for peer in peers:
            assert await peer.receive_text() == "to all of you"


async def test_a_plain_get_of_the_endpoint_asks_for_an_upgrade(chat: ChatServer) -> None:
    async with chat.http.get("/ws") as response:
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"


async def test_the_chat_answers_at_the_root_as_well(chat: ChatServer) -> None:
    peer = await chat.connect(path="/")
    assert (await peer.request("ping"))["action"] == "pong"
    async with chat.http.get("/") as page:
        assert page.status == 200
        assert page.content_type == "text/html"


async def test_the_subprotocol_is_offered_or_not(chat: ChatServer) -> None:
    peer = await chat.connect(protocols=["chatserver.v1"])
    assert peer.socket.protocol == "chatserver.v1"
    assert (await chat.connect()).socket.protocol is None
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": "soap, bearer.c2VjcmV0",
    }
    async with chat.http.get("/ws", headers=headers) as response:
        assert response.status == 400
        assert "chatserver.v1" in await response.text()
