"""The conversations in the docs are what the server really says."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatserver.testing import ChatServer, Peer
from tests.docs.pages import Block, page

LINE = re.compile(r"(?P<name>[a-z]*)(?P<way>[<>]) (?P<text>.+)")
CONFIG = "config: "
"""What the first line of a conversation with a server of its own begins with."""

VARYING = {
    *("session", "epoch", "user", "sender", "guest_token", "timestamp", "time", "version"),
    *("since", "edited", "senders"),
}
"""Fields that differ from run to run; what the docs show has the same form."""


@dataclass(frozen=True)
class Step:
    """One line: who sends or receives what."""

    name: str
    sends: bool
    text: str


def dialogues() -> list[Block]:
    return [
        block
        for name in ("README.md", "docs/protocol.md")
        for block in page(name).blocks_in("")
        if LINE.fullmatch(block.text.splitlines()[-1])
    ]


def steps(block: Block) -> list[Step]:
    found = []
    for line in block.text.splitlines():
        if not line.startswith(CONFIG):
            match = LINE.fullmatch(line)
            assert match, f"{block.place}: {line}"
            found.append(Step(match["name"], match["way"] == ">", match["text"]))
    return found


def config(block: Block) -> dict[str, object]:
    first = block.text.splitlines()[0]
    loaded: dict[str, object] = {}
    if first.startswith(CONFIG):
        loaded = json.loads(first.removeprefix(CONFIG))
    return loaded


def same(told: object, said: object, name: str = "") -> bool:
    """Whether a value in the docs is what the server said, but for what varies."""
    if isinstance(told, dict) and isinstance(said, dict):
        return told.keys() == said.keys() and all(same(told[key], said[key], key) for key in told)
    if isinstance(told, list) and isinstance(said, list):
        return len(told) == len(said) and all(map(same, told, said, [name] * len(told)))
    if name in VARYING and isinstance(told, str) and isinstance(said, str):
        return form(told) == form(said)
    return told == said


def form(text: str) -> str:
    """Return what stays the same of a text that varies: its length, words and separators."""
    return re.sub("[0-9a-f]", "0", text)


def agree(told: str, said: str) -> bool:
    """Whether a line in the docs is the frame the server sent; ``…`` stands for more fields."""
    if not told.startswith("{"):
        return told == said
    frame = json.loads(said)
    if told.endswith(", …}"):
        shown = json.loads(told.replace(", …}", "}"))
        return same(shown, {key: frame.get(key) for key in shown})
    return same(json.loads(told), frame)


@pytest.mark.parametrize("block", dialogues(), ids=lambda block: block.place)
async def test_dialogue(block: Block, tmp_path: Path) -> None:
    people: dict[str, Peer] = {}
    async with ChatServer({"server": {"data_dir": str(tmp_path)}, **config(block)}) as server:
        for step in steps(block):
            if step.name not in people:
                people[step.name] = await server.connect()
            if step.sends:
                await people[step.name].socket.send_str(step.text)
            else:
                said = await people[step.name].receive_text(step.text)
                assert agree(step.text, said), f"the docs: {step.text}\nthe server: {said}"
        for peer in people.values():
            await peer.silent()
