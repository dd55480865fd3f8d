"""Find every message that clients saw, and check it against the log and against each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.torture.checker.folding import folded, replayed
from tests.torture.checker.journals import (
    Entry,
    Frame,
    Journal,
    Way,
    exchanges,
    messages,
    number,
    text,
)
from tests.torture.checker.streams import Row, Stream
from tests.torture.checker.violations import Rule, Violation


class Sighting(NamedTuple):
    """Hold one message as a client saw it.

    Attributes:
        entry: The frame that brought it.
        room: Its room.
        frame: The message.
        top: Where the room ended for whoever was shown this.
        request: What asked for it; None for what came live.
        folded: Whether it came in a page that tells of changes by what became of messages.
    """

    entry: Entry
    room: str
    frame: Frame
    top: int
    request: Entry | None = None
    folded: bool = False


def sightings(journal: Journal) -> Iterator[Sighting]:
    """Iterate over the messages that came live, with a join, or in a page."""
    asked: dict[tuple[int, object], Entry] = {}
    for entry in journal.entries:
        if entry.way is Way.SENT:
            asked[entry.connection, entry.frame.get("id")] = entry
            continue
        frame = entry.frame
        room, top = text(frame, "room"), number(frame, "offset")
        if frame.get("action") in ("joined", "history"):
            request = asked.get((entry.connection, frame.get("id")))
            folds = frame.get("action") == "history" or "recovered" not in frame
            for message in messages(frame):
                yield Sighting(entry, room, message, top, request, folds)
        elif "offset" in frame and "id" not in frame:
            yield Sighting(entry, room, frame, top)


def check_sightings(
    journals: Sequence[Journal], streams: Mapping[str, Stream]
) -> Iterator[Violation]:
    """Check that all saw what the log has, and the same at the same place."""
    first: dict[tuple[str, int], tuple[Journal, Sighting]] = {}
    deleted = _deleted(journals)
    for journal in journals:
        seen: dict[str, set[int]] = {room: set() for room in journal.follows}
        for sighting in sightings(journal):
            entry, room, frame, *_ = sighting
            offset = number(frame, "offset")
            if room in seen:
                seen[room].add(offset)
            stream = streams.get(room) or Stream(room, "", ())
            if not frame.get("deleted"):
                witness, before = first.setdefault((room, offset), (journal, sighting))
                if _author(before.frame) != _author(frame):
                    what = f"at {offset} of room {room} {journal.client} saw another message than"
                    what += f" {witness.client}"
                    sides = (witness.shown(before.entry), journal.shown(entry))
                    yield Violation(Rule.REUSED, what, sides)
            row = stream.by_offset.get(offset)
            rule = _verdict(stream, row, sighting, deleted)
            if rule is not None:
                what = (
                    f"{journal.client} saw {frame.get('cid', 'a stub')} at {offset} of room {room}"
                )
                yield Violation(rule, what, (journal.shown(entry), stream.row(offset)))
        for room, offsets in seen.items():
            yield from _check_complete(journal, streams.get(room), offsets)


def _deleted(journals: Sequence[Journal]) -> dict[tuple[str, int], int]:
    """Return when each deletion was first acknowledged, by room and target."""
    found: dict[tuple[str, int], int] = {}
    for journal in journals:
        for request, reply in exchanges(journal):
            if request.frame["action"] == "delete" and reply.frame["action"] == "sent":
                key = (text(request.frame, "room"), number(request.frame, "offset"))
                found[key] = min(reply.at, found.get(key, reply.at))
    return found


def _verdict(
    stream: Stream, row: Row | None, sighting: Sighting, deleted: Mapping[tuple[str, int], int]
) -> Rule | None:
    frame, request = sighting.frame, sighting.request
    is_deleted = frame.get("deleted") is True
    if row is None or not (is_deleted or _author(frame) == (row.user, row.cid)):
        return Rule.UNLOGGED
    if request is not None and not is_deleted and stream.deletion_of(row) is not None:
        target = row.offset if row.target is None else row.target
        if request.at > deleted.get((sighting.room, target), request.at):
            return Rule.RESURRECTED
    if sighting.folded and row.target is not None and row.target > _since(request):
        return Rule.UNFOLDED
    expected = (folded if sighting.folded else replayed)(stream, row, sighting.top)
    # A deletion may show before its place is reached: what is on disk is ahead of the members.
    if frame == expected or (is_deleted and stream.deletion_of(row) is not None):
        return None
    if expected.get("deleted"):
        return Rule.RESURRECTED
    return Rule.UNFOLDED if sighting.folded else Rule.ALTERED


def _since(request: Entry | None) -> int:
    """Return the offset behind which a page begins that tells changes before it by themselves."""
    return 0 if request is None else max(0, number(request.frame, "since"))


def _check_complete(
    journal: Journal, stream: Stream | None, offsets: set[int]
) -> Iterator[Violation]:
    if stream is None:
        return
    lacking = [
        row
        for row in stream.rows
        if row.offset >= stream.floor and row.offset not in offsets and row.target is None
    ]
    if lacking:
        what = f"{journal.client} followed room {stream.room} to the end and never saw"
        what += f" {len(lacking)} of {len(stream.rows)} messages"
        yield Violation(Rule.INCOMPLETE, what, tuple(map(str, lacking[:3])))


def _author(frame: Frame) -> tuple[object, object]:
    return frame.get("sender"), frame.get("cid")
