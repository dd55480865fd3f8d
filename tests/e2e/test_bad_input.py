"""Send what no decent client sends; the sender gets an answer, and nobody else notices."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest

from chatserver.testing import ChatServer, Peer
from tests.e2e.raw import RawClient

T = TypeVar("T")


@pytest.fixture
async def witness(chat: ChatServer) -> AsyncIterator[Peer]:
    """Be somebody else's connection, which must not notice anything."""
    peer = await chat.connect("witness", "lobby")
    yield peer
    await peer.request("message", text="still here")
    await peer.expect("message", text="still here")


async def in_thread(chat: ChatServer, talk: Callable[[RawClient], T]) -> T:
    """Run a blocking conversation beside the server's loop."""

    def run() -> T:
        with RawClient(int(chat.url.rpartition(":")[2])) as client:
            return talk(client)

    return await asyncio.to_thread(run)


HOSTILE_TEXTS = [
    "",
    " ",
    "null",
    "5",
    '"text"',
    "[]",
    "{",
    '{"action":"ping"',
    '{"action":"ping"} {}',
    "{'action':'ping'}",
    '{"action":"ping","x":NaN}',
    '{"action":"ping","x":Infinity}',
    '{"a":' + "[" * 30000 + "]" * 30000 + "}",
    '{"a":' + "[" * 60000,
    '{"action":"\\ud800"}',
    '{"action":"echo","text":"\\udfff"}',
    '{"action":"echo","text":"\\ud800\\u0041"}',
    "\ufeff{}",
    '{"action":"ping",}',
    '{"action":"ping"/**/}',
    "\x00",
    '{"action":"p\x00ing"}',
]


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
async def test_bad_json_costs_an_error_reply_not_the_connection(
    chat: ChatServer, witness: Peer, text: str
) -> None:
    peer = await chat.connect()
    await peer.socket.send_str(text)
    error = await peer.receive()
    assert error["action"] == "error"
    assert error["code"] == "bad_json"
    assert (await peer.request("ping"))["action"] == "pong"


@pytest.mark.parametrize(
    "payload",
    [
        '{"action":5}',
        '{"action":["ping"]}',
        '{"action":{"$ne":1}}',
        '{"action":"echo","text":"a\\u0000b"}',
        '{"action":"echo","text":' + "9" * 4000 + "}",
        '{"action":"echo","text":1e999}',
        '{"action":"ping","id":' + "9" * 400 + "}",
        '{"action":"ping","id":-9223372036854775809}',
    ],
)
async def test_wrong_values_are_bad_payload(chat: ChatServer, witness: Peer, payload: str) -> None:
    peer = await chat.connect()
    await peer.socket.send_str(payload)
    assert (await peer.receive())["code"] == "bad_payload"
    assert (await peer.request("ping"))["action"] == "pong"


async def test_an_escaped_backslash_is_no_nul(chat: ChatServer) -> None:
    peer = await chat.connect()
    assert (await peer.request("echo", text="\\u0000"))["text"] == "\\u0000"


async def test_keys_given_twice_count_once(chat: ChatServer) -> None:
    peer = await chat.connect()
    await peer.socket.send_str('{"action":"nope","action":"ping","id":1,"id":2}')
    reply = await peer.receive()
    assert reply["action"] == "pong"
    assert reply["id"] == 2


async def test_binary_frames_are_refused(chat: ChatServer, witness: Peer) -> None:
    peer = await chat.connect()
    await peer.socket.send_bytes(b'{"action":"ping"}')
    assert (await peer.receive())["code"] == "bad_message"
    assert (await peer.request("ping"))["action"] == "pong"


async def test_twenty_bad_frames_in_a_row_close_3501(chat: ChatServer, witness: Peer) -> None:
    peer = await chat.connect()
    for round_ in range(2):
        for number in range(19):
            if number % 2:
                await peer.socket.send_str("nonsense")
            else:
                await peer.socket.send_bytes(b"nonsense")
        if round_ == 0:
            await peer.request("ping")
    await peer.socket.send_str("the last")
    assert await peer.closed() == 3501


async def test_bad_utf8_closes_1007(chat: ChatServer, witness: Peer) -> None:
    def talk(client: RawClient) -> int:
        client.send_frame(1, b'{"action":"\xff"}')
        return client.close_code()

    assert await in_thread(chat, talk) == 1007


async def test_fragments_are_one_message(chat: ChatServer, witness: Peer) -> None:
    def talk(client: RawClient) -> tuple[int, bytes]:
        client.send_frame(1, b'{"action":', fin=False)
        client.send_frame(9, b"in between")
        client.send_frame(0, b'"echo","text":"', fin=False)
        client.send_frame(0, b'whole"}')
        assert client.receive_frame() == (10, b"in between")
        return client.receive_frame()

    opcode, payload = await in_thread(chat, talk)
    assert opcode == 1
    assert json.loads(payload) == {"action": "echo", "text": "whole"}


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(0, b"continues nothing", {})], 1002),
        ([(1, b"a", {"fin": False}), (1, b"b", {})], 1002),
        ([(3, b"reserved opcode", {})], 1002),
        ([(1, b"x", {"rsv": 4})], 1002),
        ([(9, b"x" * 126, {})], 1002),
        ([(9, b"", {"fin": False})], 1002),
        ([(8, b"x", {})], 1002),
        ([(8, b"\x03\xe8\xff", {})], 1007),
    ],
)
async def test_broken_frames_close_with_the_protocols_code(
    chat: ChatServer, witness: Peer, frames: list[tuple[int, bytes, dict[str, int]]], code: int
) -> None:
    def talk(client: RawClient) -> int:
        for opcode, payload, how in frames:
            client.send_frame(opcode, payload, fin=bool(how.get("fin", 1)), rsv=how.get("rsv", 0))
        return client.close_code()

    assert await in_thread(chat, talk) == code


@pytest.mark.parametrize(
    ("sent", "answered"), [(1000, 1000), (1001, 1001), (3000, 3000), (4999, 4999)]
)
async def test_closes_are_answered_with_their_code(
    chat: ChatServer, sent: int, answered: int
) -> None:
    def talk(client: RawClient) -> int:
        client.send_frame(8, sent.to_bytes(2, "big"))
        return client.close_code()

    assert await in_thread(chat, talk) == answered


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535])
async def test_close_codes_that_may_not_be_sent_are_a_protocol_error(
    chat: ChatServer, witness: Peer, code: int
) -> None:
    def talk(client: RawClient) -> int:
        client.send_frame(8, code.to_bytes(2, "big"))
        return client.close_code()

    assert await in_thread(chat, talk) == 1002


async def test_a_close_without_a_code_is_answered(chat: ChatServer, witness: Peer) -> None:
    def talk(client: RawClient) -> int:
        client.send_frame(8)
        return client.close_code()

    assert await in_thread(chat, talk) in (1000, 1005)


async def test_unmasked_frames_are_accepted(chat: ChatServer) -> None:
    def talk(client: RawClient) -> tuple[int, bytes]:
        client.send_frame(1, b'{"action":"echo","text":"bare"}', mask=False)
        return client.receive_frame()

    _, payload = await in_thread(chat, talk)
    assert json.loads(payload)["text"] == "bare"


async def test_a_reset_in_the_middle_of_a_frame_cleans_up(chat: ChatServer, witness: Peer) -> None:
    def talk(client: RawClient) -> None:
        client.send_text('{"action":"register","username":"mallory"}')
        client.send_text('{"action":"join","room":"lobby"}')
        client.socket.sendall(b"\x81\xfe\xff")

    await in_thread(chat, talk)
    await witness.expect("notification", text="mallory left lobby")
    assert len(chat.chat.members("lobby")) == 1


async def test_a_key_that_is_no_text_is_refused(chat: ChatServer) -> None:
    def knock() -> bytes:
        with socket.create_connection(("127.0.0.1", int(chat.url.rpartition(":")[2])), 20) as raw:
            raw.sendall(
                b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: \xff\xfe\r\n\r\n"
            )
            return raw.recv(4096)

    assert b" 400 " in await asyncio.to_thread(knock)


async def test_frames_after_the_close_are_not_handled(chat: ChatServer, witness: Peer) -> None:
    def talk(client: RawClient) -> int:
        client.send_frame(8, b"\x03\xe8")
        client.send_text('{"action":"register","username":"ghost"}')
        return client.close_code()

    assert await in_thread(chat, talk) == 1000
    assert (await witness.request("register", username="ghost"))["action"] == "registered"
