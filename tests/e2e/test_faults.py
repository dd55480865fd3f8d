"""Let handlers fail, hang and block, and peers stop reading; everybody else goes on."""

import asyncio
import json
import logging
import socket
import time
from typing import ClassVar, cast

import pytest
from msgspec import Struct

from chatserver import (
    Context,
    Disconnect,
    NoConfig,
    Outcome,
    Pending,
    Plugin,
    Reply,
    Session,
    action,
)
from chatserver.testing import ChatServer, Peer
from tests.e2e.raw import RawClient


class Text(Struct, frozen=True):
    """Carry a text."""

    text: str = ""


class FaultyPlugin(Plugin[NoConfig]):
    """Do everything wrong that a handler can do."""

    def __init__(self) -> None:
        super().__init__(NoConfig())
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()
        self.begun = asyncio.Semaphore(0)
        self.started = 0

    @action("faulty.raise")
    async def raise_(self, ctx: Context) -> Outcome:
        raise KeyError("a secret detail")

    @action("faulty.hang")
    async def hang(self, ctx: Context) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        return None

    @action("faulty.block")
    async def block(self, ctx: Context) -> Outcome:
        time.sleep(1.5)  # noqa: ASYNC251 - blocking the loop is what is tested
        return Reply("faulty.blocked")

    @action("faulty.leave")
    async def leave(self, ctx: Context) -> Outcome:
        raise Disconnect(4321, "as you wish " + "ü" * 100)

    @action("faulty.odd")
    async def odd(self, ctx: Context) -> Outcome:
        return Reply("faulty.odd", value=object())

    @action("faulty.later")
    async def later(self, ctx: Context, msg: Text) -> Outcome:
        self.started += 1

        async def wait() -> Reply | None:
            await self.release.wait()
            if msg.text == "fail":
                raise KeyError("later")
            return Reply("faulty.done", text=msg.text)

        return Pending(asyncio.ensure_future(wait()))

    @action("faulty.await_cancelled")
    async def await_cancelled(self, ctx: Context) -> Outcome:
        inner = asyncio.ensure_future(asyncio.Event().wait())
        inner.cancel()
        await inner
        return None

    @action("faulty.swallow")
    async def swallow(self, ctx: Context) -> Outcome:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Reply("faulty.swallowed")
        return None

    @action("faulty.never")
    async def never(self, ctx: Context) -> Outcome:
        self.begun.release()
        return Pending(asyncio.get_running_loop().create_future())

    @action("faulty.odd_later")
    async def odd_later(self, ctx: Context) -> Outcome:
        outcome: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(outcome.set_result, Reply("odd", value=object()))
        return Pending(outcome)

    @action("faulty.text_later")
    async def text_later(self, ctx: Context) -> Outcome:
        return cast(Outcome, Pending.done("no reply"))

    @action("faulty.nothing_later")
    async def nothing_later(self, ctx: Context) -> Outcome:
        outcome: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(outcome.set_result, None)
        return Pending(outcome)

    @action("faulty.bad_close")
    async def bad_close(self, ctx: Context) -> Outcome:
        raise Disconnect(70000)

    @action("faulty.cancelled")
    async def give_up(self, ctx: Context) -> Outcome:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Reply | None] = loop.create_future()
        loop.call_soon(outcome.cancel)
        return Pending(outcome)

    def on_connect(self, session: Session) -> None:
        raise RuntimeError("hook")


def quick(**limits: object) -> dict[str, object]:
    """Return a configuration with short times, which are not to depend on the disk."""
    short = {"action_timeout": 0.3, "ping_interval": 0.4, "ping_timeout": 0.4}
    return {"broker": "memory", "limits": {**short, **limits}}


@pytest.fixture
def plugin() -> FaultyPlugin:
    return FaultyPlugin()


async def test_a_handler_that_raises_costs_an_error_reply(
    plugin: FaultyPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    async with ChatServer(plugins=[plugin]) as chat:
        peer = await chat.connect()
        error = await peer.request("faulty.raise")
        assert error["code"] == "internal_error"
        assert "secret" not in str(error)
        assert (await peer.request("ping"))["action"] == "pong"
    assert "a secret detail" in caplog.text
    assert "on_connect failed" in caplog.text


async def test_an_answer_that_cannot_be_encoded_is_an_internal_error(plugin: FaultyPlugin) -> None:
    async with ChatServer(plugins=[plugin]) as chat:
        peer = await chat.connect()
        assert (await peer.request("faulty.odd"))["code"] == "internal_error"


async def test_a_handler_that_hangs_is_cancelled_and_answered(plugin: FaultyPlugin) -> None:
    async with ChatServer(quick(), plugins=[plugin]) as chat:
        peer = await chat.connect("alice", "lobby")
        assert (await peer.request("faulty.hang"))["code"] == "timeout"
        assert plugin.cancelled.is_set()
        assert (await peer.request("message", text="on"))["action"] == "sent"
        assert (await peer.request("faulty.hang"))["code"] == "timeout"


async def test_a_handler_that_blocks_costs_nobody_the_connection(
    plugin: FaultyPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    async with ChatServer(quick(), plugins=[plugin]) as chat:
        others = [await chat.connect(f"user{number}", "lobby") for number in range(3)]
        peer = await chat.connect()
        assert (await peer.request("faulty.block"))["action"] == "faulty.blocked"
        for other in others:
            assert (await other.request("ping"))["action"] == "pong"
        assert chat.chat.stats.closes == {}
    assert "the event loop was blocked" in caplog.text


async def test_a_handler_may_end_the_connection(plugin: FaultyPlugin) -> None:
    async with ChatServer(plugins=[plugin]) as chat:
        peer = await chat.connect()
        await peer.send("faulty.leave")
        assert await peer.closed() == 4321


async def test_a_handler_that_hangs_is_cancelled_though_its_peer_is_kicked(
    plugin: FaultyPlugin,
) -> None:
    async with ChatServer(quick(), plugins=[plugin]) as chat:
        peer = await chat.connect()
        user = str((await peer.request("hello"))["user"])
        await peer.send("faulty.hang")
        other = await chat.connect()
        await other.request("ping")
        chat.chat.kick(user)
        async with asyncio.timeout(20):
            await plugin.cancelled.wait()
        assert await peer.closed() == 3503


async def test_outcomes_on_their_way_are_answered_in_order(plugin: FaultyPlugin) -> None:
    async with ChatServer(plugins=[plugin]) as chat:
        peer = await chat.connect()
        for text in ("one", "fail", "three"):
            await peer.send("faulty.later", id=text, text=text)
        await peer.request("ping")
        plugin.release.set()
        answers = [await peer.receive() for _ in range(3)]
        assert [answer["id"] for answer in answers] == ["one", "fail", "three"]
        assert [answer["action"] for answer in answers] == ["faulty.done", "error", "faulty.done"]


async def test_reading_waits_when_too_many_outcomes_are_on_their_way(plugin: FaultyPlugin) -> None:
    async with ChatServer({"limits": {"max_in_flight": 2}}, plugins=[plugin]) as chat:
        peer = await chat.connect()
        other = await chat.connect()
        for number in range(5):
            await peer.send("faulty.later", id=number)
        await other.request("ping")
        assert plugin.started == 2
        plugin.release.set()
        assert [(await peer.receive())["id"] for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_a_cancelled_outcome_is_answered_and_holds_nothing_up(plugin: FaultyPlugin) -> None:
    async with ChatServer({"limits": {"max_in_flight": 1}}, plugins=[plugin]) as chat:
        peer = await chat.connect()
        assert (await peer.request("faulty.cancelled"))["code"] == "internal_error"
        assert (await peer.request("ping"))["action"] == "pong"


@pytest.mark.parametrize("name", ["await_cancelled", "odd_later", "text_later", "bad_close"])
async def test_mistakes_with_outcomes_are_internal_errors(plugin: FaultyPlugin, name: str) -> None:
    async with ChatServer(plugins=[plugin]) as chat:
        peer = await chat.connect()
        assert (await peer.request(f"faulty.{name}"))["code"] == "internal_error"
        assert (await peer.request("ping"))["action"] == "pong"


async def test_a_wrong_outcome_is_an_error_also_where_nobody_waits_for_it(
    plugin: FaultyPlugin,
) -> None:
    async with ChatServer(plugins=[plugin]) as chat:
        peer = await chat.connect()
        await peer.send("faulty.text_later")
        assert (await peer.receive())["code"] == "internal_error"


async def test_an_outcome_may_be_nothing(plugin: FaultyPlugin) -> None:
    async with ChatServer(plugins=[plugin]) as chat:
        peer = await chat.connect()
        await peer.send("faulty.nothing_later", id=1)
        for number in (2, 3):
            await peer.send("ping", id=number)
            assert (await peer.receive())["id"] == number


async def test_a_handler_that_swallows_its_cancellation_leaves_no_mark(
    plugin: FaultyPlugin,
) -> None:
    async with ChatServer(quick(), plugins=[plugin]) as chat:
        peer = await chat.connect()
        assert (await peer.request("faulty.swallow"))["action"] == "faulty.swallowed"
        assert (await peer.request("faulty.await_cancelled"))["code"] == "internal_error"
        assert (await peer.request("ping"))["action"] == "pong"


async def test_outcomes_that_never_come_do_not_keep_a_lost_connection(
    plugin: FaultyPlugin,
) -> None:
    config = quick(max_in_flight=2)
    async with ChatServer(config, plugins=[plugin]) as chat:
        watcher = await chat.connect("watcher", "lobby")
        with await asyncio.to_thread(RawClient, int(chat.url.rpartition(":")[2])) as stuck:
            stuck.send_text('{"action": "register", "username": "stuck"}')
            stuck.send_text('{"action": "join", "room": "lobby"}')
            await watcher.expect("notification", text="stuck joined lobby")
            for _ in range(2):
                stuck.send_text('{"action": "faulty.never"}')
                await plugin.begun.acquire()
        await watcher.expect("notification", text="stuck left lobby")


async def test_being_asked_for_the_name_costs_its_holder_nothing() -> None:
    async with ChatServer() as chat:
        victim = await chat.connect("victim", "lobby")
        rivals = [await chat.connect() for _ in range(4)]
        for _ in range(12):
            replies = [await rival.request("register", username="victim") for rival in rivals]
            assert {reply["code"] for reply in replies} <= {"name_taken", "rate_limited"}
        assert (await victim.request("message", text="still me"))["action"] == "sent"
        assert chat.chat.stats.closes == {}


async def test_silence_is_pinged_and_then_closed_3012() -> None:
    async with ChatServer(quick()) as chat:

        def stay_silent() -> list[int]:
            with RawClient(int(chat.url.rpartition(":")[2])) as client:
                return [client.receive_frame()[0], client.close_code()]

        alive = await chat.connect()
        assert await asyncio.to_thread(stay_silent) == [9, 3012]
        assert (await alive.request("ping"))["action"] == "pong"


async def test_a_pong_keeps_a_silent_client_connected() -> None:
    async with ChatServer(quick(ping_timeout=20)) as chat:

        def answer_pings() -> int:
            with RawClient(int(chat.url.rpartition(":")[2])) as client:
                for _ in range(5):
                    opcode, payload = client.receive_frame()
                    assert opcode == 9
                    client.send_frame(10, payload)
                client.send_text('{"action":"ping"}')
                return client.receive_frame()[0]

        assert await asyncio.to_thread(answer_pings) == 1


class TestSlowReaders:
    """A peer that does not read is cut off; readers miss nothing."""

    CONFIG: ClassVar = {
        "limits": {"slow_soft": 64 * 1024, "slow_hard": 256 * 1024, "slow_timeout": 30},
        "middlewares": ["size_limit"],
    }

    async def flood(self, talker: Peer, reader: Peer, bursts: int) -> None:
        text = "x" * 40_000
        for burst in range(bursts):
            await talker.send("message", text=f"{burst} {text}")
            event = await reader.expect("message")
            assert str(event["text"]).startswith(f"{burst} ")

    async def test_too_much_unread_is_cut_off(self, caplog: pytest.LogCaptureFixture) -> None:
        async with ChatServer(self.CONFIG) as chat:
            talker = await chat.connect("talker", "lobby")
            reader = await chat.connect("reader", "lobby")
            deaf = await asyncio.to_thread(
                lambda: RawClient(int(chat.url.rpartition(":")[2]), receive_buffer=4096)
            )
            with deaf:
                deaf.send_text('{"action":"register","username":"deaf"}')
                deaf.send_text('{"action":"join","room":"lobby"}')
                await reader.expect("notification", text="deaf joined lobby")
                for _ in range(20):
                    await self.flood(talker, reader, 10)
                    if chat.chat.stats.slow:
                        break
                assert chat.chat.stats.slow == 1
                assert chat.chat.stats.closes[3008] == 1
                assert await asyncio.to_thread(deaf.close_code) == 1006
                assert (await reader.request("list_rooms"))["rooms"] == {"lobby": 2}
        assert "cut off a slow reader" in caplog.text

    async def test_a_little_unread_for_too_long_is_cut_off(self) -> None:
        limits = {"slow_soft": 1024, "slow_hard": 2**30, "slow_timeout": 0.4}
        async with ChatServer({"limits": limits, "middlewares": []}) as chat:
            talker = await chat.connect("talker", "lobby")
            reader = await chat.connect("reader", "lobby")
            deaf = await asyncio.to_thread(
                lambda: RawClient(int(chat.url.rpartition(":")[2]), receive_buffer=4096)
            )
            with deaf:
                deaf.send_text('{"action":"register","username":"deaf"}')
                deaf.send_text('{"action":"join","room":"lobby"}')
                await reader.expect("notification", text="deaf joined lobby")
                await self.flood(talker, reader, 100)
                # It may have left amid the flood, of which the reader skips what is no message.
                await talker.expect("notification", text="deaf left lobby")
                assert chat.chat.stats.slow == 1

    async def test_ephemeral_events_are_dropped_first(self) -> None:
        limits = {"slow_soft": 64 * 1024, "slow_hard": 2**30, "slow_timeout": 60}
        async with ChatServer({"limits": limits, "middlewares": []}) as chat:
            talker = await chat.connect("talker", "lobby")
            reader = await chat.connect("reader", "lobby")
            slow = await asyncio.to_thread(
                lambda: RawClient(int(chat.url.rpartition(":")[2]), receive_buffer=4096)
            )
            with slow:
                slow.send_text('{"action":"register","username":"slow"}')
                slow.send_text('{"action":"join","room":"lobby"}')
                await reader.expect("notification", text="slow joined lobby")
                await self.flood(talker, reader, 200)
                await chat.chat.publish("lobby", "typing", ephemeral=True, who="talker")
                await reader.expect("typing", who="talker")
                await chat.chat.publish("lobby", "last")
                await reader.expect("last")

                def read_all() -> list[str]:
                    names: list[str] = []
                    while not names or names[-1] != "last":
                        opcode, payload = slow.receive_frame()
                        if opcode == 1:
                            names.append(json.loads(payload)["action"])
                    return names

                names = await asyncio.to_thread(read_all)
                assert names.count("message") == 200
                assert "typing" not in names


async def test_one_busy_connection_does_not_starve_the_others() -> None:
    async with ChatServer({"middlewares": []}) as chat:
        port = int(chat.url.rpartition(":")[2])
        flooder = await asyncio.to_thread(RawClient, port)
        other = await chat.connect()
        with flooder:
            blob = b"".join(RawFrames.echo(number) for number in range(5000))
            # All of it fits into the kernel, and is there before the server has a turn.
            flooder.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(blob))
            flooder.socket.sendall(blob)
            assert (await other.request("ping"))["action"] == "pong"
            handled = chat.chat.stats.messages_in
            assert handled < 5000

            def read_all() -> int:
                return sum(flooder.receive_frame()[0] == 1 for _ in range(5000))

            assert await asyncio.to_thread(read_all) == 5000


async def test_a_burst_is_answered_in_one_piece_however_much_came_before() -> None:
    async with ChatServer({"middlewares": []}) as chat:
        burst = b"".join(RawFrames.echo(number) for number in range(5))

        def talk() -> set[int]:
            with RawClient(int(chat.url.rpartition(":")[2])) as client:
                sizes = set()
                for _ in range(100):
                    client.socket.sendall(burst)
                    sizes.add(len(client.socket.recv(65536)))
                return sizes

        assert len(await asyncio.to_thread(talk)) == 1


class RawFrames:
    """Build frames for floods."""

    @staticmethod
    def echo(number: int) -> bytes:
        """Return an unmasked echo request: cheap to make by the thousand."""
        payload = b'{"action":"echo","text":"%d"}' % number
        return b"\x81" + bytes([len(payload)]) + payload


@pytest.fixture(autouse=True)
def _levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="chatserver")
