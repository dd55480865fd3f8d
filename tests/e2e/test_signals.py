"""SIGTERM and SIGINT: clients are told, answered and let go; the process ends whatever they do."""

import asyncio
import http.client
import json
import signal
import socket
from contextlib import AsyncExitStack, ExitStack, closing
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.callers import DEADLINE, LOOPS, Frame, ask, call, configure
from tests.e2e.process import ServerProcess
from tests.e2e.raw import RawClient

STUBBORN = """
import asyncio, time
from pathlib import Path

from chatserver import Middleware, NoConfig, Plugin, Reply, action


class StubbornPlugin(Plugin[NoConfig]):
    @action("stubborn.slow")
    async def slow(self, ctx):
        print("started", flush=True)
        await asyncio.sleep(0.3)
        return Reply("stubborn.done")

    @action("stubborn.hold")
    async def hold(self, ctx):
        print("started", flush=True)
        while not Path(__file__).with_name("go on").exists():
            await asyncio.sleep(0.01)
        return Reply("stubborn.done")

    @action("stubborn.hang")
    async def hang(self, ctx):
        print("started", flush=True)
        await asyncio.sleep(600)

    @action("stubborn.swallow")
    async def swallow(self, ctx):
        print("started", flush=True)
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass

    @action("stubborn.block")
    async def block(self, ctx):
        print("started", flush=True)
        # Not one long sleep: signals that come just before it begins would wait for its end.
        while True:
            time.sleep(0.01)


class DoorMiddleware(Middleware[NoConfig]):
    async def startup(self, hub):
        self.hub = hub

    async def connect(self, handshake, call_next):
        if "late" in handshake.query:
            print("at the door", flush=True)
            while not self.hub.draining:
                await asyncio.sleep(0.01)
        return await call_next(handshake)
"""


@pytest.fixture
def stubborn(tmp_path: Path) -> dict[str, str | None]:
    """Environment of a server that can import the plugin above."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize(
    ("loop", "number"), [("asyncio", signal.SIGINT), ("uvloop", signal.SIGTERM)]
)
def test_an_orderly_end(
    tmp_path: Path, stubborn: dict[str, str | None], loop: str, number: signal.Signals
) -> None:
    plugins = {"stubborn": {"use": "stubborn:StubbornPlugin"}}
    config = configure(tmp_path, server={"loop": loop, "shutdown_grace": 60}, plugins=plugins)
    with ServerProcess(config, env=stubborn) as server:
        supervisor = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
        with (
            RawClient(server.port) as mute,
            call(server.ws) as alice,
            call(server.ws) as bob,
            call(server.ws) as carol,
            closing(supervisor),
        ):
            alice.enter("alice")
            bob.enter("bob")
            assert ask(supervisor, "/readyz") == (200, "ready\n")
            assert bob.ask("message", text="last words")["action"] == "sent"
            carol.send("stubborn.hold", id="held")
            server.out.expect("started")
            server.signal(number)

            for caller in (alice, bob):
                frames, code = caller.rest()
                assert code == 3001
                texts = [frame["text"] for frame in frames if frame["action"] == "message"]
                assert caller is bob or texts == ["last words"]
                assert frames[-1]["action"] == "reconnect"
                assert frames[-1]["reason"] == "shutdown"
                after = frames[-1]["after_ms"]
                assert isinstance(after, int)
                assert 0 < after <= 30_000
            # It waits for the one that is still to be answered.
            assert ask(supervisor, "/healthz") == (200, "ok\n")
            assert ask(supervisor, "/readyz") == (503, "draining\n")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.port), DEADLINE)
            (tmp_path / "go on").touch()
            frames, code = carol.rest()
            assert [frame["action"] for frame in frames if "id" in frame] == ["stubborn.done"]
            assert code == 3001
            # And for the one that does not answer the close frame, but not for long.
            assert mute.close_code() == 3001
        assert server.wait() == 0
        assert "cut off" not in server.stderr


@pytest.mark.parametrize("loop", LOOPS)
def test_what_was_sent_before_the_signal_is_answered(
    tmp_path: Path, stubborn: dict[str, str | None], loop: str
) -> None:
    plugins = {"stubborn": {"use": "stubborn:StubbornPlugin"}}
    config = configure(tmp_path, server={"loop": loop}, middlewares=[], plugins=plugins)
    with (
        ServerProcess(config, env=stubborn) as server,
        call(server.ws) as alice,
        call(server.ws) as bob,
    ):
        bob.send("stubborn.slow", id="slow")
        server.out.expect("started")
        for number in range(300):
            alice.send("ping", id=number)
        server.signal(signal.SIGTERM)
        frames, code = bob.rest()
        assert [frame["action"] for frame in frames if "id" in frame] == ["stubborn.done"]
        assert code == 3001
        frames, code = alice.rest()
        answers = [frame for frame in frames if "id" in frame]
        assert [answer["id"] for answer in answers] == list(range(300))
        assert {answer.get("code", "pong") for answer in answers} <= {"pong", "draining"}
        assert code == 3001
        assert server.wait() == 0


def test_whoever_is_at_the_door_is_not_waited_for(
    tmp_path: Path, stubborn: dict[str, str | None]
) -> None:
    config = configure(tmp_path, middlewares=[{"door": {"use": "stubborn:DoorMiddleware"}}])
    with ServerProcess(config, env=stubborn) as server, call(server.ws) as inside:

        async def knock() -> int:
            try:
                async with connect(f"{server.ws}?late", proxy=None) as late:
                    await late.wait_closed()
                    return late.close_code or 0
            except InvalidStatus as refused:
                return refused.response.status_code

        async def visit() -> int:
            knocking = asyncio.create_task(knock())
            await asyncio.to_thread(server.out.expect, "at the door")
            server.signal(signal.SIGTERM)
            async with asyncio.timeout(DEADLINE):
                return await knocking

        assert asyncio.run(visit()) in (503, 3001)
        assert inside.rest()[1] == 3001
        assert server.wait() == 0
        assert "cut off" not in server.stderr


@pytest.mark.parametrize("loop", LOOPS)
def test_peers_that_never_read_are_cut_off(tmp_path: Path, loop: str) -> None:
    config = configure(
        tmp_path,
        server={"loop": loop, "shutdown_grace": 5},
        limits={"slow_hard": 2**30, "slow_timeout": 600},
        middlewares=[],
    )
    with (
        ServerProcess(config) as server,
        call(server.ws) as alice,
        ExitStack() as deaf,
    ):
        alice.enter("alice")
        for number in range(3):
            peer = deaf.enter_context(RawClient(server.port, receive_buffer=4096))
            peer.send_text(json.dumps({"action": "register", "username": f"deaf{number}"}))
            peer.send_text('{"action": "join", "room": "lobby"}')
        for number in range(3):
            assert alice.expect("notification")["text"] == f"deaf{number} joined lobby"
        for _ in range(80):
            alice.send("message", text="x" * 60_000)
            alice.expect("message")
        server.signal(signal.SIGTERM)
        assert alice.rest()[1] == 3001
        assert server.wait() == 0
        assert "3 connections were cut off" in server.stderr


async def test_many_clients_come_back_one_after_another(tmp_path: Path) -> None:
    config = configure(tmp_path, middlewares=[])
    async with ServerProcess(config) as server, AsyncExitStack() as clients:
        sockets = [
            await clients.enter_async_context(connect(server.ws, proxy=None)) for _ in range(200)
        ]
        server.signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            ends = await asyncio.gather(*map(_end, sockets))
        assert {code for _, code in ends} == {3001}
        waits = [frame["after_ms"] for frame, _ in ends]
        assert all(isinstance(wait, int) and 0 < wait <= 30_000 for wait in waits)
        assert len(set(waits)) > 100
        assert await server.ended() == 0


async def _end(client: ClientConnection) -> tuple[Frame, int | None]:
    frame: Frame = json.loads(await client.recv())
    assert frame["action"] == "reconnect"
    with pytest.raises(ConnectionClosed) as ended:
        await client.recv()
    return frame, ended.value.rcvd.code if ended.value.rcvd else None


@pytest.mark.parametrize(("action", "grace", "code"), [("hang", 8, 0), ("swallow", 1, 1)])
def test_a_handler_that_does_not_end_is_not_waited_for(
    tmp_path: Path, stubborn: dict[str, str | None], action: str, grace: int, code: int
) -> None:
    plugins = {"stubborn": {"use": "stubborn:StubbornPlugin"}}
    config = configure(tmp_path, server={"shutdown_grace": grace}, plugins=plugins)
    with ServerProcess(config, env=stubborn) as server, call(server.ws) as caller:
        caller.send(f"stubborn.{action}")
        server.out.expect("started")
        server.signal(signal.SIGTERM)
        assert caller.rest()[1] in (3001, 1006)
        assert server.wait() == code
        assert ("not ended within shutdown_grace" in server.stderr) == (code == 1)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_second_signal_ends_it_at_once(
    tmp_path: Path, stubborn: dict[str, str | None], loop: str
) -> None:
    plugins = {"stubborn": {"use": "stubborn:StubbornPlugin"}}
    server_settings = {"loop": loop, "shutdown_grace": 600}
    config = configure(tmp_path, server=server_settings, plugins=plugins)
    with ServerProcess(config, env=stubborn) as server, call(server.ws) as caller:
        caller.send("stubborn.block")
        server.out.expect("started")
        # Two of the same kind may reach a busy process as one.
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)
        assert server.wait() == 1
        assert "second signal" in server.stderr
        assert caller.rest()[1] == 1006
