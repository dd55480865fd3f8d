"""Typed lines are read as they come, and nobody has to wait for the next one."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from chatserver.terminal.typed import TypedLines

DEADLINE = 20.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


async def test_lines_come_whole_however_they_were_cut(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    async with asyncio.timeout(DEADLINE):
        lines = aiter(TypedLines(reading))
        text = "one\ntwö\n\nthe end".encode()
        os.write(writing, text[:7])
        assert await anext(lines) == "one"
        os.write(writing, text[7:])
        os.close(writing)
        assert [line async for line in lines] == ["twö", "", "the end"]


async def test_what_is_no_text_is_replaced(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    async with asyncio.timeout(DEADLINE):
        os.write(writing, b"\xff\xfe!\n\xc3")
        os.close(writing)
        assert [line async for line in TypedLines(reading)] == ["\ufffd\ufffd!", "\ufffd"]
