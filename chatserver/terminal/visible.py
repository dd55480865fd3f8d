"""Show what others have written as text, whatever it is.

A terminal obeys control characters, and characters that reorder text make a line say what nobody
wrote. They are shown as escapes.
"""

import unicodedata
from typing import Final

TAB: Final = "    "
"""What a tab is shown as."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

_JOINERS: Final = frozenset("\u200c\u200d")
"""Scripts and emoji are made with these, and they reorder nothing."""


def visible(text: str) -> str:
    """Return text as one line without anything that a terminal could obey."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def visible_lines(text: str) -> list[str]:
    """Return text as the lines it has, each as `visible` shows it; tabs are spaces."""
    return [visible(line.replace("\t", TAB)) for line in text.replace("\r\n", "\n").split("\n")]


def _shown(char: str) -> str:
    if char in _JOINERS or unicodedata.category(char) not in _HIDDEN:
        return char
    return char.encode("unicode_escape").decode()
