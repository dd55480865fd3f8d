"""Run the resilient client of the examples as the program it is."""

import asyncio
import signal
import sys
from pathlib import Path

from tests.client.scripted import Scripted
from tests.e2e.callers import call, configure
from tests.e2e.flaky import FlakyLine
from tests.e2e.process import ServerProcess
from tests.e2e.programs import Program

EXAMPLE = Path(__file__).parents[2] / "examples" / "resilient.py"


async def expect(program: Program, pattern: str) -> None:
    """Wait for a line; what the program talks to lives in this loop."""
    await asyncio.to_thread(program.out.expect, pattern)


def say(server: ServerProcess, text: str) -> None:
    with call(server.ws) as alice:
        alice.enter("alice")
        assert alice.ask("message", text=text)["action"] == "sent"


async def test_it_comes_back_and_reads_what_it_missed(tmp_path: Path) -> None:
    config = configure(tmp_path, server={"data_dir": "data"}, broker="embedded")
    env = {"CHATSERVER_SERVER__DATA_DIR": None}
    async with FlakyLine(0) as line, Program([sys.executable, EXAMPLE, line.url]) as resilient:
        # Whoever calls while there is no server waits, so that no back-off grows meanwhile.
        line.stall()
        async with ServerProcess(config, env=env) as server:
            line.port = server.port
            line.heal()
            await expect(resilient, "^Connected$")
            await asyncio.to_thread(say, server, "before")
            await expect(resilient, r"^Received: \[lobby\] alice: before$")
            line.stall()
            server.signal(signal.SIGKILL)
            await server.ended()
            await expect(
                resilient, r"^The connection was lost\. Connecting again in \d\.\d seconds"
            )
        async with ServerProcess(config, env=env) as server:
            await asyncio.to_thread(say, server, "meanwhile")
            line.port = server.port
            line.heal()
            await expect(resilient, "^Connected$")
            await expect(resilient, r"^1 missed\nReceived: \[lobby\] alice: meanwhile$")


async def test_it_does_not_come_back_after_a_good_end() -> None:
    async with Scripted() as server, Program([sys.executable, EXAMPLE, server.url]) as resilient:
        server.answers["register"] = lambda _: {"action": "registered", "username": "resilient"}
        await expect(resilient, "^Connected$")
        await server.request("join")
        await server.close(1000, "bye")
        assert await resilient.ended() == 1
        assert resilient.stderr == "The conversation is over: bye (1000)\n"
        assert len(server.headers) == 1
