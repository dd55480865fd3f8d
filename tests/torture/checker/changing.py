"""Check what became of changes in the log: what they are about, and what deletions have erased."""

from collections.abc import Collection, Iterator

from tests.torture.checker.streams import Row, Stream
from tests.torture.checker.violations import Rule, Violation


def check_changes(stream: Stream, moderators: Collection[str]) -> Iterator[Violation]:
    """Check the target of each change, and that deletions have erased all they had to, only that.

    Args:
        stream: The room's log.
        moderators: Ids of the users who moderate it.
    """
    for row in stream.rows:
        if row.target is not None:
            target = stream.by_offset.get(row.target)
            fault = _fault(row, target, stream.deletions.get(row.target), moderators)
            if fault is not None:
                what = f"room {stream.room} has at {row.offset} a change of {row.target}, {fault}"
                yield Violation(Rule.MISTARGETED, what, (str(row), stream.row(row.target)))
        deletion = stream.deletion_of(row)
        if deletion is not None and not row.gone:
            what = f"room {stream.room} still has what was deleted at {row.offset}"
            yield Violation(Rule.KEPT, what, (str(deletion), str(row)))
        elif row.gone and deletion is None and row.offset >= stream.floor:
            what = f"room {stream.room} has nothing at {row.offset}, but nobody has deleted it"
            yield Violation(Rule.LOST, what, (str(row),))


def _fault(
    change: Row, target: Row | None, deletion: Row | None, moderators: Collection[str]
) -> str | None:
    if target is None or target.offset >= change.offset:
        return "which was not there"
    if target.target is not None:
        return "which is a change itself"
    if deletion is not None and deletion.offset < change.offset:
        return "which was deleted before"
    if not may_change(change.user, change.event.get("action"), target, moderators):
        return "which its author may not change in that way"
    return None


def may_change(user: str, kind: object, target: Row | None, moderators: Collection[str]) -> bool:
    """Whether a user may change a message in that way; what is not there belongs to nobody."""
    if kind == "pin":
        return user in moderators
    if kind == "reaction" or (kind == "delete" and user in moderators):
        return True
    return target is not None and user == target.user
