"""Check a room's log against what was sent."""

from collections.abc import Iterator

from tests.torture.checker.sending import Sending, Sent
from tests.torture.checker.streams import Row, Stream
from tests.torture.checker.violations import Rule, Violation


def check_log(stream: Stream, sent: Sending) -> Iterator[Violation]:
    """Check numbers, uniqueness, order and origin of what a log has, and what it has no longer."""
    offsets = [row.offset for row in stream.rows]
    if offsets != list(range(1, len(offsets) + 1)):
        place = next(place for place, offset in enumerate(offsets, 1) if place != offset)
        what = f"room {stream.room} has offset {offsets[place - 1]} where {place} should be"
        yield Violation(Rule.NUMBERING, what, (str(stream.rows[place - 1]),))
    if stream.floor > stream.must_have(stream.top):
        what = f"room {stream.room} keeps what is from {stream.floor} on; its top is {stream.top}"
        yield Violation(Rule.TRIMMED, what)
    known: dict[tuple[str, str | None], Row] = {}
    latest: dict[str, tuple[Sent, Row]] = {}
    for row in stream.rows:
        before = known.setdefault((row.user, row.cid), row)
        if row.cid is not None and before is not row:
            what = f"room {stream.room} has {row.user}'s {row.cid} at {before.offset} and again"
            yield Violation(Rule.TWICE, what, (str(before), str(row)))
            continue
        origin = sent.get((stream.room, row.user, row.cid or ""))
        if origin is None or not any(row.reads(event) for event in origin.asked):
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
