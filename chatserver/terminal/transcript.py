"""Keep what was said in a room as it is shown: edits, deletions and reactions folded in."""

from collections import deque
from typing import Final

from msgspec import Struct, ValidationError

from chatserver.client import Erased, Event, Message, Notification, Page, Publication

MOST: Final = 10_000
"""Entries that are kept; the oldest are forgotten beyond."""

AHEAD: Final = 1000
"""Changes that are remembered for messages on their way."""


class Entry(Struct, kw_only=True, eq=False):
    """Hold one message, or a notice, as it is now.

    Attributes:
        text: What.
        offset: Its number in the room's history, if it has one.
        timestamp: When, RFC 3339; empty for the client's own notices.
        sender: The author's user id, if somebody wrote it.
        username: The author's name.
        notice: Whether it tells of something instead of being said.
        edited: Whether it was something else before.
        deleted: Whether it is gone.
        reactions: How many users reacted with what.
    """

    text: str
    offset: int | None = None
    timestamp: str = ""
    sender: str | None = None
    username: str | None = None
    notice: bool = False
    edited: bool = False
    deleted: bool = False
    reactions: dict[str, int] = {}


class Change(Struct, frozen=True):
    """Read what `edit`, `delete` and `reaction` bring (docs/protocol.md)."""

    target: int
    text: str = ""
    emoji: str = ""
    remove: bool = False


class Transcript:
    """Hold the entries of a room, the oldest first."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._by_offset: dict[int, Entry] = {}
        self._reacted: dict[int, dict[str, set[str]]] = {}
        self._ahead: deque[Event] = deque(maxlen=AHEAD)

    @property
    def oldest(self) -> int | None:
        """The smallest offset that is held."""
        return next((entry.offset for entry in self.entries if entry.offset is not None), None)

    def take(self, event: Publication) -> Entry | None:
        """Take an event; return the entry that is new or has changed, if there is one."""
        if isinstance(event, Event):
            return self._change(event)
        if event.offset is not None and event.offset in self._by_offset:
            return None
        return self._append(self._entry(event))

    def note(self, text: str) -> Entry:
        """Append a notice of the client's own."""
        return self._append(Entry(text=text, notice=True))

    def prepend(self, page: Page) -> list[Entry]:
        """Put a page of the history before what is held; return its entries.

        Changes that came here before the page, but after it was read, are part of them.
        """
        fresh = [
            self._entry(event)
            for event in page.events
            if not isinstance(event, Event) and event.offset not in self._by_offset
        ]
        self.entries[:0] = fresh
        for event in [*self._ahead]:
            if event.offset is not None and event.offset > page.position.offset:
                self._change(event)
        self._ahead.clear()
        return fresh

    def find(self, offset: int) -> Entry | None:
        """Return the entry with this offset."""
        return self._by_offset.get(offset)

    def last(self, sender: str | None = None) -> Entry | None:
        """Return the newest message, or that of one user; deleted ones do not count."""
        for entry in reversed(self.entries):
            if entry.offset is None or entry.notice or entry.deleted:
                continue
            if sender in (None, entry.sender):
                return entry
        return None

    def beyond(self, offset: int, user: str | None) -> int:
        """Return how many messages of others are held that are newer than an offset."""
        count = 0
        for entry in reversed(self.entries):
            if entry.offset is not None and entry.offset <= offset:
                break
            count += not entry.notice and entry.sender != user
        return count

    def _entry(self, event: Message | Notification | Erased) -> Entry:
        match event:
            case Erased():
                entry = Entry(text="", offset=event.offset, deleted=True)
            case Notification():
                entry = Entry(text=event.text, timestamp=event.timestamp, notice=True)
            case Message():
                entry = Entry(
                    text=event.text,
                    offset=event.offset,
                    timestamp=event.timestamp,
                    sender=event.sender,
                    username=event.username,
                    edited=event.edited is not None,
                    reactions={emoji: told.count for emoji, told in event.reactions.items()},
                )
                if event.offset is not None:
                    self._reacted[event.offset] = {
                        emoji: set(told.senders) for emoji, told in event.reactions.items()
                    }
        if entry.offset is not None:
            self._by_offset[entry.offset] = entry
        return entry

    def _append(self, entry: Entry) -> Entry:
        self.entries.append(entry)
        if len(self.entries) > MOST:
            gone = self.entries.pop(0)
            if gone.offset is not None:
                del self._by_offset[gone.offset]
                self._reacted.pop(gone.offset, None)
        return entry

    def _change(self, event: Event) -> Entry | None:
        if event.action not in ("edit", "delete", "reaction"):
            return None
        try:
            change = event.to(Change)
        except ValidationError:
            return None
        entry = self._by_offset.get(change.target)
        if entry is None:
            self._ahead.append(event)
            return None
        if event.action == "edit":
            entry.text, entry.edited = change.text, True
        elif event.action == "delete":
            entry.text, entry.deleted, entry.reactions = "", True, {}
        else:
            self._react(entry, change, str(event.fields.get("sender")))
        return entry

    def _react(self, entry: Entry, change: Change, sender: str) -> None:
        senders = self._reacted.setdefault(change.target, {}).setdefault(change.emoji, set())
        count = entry.reactions.get(change.emoji, 0)
        # Histories tell only some of many senders; who is none of few has nothing to take back.
        reacted = sender in senders or (change.remove and count > len(senders))
        if change.remove != reacted:
            return
        if change.remove:
            senders.discard(sender)
            count -= 1
        else:
            senders.add(sender)
            count += 1
        entry.reactions = {**entry.reactions, change.emoji: count}
        if not count:
            del entry.reactions[change.emoji]
