"""Connecting, and connecting again."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from chatserver.client import (
    ActionError,
    Backoff,
    ClosedError,
    GuestFile,
    HandshakeError,
    LostError,
    Notification,
    Offline,
    Online,
    connect,
)
from tests.client.scripted import DEADLINE, WELCOME, Frame, Scripted, at_once, error, joined


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Scripted]:
    async with Scripted() as server:
        yield server


async def test_it_tells_when_it_is_online_and_when_not(server: Scripted) -> None:
    async with connect(server.url, backoff=at_once()) as chat:
        assert chat.user == "guest:1"
        await server.close(3001, "bye")
        first, second, third = [await anext(chat) for _ in range(3)]
    assert first == third == Online(user="guest:1", username=None)
    assert isinstance(second, Offline)
    assert (second.code, second.reason) == (3001, "bye")
    assert 0 <= second.wait < 0.02


@pytest.mark.parametrize("code", [1001, 3005, 3999 - 500, 4499])
async def test_it_comes_back(server: Scripted, code: int) -> None:
    async with connect(server.url, backoff=at_once()):
        await server.close(code)
        await server.handshakes(2)


async def test_it_comes_back_after_a_connection_that_just_ends(server: Scripted) -> None:
    async with connect(server.url, backoff=at_once()) as chat:
        await anext(chat)
        server.cut()
        offline = await anext(chat)
        assert isinstance(offline, Offline)
        assert offline.code == 1006
        await server.handshakes(2)


@pytest.mark.parametrize("code", [1000, 3503, 4500])
async def test_it_stays_away_when_told_so(server: Scripted, code: int) -> None:
    async with connect(server.url, backoff=at_once()) as chat:
        waiting = asyncio.create_task(chat.request("dance"))
        server.answers["dance"] = lambda _: None
        await server.request("dance")
        await server.close(code, "enough")
        await anext(chat)
        with pytest.raises(ClosedError, match="enough"):
            await anext(chat)
        with pytest.raises(LostError):
            await waiting
        for call in (chat.request("ping"), chat.publish("lobby", "x"), chat.register("x")):
            with pytest.raises(ClosedError) as ended:
                await call
            assert ended.value.code == code
        with pytest.raises(ClosedError):
            chat.join("lobby")
    assert len(server.headers) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_handshake_is_final(server: Scripted, status: int) -> None:
    server.refusal = (status, {})
    with pytest.raises(HandshakeError) as refused:
        async with connect(server.url, backoff=at_once()):
            pass
    assert refused.value.status == status
    assert len(server.headers) == 1


async def test_a_chat_that_is_gone_for_a_while_is_waited_for(server: Scripted) -> None:
    async with connect(server.url, backoff=at_once()) as chat:
        await anext(chat)
        server.refusal = (404, {})
        await server.close(1012)
        await server.handshakes(3)
        server.refusal = None
        assert isinstance(await anext(chat), Offline)
        missing = await anext(chat)
        assert isinstance(missing, Offline)
        assert missing.reason == "There is no chat at this address (HTTP 404)"
        await chat.request("leave")
        server.refusal = (403, {})
        seen = len(server.headers)
        await server.close(1012)
        await server.handshakes(seen + 1)
        with pytest.raises(HandshakeError):
            await chat.request("leave")


async def test_it_waits_as_long_as_a_busy_server_says(server: Scripted) -> None:
    server.refusal = (503, {"Retry-After": "0"})
    # Without the header's word it would wait for an hour.
    patient = Backoff(3600, 3600, random=lambda: 1.0)
    entering = asyncio.create_task(connect(server.url, backoff=patient).__aenter__())
    await server.handshakes(3)
    server.refusal = None
    chat = await entering
    events = [await anext(chat) for _ in range(3)]
    assert {event.wait for event in events if isinstance(event, Offline)} == {0}
    await chat.close()


async def test_why_a_server_cannot_be_reached_is_said_in_plain_words() -> None:
    chat = connect("ws://127.0.0.1:1/ws", backoff=Backoff(3600, 3600, random=lambda: 1.0))
    entering = asyncio.create_task(chat.__aenter__())
    async with asyncio.timeout(DEADLINE):
        offline = await anext(chat)
    assert isinstance(offline, Offline)
    assert offline.reason == "The server cannot be reached: Connection refused"
    await chat.close()
    with pytest.raises(ClosedError):
        await entering


async def test_it_comes_back_when_it_was_told_to(server: Scripted) -> None:
    """The time counts from the event; the close does not start it anew, nor is it needed."""
    patient = Backoff(3600, 3600, random=lambda: 1.0)
    async with connect(server.url, backoff=patient) as chat:
        await anext(chat)
        await server.say(action="reconnect", after_ms=50, reason="shutdown")
        await server.close(3001)
        offline = await anext(chat)
        assert isinstance(offline, Offline)
        assert offline.wait <= 0.05
        await server.handshakes(2)
        await anext(chat)
        await server.say(action="reconnect", after_ms=50, reason="shutdown")
        offline = await anext(chat)
        assert isinstance(offline, Offline)
        assert offline.wait == 0
        await server.handshakes(3)


async def test_a_connection_that_held_starts_the_waits_anew(server: Scripted) -> None:
    steady = Backoff(0.01, 1000, steady=0, random=lambda: 1.0)
    async with connect(server.url, backoff=steady) as chat:
        for _ in range(4):
            assert isinstance(await anext(chat), Online)
            await server.close(3001)
            offline = await anext(chat)
            assert isinstance(offline, Offline)
            assert offline.wait == 0.01


async def test_a_server_that_answers_no_ping_is_left(server: Scripted) -> None:
    server.pongs = False
    async with connect(server.url, backoff=at_once(), ping_interval=0.1):
        await server.handshakes(2)


async def test_a_server_that_does_not_say_welcome_is_left(server: Scripted) -> None:
    server.answers["hello"] = lambda _: None
    entering = asyncio.create_task(connect(server.url, backoff=at_once(), timeout=0.2).__aenter__())
    await server.handshakes(2)
    server.answers["hello"] = lambda _: dict(WELCOME)
    await (await entering).close()


async def test_a_welcome_that_nobody_understands_is_final(server: Scripted) -> None:
    server.answers["hello"] = lambda _: {"action": "welcome"}
    with pytest.raises(ClosedError, match=r"does not speak chatserver\.v1.*`user`"):
        async with connect(server.url) as chat:
            await chat.request("ping")


async def test_the_name_is_registered_on_each_connection(server: Scripted) -> None:
    server.answers["register"] = lambda _: {"action": "registered", "username": "alice"}
    async with connect(server.url, backoff=at_once(), username=" alice") as chat:
        assert (await server.request("register"))["username"] == " alice"
        assert await anext(chat) == Online(user="guest:1", username="alice")
        await server.close(3001)
        await server.request("register")


async def test_a_name_that_another_connection_has_changed_is_not_taken_back(
    server: Scripted,
) -> None:
    server.answers["register"] = lambda asked: {**asked, "action": "registered"}
    server.answers["join"] = lambda _: joined()
    async with connect(server.url, backoff=at_once(), username="alice") as chat:
        assert (await server.request("register"))["username"] == "alice"
        async with chat.join("lobby") as room:
            for sender, name in (("guest:1", "alicia"), ("guest:2", "bob")):
                change = {"sender": sender, "username": name, "text": "", "timestamp": ""}
                await server.say(action="notification", room="lobby", event="rename", **change)
            async for event in room:
                if isinstance(event, Notification) and event.username == "bob":
                    break
            await server.close(3001)
            assert (await server.request("register"))["username"] == "alicia"


async def test_a_name_that_is_taken_is_an_error(server: Scripted) -> None:
    server.answers["register"] = lambda _: error("name_taken")
    with pytest.raises(ActionError) as refused:
        async with connect(server.url, username="alice", backoff=at_once()):
            pass
    assert refused.value.code == "name_taken"
    assert len(server.headers) == 1


async def test_a_greeting_that_is_refused_for_now_is_tried_again(server: Scripted) -> None:
    answers: Iterator[Frame] = iter([error("rate_limited", retry_after=0.01), dict(WELCOME)])
    server.answers["hello"] = lambda _: next(answers)
    async with connect(server.url, backoff=at_once()):
        assert len(server.headers) == 2


async def test_closing_says_goodbye_and_ends_all_that_waits(server: Scripted) -> None:
    server.answers["dance"] = lambda _: None
    chat = connect(server.url)
    async with chat:
        waiting = asyncio.create_task(chat.request("dance"))
        room = chat.join("lobby")
        writing = asyncio.create_task(room.publish("never acknowledged"))
        server.answers["message"] = lambda _: None
        await server.request("dance")
        await server.request("message")
    results = await asyncio.gather(waiting, writing, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["LostError", "ClosedError"]
    assert [event async for event in chat] == [Online(user="guest:1", username=None)]
    assert [type(event).__name__ async for event in room] == ["Joined"]
    assert await server.ended() == 1000


async def test_it_has_to_be_entered() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await connect("ws://127.0.0.1:1/ws").request("ping")


@pytest.mark.parametrize("url", ["", "chat.example", "ftp://chat.example", "ws:///ws"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of a chat"):
        connect(url)


class TestTokens:
    @pytest.mark.parametrize("kind", ["text", "function", "coroutine"])
    async def test_where_it_comes_from(self, server: Scripted, kind: str) -> None:
        async def later() -> str:
            await asyncio.sleep(0)
            return "secret"

        sources: dict[str, str | Callable[[], str | Awaitable[str]]] = {
            "text": "secret",
            "function": lambda: "secret",
            "coroutine": later,
        }
        async with connect(server.url, token=sources[kind]):
            pass
        assert server.headers[0]["Authorization"] == "Bearer secret"

    async def test_each_connection_gets_a_new_one(self, server: Scripted) -> None:
        tokens = iter(["one", "two"])
        async with connect(server.url, token=lambda: next(tokens), backoff=at_once()):
            await server.close(3005)
            await server.handshakes(2)
        assert [each["Authorization"] for each in server.headers] == ["Bearer one", "Bearer two"]

    async def test_a_newer_one_is_brought_before_it_expires(self, server: Scripted) -> None:
        tokens = (f"token-{number}" for number in range(10))
        expires = iter([1795344101 + 1, None])  # at 10:41:42, by the server's clock

        def refresh(_: Frame) -> Frame:
            return {"action": "refreshed", "expires": next(expires)}

        server.answers["refresh"] = refresh
        async with connect(server.url, token=lambda: next(tokens)):
            brought = [(await server.request("refresh"))["token"] for _ in range(2)]
        assert brought == ["token-0", "token-1"]
        assert len(server.headers) == 1

    async def test_a_source_that_fails_for_now_is_asked_again(self, server: Scripted) -> None:
        tries = iter([False, True])

        def source() -> str:
            if next(tries):
                return "secret"
            raise ConnectionError("no route")

        async with connect(server.url, token=source, backoff=at_once()) as chat:
            offline = await anext(chat)
            assert isinstance(offline, Offline)
            assert "no route" in offline.reason

    async def test_a_source_that_is_wrong_is_an_error(self, server: Scripted) -> None:
        def source() -> str:
            raise KeyError("password")

        with pytest.raises(KeyError, match="password"):
            async with connect(server.url, token=source):
                pass
        assert server.headers == []


class TestGuests:
    async def test_the_token_is_kept_where_the_caller_says(
        self, server: Scripted, tmp_path: Path
    ) -> None:
        server.answers["hello"] = lambda _: {**WELCOME, "guest_token": "guest:1.mac"}
        keeper = GuestFile(tmp_path / "guest")
        for kept in (None, "guest:1.mac"):
            async with connect(server.url, guest=keeper):
                assert (await server.request("hello")).get("guest_token") == kept
        assert (tmp_path / "guest").read_text() == "guest:1.mac\n"
        assert (tmp_path / "guest").stat().st_mode & 0o777 == 0o600

    async def test_by_default_it_lives_as_long_as_the_client(self, server: Scripted) -> None:
        server.answers["hello"] = lambda _: {**WELCOME, "guest_token": "guest:1.mac"}
        async with connect(server.url, backoff=at_once()):
            assert "guest_token" not in await server.request("hello")
            await server.close(3001)
            assert (await server.request("hello"))["guest_token"] == "guest:1.mac"

    async def test_one_of_another_server_is_replaced(
        self, server: Scripted, tmp_path: Path
    ) -> None:
        keeper = GuestFile(tmp_path / "guest")
        keeper.save("guest:9.foreign")

        def hello(frame: Frame) -> Frame:
            known = frame.get("guest_token") is None
            return {**WELCOME, "guest_token": "guest:1.mac"} if known else error("unauthorized")

        server.answers["hello"] = hello
        async with connect(server.url, guest=keeper):
            assert keeper.load() == "guest:1.mac"


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest_asyncio.fixture
    async def secured(self, authority: trustme.CA) -> AsyncIterator[Scripted]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        async with Scripted(context) as server:
            yield server

    async def test_an_untrusted_certificate_is_an_error(self, secured: Scripted) -> None:
        with pytest.raises(ClosedError, match="certificate") as closed:
            async with connect(secured.url):
                pass
        assert closed.value.code == 1015

    async def test_a_context_says_whom_to_trust(
        self, secured: Scripted, authority: trustme.CA
    ) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        async with connect(secured.url, ssl=context) as chat:
            assert chat.user == "guest:1"

    async def test_anybody_can_be_trusted(self, secured: Scripted) -> None:
        async with connect(secured.url, ssl=False) as chat:
            assert chat.user == "guest:1"


async def test_a_proxy_is_asked_instead() -> None:
    asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not asked.done():
            asked.set_result(await reader.readline())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        chat = connect("ws://chat.example/ws", proxy=f"http://127.0.0.1:{port}")
        entering = asyncio.create_task(chat.__aenter__())
        async with asyncio.timeout(DEADLINE):
            assert b"chat.example" in await asked
        entering.cancel()
        await asyncio.wait({entering})


async def test_headers_of_the_caller_go_along(server: Scripted) -> None:
    async with connect(server.url, headers={"Cookie": "session=7"}):
        assert server.headers[0]["Cookie"] == "session=7"
        assert server.headers[0]["Sec-WebSocket-Protocol"] == "chatserver.v1"
