"""Collect what clients have sent, and put it back where the file has nothing any longer."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tests.torture.checker.journals import KINDS, Entry, Frame, Journal, Way, exchanges, text
from tests.torture.checker.streams import Row, Stream


@dataclass
class Sent:
    """Hold one user's message or change, over whatever connections it went.

    Attributes:
        journal: Who sent it first.
        first: How.
        asked: What it asked for, the first time first; a client may break the rules and change its
            mind.
        refused: Whether it was ever refused: nothing is promised of its place then.
    """

    journal: Journal
    first: Entry
    asked: list[Frame] = field(default_factory=list)
    refused: bool = False

    def __str__(self) -> str:
        return self.journal.shown(self.first)


Sending = dict[tuple[str, str, str], Sent]
"""What was sent, by room, user and cid."""


def sending(journals: Sequence[Journal]) -> Sending:
    """Collect what all clients have sent."""
    found: Sending = {}
    said = [(entry, journal) for journal in journals for entry in published(journal)]
    for entry, journal in sorted(said, key=lambda each: each[0].at):
        sent = found.setdefault(_key(journal, entry), Sent(journal, entry))
        if (event := asked(entry.frame)) not in sent.asked:
            sent.asked.append(event)
    for journal in journals:
        for request, reply in exchanges(journal):
            # Who is told of a conflict has changed the text; the place of the first one stands.
            if (
                request.frame["action"] in KINDS
                and reply.frame.get("code", "conflict") != "conflict"
            ):
                found[_key(journal, request)].refused = True
    return found


def published(journal: Journal) -> Iterator[Entry]:
    """Iterate over a client's messages and changes, retries included."""
    for entry in journal.entries:
        if entry.way is Way.SENT and entry.frame["action"] in KINDS:
            yield entry


def asked(request: Frame) -> Frame:
    """Return what the author decides of the event that a request asks for."""
    event = {name: value for name, value in request.items() if name not in ("id", "offset")}
    if "offset" in request:
        event["target"] = request["offset"]
    return {**event, "action": KINDS[text(request, "action")]}


def restored(stream: Stream, sent: Sending) -> Stream:
    """Return a log in which what was erased or trimmed reads as it was sent.

    Users are called by their ids.
    """

    def restore(row: Row) -> Row:
        origin = sent.get((stream.room, row.user, row.cid or ""))
        if not row.gone or origin is None:
            return row
        names = {"timestamp": row.timestamp, "sender": row.user, "username": row.user}
        event = {**origin.asked[0], **names}
        target = event.get("target")
        return replace(
            row,
            event=event,
            size=len(json.dumps(event)),
            target=target if isinstance(target, int) else None,
        )

    return replace(stream, rows=tuple(map(restore, stream.rows)))


def _key(journal: Journal, entry: Entry) -> tuple[str, str, str]:
    return text(entry.frame, "room"), journal.user, text(entry.frame, "cid")
