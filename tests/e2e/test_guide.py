"""Serve the guide's samples without rooms, and do what it describes in clients of our own."""

import signal
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.e2e.guide import GUIDE, Sample, ask, ask_text, drop, receive, receive_text, samples
from tests.e2e.process import ServerProcess


@pytest.fixture(scope="module")
def sample() -> Iterator[Sample]:
    """Give a function that starts the server of a sample, which the tests share."""
    with samples() as start:
        yield start


# Basic server


async def test_echo_answers_each_message_in_turn(sample: Sample) -> None:
    async with connect(sample("echo").ws) as client:
        assert await ask_text(client, "Hello, server!") == "Echo: Hello, server!"
        for number in range(5):
            assert await ask_text(client, f"Message {number}") == f"Echo: Message {number}"


async def test_echo_is_served_at_the_root_as_well(sample: Sample) -> None:
    async with connect(sample("echo").ws.removesuffix("/ws")) as client:
        assert await ask_text(client, "Hello, server!") == "Echo: Hello, server!"


# Handling multiple clients


async def test_broadcast_reaches_everybody_unchanged(sample: Sample) -> None:
    url = sample("broadcast").ws
    async with connect(url) as alice, connect(url) as bob, connect(url) as carol:
        # An answer shows that the server has counted a client in.
        for client in (alice, bob, carol):
            assert (await ask(client, type="ping"))["type"] == "pong"

        await alice.send("Hello, everybody! ✓")

        for client in (alice, bob, carol):
            assert await receive_text(client) == "Hello, everybody! ✓"


async def test_broadcast_survives_a_client_that_vanished(sample: Sample) -> None:
    server = sample("broadcast")
    async with connect(server.ws) as alice, connect(server.ws) as bob:
        await drop(bob, server)

        assert await ask_text(alice, "still here") == "still here"


# JSON messages


async def test_json_ping_returns_the_timestamp(sample: Sample) -> None:
    async with connect(sample("json").ws) as client:
        pong = await ask(client, type="ping", timestamp=1700000000.25)
        assert pong["type"] == "pong"
        assert pong["timestamp"] == 1700000000.25

        assert (await ask(client, type="ping"))["timestamp"] is None


async def test_json_chat_is_answered_as_in_the_guide(sample: Sample) -> None:
    async with connect(sample("json").ws) as client:
        answer = await ask(client, type="chat", user="alice", text="Hello everyone!")
        assert answer == {"type": "chat", "user": "alice", "text": "Hello everyone!"}

        assert await ask(client, type="chat") == {"type": "chat", "user": "anonymous", "text": ""}


async def test_json_names_the_unknown_type(sample: Sample) -> None:
    async with connect(sample("json").ws) as client:
        error = await ask(client, type="dance")
        assert error["type"] == "error"
        assert error["message"] == "Unknown type: dance"

        assert (await ask(client, text="?"))["message"] == "Unknown action: None"


# Authentication


@pytest.mark.parametrize("token", ["secret-token-123", "secret-token-456"])
async def test_auth_accepts_a_token_in_the_url(sample: Sample, token: str) -> None:
    server = sample("auth")
    async with connect(f"{server.ws}?token={token}") as client:
        assert await ask_text(client, "Private message") == "Authenticated echo: Private message"
    assert token not in server.stderr


async def test_auth_accepts_a_token_in_the_header(sample: Sample) -> None:
    headers = {"Authorization": "Bearer my-jwt-token"}
    async with connect(sample("auth").ws, additional_headers=headers) as client:
        assert await ask_text(client, "Hello") == "Authenticated echo: Hello"


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("?token=wrong", {}),
        ("?token=", {}),
        ("", {"Authorization": "Bearer wrong"}),
        ("?token=secret-token-123", {"Authorization": "Bearer wrong"}),
    ],
)
async def test_auth_answers_401_before_the_upgrade(
    sample: Sample, query: str, headers: dict[str, str]
) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(sample("auth").ws + query, additional_headers=headers)
    assert refusal.value.response.status_code == 401
    assert refusal.value.response.body == b"Invalid token\n"


# Error handling


async def test_errors_keep_the_connection(sample: Sample) -> None:
    async with connect(sample("errors").ws) as client:
        assert await ask_text(client, "one") == "Processed: one"
        assert (await ask_text(client, "x" * 1001)).startswith("Error: ")
        assert (await ask(client, action="dance"))["code"] == "unknown_action"
        await client.send(b"\x00")
        assert (await receive(client))["code"] == "bad_message"
        assert await ask_text(client, "two") == "Processed: two"


async def test_errors_of_one_client_do_not_reach_another(sample: Sample) -> None:
    server = sample("errors")
    async with connect(server.ws) as alice, connect(server.ws) as bob:
        await drop(bob, server)

        assert await ask_text(alice, "still here") == "Processed: still here"
    assert "Traceback" not in server.stderr


async def test_the_end_of_the_server_is_no_good_end_for_its_clients() -> None:
    """The guide's resilient client pauses after an error only; 1000 and 1001 would make it spin."""
    async with ServerProcess(GUIDE / "errors.yaml", "--port", "0") as server:
        async with connect(server.ws) as client:
            assert await ask_text(client, "one") == "Processed: one"

            server.signal(signal.SIGTERM)

            assert (await receive(client))["action"] == "reconnect"
            with pytest.raises(ConnectionClosedError) as end:
                await receive(client)
        assert await server.ended() == 0
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 3001
