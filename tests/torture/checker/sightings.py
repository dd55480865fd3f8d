"""Find every message that clients saw, and check it against the log and against each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.torture.checker.journals import Entry, Frame, Journal, Way, messages, number, text
from tests.torture.checker.streams import Row, Stream
from tests.torture.checker.violations import Rule, Violation


class Sighting(NamedTuple):
    """Hold one message as a client saw it.

    Attributes:
        entry: The frame that brought it.
        room: Its room.
        epoch: The incarnation that the client was told; empty if the stream had not begun.
        frame: The message.
    """

    entry: Entry
    room: str
    epoch: str
    frame: Frame


def sightings(journal: Journal) -> Iterator[Sighting]:
    """Iterate over the messages that came live, with a join, or in a page."""
    epochs: dict[tuple[int, str], str] = {}
    for entry in journal.entries:
        if entry.way is Way.SENT:
            continue
        frame = entry.frame
        room, epoch = text(frame, "room"), text(frame, "epoch")
        if frame.get("action") == "joined":
            epochs[entry.connection, room] = epoch
        if frame.get("action") in ("joined", "history"):
            for message in messages(frame):
                yield Sighting(entry, room, epoch, message)
        elif "offset" in frame and "id" not in frame:
            yield Sighting(entry, room, epochs.get((entry.connection, room), ""), frame)


def check_sightings(
    journals: Sequence[Journal], streams: Mapping[str, Stream]
) -> Iterator[Violation]:
    """Check that all saw what the log has, and the same at the same place."""
    first: dict[tuple[str, str, int], tuple[Journal, Sighting]] = {}
    for journal in journals:
        seen: dict[str, set[int]] = {room: set() for room in journal.follows}
        for sighting in sightings(journal):
            entry, room, epoch, frame = sighting
            offset = number(frame, "offset")
            if room in seen:
                seen[room].add(offset)
            stream = streams.get(room, Stream(room, "", ()))
            if epoch not in ("", stream.epoch):
                what = f"{journal.client} was in epoch {epoch} of room {room}; it is {stream.epoch}"
                yield Violation(Rule.EPOCH, what, (journal.shown(entry),))
            key = (room, epoch or stream.epoch, offset)
            witness, before = first.setdefault(key, (journal, sighting))
            if _author(before.frame) != _author(frame):
                what = f"at {offset} of room {room} {journal.client} saw another message than"
                what += f" {witness.client}"
                sides = (witness.shown(before.entry), journal.shown(entry))
                yield Violation(Rule.REUSED, what, sides)
            row = stream.by_offset.get(offset)
            rule = _verdict(row, frame)
            if rule is not None:
                what = f"{journal.client} saw {frame.get('cid')} at {offset} of room {room}"
                yield Violation(rule, what, (journal.shown(entry), stream.row(offset)))
        for room, offsets in seen.items():
            yield from _check_complete(journal, streams.get(room), offsets)


def _verdict(row: Row | None, frame: Frame) -> Rule | None:
    # What an edit or a deletion may change in pages is to be allowed for here.
    if row is None or _author(row.event) != _author(frame):
        return Rule.UNLOGGED
    return None if row.frame == frame else Rule.ALTERED


def _check_complete(
    journal: Journal, stream: Stream | None, offsets: set[int]
) -> Iterator[Violation]:
    if stream is None:
        return
    lacking = [
        row for row in stream.rows if row.offset not in offsets and not stream.is_folded(row.offset)
    ]
    if lacking:
        what = f"{journal.client} followed room {stream.room} to the end and never saw"
        what += f" {len(lacking)} of {len(stream.rows)} messages"
        yield Violation(Rule.INCOMPLETE, what, tuple(map(str, lacking[:3])))


def _author(frame: Frame) -> tuple[object, object]:
    return frame.get("sender"), frame.get("cid")
