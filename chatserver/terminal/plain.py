"""Chat by lines: what is said goes to standard output, how it goes to standard error."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from chatserver.client import ChatClient, ChatError, Gap, Joined, Message, Recovered, RoomEvent
from chatserver.terminal.asking import pages_back
from chatserver.terminal.lines import line_of, missing, numbered, reason_of
from chatserver.terminal.place import Place
from chatserver.terminal.talk import Talk
from chatserver.terminal.transcript import Entry, Transcript
from chatserver.terminal.typed import TypedLines
from chatserver.terminal.visible import visible, visible_lines
from chatserver.upkeep.progress import Progress

OK: Final = 0
FAILED: Final = 1


class Plain:
    """Be the screen that prints lines.

    Args:
        chat: The client, not entered yet.
        rooms: Rooms to join.
    """

    def __init__(self, chat: ChatClient, rooms: Sequence[str]) -> None:
        self._talk = Talk(chat, self, rooms=rooms, last=None, moves=False)
        self._state = ""

    async def run(self) -> int:
        """Chat until the input or the chat ends; return the exit code.

        0 after ``/quit`` and at the end of the input; 1 where the chat has ended, or not all that
        was typed was done.
        """
        talking = asyncio.create_task(self._talk.run())
        typing = asyncio.create_task(self._type(TypedLines(sys.stdin.fileno())))
        await asyncio.wait({talking, typing}, return_when=asyncio.FIRST_COMPLETED)
        for task in (talking, typing):
            task.cancel()
        left = FAILED
        with suppress(asyncio.CancelledError):
            left = await typing
        try:
            with suppress(asyncio.CancelledError):
                await talking
        except (ChatError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            self._tell(reason_of(error))
            return FAILED
        return FAILED if left else OK

    async def _type(self, lines: TypedLines) -> int:
        async for line in lines:
            if not self._talk.type(line):
                break
            await self._talk.ready()
        left = await self._talk.finish()
        if left:
            self._tell(f"{left} typed line(s) were not acknowledged")
        return left

    def happened(self, place: Place, event: RoomEvent, entry: Entry | None) -> None:
        """Print what happened in a room."""
        title = self._talk.title(place)
        match event:
            case Joined():
                self._tell(f"In room {title}")
            case Recovered():
                pass  # what was missed follows
            case Gap():
                self._tell(missing(title, event))
            case _:
                line = line_of(title, event, entry)
                if line is not None:
                    print(line)

    def answer(self, *lines: str) -> None:
        """Print an answer."""
        for line in lines:
            print(visible(line))

    def found(self, message: Message) -> None:
        """Print a message that was searched for."""
        entry = Transcript().take(message)
        if entry is not None:
            print(numbered(message.room, entry))

    def opened(self, place: Place) -> None:
        """Stay where we are: what scripts say next is for the room they joined."""

    def refresh_state(self) -> None:
        """Tell of the connection."""
        talk = self._talk
        state = f"Connected as {talk.name}" if talk.online else talk.state
        if state != self._state:
            self._state = state
            self._tell(state)

    async def history(self, place: Place, count: int) -> None:
        """Print the newest messages of a room, the oldest first."""
        progress = Progress("Reading back", count, sys.stderr)
        transcript = Transcript()
        try:
            async for page in pages_back(self._talk.chat, place.name, None, count):
                transcript.prepend(page)
                progress.reach(len(transcript.entries))
        finally:
            progress.clear()
        for entry in transcript.entries:
            print(numbered(self._talk.title(place), entry))

    def _tell(self, text: str) -> None:
        print(f"-- {' '.join(visible_lines(text))}", file=sys.stderr)
