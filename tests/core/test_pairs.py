"""Names of rooms of two: one for each pair, and none for anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.names import MAX_USER_ID
from chatserver.pairs import direct_room, is_direct, pair_of

USER_IDS = st.text(
    st.sampled_from(":%3Aadm25é") | st.characters(exclude_categories=["Cs"]),
    min_size=1,
    max_size=MAX_USER_ID,
)


def test_a_name_is_read_by_people_too() -> None:
    assert direct_room("bob", "alice") == "dm:alice:bob"
    assert direct_room("guest:1f", "50%") == "dm:50%25:guest%3A1f"


@given(USER_IDS, USER_IDS)
def test_a_pair_has_one_room_and_the_room_that_pair(one: str, other: str) -> None:
    room = direct_room(one, other)
    assert room == direct_room(other, one)
    assert is_direct(room)
    assert pair_of(room) == (None if one == other else tuple(sorted((one, other))))


@given(st.text(st.sampled_from("dm:%3Aa25b"), max_size=20).map("dm:".__add__))
def test_no_other_name_leads_to_a_pair(room: str) -> None:
    pair = pair_of(room)
    assert pair is None or direct_room(*pair) == room


@pytest.mark.parametrize(
    "room",
    [
        *("lobby", "DM:a:b", "dm", "dm:", "dm::", "dm:a", "dm:a:", "dm::b", "dm:a:b:c", "dm:a:a"),
        *("dm:b:a", "dm:a%3a:b", "dm:a%41:b", "dm:a%:b", "dm:a%2:b", "x dm:a:b"),
        f"dm:a:{'b' * (MAX_USER_ID + 1)}",
    ],
)
def test_these_are_rooms_of_no_two(room: str) -> None:
    assert pair_of(room) is None
    assert is_direct(room) is room.startswith("dm:")
