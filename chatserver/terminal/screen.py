"""Say what a screen can show; `app` and `plain` are the two there are."""

from typing import Protocol

from chatserver.client import Message, RoomEvent
from chatserver.terminal.place import Place
from chatserver.terminal.transcript import Entry


class Screen(Protocol):
    """Show the talk. Nothing here may wait, except `history`."""

    def happened(self, place: Place, event: RoomEvent, entry: Entry | None) -> None:
        """Show an event of a room, and the entry it has made or changed, if it has."""

    def answer(self, *lines: str) -> None:
        """Show the answer to a command, or that it failed."""

    def found(self, message: Message) -> None:
        """Show a message that was searched for."""

    def opened(self, place: Place) -> None:
        """Hear that the user has written to a room of two."""

    def refresh_state(self) -> None:
        """Hear that the connection, the rooms or who is in them have changed."""

    async def history(self, place: Place, count: int) -> None:
        """Read back and show it; raises as `ChatClient.history`."""
