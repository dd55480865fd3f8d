"""Name what may not happen, and tell of what did."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SHOWN: Final = 5
"""Violations of one rule that a report shows; the rest is counted."""


class Rule(StrEnum):
    """Say what was promised and not kept."""

    NUMBERING = "the log's offsets are 1, 2, 3, … without a hole or a repetition"
    TWICE = "a cid of a user is in a room's log once"
    ORDER = "the log keeps the order in which a user sent"
    INVENTED = "the log has only what was sent"
    LOST = "what was acknowledged is in the log"
    MISPLACED = "what was acknowledged is in the log at that offset"
    MOVED = "every acknowledgement of a cid names the first offset"
    FORGOTTEN = "a cid is acknowledged as new once"
    CONFLICT = "a conflict is for another text under a used cid only"
    OUT_OF_TURN = "acknowledgements come in the order of sending"
    REFUSED = "a change is refused for a reason, and not once it is stored"
    MISTARGETED = "a change is about a message that was there then and that its author may change"
    KEPT = "of what was deleted, and of its earlier changes, the file has nothing"
    TRIMMED = "a room keeps as much as it has to"
    UNANSWERED = "in the end every message is answered"
    EPOCH = "a room has one epoch, and one more for each kill where it is relaxed"
    REUSED = "an offset stands for one message for ever"
    UNLOGGED = "what is seen is in the log at that offset"
    ALTERED = "what is acknowledged or seen reads as in the log"
    UNFOLDED = "pages have messages with all their changes so far, and with no others"
    RESURRECTED = "what was deleted is shown to nobody who asks later"
    MISSED = "live messages have no hole"
    REPEATED = "nothing is seen twice"
    DISORDER = "nothing is seen out of order"
    GAP = "what a join or a page brings has no hole"
    UNRECOVERED = "who missed little in the same epoch is brought all of it by most joins"
    INCOMPLETE = "in the end who follows a room has seen all of it"


@dataclass(frozen=True)
class Violation:
    """Hold one broken promise.

    Attributes:
        rule: The promise.
        what: Who, and what happened.
        sides: What each side says of it: a client's frame, the log's row.
    """

    rule: Rule
    what: str
    sides: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((self.what, *(f"    {side}" for side in self.sides)))


def report(violations: Iterable[Violation]) -> str:
    """Return violations for people, by rule, the first few of each."""
    found = list(violations)
    lines: list[str] = []
    for rule, count in Counter(each.rule for each in found).items():
        lines.append(f"{rule.name}, {count} times; promised is: {rule}")
        lines += [f"  {each}" for each in found if each.rule is rule][:SHOWN]
    return "\n".join(lines)
