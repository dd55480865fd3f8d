"""Check a room's log against what was sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.torture.checker.journals import PUBLISHING, Entry, Journal, Way, exchanges, text
from tests.torture.checker.streams import Row, Stream
from tests.torture.checker.violations import Rule, Violation


@dataclass
class Sent:
    """Hold one user's message, over whatever connections it went.

    Attributes:
        journal: Who sent it first.
        first: How.
        texts: What it said; a client may break the rules and change its mind.
        refused: Whether it was ever refused: nothing is promised of its place then.
    """

    journal: Journal
    first: Entry
    texts: set[str] = field(default_factory=set)
    refused: bool = False

    def __str__(self) -> str:
        return self.journal.shown(self.first)


Sending = dict[tuple[str, str, str], Sent]
"""What was sent, by room, user and cid."""


def sending(journals: Sequence[Journal]) -> Sending:
    """Collect what all clients have sent."""
    found: Sending = {}
    said = [
        (entry, journal)
        for journal in journals
        for entry in journal.entries
        if entry.way is Way.SENT and entry.frame["action"] in PUBLISHING
    ]
    for entry, journal in sorted(said, key=lambda each: each[0].at):
        key = _key(journal, entry)
        if key not in found:
            found[key] = Sent(journal, entry)
        found[key].texts.add(text(entry.frame, "text"))
    for journal in journals:
        for request, reply in exchanges(journal):
            # Who is told of a conflict has changed the text; the place of the first one stands.
            if (
                request.frame["action"] in PUBLISHING
                and reply.frame.get("code", "conflict") != "conflict"
            ):
                found[_key(journal, request)].refused = True
    return found


def check_log(stream: Stream, sent: Sending) -> Iterator[Violation]:
    """Check numbers, uniqueness, order and origin of what a log has."""
    offsets = [row.offset for row in stream.rows]
    if offsets != list(range(1, len(offsets) + 1)):
        place = next(place for place, offset in enumerate(offsets, 1) if place != offset)
        what = f"room {stream.room} has offset {offsets[place - 1]} where {place} should be"
        yield Violation(Rule.NUMBERING, what, (str(stream.rows[place - 1]),))
    known: dict[tuple[str, str | None], Row] = {}
    latest: dict[str, tuple[Sent, Row]] = {}
    for row in stream.rows:
        before = known.setdefault((row.user, row.cid), row)
        if row.cid is not None and before is not row:
            what = f"room {stream.room} has {row.user}'s {row.cid} at {before.offset} and again"
            yield Violation(Rule.TWICE, what, (str(before), str(row)))
            continue
        origin = sent.get((stream.room, row.user, row.cid or ""))
        if origin is None or (row.target is None and row.event.get("text") not in origin.texts):
            what = f"room {stream.room} has at {row.offset} what {row.user} never sent"
            yield Violation(Rule.INVENTED, what, (str(row),))
            continue
        if origin.refused:
            continue
        if row.user in latest and latest[row.user][0].first.at > origin.first.at:
            later, ahead = latest[row.user]
            what = f"room {stream.room} has {row.user}'s {row.cid} behind {ahead.cid}, sent later"
            sides = (str(origin), str(later), str(ahead), str(row))
            yield Violation(Rule.ORDER, what, sides)
        else:
            latest[row.user] = (origin, row)


def _key(journal: Journal, entry: Entry) -> tuple[str, str, str]:
    return text(entry.frame, "room"), journal.user, text(entry.frame, "cid")
