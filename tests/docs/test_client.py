"""docs/client.md tells all of the client, and its program runs."""

import ast
import inspect
import re
import sys
from pathlib import Path

import msgspec
import pytest

from chatserver import client
from chatserver.client import ChatClient, Gap, GapReason, Room, Sent, connect
from chatserver.client.backoff import Backoff
from chatserver.client.verdicts import after_close, after_refusal
from chatserver.testing import ChatServer
from tests.docs.pages import ROOT, code, first_word, page
from tests.docs.test_vocabulary import documented, members
from tests.e2e.programs import Program

DOCS = page("docs/client.md")


async def test_the_program(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(DOCS.program("hello.py"))
    config = {"broker": "embedded", "server": {"data_dir": str(tmp_path)}}
    async with ChatServer(config) as server:
        alice = await server.connect("alice", "lobby")
        async with Program([sys.executable, tmp_path / "hello.py", f"{server.url}/ws"]) as hello:
            await alice.expect("message", text="Hello!", username="bob")
            await alice.send("message", text="Bye!")
            assert await hello.ended() == 0
            assert hello.stdout == "stored as number 1\nbob: Hello!\nalice: Bye!\n"


@pytest.mark.parametrize("name", client.__all__)
def test_public_names(name: str) -> None:
    assert re.search(rf"\b{name}\b", DOCS.prose)


@pytest.mark.parametrize("function", [connect, Backoff])
def test_signatures(function: type[Backoff]) -> None:
    """They are written down with their defaults."""
    name = function.__name__
    (told,) = re.findall(rf"`({name}\([^`]*\*,[^`]*\))`", DOCS.text)
    (written,) = ast.parse(f"def {told}: ...").body
    assert isinstance(written, ast.FunctionDef)
    parameters = list(inspect.signature(function).parameters.values())
    told_names = [each.arg for each in (*written.args.args, *written.args.kwonlyargs)]
    assert told_names == [each.name for each in parameters if each.name != "random"]
    defaults = [ast.literal_eval(each) for each in written.args.kw_defaults if each is not None]
    kept = [each for each in parameters if each.kind is each.KEYWORD_ONLY and each.name != "random"]
    assert defaults == [each.default for each in kept]


def test_options() -> None:
    told = [code(row["option"])[0] for row in DOCS.rows("option", "meaning")]
    assert told == [name for name in inspect.signature(connect).parameters if name != "url"]


@pytest.mark.parametrize("owner", [ChatClient, Room])
def test_members(owner: type[object]) -> None:
    column = f"member of `{owner.__name__}`"
    rows = DOCS.rows(column)
    assert {member for row in rows for member in documented(row[column])} == members(owner)
    for row in rows:
        call = code(row[column])[0]
        name = first_word(row[column])
        if "(" in call:
            (written,) = ast.parse(f"def {call}: ...").body
            assert isinstance(written, ast.FunctionDef)
            taken = inspect.signature(getattr(owner, name)).parameters
            names = [each.arg for each in (*written.args.args, *written.args.kwonlyargs)]
            assert [*names, *(["fields"] if written.args.kwarg else [])] == list(taken)[1:]


def test_events() -> None:
    for row in DOCS.rows("event", "when", "fields"):
        kind = getattr(client, code(row["event"])[0])
        fields = [field.name for field in msgspec.structs.fields(kind)]
        told = [each for each in code(row["fields"]) if each != "None"]
        assert sorted(told) == sorted(fields), row


def test_gaps() -> None:
    told = [code(row["reason"])[0] for row in DOCS.rows("reason", "meaning")]
    assert told == [reason.name for reason in GapReason]
    assert set(documented(DOCS.section("Gaps"))) >= set(Gap.__struct_fields__) - {"room", "reason"}
    assert set(documented(DOCS.section("Publishing"))) >= set(Sent.__struct_fields__)


def test_codes_and_statuses() -> None:
    """The table of what the client does is what it does."""
    again, stop, busy, *_ = [row["what happened"] for row in DOCS.rows("what happened")]

    def told(cell: str, number: int) -> bool:
        return any(
            int(first) <= number <= int(last or first)
            for first, last in re.findall(r"(\d+)(?:(?:-| to )(\d+))?", cell)
        )

    for number in [*range(1000, 1004), *range(1006, 1014), *range(3000, 5000)]:
        goes_on = after_close(number, "").error is None
        assert (told(again, number), told(stop, number)) == (goes_on, not goes_on), number
    for status in range(400, 600):
        assert told(busy, status) is (after_refusal(status, None, 0).error is None), status


def test_the_loggers() -> None:
    sources = (ROOT / "chatserver" / "client").glob("*.py")
    used = {
        name
        for source in sources
        for name in re.findall(r'logging\.getLogger\("(\S+)"\)', source.read_text())
    }
    assert used == {each for each in code(DOCS.section("Seeing what happens")) if "." in each}
