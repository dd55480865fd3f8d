"""Read the documentation: pages with their code blocks, tables, links and anchors."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^(#+) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and where it stands."""

    language: str
    text: str
    place: str


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    file: Path

    @property
    def name(self) -> str:
        return str(self.file.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.file.read_text()

    @cached_property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(
                found[1], found[2], f"{self.name}:{self.text.count(chr(10), 0, found.start()) + 1}"
            )
            for found in _FENCE.finditer(self.text)
        ]

    @cached_property
    def codes(self) -> list[str]:
        """What stands in backticks in the prose."""
        return _CODE.findall(self.prose)

    @cached_property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """What a link can point to: the headings, as GitHub writes them."""
        titles = [title for _, title in _HEADING.findall(self.prose)]
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    def blocks_in(self, *languages: str) -> list[Block]:
        return [block for block in self.blocks if block.language in languages]

    def program(self, file: str) -> str:
        """The block that follows a line which begins with the name of a file."""
        found = re.search(
            rf"^`{re.escape(file)}`[^\n]*\n\n```\w+\n(.*?)^```$",
            self.text,
            re.MULTILINE | re.DOTALL,
        )
        assert found, f"{self.name} does not show {file}"
        return found[1]

    def section(self, title: str) -> str:
        """The prose below a heading, up to the next one of the same level or above."""
        for found in _HEADING.finditer(self.prose):
            if found[2] == title:
                rest = self.prose[found.end() :]
                end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
                return rest[: end.start()] if end else rest
        raise AssertionError(f"{self.name} has no section {title!r}")

    def rows(self, *columns: str, section: str | None = None) -> list[dict[str, str]]:
        """The rows of all tables that begin with these columns, as dicts by column."""
        text = self.prose if section is None else self.section(section)
        found = [
            row
            for head, rows in _tables(text)
            if tuple(head[: len(columns)]) == columns
            for row in rows
        ]
        assert found, f"{self.name} has no table with the columns {columns}"
        return found


def page(name: str) -> Page:
    return Page(ROOT / name)


def all_pages() -> list[Page]:
    """The README, the changes and everything in docs/ and examples/."""
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")]
    return [Page(file) for file in sorted(files)]


def code(cell: str) -> list[str]:
    """What stands in backticks in a cell."""
    return _CODE.findall(cell)


def first_word(cell: str) -> str:
    """The name in a cell such as ``"`join {room?}`"``."""
    return re.split(r"[^\w.]", code(cell)[0])[0]


def _tables(text: str) -> Iterator[tuple[list[str], list[dict[str, str]]]]:
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        head, _, *rows = [
            [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in block.strip().splitlines()
        ]
        yield head, [dict(zip(head, row, strict=True)) for row in rows]
