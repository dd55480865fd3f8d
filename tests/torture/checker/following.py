"""Check the order in which each connection was shown a room: joins, live messages and pages."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.torture.checker.folding import may_lack
from tests.torture.checker.journals import Entry, Frame, Journal, Way, messages, number, text
from tests.torture.checker.streams import Stream
from tests.torture.checker.violations import Rule, Violation

RECOVERY_LIMIT: Final = 300
"""Missed messages that a join brings; the server's default."""

RECOVERY_BYTES: Final = 384 * 1024 // 2
"""Bytes of them, with a margin for what counts beside the messages."""

Faults = Iterator[tuple[Rule, str]]


class Live:
    """Follow one room over one connection, from a join on.

    Args:
        joined: The position that the join told.
    """

    def __init__(self, joined: int) -> None:
        self._next = joined + 1
        self._missing: set[int] = set()

    def see(self, offset: int) -> Faults:
        """Take the next live message."""
        if offset >= self._next:
            self._missing.update(range(self._next, offset))
            self._next = offset + 1
        elif offset in self._missing:
            self._missing.discard(offset)
            yield Rule.DISORDER, f"{offset} came after {self._next - 1}"
        else:
            yield Rule.REPEATED, f"{offset} came again, after {self._next - 1}"

    def end(self) -> Faults:
        """Take the end of the membership: what is still missing will not come."""
        if self._missing:
            yield Rule.MISSED, f"{_listed(self._missing)} never came, but {self._next - 1} did"


def check_following(journal: Journal, streams: Mapping[str, Stream]) -> Iterator[Violation]:
    """Check each connection of a client."""
    lives: dict[tuple[int, str], tuple[Live, Entry]] = {}
    asked: dict[tuple[int, object], Frame] = {}
    given_up: list[Violation] = []
    recovered = 0

    def violations(room: str, faults: Faults, *entries: Entry) -> Iterator[Violation]:
        for rule, fault in faults:
            what = f"{journal.client}, connection {entries[-1].connection}, room {room}: {fault}"
            yield Violation(rule, what, tuple(map(journal.shown, entries)))

    def ended(key: tuple[int, str]) -> Iterator[Violation]:
        if key in lives:
            live, joined = lives.pop(key)
            yield from violations(key[1], live.end(), joined)

    for entry in journal.entries:
        frame = entry.frame
        if entry.way is Way.SENT:
            asked[entry.connection, frame.get("id")] = frame
            continue
        request = asked.pop((entry.connection, frame["id"]), {}) if "id" in frame else {}
        room = text(frame, "room")
        key = (entry.connection, room)
        stream = streams.get(room) or Stream(room, "", ())
        match frame.get("action"):
            case "joined":
                yield from ended(key)
                lives[key] = (Live(number(frame, "offset")), entry)
                yield from violations(room, check_join(request, frame, stream), entry)
                given_up += violations(room, check_recovery(request, frame, stream), entry)
                recovered += frame.get("recovered") is True
            case "left":
                yield from ended(key)
            case "history":
                yield from violations(room, check_page(request, frame, stream), entry)
            case _ if "offset" in frame and "id" not in frame:
                if key in lives:
                    live, joined = lives[key]
                    faults = live.see(number(frame, "offset"))
                    yield from violations(room, faults, joined, entry)
                else:
                    fault = (Rule.DISORDER, f"{frame['offset']} came outside of a membership")
                    yield from violations(room, iter([fault]), entry)
    for key in list(lives):
        yield from ended(key)
    # Where a room is written to all the time, a join may give up; it has to be the exception.
    if len(given_up) > recovered:
        yield from given_up


def check_join(request: Frame, joined: Frame, stream: Stream) -> Faults:
    """Check what a join brought against what it asked for and the position it told."""
    top = number(joined, "offset")
    offsets = [number(each, "offset") for each in messages(joined)]
    yield from _check_oldest(joined, stream)
    since = request.get("since")
    if isinstance(since, dict):
        if joined.get("recovered") is not True:
            if offsets:
                yield Rule.GAP, "not recovered, but messages came"
            return
        if since["epoch"] not in ("", joined.get("epoch")):
            yield Rule.EPOCH, f"recovered from {since['epoch']} into {joined.get('epoch')}"
        # A recovery brings every publication as it is in the log.
        yield from _contiguous(offsets, since["offset"] + 1, top, lambda _: False)
    elif "last" in request:
        first = max(1, number(joined, "oldest"))
        if joined.get("more"):
            first = min(offsets, default=top + 1)
        yield from _contiguous(offsets, first, top, lambda each: may_lack(stream, each, 0))


def check_page(request: Frame, page: Frame, stream: Stream) -> Faults:
    """Check a page of history: what it may leave out lies behind `next`, or is folded."""
    top = number(page, "offset")
    offsets = [number(each, "offset") for each in messages(page)]
    yield from _check_oldest(page, stream)
    since = number(request, "since") if "since" in request else 0
    first, last = max(since + 1, number(page, "oldest")), top
    if "before" in request:
        last = min(number(request, "before") - 1, top)
    if page.get("more") and "since" in request:
        last = number(page, "next")
    elif page.get("more"):
        first = number(page, "next")
    yield from _contiguous(offsets, first, last, lambda each: may_lack(stream, each, since))


def _check_oldest(reply: Frame, stream: Stream) -> Faults:
    oldest, top = number(reply, "oldest"), number(reply, "offset")
    if oldest > stream.must_have(top):
        yield Rule.TRIMMED, f"{oldest} is the oldest, and {top} the top"


def check_recovery(request: Frame, joined: Frame, stream: Stream) -> Faults:
    """Check that a join which recovered nothing had a reason for it."""
    since = request.get("since")
    if not isinstance(since, dict) or joined.get("recovered") is True:
        return
    top, seen = number(joined, "offset"), number(since, "offset")
    within = max(top - RECOVERY_LIMIT, number(joined, "oldest") - 1) <= seen <= top
    if since["epoch"] != joined.get("epoch") or not within:
        return
    if sum(row.size for row in stream.rows[seen:top]) <= RECOVERY_BYTES:
        yield Rule.UNRECOVERED, f"{seen + 1} to {top} were not brought"


def _contiguous(offsets: list[int], first: int, last: int, lacks: Callable[[int], bool]) -> Faults:
    span = f"{first} to {last} came as {_listed(offsets)}"
    if len(set(offsets)) < len(offsets) or any(offset < first for offset in offsets):
        yield Rule.REPEATED, span
    elif offsets != sorted(offsets) or any(offset > last for offset in offsets):
        yield Rule.DISORDER, span
    lacking = set(range(first, last + 1)).difference(offsets)
    if any(not lacks(offset) for offset in lacking):
        yield Rule.GAP, f"{span}, without {_listed(lacking)}"


def _listed(offsets: list[int] | set[int]) -> str:
    """Return offsets for people, runs as first-last."""
    runs: list[list[int]] = []
    for offset in sorted(offsets) if isinstance(offsets, set) else offsets:
        if runs and offset == runs[-1][-1] + 1:
            runs[-1][1:] = [offset]
        else:
            runs.append([offset])
    shown = ["-".join(map(str, run)) for run in runs[:20]]
    return ", ".join(shown) + (", …" if len(runs) > 20 else "") or "nothing"
