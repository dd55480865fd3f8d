"""Read typed lines without ever waiting for them: whoever wants to leave, leaves."""

import asyncio
import codecs
import os
from collections.abc import AsyncIterator
from threading import BoundedSemaphore, Thread
from typing import Final

AHEAD: Final = 100
"""Chunks that are read before anybody wants them."""

CHUNK: Final = 65536
"""Bytes of a chunk."""


class TypedLines:
    """Iterate over the lines of a file that may block for ever, such as standard input.

    A thread reads it, which the end of the program does not wait for.

    Args:
        file: The file's descriptor.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._space = BoundedSemaphore(AHEAD)
        Thread(target=self._read, daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        begun = ""
        while chunk := await self._chunks.get():
            self._space.release()
            *lines, begun = (begun + decoder.decode(chunk)).split("\n")
            for line in lines:
                yield line
        begun += decoder.decode(b"", final=True)
        if begun:
            yield begun

    def _read(self) -> None:
        chunk = b"."
        while chunk:
            self._space.acquire()
            try:
                chunk = os.read(self._file, CHUNK)
            except OSError:  # the terminal is gone
                chunk = b""
            try:
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            except RuntimeError:  # the loop is closed: nobody wants it any more
                return
