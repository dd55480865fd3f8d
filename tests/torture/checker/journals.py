"""Hold what went over a client's connections, and find in it what answers what."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

Frame = dict[str, object]

KINDS: Final = {
    "message": "message",
    "edit": "edit",
    "delete": "delete",
    "react": "reaction",
    "pin": "pin",
}
"""Actions that publish under a cid, and what their events are called."""

FINAL: Final = frozenset({"not_found", "forbidden"})
"""Codes with which a change is refused for ever."""

SHOWN: Final = 300
"""Characters of a frame that a report shows."""


class Way(StrEnum):
    """Say which way a frame went."""

    SENT = ">"
    GOT = "<"


class Entry(NamedTuple):
    """Hold one frame.

    Attributes:
        at: When, counted over all clients of a run: what was sent before it went out, what was got
            after it came in.
        connection: Which connection of the client.
        way: To the server or from it.
        frame: The frame.
    """

    at: int
    connection: int
    way: Way
    frame: Frame


@dataclass
class Journal:
    """Hold all frames of one client, in order.

    Attributes:
        client: What reports call it.
        user: Its user id; several clients can be one user.
        entries: Its frames.
        settled: Whether it was given all the time it needs to have its messages answered.
        follows: Rooms that it was given the time to see all of.
    """

    client: str
    user: str
    entries: list[Entry] = field(default_factory=list)
    settled: bool = False
    follows: list[str] = field(default_factory=list)

    def shown(self, entry: Entry) -> str:
        """Return an entry for people."""
        frame = json.dumps(entry.frame, ensure_ascii=False)
        if len(frame) > SHOWN:
            frame = f"{frame[:SHOWN]}… ({len(frame)} characters)"
        return f"{self.client}, connection {entry.connection}, {entry.at}: {entry.way} {frame}"

    def save(self, file: Path) -> None:
        """Write it to a file, a line for each frame."""
        head = {
            "client": self.client,
            "user": self.user,
            "settled": self.settled,
            "follows": self.follows,
        }
        with file.open("w") as out:
            for line in (head, *self.entries):
                out.write(json.dumps(line, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, file: Path) -> "Journal":
        """Read one that was saved."""
        head, *rest = map(json.loads, file.read_text().splitlines())
        entries = [Entry(at, connection, Way(way), frame) for at, connection, way, frame in rest]
        return cls(entries=entries, **head)


def exchanges(journal: Journal) -> Iterator[tuple[Entry, Entry]]:
    """Iterate over requests and their replies, in the order of the replies."""
    asked: dict[tuple[int, object], Entry] = {}
    for entry in journal.entries:
        number = entry.frame.get("id")
        if number is None:
            continue
        key = (entry.connection, number)
        if entry.way is Way.SENT:
            asked[key] = entry
        elif key in asked:
            yield asked.pop(key), entry


def number(frame: Frame, name: str) -> int:
    """Return a field that has to be an integer; -1 where it is not."""
    value = frame.get(name)
    return value if isinstance(value, int) else -1


def text(frame: Frame, name: str) -> str:
    """Return a field that has to be a text; an empty one where it is not."""
    value = frame.get(name)
    return value if isinstance(value, str) else ""


def messages(frame: Frame) -> list[Frame]:
    """Return the messages of a page."""
    value = frame.get("messages")
    return value if isinstance(value, list) else []
