"""What was said is shown as it is now."""

import pytest

from chatserver.client import (
    Erased,
    Event,
    Message,
    Notification,
    Page,
    Position,
    Publication,
    Reaction,
)
from chatserver.terminal import transcript
from chatserver.terminal.transcript import Transcript


def said(offset: int | None, text: str = "hi", sender: str = "bob", **more: object) -> Message:
    fields = {"room": "lobby", "timestamp": "now", "username": sender, **more}
    return Message(text=text, sender=sender, offset=offset, **fields)  # type: ignore[arg-type]


def changed(
    action: str, target: int, sender: str = "bob", offset: int | None = None, **more: object
) -> Event:
    fields = {"target": target, "sender": sender, **more}
    return Event(action=action, room="lobby", fields=fields, offset=offset)


def page(top: int, *events: Publication) -> Page:
    return Page("lobby", list(events), Position("e", top), oldest=1, more=False, next=None)


def test_edits_and_deletions_change_what_is_there() -> None:
    kept = Transcript()
    entry = kept.take(said(1))
    assert entry is not None
    assert kept.take(changed("edit", 1, text="better")) is entry
    assert (entry.text, entry.edited) == ("better", True)
    assert kept.take(changed("delete", 1)) is entry
    assert (entry.text, entry.deleted) == ("", True)
    assert kept.take(changed("edit", 7, text="of what is not shown")) is None
    assert kept.take(changed("edit", 1, text=5)) is None
    assert kept.take(changed("rolled", 1)) is None


def test_each_user_reacts_once() -> None:
    kept = Transcript()
    entry = kept.take(said(1, reactions={"+1": Reaction(1, ["ann"])}))
    assert entry is not None
    for sender in ("ann", "bob", "bob"):
        kept.take(changed("reaction", 1, sender, emoji="+1", remove=False))
    assert entry.reactions == {"+1": 2}
    for sender in ("ann", "bob", "bob"):
        kept.take(changed("reaction", 1, sender, emoji="+1", remove=True))
    assert entry.reactions == {}


def test_of_many_users_not_all_are_known_who_take_a_reaction_back() -> None:
    kept = Transcript()
    entry = kept.take(said(1, reactions={"+1": Reaction(3, ["ann"])}))
    assert entry is not None
    for sender, left in (("zoe", 2), ("eve", 1), ("mallory", 1)):
        kept.take(changed("reaction", 1, sender, emoji="+1", remove=True))
        assert entry.reactions == {"+1": left}


def test_nothing_is_shown_twice() -> None:
    kept = Transcript()
    assert kept.take(said(3)) is not None
    assert kept.take(said(3)) is None
    kept.prepend(page(3, said(1), Erased(room="x", offset=2), said(3)))
    assert [entry.offset for entry in kept.entries] == [1, 2, 3]
    assert kept.oldest == 1


def test_a_change_may_overtake_the_page_with_its_message() -> None:
    kept = Transcript()
    kept.take(said(9))
    for offset, target in ((11, 1), (12, 2), (13, 2)):
        kept.take(changed("edit", target, text=f"edit {offset}", offset=offset))
    kept.prepend(page(11, said(1), said(2)))
    assert [entry.text for entry in kept.entries] == ["hi", "edit 13", "hi"]


def test_the_last_message() -> None:
    kept = Transcript()
    assert kept.last() is None
    mine, other = kept.take(said(1, sender="ann")), kept.take(said(2))
    kept.take(Notification(room="lobby", event="join", text="x joined", timestamp="now"))
    kept.note("connected")
    assert kept.last() is other
    assert kept.last("ann") is mine
    kept.take(changed("delete", 2))
    assert kept.last() is mine
    assert kept.last("bob") is None


def test_what_is_newer_is_counted_unless_it_is_ours() -> None:
    kept = Transcript()
    for offset, sender in enumerate(("ann", "bob", "ann", "bob", "bob"), 1):
        kept.take(said(offset, sender=sender))
    kept.note("a notice")
    assert kept.beyond(2, "ann") == 2
    assert kept.beyond(5, "ann") == 0


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MOST", 2)
    kept = Transcript()
    for offset in (1, 2, 3):
        kept.take(said(offset))
    assert [entry.offset for entry in kept.entries] == [2, 3]
    assert kept.take(changed("edit", 1, text="gone")) is None
