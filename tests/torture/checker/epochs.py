"""Check by how many epochs clients were told of each room."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.torture.checker.journals import Journal, Way, text
from tests.torture.checker.streams import Stream
from tests.torture.checker.violations import Rule, Violation


def check_epochs(
    journals: Sequence[Journal], streams: Mapping[str, Stream], kills: int
) -> Iterator[Violation]:
    """Check that a room has had no more epochs than it may, that of its log among them.

    Args:
        journals: What went over each client's connections.
        streams: What the file has of each room.
        kills: How often the server did not end in order.
    """
    told: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for journal in journals:
        for entry in journal.entries:
            epoch = text(entry.frame, "epoch")
            if entry.way is Way.GOT and epoch:
                told[text(entry.frame, "room")].setdefault(epoch, journal.shown(entry))
    for room, stream in streams.items():
        epochs = {stream.epoch: f"the log, epoch {stream.epoch}", **told[room]}
        if len(epochs) > 1 + (kills if stream.relaxed else 0):
            what = f"room {room} had {len(epochs)} epochs, and the server was killed {kills} times"
            yield Violation(Rule.EPOCH, what, tuple(epochs.values()))
