"""The examples in the docs are well-formed, and what they point to exists."""

import ast
import configparser
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatserver.cli import main
from chatserver.config.document import Document
from chatserver.config.load import Settings
from chatserver.registry import load_middlewares, load_plugins
from tests.docs.pages import ROOT, Block, Page, all_pages, page

README = page("README.md")
PAGES = all_pages()

STRANGERS = ("dice", "slow_mode")
"""Extensions of the examples, which are not installed; test_programs.py runs them."""


def place(block: Block) -> str:
    return block.place


def name(each: Page) -> str:
    return each.name


def blocks(*languages: str) -> list[Block]:
    return [block for each in PAGES for block in each.blocks_in(*languages)]


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    """The variables that the examples use."""
    key = rsa.generate_private_key(65537, 2048).public_key()
    return {
        "JWT_PUBLIC_KEY": key.public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        ).decode(),
        "JWT_SECRET": "s" * 32,
        "SCRIPT_TOKEN": "script-token",
        "ALICE_TOKEN": "alice-token",
    }


@pytest.mark.parametrize("block", blocks("json"), ids=place)
def test_json(block: Block) -> None:
    assert isinstance(json.loads(block.text), dict)


def messages(block: Block) -> Iterator[str]:
    """The JSON objects that lines of a block show as messages, such as ``> {"action": "ping"}``."""
    for line in block.text.splitlines():
        if found := re.fullmatch(r"(?:[a-z]*[<>] )?(\{.*\})", line):
            yield found[1].replace(", …}", "}")


def test_messages() -> None:
    found = [message for block in blocks("") for message in messages(block)]
    assert len(found) > 40
    for message in found:
        assert isinstance(json.loads(message), dict)


@pytest.mark.parametrize("block", blocks("yaml"), ids=place)
def test_yaml(block: Block, env: dict[str, str]) -> None:
    """A configuration in the docs is a good one."""
    settings = Settings(Document.parse(block.text, block.place, env))
    if not any(f"{stranger}:" in block.text for stranger in STRANGERS):
        load_middlewares(settings)
        load_plugins(settings)


@pytest.mark.parametrize("block", blocks("python"), ids=place)
def test_python(block: Block) -> None:
    ast.parse(block.text, block.place)


def test_entry_points() -> None:
    groups = set()
    for block in blocks("ini"):
        parser = configparser.ConfigParser()
        parser.read_string(block.text)
        for group, entries in parser.items("options.entry_points") if "entry" in block.text else ():
            groups.add(group)
            assert re.fullmatch(r"\s*\w+ = \w+:\w+", entries), block.place
    assert groups == {"chatserver.plugins", "chatserver.middlewares"}


@pytest.mark.parametrize("each", PAGES, ids=name)
def test_links(each: Page) -> None:
    for link in each.links:
        if re.match(r"https?://", link):
            continue
        target, _, anchor = link.partition("#")
        file = (each.file.parent / target).resolve() if target else each.file
        assert file.exists(), link
        if anchor:
            assert anchor in Page(file).anchors, link


def test_the_readme_leads_everywhere() -> None:
    linked = {(ROOT / link).resolve() for link in README.links}
    assert linked >= set((ROOT / "docs").glob("*.md"))
    assert linked >= set((ROOT / "examples" / "guide").glob("*.yaml"))


def test_make_targets() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shell = "".join(block.text for block in blocks("sh"))
    named = {
        target
        for text in (shell, *(f"{code}\n" for each in PAGES for code in each.codes))
        for target in re.findall(r"^make (\w+)", text, re.MULTILINE)
    }
    assert {"run", "test", "bench", "help"} <= named <= targets


def test_the_mistake_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README shows what a slip in config.yaml costs, with its line and column."""
    monkeypatch.chdir(tmp_path)
    slip = (ROOT / "config.yaml").read_text().replace("\n  port:", "\n  prot:")
    Path("config.yaml").write_text(slip)
    assert main(["--config", "config.yaml", "--check-config"]) == 78
    assert capsys.readouterr().err in README.text


def test_the_list_of_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/plugins.md shows what the command prints for the built-in ones."""
    assert main(["plugins"]) == 0
    printed = [row.split() for row in capsys.readouterr().out.splitlines()]
    (shown,) = [block for block in page("docs/plugins.md").blocks_in("") if "KIND" in block.text]
    ours = [row for row in printed if row[2] in ("DISTRIBUTION", "chatserver")]
    assert [row.split() for row in shown.text.splitlines()] == ours
