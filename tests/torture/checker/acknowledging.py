"""Check what clients were told of their messages against the log."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from tests.torture.checker.changing import may_change
from tests.torture.checker.journals import FINAL, KINDS, Entry, Journal, exchanges, number, text
from tests.torture.checker.sending import asked, published
from tests.torture.checker.streams import Stream
from tests.torture.checker.violations import Rule, Violation


def check_acknowledgements(
    journals: Sequence[Journal], streams: Mapping[str, Stream], moderators: Collection[str]
) -> Iterator[Violation]:
    """Check each `sent` against the log, against the others for its cid, and its turn.

    A `conflict`, and the final refusal of a change, are checked against the log; other refusals
    promise nothing.
    """
    first: dict[tuple[str, str, str], tuple[Journal, Entry]] = {}
    fresh: dict[tuple[str, str, str], str] = {}
    for journal in journals:
        turn: dict[int, Entry] = {}
        for request, reply in exchanges(journal):
            if reply.frame.get("code") == "conflict":
                yield from _check_conflict(journal, request, reply, streams)
            elif reply.frame.get("code") in FINAL and request.frame["action"] in KINDS:
                yield from _check_refusal(journal, request, reply, streams, moderators)
            if reply.frame.get("action") != "sent":
                continue
            shown = journal.shown(reply)
            key = (text(request.frame, "room"), journal.user, text(request.frame, "cid"))
            before = turn.get(reply.connection)
            if before is not None and before.at > request.at:
                what = f"{journal.client} was answered {key[2]} after one sent later"
                yield Violation(Rule.OUT_OF_TURN, what, (journal.shown(before), shown))
            turn[reply.connection] = request
            witness, told = first.setdefault(key, (journal, reply))
            if told.frame.get("offset") != reply.frame.get("offset"):
                what = f"{journal.client} was told {reply.frame.get('offset')} for {key[2]},"
                what += f" {witness.client} {told.frame.get('offset')}"
                yield Violation(Rule.MOVED, what, (witness.shown(told), shown))
            if not reply.frame.get("duplicate") and fresh.setdefault(key, shown) is not shown:
                what = f"{journal.client} was told again that {key[2]} is new"
                yield Violation(Rule.FORGOTTEN, what, (fresh[key], shown))
            yield from _check_stored(journal, request, reply, streams.get(key[0]))
        if journal.settled:
            yield from _check_answered(journal)


def _check_stored(
    journal: Journal, request: Entry, reply: Entry, stream: Stream | None
) -> Iterator[Violation]:
    room, cid = text(request.frame, "room"), text(request.frame, "cid")
    shown = journal.shown(reply)
    if stream is None:
        what = f"{journal.client} was told that {cid} is stored, but room {room} has no log"
        yield Violation(Rule.LOST, what, (shown,))
        return
    offset = number(reply.frame, "offset")
    told = f"{journal.client} was told that {cid} is at {offset} of room {room}"
    row = stream.by_cid.get((journal.user, cid))
    if row is None:
        yield Violation(Rule.LOST, f"{told}, but it is not there", (shown, stream.row(offset)))
    elif row.offset != offset:
        what = f"{told}, but it is at {row.offset}"
        yield Violation(Rule.MISPLACED, what, (shown, stream.row(offset), str(row)))
    elif not row.reads(asked(request.frame)) or reply.frame.get("timestamp") != row.event.get(
        "timestamp"
    ):
        sides = (journal.shown(request), shown, str(row))
        yield Violation(Rule.ALTERED, f"{told}, but that reads otherwise", sides)


def _check_conflict(
    journal: Journal, request: Entry, reply: Entry, streams: Mapping[str, Stream]
) -> Iterator[Violation]:
    stream = streams.get(text(request.frame, "room"))
    row = stream.by_cid.get((journal.user, text(request.frame, "cid"))) if stream else None
    if row is None or row.reads(asked(request.frame)):
        what = f"{journal.client} was told of a conflict, but it had not changed its message"
        sides = (journal.shown(request), journal.shown(reply), str(row))
        yield Violation(Rule.CONFLICT, what, sides)


def _check_refusal(
    journal: Journal,
    request: Entry,
    reply: Entry,
    streams: Mapping[str, Stream],
    moderators: Collection[str],
) -> Iterator[Violation]:
    room, cid = text(request.frame, "room"), text(request.frame, "cid")
    stream = streams.get(room) or Stream(room, "", ())
    row = stream.by_cid.get((journal.user, cid))
    if row is not None:
        what = f"{journal.client} was refused {cid}, which is at {row.offset} of room {room}"
        yield Violation(Rule.REFUSED, what, (journal.shown(request), journal.shown(reply)))
        return
    target = stream.by_offset.get(number(request.frame, "offset"))
    if reply.frame["code"] == "not_found":
        founded = (
            target is None
            or target.offset < stream.floor
            or target.target is not None
            or target.offset in stream.deletions
        )
    else:
        kind = asked(request.frame)["action"]
        known = target is not None or kind == "pin"
        founded = known and not may_change(journal.user, kind, target, moderators)
    if not founded:
        what = f"{journal.client} was refused {cid}, for which room {room} has no reason"
        sides = (journal.shown(request), journal.shown(reply), str(target))
        yield Violation(Rule.REFUSED, what, sides)


def _check_answered(journal: Journal) -> Iterator[Violation]:
    answered = {text(request.frame, "cid") for request, _ in exchanges(journal)}
    for entry in published(journal):
        cid = text(entry.frame, "cid")
        if cid not in answered:
            what = f"{journal.client} never had an answer to {cid}, however often it asked"
            yield Violation(Rule.UNANSWERED, what, (journal.shown(entry),))
            answered.add(cid)
