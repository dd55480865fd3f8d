"""Nothing that others have written reaches the terminal as anything but text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.terminal.visible import visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("héllo [bold]x[/]", "héllo [bold]x[/]"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m\r\b\x00", r"\x9b31m\r\x08\x00"),
        ("a\n[lobby] root: hi", r"a\n[lobby] root: hi"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("👩\u200d💻 می\u200cخواهم 　\u00a0", "👩\u200d💻 می\u200cخواهم 　\u00a0"),
    ],
)
def test_a_line(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_no_control_gets_through(text: str) -> None:
    for line in [visible(text), *visible_lines(text)]:
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Zl", "Zp", "Cs"}
        assert not any(unicodedata.bidirectional(char)[-1:] in "EOI" for char in line if char)


def test_lines_stay_lines() -> None:
    assert visible_lines("a\r\n\tb\rc\n") == ["a", r"    b\rc", ""]
