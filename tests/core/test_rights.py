"""Who may do what in which room."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatserver.rights import EVERYWHERE, Grant, Right, Rights

READ = frozenset({Right.READ})


def matches(pattern: str, room: str) -> bool:
    """Compare by trying each split: slow, and plainly right."""
    if not pattern:
        return not room
    if pattern[0] == "*":
        return any(matches(pattern[1:], room[index:]) for index in range(len(room) + 1))
    return room[:1] == pattern[0] and matches(pattern[1:], room[1:])


@example("*a", "\na")
@given(st.text("*ab.\n", max_size=6), st.text("ab.\n", max_size=6))
def test_a_star_stands_for_any_number_of_characters(pattern: str, room: str) -> None:
    assert Rights([Grant(pattern, READ)]).allows(Right.READ, room) is matches(pattern, room)


@pytest.mark.parametrize("pattern", ["a.c", "[abc]", "a+", "a?", "(a|b)", "^a$", r"\w", "a{1}"])
def test_nothing_but_the_star_is_special(pattern: str) -> None:
    rights = Rights([Grant(pattern, READ)])
    assert rights.allows(Right.READ, pattern)
    assert not any(rights.allows(Right.READ, room) for room in ("abc", "a", "aa", "b"))


def test_no_pattern_makes_the_search_slow() -> None:
    rights = Rights([Grant("*a" * 40 + "*b", READ), Grant("*" * 100 + "b", READ)])
    assert not rights.allows(Right.READ, "a" * 2000)
    assert rights.allows(Right.READ, "a" * 2000 + "b")


def test_grants_add_up() -> None:
    rights = Rights.of(
        {
            "*": [Right.READ],
            "team-*": [Right.JOIN, Right.WRITE],
            "team-a": [Right.MODERATE],
        }
    )
    allowed = {
        room: {right for right in Right if rights.allows(right, room)}
        for room in ("lobby", "team-a", "team-b", "TEAM-a", "my-team-a")
    }
    assert allowed == {
        "lobby": {Right.READ},
        "team-a": set(Right),
        "team-b": {Right.READ, Right.JOIN, Right.WRITE},
        "TEAM-a": {Right.READ},
        "my-team-a": {Right.READ},
    }


def test_without_grants_nothing_is_allowed() -> None:
    nothing = Rights([])
    assert not any(nothing.allows(right, "lobby") for right in Right)


def test_everybody_may_join_read_and_write_but_not_moderate() -> None:
    assert {right for right in Right if EVERYWHERE.allows(right, "any room")} == {
        Right.JOIN,
        Right.READ,
        Right.WRITE,
    }


def test_many_stars_do_not_make_the_search_explode() -> None:
    rights = Rights.of({"*a*a*a*a*a*a*a*a*b": [Right.JOIN]})
    assert not rights.allows(Right.JOIN, "a" * 64)
    assert rights.allows(Right.JOIN, "a" * 63 + "b")
