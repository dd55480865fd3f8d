"""Write what happens as lines, in the formats of the guide's client."""

from typing import Final

from chatserver.client import (
    ActionError,
    Gap,
    GapReason,
    Message,
    Notification,
    Publication,
)
from chatserver.terminal.transcript import Entry
from chatserver.terminal.visible import visible

REASONS: Final = {
    GapReason.NO_HISTORY: "this room keeps no history",
    GapReason.LONG: "more was said meanwhile than is read at once",
    GapReason.TRIMMED: "it is no longer kept",
    GapReason.RESET: "the room has begun anew",
}
"""Why something is missing, for people."""


def line_of(title: str, event: Publication, entry: Entry | None) -> str | None:
    """Return the line that tells of an event; None where there is nothing to tell.

    Args:
        title: What the room is called.
        event: The event.
        entry: What it has made or changed.
    """
    match event:
        case Message():
            return None if entry is None else said(title, entry)
        case Notification():
            return f"** {visible(event.text)} **"
        case _ if entry is not None:
            what = f"[{visible(title)}] #{entry.offset}"
            if entry.deleted:
                return f"{what} was deleted"
            if getattr(event, "action", None) == "edit":
                return f"{what} is now: {visible(entry.text)}"
            return f"{what} has {reactions(entry) or 'no reactions'}"
        case _:
            return None


def said(title: str, entry: Entry) -> str:
    """Return a message, or what is left of it, as a line."""
    if entry.deleted:
        return f"[{visible(title)}] (deleted)"
    return f"[{visible(title)}] {visible(entry.username or 'anonymous')}: {visible(entry.text)}"


def numbered(title: str, entry: Entry) -> str:
    """Return a message of the history as a line that shows its number, and what became of it."""
    more = " (edited)" if entry.edited else ""
    if entry.reactions:
        more += f" {reactions(entry)}"
    return f"#{entry.offset} {said(title, entry)}{more}"


def reactions(entry: Entry) -> str:
    """Return how many users reacted with what."""
    return " ".join(f"{visible(emoji)} {count}" for emoji, count in entry.reactions.items())


def missing(title: str, gap: Gap) -> str:
    """Return the line that tells of a gap."""
    return f"[{visible(title)}] Messages may be missing here: {REASONS[gap.reason]}"


def reason_of(error: Exception) -> str:
    """Return why the chat is over, for people."""
    return error.message if isinstance(error, ActionError) else str(error)
