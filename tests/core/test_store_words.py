"""What people look for becomes a query of quoted words."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.store.schema import SEARCH
from chatserver.store.words import match, words

SYNTAX = ['"', "'", "*", "(", ")", ":", "^", "-", "+", "{", "}", ",", "\0", " "]
SYNTAX += ["AND", "OR", "NOT", "NEAR", "room", "text", "rowid", "a", "é", "東", "1", "2"]
TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(SYNTAX), max_size=20).map("".join)


def indexed(*texts: str, room: int = 1) -> sqlite3.Connection:
    """Return an index of texts in a room; and of the same ones in another."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(SEARCH)
    rows = [(number, str(room), words(text)) for number, text in enumerate(texts)]
    rows += [(number + len(texts), "99", text) for number, _, text in rows]
    connection.executemany("INSERT INTO search (rowid, room, text) VALUES (?, ?, ?)", rows)
    return connection


def search(connection: sqlite3.Connection, text: str, *rooms: int) -> list[int]:
    query = match(rooms or [1], text)
    if query is None:
        return []
    asked = "SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid"
    return [number for (number,) in connection.execute(asked, (query,))]


def finds(sought: str, text: str) -> bool:
    with closing(indexed(text)) as connection:
        return search(connection, sought) == [0]


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_whatever_the_text_it_is_no_syntax_and_stays_in_its_room(
    sought: str, texts: list[str]
) -> None:
    with closing(indexed(*texts)) as connection:
        hits = search(connection, sought)
    assert set(hits) <= set(range(len(texts)))


@given(TEXTS)
def test_a_text_finds_itself_unless_it_has_neither_letter_nor_digit(text: str) -> None:
    assert finds(text, text) is any(map(str.isalnum, words(text)))


@pytest.mark.parametrize("sought", ["", " ", "!?", '"', "*", "👍", "❤️", "\0"])
def test_what_has_no_word_finds_nothing(sought: str) -> None:
    assert match([1], sought) is None


def test_all_words_have_to_occur_in_any_order() -> None:
    assert finds("world hello ", "Hello, World!")
    assert not finds("hello moon ", "Hello, World!")


def test_what_is_written_together_stands_together() -> None:
    assert finds("v1.2 ", "since v1.2, or so")
    assert not finds("v1.2 ", "2 of v1")


@pytest.mark.parametrize(
    ("sought", "text", "hit"),
    [
        ("tomor", "See you tomorrow", True),
        ("you tomor", "See you tomorrow", True),
        ("tomor ", "See you tomorrow", False),
        ("to", "See you tomorrow", False),
        ("tomor you", "See you tomorrow", False),
        ("to", "to do", True),
        ("3.1", "version 3.14", False),
    ],
)
def test_only_the_last_word_may_go_on(sought: str, text: str, hit: bool) -> None:
    assert finds(sought, text) is hit


@pytest.mark.parametrize(
    ("sought", "text"),
    [
        ("cafe ", "Café"),
        ("CAFE\u0301 ", "café"),
        ("ελλάδα ", "ΕΛΛΆΔΑ"),
        ("ёлка ", "ЁЛКА"),
        ("abc ", "ＡＢＣ"),
        ("fine ", "ﬁne"),
    ],
)
def test_case_accents_and_forms_of_letters_do_not_matter(sought: str, text: str) -> None:
    assert finds(sought, text)


@pytest.mark.parametrize(
    ("sought", "text", "hit"),
    [
        ("東京", "私は東京に住んでいます", True),
        ("京", "私は東京に住んでいます", True),
        ("京東", "私は東京に住んでいます", False),
        ("中国", "我在中国工作", True),
        ("학교", "학교에 갑니다", True),
        ("ไทย", "ภาษาไทยยาก", True),
        ("हिन्दी", "मुझे हिन्दी आती है", True),
        ("हद", "मुझे हिन्दी आती है", False),
        ("version 東京", "東京version 2", True),
        ("love", "❤️love", True),
    ],
)
def test_scripts_without_spaces_are_found_in_part(sought: str, text: str, hit: bool) -> None:
    assert finds(sought, text) is hit


def test_words_of_the_query_are_not_rooms() -> None:
    with closing(indexed("say 99", "nothing")) as connection:
        assert search(connection, "99") == [0]
        assert search(connection, "room:99") == []


def test_thousands_of_rooms_are_one_query() -> None:
    with closing(indexed("hello", room=4000)) as connection:
        assert search(connection, "hello", *range(5000)) == [0, 1]
