"""What is typed can be completed, and comes again."""

import pytest

from chatserver.terminal.completion import Memory, completions

ROOMS = ["lobby", "Lounge", "tea room"]
NAMES = ["Bob", "bo b", "carl"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/j", ["/join "]),
        ("/RE", ["/react "]),
        ("/join lo", ["/join lobby", "/join Lounge"]),
        ("/leave tea r", ["/leave tea room"]),
        ("/msg bo", ["/msg Bob ", '/msg "bo b" ']),
        ('/msg "bo ', ['/msg "bo b" ']),
        ("ca", ["carl: "]),
        ("well @ca", ["well carl "]),
        ("well ", []),
        ("", []),
        ("/edit ca", []),
        ("/frob", []),
    ],
)
def test_completions(line: str, found: list[str]) -> None:
    assert completions(line, ROOMS, NAMES) == found


def test_lines_come_again() -> None:
    memory = Memory()
    assert memory.back("draft") == "draft"
    for line in ("one", "two", "two", ""):
        memory.add(line)
    assert [memory.back("draft"), memory.back("two"), memory.back("one")] == ["two", "one", "one"]
    assert [memory.forth("one"), memory.forth("two"), memory.forth("draft")] == [
        "two",
        "draft",
        "draft",
    ]
