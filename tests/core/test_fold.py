"""What people read of a message, and pages of it."""

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from chatserver import fold
from chatserver.fold import MOST_EMOJIS, MOST_SENDERS, Messages
from chatserver.publications import Publication, RoomState
from tests.core.histories import edit, message, pin, publications, reaction

FAR = 2**20


def read(*changes: Publication, of: Publication | None = None) -> dict[str, object]:
    """Fold changes into a message, and return what is told beside its own fields."""
    sent = of or message("hi")
    event: dict[str, object] = json.loads(fold.fold(7, sent, changes))
    assert event.pop("offset") == 7
    own = json.loads(sent.body)
    return {key: value for key, value in event.items() if own.get(key) != value}


def test_a_message_without_changes_is_as_it_was_sent() -> None:
    assert read() == {}
    assert fold.fold(7, message("hi"), []) == message("hi").body[:-1] + b',"offset":7}'


def test_the_last_edit_counts() -> None:
    later = structs.replace(edit(7, "hu"), timestamp="2026-11-22T12:00:00.000Z")
    assert read(edit(7, "ho"), later) == {"text": "hu", "edited": later.timestamp}


def test_each_user_s_reactions_count_once_and_can_be_taken_back() -> None:
    changes = [
        reaction(7, "👍", user="bob"),
        reaction(7, "👍", user="ann"),
        reaction(7, "👍", user="bob"),
        reaction(7, "+1", user="ann"),
        reaction(7, "+1", user="ann", remove=True),
        reaction(7, "🎉", user="ann", remove=True),
    ]
    assert read(*changes) == {"reactions": {"👍": {"count": 2, "senders": ["bob", "ann"]}}}
    taken_back = [reaction(7, "👍", user=user, remove=True) for user in ("ann", "bob")]
    assert read(*changes, *taken_back) == {}


def test_many_reactions_are_counted_and_some_told() -> None:
    users = [f"user{number}" for number in range(MOST_SENDERS + 5)]
    told = read(*[reaction(7, user=user) for user in users])
    assert told == {"reactions": {"👍": {"count": 25, "senders": users[:MOST_SENDERS]}}}
    told = read(*[reaction(7, f"e{number}") for number in range(MOST_EMOJIS + 5)])
    reactions = told["reactions"]
    assert isinstance(reactions, dict)
    assert list(reactions) == [f"e{number}" for number in range(MOST_EMOJIS)]


def test_a_pin_holds_until_it_is_taken_out() -> None:
    assert read(pin(7)) == {"pinned": True}
    assert read(pin(7), pin(7, remove=True)) == {}


def test_all_who_reacted_are_told_where_that_is_asked() -> None:
    users = [f"user{number}" for number in range(MOST_SENDERS + 5)]
    changes = [reaction(7, user=user) for user in users]
    changes += [edit(7), reaction(7, "+1", user="ann"), reaction(7, user="user3", remove=True)]
    told = {emoji: list(senders) for emoji, senders in fold.reactions(changes).items()}
    assert told == {"👍": [user for user in users if user != "user3"], "+1": ["ann"]}
    taken_back = reaction(7, "+1", user="ann", remove=True)
    assert list(fold.reactions([*changes, taken_back])) == ["👍"]


def test_what_was_deleted_is_empty() -> None:
    gone = structs.replace(message(), body=b"")
    assert json.loads(fold.fold(7, gone, [edit(7), reaction(7)])) == {"offset": 7, "deleted": True}


def test_changes_of_other_kinds_and_shapes_count_for_nothing() -> None:
    strange = structs.replace(edit(7), kind="mark")
    broken = structs.replace(edit(7), body=b'{"emoji":5}')
    erased = structs.replace(reaction(7), body=b"")
    empty = structs.replace(edit(7), body=b"{}")
    assert read(strange, broken, erased, empty) == {}


# Pages


def kept(sent: Sequence[Publication]) -> list[Publication]:
    """Return what a room keeps of all that: changes of nothing are refused, deleting erases."""
    room: list[Publication] = []
    for each in sent:
        target = each.target
        if target is not None and (
            target > len(room) or room[target - 1].target or not room[target - 1].body
        ):
            continue
        room.append(each)
        if each.erases:
            for offset, other in enumerate(room[:-1], 1):
                if target in (offset, other.target):
                    room[offset - 1] = structs.replace(other, body=b"")
    return room


def whole(room: Sequence[Publication], offset: int) -> bytes:
    changes = [each for each in room if each.target == offset]
    return fold.fold(offset, room[offset - 1], changes)


def check_bounds(page: Messages, limit: int, max_bytes: int) -> None:
    assert len(page.events) <= limit
    assert sum(len(event) for _, event in page.events) <= max_bytes or len(page.events) == 1
    assert [offset for offset, _ in page.events] == sorted({offset for offset, _ in page.events})


@given(st.lists(publications(), max_size=60), st.integers(1, 8), st.integers(1, 600), st.data())
def test_forward_pages_have_each_message_whole_and_changes_of_what_came_before(
    sent: list[Publication], limit: int, max_bytes: int, data: st.DataObject
) -> None:
    room = kept(sent)
    after = data.draw(st.integers(0, len(room) + 2))
    cut = data.draw(st.integers(0, min(after, len(room))))
    more = True
    while more:
        page = fold.after(RoomState("e", len(room), 1), room[cut:], after, limit, max_bytes)
        check_bounds(page, limit, max_bytes)
        expected = [
            (offset, whole(room, offset))
            for offset, each in enumerate(room, 1)
            if after < offset <= page.next
            and (each.target is None or (each.target <= after and each.body))
        ]
        assert page.events == expected
        more = page.more
        assert more == (page.next < len(room))
        assert page.next > after or not more
        after = page.next


@given(st.lists(publications(), max_size=60), st.integers(1, 8), st.integers(1, 600), st.data())
def test_backward_pages_have_each_message_whole(
    sent: list[Publication], limit: int, max_bytes: int, data: st.DataObject
) -> None:
    room = kept(sent)
    oldest = data.draw(st.integers(1, len(room) + 1))
    before: int | None = data.draw(st.none() | st.integers(1, len(room) + 2))
    more = True
    while more:
        last = len(room) if before is None else before - 1
        state = RoomState("e", len(room), oldest)
        page = fold.before(state, room, before, limit, max_bytes)
        check_bounds(page, limit, max_bytes)
        assert page.events == [
            (offset, whole(room, offset))
            for offset, each in enumerate(room, 1)
            if max(page.next, oldest) <= offset <= last and each.target is None
        ]
        more = page.more
        assert more == (page.next > oldest)
        assert before is None or page.next < before or not more
        before = page.next


def test_a_page_of_changes_only_is_empty_and_tells_where_to_go_on() -> None:
    room = [message("a"), message("b"), *[reaction(1, user=f"u{n}") for n in range(50)]]
    state = RoomState("e", len(room), 1)
    newest = fold.before(state, room, None, 1, FAR)
    assert [offset for offset, _ in newest.events] == [2]
    tail = fold.before(state, room[10:], None, 1, FAR)
    assert (tail.events, tail.more, tail.next) == ([], True, 11)


def test_an_array_is_encoded_once() -> None:
    page = fold.before(RoomState("e", 2, 1), [message("a"), message("b")], None, 5, FAR)
    assert [event["text"] for event in json.loads(bytes(page.encoded))] == ["a", "b"]
    assert page.encoded is page.encoded
