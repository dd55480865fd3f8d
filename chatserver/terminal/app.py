"""Chat in the full screen, with Textual."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.filter import LineFilter, NoColor
from textual.widgets import OptionList, ProgressBar, Static
from textual.widgets.option_list import Option

from chatserver.client import (
    ActionError,
    ChatClient,
    ChatError,
    ClientError,
    Gap,
    Message,
    RoomEvent,
)
from chatserver.terminal.asking import pages_back
from chatserver.terminal.completion import completions
from chatserver.terminal.lines import missing, numbered, reason_of
from chatserver.terminal.place import Place
from chatserver.terminal.plain import FAILED, OK
from chatserver.terminal.talk import Talk
from chatserver.terminal.transcript import Entry, Transcript
from chatserver.terminal.visible import visible
from chatserver.terminal.widgets import Messages, Prompt

LAST: Final = 50
"""Messages that a room begins with, and that are read back at the top."""

DRAWN: Final = 0.05
"""Seconds between two changes of the screen, however much happens."""

CALM: Final = 0.5
"""Seconds in which several who come and go cost one question who is there."""


class ChatApp(App[int]):
    """Be the screen that fills the terminal.

    Args:
        chat: The client, not entered yet.
        rooms: Rooms to join.

    Attributes:
        talk: The chat.
        farewell: Why the chat has ended, if the user has not ended it.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "chatserver"
    CSS = """
    #state { height: 1; background: $primary; color: $text; padding: 0 1; }
    #state.offline { background: $error; }
    #rooms, #members { width: 22; height: 1fr; border: none; border-title-color: $text-muted; }
    #rooms { border-right: solid $surface-lighten-2; }
    #members { border-left: solid $surface-lighten-2; padding: 0 1; }
    #messages { padding: 0 1; height: 1fr; }
    #loading { display: none; height: 1; }
    #loading.busy { display: block; }
    #prompt { border: none; height: 1; padding: 0 1; background: $surface; }
    .narrow #members, .narrow #rooms { display: none; }
    App:nocolor #state { text-style: reverse; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "narrow"), (70, "wide")]  # noqa: RUF012 - no ClassVar in Textual
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "leave", "Quit", priority=True),
        Binding("ctrl+n", "next_room(1)", "Next room", priority=True),
        Binding("ctrl+p", "next_room(-1)", "Room before", priority=True),
        Binding("pageup", "scroll_messages('up')", priority=True, show=False),
        Binding("pagedown", "scroll_messages('down')", priority=True, show=False),
    ]

    def __init__(self, chat: ChatClient, rooms: Sequence[str]) -> None:
        super().__init__()
        self.talk = Talk(chat, self, rooms=rooms, last=LAST, moves=True)
        self.farewell = ""
        self._home = Transcript()
        self._shown: Place | None = None
        self._stirred = asyncio.Event()
        self._reading = False
        self._stale = True

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Leave out colours where the user wants none (no-color.org); Textual would grey them."""
        return [NoColor()] if self.no_color else super().get_line_filters()

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield Static(id="state", markup=False)
        with Horizontal():
            yield OptionList(id="rooms", markup=False)
            with Vertical():
                yield Messages(id="messages")
                yield ProgressBar(id="loading", show_eta=False)
                yield Prompt(self._complete, id="prompt")
            yield Static(id="members", markup=False)

    def on_mount(self) -> None:
        """Begin."""
        self.query_one(Messages).show(self._home)
        self.query_one(Prompt).focus()
        self.query_one("#rooms").can_focus = False
        self.set_interval(DRAWN, self._draw)
        self.run_worker(self._run())
        self.run_worker(self._ask_who_is_here())

    def happened(self, place: Place, event: RoomEvent, entry: Entry | None) -> None:
        """Show an event."""
        if isinstance(event, Gap):
            entry = place.transcript.note(missing(self.talk.title(place), event))
        if entry is not None:
            self.query_one(Messages).forget(entry)
        if entry is None or entry.notice:
            self._stirred.set()

    def answer(self, *lines: str) -> None:
        """Show an answer below what was said, to the user alone."""
        for line in lines:
            self._transcript.note(line)
        self._stale = True

    def found(self, message: Message) -> None:
        """Show a message that was searched for."""
        entry = Transcript().take(message)
        if entry is not None:
            self.answer(
                f"{message.timestamp[:16].replace('T', ' ')} {numbered(message.room, entry)}"
            )

    def opened(self, place: Place) -> None:
        """Go to the room of two."""
        self.talk.go(place)

    def refresh_state(self) -> None:
        """Show the connection, the rooms and who is here, when the screen is drawn next."""
        self._stale = True

    @property
    def _transcript(self) -> Transcript:
        return self._home if self.talk.here is None else self.talk.here.transcript

    def _draw(self) -> None:
        # At the end Textual removes one widget after the other, and the timer still goes.
        if not self._stale or not self.is_running:
            return
        self._stale = False
        talk = self.talk
        if talk.here is not self._shown:
            self._shown = talk.here
            self.query_one(Messages).show(self._transcript)
            self._stirred.set()
        self.query_one(Messages).draw()
        state = self.query_one("#state", Static)
        state.set_class(not talk.online, "offline")
        mark = "●" if talk.online else "○"
        waiting = f" · {talk.waiting} waiting" if talk.waiting else ""
        here = f" · {talk.title(talk.here)}" if talk.here else ""
        name = f" as {talk.name}" if talk.name and talk.online else ""
        state.update(Text(visible(f"{mark} {talk.state}{name}{here}{waiting}")))
        self._list_rooms(talk)
        members = talk.here.members if talk.here else []
        self.query_one("#members", Static).update(Text("\n".join(map(visible, members))))

    async def history(self, place: Place, count: int) -> None:
        """Put older messages above those that are shown."""
        bar = self.query_one("#loading", ProgressBar)
        bar.update(total=count, progress=0)
        bar.add_class("busy")
        try:
            before = place.transcript.oldest
            async for page in pages_back(self.talk.chat, place.name, before, count):
                fresh = place.transcript.prepend(page)
                bar.advance(len(fresh))
                if place is self._shown:
                    self.query_one(Messages).grown_above()
                if not page.more and not place.complete:
                    place.complete = True
                    self.answer("That is all that is kept")
        finally:
            bar.remove_class("busy")

    def action_leave(self) -> None:
        """End the chat."""
        self.exit(OK)

    def action_next_room(self, step: int) -> None:
        """Go to the next room, or the one before."""
        if self.talk.here is not None:
            places = list(self.talk.places.values())
            self.talk.go(places[(places.index(self.talk.here) + step) % len(places)])

    def action_scroll_messages(self, way: str) -> None:
        """Turn a page of what was said."""
        messages = self.query_one(Messages)
        if way == "up":
            messages.action_page_up()
        else:
            messages.action_page_down()

    @on(Prompt.Typed)
    def _typed(self, event: Prompt.Typed) -> None:
        if not self.talk.type(event.line, self.talk.here):
            self.run_worker(self._leave())

    @on(OptionList.OptionSelected, "#rooms")
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        if event.option_id is not None:
            self.talk.go(self.talk.places.get(event.option_id))

    @on(Messages.Top)
    def _read_back(self) -> None:
        place = self._shown
        if place is not None and not place.complete and not self._reading:
            self._reading = True
            self.run_worker(self._read_more(place))

    async def _leave(self) -> None:
        left = await self.talk.finish()
        if left:
            self.farewell = f"{left} typed line(s) were not acknowledged"
        self.exit(FAILED if left else OK)

    async def _read_more(self, place: Place) -> None:
        try:
            await self.history(place, LAST)
        except (ActionError, ClientError, TimeoutError) as error:
            self.answer(f"Error: {error}")
        finally:
            self._reading = False

    async def _run(self) -> None:
        try:
            await self.talk.run()
        except (ChatError, OSError) as error:
            self.farewell = visible(reason_of(error))
        self.exit(FAILED)

    async def _ask_who_is_here(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            place = self.talk.here
            if place is not None:
                with suppress(ActionError, ClientError, TimeoutError):
                    await self.talk.refresh_members(place)
            await asyncio.sleep(CALM)

    def _list_rooms(self, talk: Talk) -> None:
        options = []
        for place in talk.places.values():
            mark = "▸" if place is talk.here else " "
            unread = f" ({place.unread})" if place.unread else ""
            style = "bold" if unread else ""
            options.append(
                Option(Text(visible(f"{mark}{talk.title(place)}{unread}"), style=style), place.name)
            )
        listed = self.query_one("#rooms", OptionList)
        listed.set_options(options)

    def _complete(self, line: str) -> list[str]:
        talk = self.talk
        rooms = [talk.title(place) for place in talk.places.values()]
        return completions(line, rooms, sorted(set(talk.names.values())))
