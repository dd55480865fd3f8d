"""Say what a room's log looked like when it ended at some offset: as it was, and as people read it.

It is the protocol's text in code, and has nothing from the server, which does the same.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from tests.torture.checker.journals import Frame, text
from tests.torture.checker.streams import Row, Stream

SENDERS: Final = 20
"""Users that are told of each reaction."""

EMOJIS: Final = 50
"""Reactions that are told of a message."""


def replayed(stream: Stream, row: Row, top: int) -> Frame:
    """Return what a recovery up to `top` has of a publication."""
    deletion = stream.deletion_of(row)
    if deletion is not None and deletion.offset <= top:
        return {"offset": row.offset, "deleted": True}
    return row.frame


def folded(stream: Stream, row: Row, top: int) -> Frame:
    """Return what a page has of a publication, all changes up to `top` being told of.

    Changes that stand for themselves in a page are there as they were published.
    """
    frame = replayed(stream, row, top)
    if frame.get("deleted") or row.target is not None:
        return frame
    reactions: dict[str, list[str]] = {}
    for change in stream.changes.get(row.offset, ()):
        if change.offset > top:
            break
        if change.event.get("action") == "edit":
            frame |= {"text": change.event["text"], "edited": change.event["timestamp"]}
        elif change.event.get("action") == "pin":
            frame.pop("pinned", None)
            frame |= {} if change.event["remove"] else {"pinned": True}
        elif change.event.get("action") == "reaction":
            senders = reactions.setdefault(text(change.event, "emoji"), [])
            if (change.user in senders) is change.event["remove"]:
                (senders.remove if change.event["remove"] else senders.append)(change.user)
    told = {emoji: _told(senders) for emoji, senders in reactions.items() if senders}
    return {**frame, "reactions": dict(islice(told.items(), EMOJIS))} if told else frame


def may_lack(stream: Stream, offset: int, since: int) -> bool:
    """Whether a page behind `since` may leave a place out: a change that is folded or erased.

    A page that begins elsewhere has a `since` of 0: it tells of all changes.
    """
    row = stream.by_offset.get(offset)
    if row is None or row.target is None:
        return False
    return row.target > since or stream.deletion_of(row) is not None


def _told(senders: list[str]) -> Mapping[str, object]:
    return {"count": len(senders), "senders": senders[:SENDERS]}
