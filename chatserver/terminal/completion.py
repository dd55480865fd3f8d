"""Complete what is typed, and remember what was."""

from collections.abc import Sequence
from typing import Final

from chatserver.names import fold
from chatserver.terminal.commands import FORMS

MOST: Final = 500
"""Lines that are remembered."""

_ROOMS: Final = ("/join ", "/leave ")


class Memory:
    """Go back and forth through the lines that were typed."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._at = 0
        self._draft = ""

    def add(self, line: str) -> None:
        """Remember a line, and begin at the end again."""
        if line and self._lines[-1:] != [line]:
            self._lines.append(line)
            del self._lines[:-MOST]
        self._at = len(self._lines)

    def back(self, present: str) -> str:
        """Return the line before; what is being typed comes again at the end."""
        if self._at == len(self._lines):
            self._draft = present
        self._at = max(0, self._at - 1)
        return self._lines[self._at] if self._lines else present

    def forth(self, present: str) -> str:
        """Return the line after."""
        if self._at == len(self._lines):
            return present
        self._at += 1
        return self._draft if self._at == len(self._lines) else self._lines[self._at]


def completions(line: str, rooms: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return what a line could become: commands, rooms or names, whatever fits where it ends.

    Args:
        line: What is typed so far.
        rooms: Names of rooms.
        names: Names of users.
    """
    if line.startswith("/") and " " not in line:
        return [f"/{name} " for name in FORMS if name.startswith(line[1:].lower())]
    for command in _ROOMS:
        if line.startswith(command):
            return [f"{command}{room}" for room in _fitting(line.removeprefix(command), rooms)]
    if line.startswith("/msg "):
        begun = line.removeprefix("/msg ").removeprefix('"')
        return [f"/msg {_quoted(name)} " for name in _fitting(begun, names)]
    before, _, begun = line.rpartition(" ")
    if not begun or line.startswith("/"):
        return []
    end = " " if before else ": "
    return [f"{before} {name}{end}".lstrip() for name in _fitting(begun.lstrip("@"), names)]


def _fitting(begun: str, words: Sequence[str]) -> list[str]:
    return [word for word in words if fold(word).startswith(fold(begun))]


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
