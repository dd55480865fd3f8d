"""docs/javascript.md tells of everything that chatserver.d.ts declares, and its program runs."""

import re
import shutil
from pathlib import Path

import pytest

from chatserver.testing import ChatServer
from tests.docs.pages import ROOT, code, page
from tests.e2e.programs import Program
from tests.web.node import node

JAVASCRIPT = page("docs/javascript.md")
STATIC = ROOT / "chatserver" / "web" / "static"
TYPES = (STATIC / "chatserver.d.ts").read_text()


def declared(kind: str, name: str) -> set[str]:
    """The members of an interface or a class in the declarations."""
    (body,) = re.findall(rf"^export {kind} {name}\b[^{{]*{{\n(.*?)^}}", TYPES, re.M | re.S)
    members = re.findall(r"^  (?:readonly )?(\w+)\??[(:]", body, re.MULTILINE)
    return {member for member in members if member != "constructor"}


def told(*columns: str) -> set[str]:
    rows = JAVASCRIPT.rows(*columns)
    return {each.partition("(")[0] for row in rows for each in code(row[columns[0]])}


def test_options() -> None:
    assert told("option", "default", "meaning") == declared("interface", "Options")
    assert told("option of `join`", "meaning") == declared("interface", "JoinOptions")


def test_members() -> None:
    assert told("member of `Chat`", "meaning") == declared("class", "Chat")
    (sentence,) = re.findall(r"A `Room` has (.*?)\.\n", JAVASCRIPT.text, re.DOTALL)
    assert set(code(sentence)) == declared("class", "Room")


def test_errors() -> None:
    errors = set(re.findall(r"^export class (\w+Error)\b", TYPES, re.MULTILINE))
    assert told("error", "when") == errors


@pytest.mark.parametrize("file", ["hello.js", "bot.mjs"])
def test_programs_use_what_there_is(file: str) -> None:
    called = set(re.findall(r"\b(?:chat|room)\.(\w+)", JAVASCRIPT.program(file)))
    assert called <= declared("class", "Chat") | declared("class", "Room")


async def test_the_bot(tmp_path: Path, chat: ChatServer) -> None:
    shutil.copy(STATIC / "chatserver.js", tmp_path / "chatserver.mjs")
    program = JAVASCRIPT.program("bot.mjs").replace("chatserver.js", "chatserver.mjs")
    (tmp_path / "bot.mjs").write_text(program)
    alice = await chat.connect("alice", "lobby")
    command = [*node(), "bot.mjs", f"{chat.url}/ws"]
    async with Program(command, cwd=tmp_path) as bot:
        await alice.expect("notification", event="join", username="echo")
        await alice.send("message", text="Hello!")
        await alice.expect("message", username="echo", text="You said: Hello!")
        await alice.send("message", text="Bye!")
        assert await bot.ended() == 0
