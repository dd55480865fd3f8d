"""Make words of texts: for the index, and for the query that asks it.

The index splits at whatever is neither letter nor digit, and takes case and accents away. Scripts
that put no spaces between words are spread into single characters here, and what people look for
in them becomes a phrase of these: so any part of such a text is found. A trigram index would find
nothing shorter than three characters, while most Chinese words have two, and is three times as
large.
"""

import re
from collections.abc import Iterable
from typing import Final
from unicodedata import normalize

PREFIX: Final = 3
"""Letters from which the last word may go on; fewer begin so many words that it takes seconds."""

# Thai, Lao, Burmese, Khmer, kana, ideographs, Hangul (whose words carry their particles); and the
# selectors behind emoji, which would stick to the next word.
_SPREAD: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\ufe00-\ufe0f\U00020000-\U0003ffff]"
)
_BEGUN: Final = re.compile(rf"[^\W_]{{{PREFIX},}}\Z")
_GAP: Final = re.compile(r"[\s\0]+")


def words(text: str) -> str:
    """Return a text as it is indexed."""
    if text.isascii():
        return text
    return _SPREAD.sub(r" \g<0> ", normalize("NFKC", text))


def match(rooms: Iterable[int], text: str) -> str | None:
    """Return the FTS5 query for what somebody looks for in some rooms; None where that is nothing.

    Each word is quoted, so nothing of the text is syntax. All of them have to occur; what is
    written together, such as ``don't``, has to stand together. A last word of `PREFIX` letters or
    more may go on unless a space ends it: it may still be being typed.

    Args:
        rooms: Numbers of the rooms; at least one.
        text: What is looked for, as the client wrote it.
    """
    terms = [each for each in map(words, _GAP.split(text)) if any(map(str.isalnum, each))]
    if not terms:
        return None
    quoted = " AND ".join(map(_quoted, terms))
    if _BEGUN.search(words(text)):
        quoted += " *"
    return f"{in_rooms(rooms)} AND text : ({quoted})"


def in_rooms(rooms: Iterable[int]) -> str:
    """Return the FTS5 query for whatever is in one of some rooms, at least one, by number."""
    places = " OR ".join(f'"{number}"' for number in rooms)
    return f"room : ({places})"


def _quoted(term: str) -> str:
    doubled = term.replace('"', '""')
    return f'"{doubled}"'
