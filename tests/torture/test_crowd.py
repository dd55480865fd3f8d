"""Have clients that wait for ever, and be told who they are."""

import asyncio
from asyncio import Semaphore, StreamReader, StreamWriter

import pytest

from tests.torture import crowd
from tests.torture.crowd import Crowd
from tests.torture.plan import make_plan


async def _say_nothing(reader: StreamReader, writer: StreamWriter) -> None:
    await reader.read()
    writer.close()


async def _end(tally: Semaphore) -> None:
    """Say that the server is gone, which it is not."""


async def test_who_still_hopes_is_named_with_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "GONE_WITHIN", 0.2)
    everybody = Crowd(make_plan("relaxed", 1))
    async with await asyncio.start_server(_say_nothing, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        with pytest.raises(ExceptionGroup) as hung:
            await everybody.live(f"ws://127.0.0.1:{port}/ws", _end)
        await everybody.close()
    (late,) = hung.value.exceptions
    assert isinstance(late, TimeoutError)
    assert "writer-1 is in Client.live" in str(late)
    assert "resident-1 is in Resident.live" in str(late)
    assert "_outlive" in str(late)
    assert "the end" not in str(late)
