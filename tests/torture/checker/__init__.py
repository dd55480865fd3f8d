"""Judge a chat server by what its clients saw and what its file holds.

Pure functions from logs to violations. Nothing here knows the server's code, only its protocol and
the two tables of its file; an import contract sees to that.
"""

from collections.abc import Collection, Mapping, Sequence

from tests.torture.checker.acknowledging import check_acknowledgements
from tests.torture.checker.changing import check_changes
from tests.torture.checker.epochs import check_epochs
from tests.torture.checker.following import check_following
from tests.torture.checker.journals import Journal
from tests.torture.checker.sending import restored, sending
from tests.torture.checker.sightings import check_sightings
from tests.torture.checker.storing import check_log
from tests.torture.checker.streams import Stream
from tests.torture.checker.violations import Violation


def check(
    journals: Sequence[Journal],
    streams: Mapping[str, Stream],
    moderators: Collection[str] = frozenset(),
    kills: int = 0,
) -> list[Violation]:
    """Return every promise that was broken.

    Args:
        journals: What went over each client's connections; users are called by their ids.
        streams: What the file has of each room; all are on disk, none keeps by age.
        moderators: Ids of the users who moderate all rooms.
        kills: How often the server did not end in order. Its machine never did so.
    """
    sent = sending(journals)
    streams = {room: restored(stream, sent) for room, stream in streams.items()}
    found = [each for stream in streams.values() for each in check_log(stream, sent)]
    found += [each for stream in streams.values() for each in check_changes(stream, moderators)]
    found += check_acknowledgements(journals, streams, moderators)
    found += check_epochs(journals, streams, kills)
    found += check_sightings(journals, streams)
    for journal in journals:
        found += check_following(journal, streams)
    return found
