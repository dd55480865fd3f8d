"""What is typed is understood, or told how it is written."""

import re

import pytest

from chatserver.terminal import commands
from chatserver.terminal.commands import FORMS, NEWEST, Command, UsageError, help_lines, parse


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("hello there ", commands.Say("hello there")),
        ("//help is a command", commands.Say("/help is a command")),
        ("/join tea room", commands.Join("tea room")),
        ("/JOIN lobby", commands.Join("lobby")),
        ("/leave", commands.Leave(None)),
        ("/leave tea room", commands.Leave("tea room")),
        ("/rooms", commands.Rooms()),
        ("/who", commands.Who()),
        ("/msg bob  are you there?", commands.Direct("bob", "are you there?")),
        ('/msg "bob b" hi', commands.Direct("bob b", "hi")),
        ("/edit better", commands.Edit(None, "better")),
        ("/edit #12 better", commands.Edit(12, "better")),
        ("/edit #twelve", commands.Edit(None, "#twelve")),
        ("/delete", commands.Delete(None)),
        ("/delete #12", commands.Delete(12)),
        ("/react +1", commands.React(None, "+1", remove=False)),
        ("/react #12 -👍", commands.React(12, "👍", remove=True)),
        ("/search two words", commands.Search("two words")),
        ("/history", commands.History(NEWEST)),
        ("/history 1200", commands.History(1200)),
        ("/nick alice b", commands.Nick("alice b")),
        ("/help", commands.Help()),
        (" /quit ", commands.Quit()),
        ("", None),
        ("  ", None),
    ],
)
def test_lines(line: str, command: Command | None) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        *("/join", "/rooms now", "/msg bob", "/edit", "/edit #12", "/delete it", "/react"),
        *("/react -", "/react #12", "/search", "/history all", "/history 0", "/history -1"),
        *("/nick", "/quit now"),
    ],
)
def test_what_does_not_fit_is_told_how_it_is_written(line: str) -> None:
    name = line[1:].split()[0]
    with pytest.raises(
        UsageError, match=re.escape(f"Write /{name} {FORMS[name].arguments}".strip())
    ):
        parse(line)


def test_what_is_no_command() -> None:
    with pytest.raises(UsageError, match="There is no /frob; /help lists the commands"):
        parse("/frob x")


def test_help_has_all_commands() -> None:
    assert [line.split()[0] for line in help_lines()] == [f"/{name}" for name in FORMS]
