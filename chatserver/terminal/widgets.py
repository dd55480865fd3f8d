"""Parts of the full screen. Whatever others have written comes as text, never as markup."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message as TextualMessage
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input

from chatserver.terminal.completion import Memory
from chatserver.terminal.lines import reactions
from chatserver.terminal.transcript import Entry, Transcript
from chatserver.terminal.visible import visible, visible_lines

COLOURS: Final = ("cyan", "green", "yellow", "magenta", "blue", "bright_red", "bright_cyan")
"""Names of users are told apart by these."""

INDENT: Final = "  "
"""What lines of a message begin with from the second on, so that none passes for another's."""


class Messages(ScrollView, can_focus=True):
    """Show a transcript of any length: only the lines that are seen are drawn.

    Lines are kept as they were wrapped; a new width wraps all of them again.
    """

    DEFAULT_CSS = """
    Messages { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """

    class Top(TextualMessage):
        """Tell that the user has come to the first line, and wants to see more."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._transcript = Transcript()
        self._wrapped: dict[Entry, list[Strip]] = {}
        self._strips: list[Strip] = []

    @property
    def text(self) -> str:
        """All lines, as they are shown."""
        return "\n".join(strip.text.rstrip() for strip in self._strips)

    def show(self, transcript: Transcript) -> None:
        """Show another transcript, from its end."""
        self._transcript = transcript
        self._wrapped.clear()
        self._lay_out(at_end=True)

    def forget(self, entry: Entry) -> None:
        """Wrap an entry anew when it is drawn: it may have changed."""
        self._wrapped.pop(entry, None)

    def draw(self) -> None:
        """Show the transcript as it is now; at its end, go on being there."""
        self._lay_out(at_end=self._at_end)

    def grown_above(self) -> None:
        """Show entries that were put above the others, which stay where they are seen."""
        below = self.virtual_size.height - self.scroll_offset.y
        self._lay_out(at_end=False)
        self.scroll_to(
            y=self.virtual_size.height - below, animate=False, force=True, immediate=True
        )

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        width = self.scrollable_content_region.width
        at = self.scroll_offset.y + y
        strip = self._strips[at] if at < len(self._strips) else Strip.blank(width)
        return strip.extend_cell_length(width).crop(0, width).apply_style(self.rich_style)

    def on_resize(self) -> None:
        """Wrap all lines for the new width."""
        at_end = self._at_end
        self._wrapped.clear()
        self._lay_out(at_end=at_end)

    def on_mouse_scroll_up(self) -> None:
        """Ask for more at the top."""
        self._ask_for_more()

    def action_page_up(self) -> None:
        """Scroll up, and ask for more at the top."""
        self._ask_for_more()
        self.scroll_page_up(animate=False, force=True)

    def action_page_down(self) -> None:
        """Scroll down."""
        self.scroll_page_down(animate=False, force=True)

    def action_scroll_up(self) -> None:
        """Scroll up, and ask for more at the top."""
        self._ask_for_more()
        super().action_scroll_up()

    @property
    def _at_end(self) -> bool:
        return self.scroll_target_y >= self.max_scroll_y

    def _ask_for_more(self) -> None:
        if self.scroll_offset.y == 0:
            self.post_message(self.Top())

    def _lay_out(self, *, at_end: bool) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        strips: list[Strip] = []
        for entry in self._transcript.entries:
            wrapped = self._wrapped.get(entry)
            if wrapped is None:
                wrapped = self._wrapped[entry] = self._wrap(entry, width)
            strips += wrapped
        self._strips = strips
        self.virtual_size = Size(width, len(strips))
        if at_end:
            self.scroll_end(animate=False, immediate=True, force=True)
        self.refresh()

    def _wrap(self, entry: Entry, width: int) -> list[Strip]:
        console = self.app.console
        strips: list[Strip] = []
        for number, line in enumerate(described(entry)):
            room = max(8, width - len(INDENT))
            for part, wrapped in enumerate(line.wrap(console, width if not number else room)):
                segments = list(wrapped.render(console))
                if number or part:
                    segments.insert(0, Segment(INDENT))
                strips.append(Strip(segments))
        return strips


def described(entry: Entry) -> list[Text]:
    """Return an entry as the lines it has, in colours."""
    head = Text()
    if entry.timestamp:
        head.append(f"{entry.timestamp[11:16]} ", style="dim")
    first, *others = visible_lines(entry.text)
    if entry.notice:
        return [
            head.append(first, style="italic dim"),
            *(Text(each, "italic dim") for each in others),
        ]
    if entry.offset is not None:
        head.append(f"#{entry.offset} ", style="dim")
    if entry.deleted:
        return [head.append("deleted", style="italic dim")]
    author = visible(entry.username or "anonymous")
    head.append(author, style=f"bold {colour(entry.sender)}").append(f" {first}")
    lines = [head, *map(Text, others)]
    if entry.edited:
        lines[-1].append(" (edited)", style="dim")
    if entry.reactions:
        lines.append(Text(reactions(entry), "dim"))
    return lines


def colour(sender: str | None) -> str:
    """Return a user's colour, the same at all times."""
    return COLOURS[sum((sender or "").encode()) % len(COLOURS)]


class Prompt(Input):
    """Take lines, with those before at the cursor keys and completion at the tabulator.

    Args:
        complete: Returns what a line could become.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "back", "Line before", show=False),
        Binding("down", "forth", "Line after", show=False),
        Binding("tab", "complete", "Complete", show=False),
    ]

    def __init__(self, complete: Callable[[str], Sequence[str]], *, id: str) -> None:
        super().__init__(id=id, placeholder="Say something, or /help", select_on_focus=False)
        self._complete = complete
        self._memory = Memory()
        self._offered: list[str] = []

    class Typed(TextualMessage):
        """Tell that a line was typed."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def action_back(self) -> None:
        """Go to the line before."""
        self._become(self._memory.back(self.value))

    def action_forth(self) -> None:
        """Go to the line after."""
        self._become(self._memory.forth(self.value))

    def action_complete(self) -> None:
        """Complete the line; once more offers the next."""
        if self.value not in self._offered:
            self._offered = list(self._complete(self.value))
            at = 0
        else:
            at = (self._offered.index(self.value) + 1) % len(self._offered)
        if self._offered:
            self._become(self._offered[at])

    async def _on_key(self, event: events.Key) -> None:
        # As a binding it would come after what has been typed behind it already.
        if event.key == "enter":
            self._memory.add(self.value)
            self.post_message(self.Typed(self.value))
            self.value = ""
            event.prevent_default()
            event.stop()

    def _on_paste(self, event: events.Paste) -> None:
        # Textual would take the first line only.
        self.insert_text_at_cursor(" ".join(event.text.split("\n")))
        event.prevent_default()
        event.stop()

    def _become(self, line: str) -> None:
        self.value = line
        self.cursor_position = len(line)
