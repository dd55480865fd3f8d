"""Understand what the user types: something to say, or a command."""

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

NEWEST: Final = 50
"""Messages that ``/history`` reads if it is not told how many."""

_TARGET: Final = re.compile(r"#(\d{1,18})(?:\s+|$)")

_NAME: Final = re.compile(r'(?:"([^"]+)"|(\S+))\s+(.+)', re.DOTALL)


class UsageError(ValueError):
    """Report a line that is no command; its text is for the user."""


class Say(Struct, frozen=True):
    """Say something in the present room."""

    text: str


class Join(Struct, frozen=True):
    """Join a room, or go to one that is joined."""

    room: str


class Leave(Struct, frozen=True):
    """Leave a room; None for the present one."""

    room: str | None


class Rooms(Struct, frozen=True):
    """List the rooms that have members."""


class Who(Struct, frozen=True):
    """List the members of the present room."""


class Direct(Struct, frozen=True):
    """Say something to one user."""

    to: str
    text: str


class Edit(Struct, frozen=True):
    """Replace the text of a message; None for one's own last."""

    offset: int | None
    text: str


class Delete(Struct, frozen=True):
    """Delete a message; None for one's own last."""

    offset: int | None


class React(Struct, frozen=True):
    """React to a message, or take that back; None for the newest."""

    offset: int | None
    emoji: str
    remove: bool


class Search(Struct, frozen=True):
    """Find messages by their words."""

    text: str


class History(Struct, frozen=True):
    """Read back a number of messages."""

    count: int


class Nick(Struct, frozen=True):
    """Take another name."""

    name: str


class Help(Struct, frozen=True):
    """List the commands."""


class Quit(Struct, frozen=True):
    """Leave the chat."""


Command = (
    Say
    | Join
    | Leave
    | Rooms
    | Who
    | Direct
    | Edit
    | Delete
    | React
    | Search
    | History
    | Nick
    | Help
    | Quit
)


class Form(Struct, frozen=True):
    """Describe how a command is written.

    Attributes:
        arguments: What follows its name, for people.
        help: What it does, for people.
        read: Makes the command of what follows; None where that does not fit.
    """

    arguments: str
    help: str
    read: Callable[[str], Command | None]


def parse(line: str) -> Command | None:
    """Understand a line; None where it is empty. ``//`` begins a message that begins with ``/``.

    Raises:
        UsageError: There is no such command, or it is written otherwise.
    """
    line = line.strip()
    if not line:
        return None
    if not line.startswith("/"):
        return Say(line)
    if line.startswith("//"):
        return Say(line[1:])
    name, _, rest = line[1:].partition(" ")
    form = FORMS.get(name.lower())
    if form is None:
        raise UsageError(f"There is no /{name}; /help lists the commands")
    command = form.read(rest.strip())
    if command is None:
        raise UsageError(f"Write /{name.lower()} {form.arguments}".rstrip())
    return command


def _direct(rest: str) -> Direct | None:
    found = _NAME.match(rest)
    return Direct(found[1] or found[2], found[3]) if found else None


def _edit(rest: str) -> Edit | None:
    offset, text = _target(rest)
    return Edit(offset, text) if text else None


def _delete(rest: str) -> Delete | None:
    offset, more = _target(rest)
    return None if more else Delete(offset)


def _react(rest: str) -> React | None:
    offset, emoji = _target(rest)
    remove = emoji.startswith("-")
    emoji = emoji.removeprefix("-").strip()
    return React(offset, emoji, remove) if emoji else None


def _history(rest: str) -> History | None:
    if not rest:
        return History(NEWEST)
    count = int(rest[:9]) if rest.isdecimal() else 0
    return History(count) if count else None


def _target(rest: str) -> tuple[int | None, str]:
    found = _TARGET.match(rest)
    return (int(found[1]), rest[found.end() :]) if found else (None, rest)


FORMS: Final = {
    "join": Form("ROOM", "join a room, or go to it", lambda rest: Join(rest) if rest else None),
    "leave": Form("[ROOM]", "leave this room, or another", lambda rest: Leave(rest or None)),
    "rooms": Form("", "list the rooms that have members", lambda rest: None if rest else Rooms()),
    "who": Form("", "list who is here", lambda rest: None if rest else Who()),
    "msg": Form("NAME TEXT", 'say something to one user; "A NAME" with spaces, or id:ID', _direct),
    "edit": Form("[#NUMBER] TEXT", "replace a message, your last one if not told", _edit),
    "delete": Form("[#NUMBER]", "delete a message, your last one if not told", _delete),
    "react": Form("[#NUMBER] EMOJI", "react to a message; -EMOJI takes it back", _react),
    "search": Form("TEXT", "find messages", lambda rest: Search(rest) if rest else None),
    "history": Form("[COUNT]", f"read back, {NEWEST} messages if not told", _history),
    "nick": Form("NAME", "take another name", lambda rest: Nick(rest) if rest else None),
    "help": Form("", "list the commands", lambda rest: None if rest else Help()),
    "quit": Form("", "leave the chat", lambda rest: None if rest else Quit()),
}
"""The commands by their names."""


def help_lines() -> list[str]:
    """Return the list of commands for people."""
    width = max(len(f"{name} {form.arguments}") for name, form in FORMS.items())
    return [f"/{f'{name} {form.arguments}':<{width}}  {form.help}" for name, form in FORMS.items()]
