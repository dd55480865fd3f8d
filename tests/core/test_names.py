"""Names look like what they are, and compare the way people read them."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatserver.errors import ActionError
from chatserver.names import MAX_NAME, clean_name, fold

DECEPTIVE = {
    "newline inside": "ali\nce",
    "tab inside": "ali\tce",
    "NUL": "ali\0ce",
    "delete": "alice\x7f!",
    "escape sequence": "\x1b[31malice",
    "C1 control": "ali\x9bce",
    "line separator inside": "ali\u2028ce",
    "paragraph separator inside": "ali\u2029ce",
    "right-to-left override": "\u202ealice",
    "left-to-right override": "\u202dalice",
    "right-to-left embedding": "ali\u202bce",
    "pop directional formatting": "alice\u202c",
    "right-to-left isolate": "\u2067alice",
    "pop directional isolate": "alice\u2069",
    "left-to-right mark": "alice\u200e",
    "right-to-left mark": "alice\u200f",
    "Arabic letter mark": "alice\u061c",
    "zero width space": "ali\u200bce",
    "zero width non-joiner": "ali\u200cce",
    "zero width joiner": "ali\u200dce",
    "word joiner": "ali\u2060ce",
    "byte order mark": "\ufeffalice",
    "soft hyphen": "ali\u00adce",
    "invisible times": "ali\u2062ce",
    "combining grapheme joiner": "ali\u034fce",
    "Hangul choseong filler": "ali\u115fce",
    "Hangul jungseong filler": "ali\u1160ce",
    "Hangul filler": "\u3164",
    "halfwidth Hangul filler": "\uffa0",
    "Khmer inherent vowel": "ali\u17b4ce",
    "Mongolian variation selector": "ali\u180bce",
    "Mongolian vowel separator": "ali\u180ece",
    "blank braille pattern": "\u2800",
    "variation selector 1": "alice\ufe00",
    "variation selector 16": "alice\ufe0f",
    "variation selector 256": "alice\U000e01ef",
    "tag letter": "alice\U000e0061",
    "interlinear annotation": "ali\ufff9ce",
    "musical beam": "ali\U0001d173ce",
    "private use": "alice\ue000",
    "private use plane": "alice\U00100000",
    "noncharacter": "alice\ufffe",
    "unassigned": "alice\u0378",
    "lone surrogate": "alice\ud800",
}
NORMAL = {
    "alice": "alice",
    "  alice  ": "alice",
    "alice\n": "alice",
    "\u00a0alice\u3000": "alice",
    "alice smith": "alice smith",
    "alice\u00a0smith": "alice smith",
    "ａｌｉｃｅ": "alice",
    "𝐚𝐥𝐢𝐜𝐞": "alice",
    "ⓐⓛⓘⓒⓔ": "alice",
    "ﬁona": "fiona",
    "e\u0301va": "éva",
    "\u212a": "K",
    "Ἀθηνᾶ": "Ἀθηνᾶ",
    "דוד": "דוד",
    "محمد": "محمد",
    "花子": "花子",
    "अनिल": "अनिल",
    "😀": "😀",
    "a/b <c> & 'd'": "a/b <c> & 'd'",
}
ANY = st.text(st.characters() | st.sampled_from("".join(DECEPTIVE.values())), max_size=300)


def refusal(name: str) -> ActionError:
    with pytest.raises(ActionError) as caught:
        clean_name(name, "username", "$.username")
    return caught.value


@given(ANY)
@example("\u0345" * 64)
@example("\ufdfa" * 3)
@example("\ufdfa" * 4)
def test_a_name_is_refused_or_clean(name: str) -> None:
    code: str | None = None
    try:
        clean = clean_name(name)
    except ActionError as error:
        code = error.code
    else:
        assert 1 <= len(clean) <= MAX_NAME
        assert clean == clean.strip()
        assert clean_name(clean) == clean
        for char in clean:
            assert char.isprintable() or unicodedata.category(char) == "Zs", hex(ord(char))
            assert unicodedata.bidirectional(char) not in (
                *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"),
            )
    assert code in (None, "bad_name")


@pytest.mark.parametrize("name", DECEPTIVE.values(), ids=DECEPTIVE.keys())
def test_deceptive_characters_are_refused_by_their_number(name: str) -> None:
    error = refusal(name)
    assert (error.code, error.field) == ("bad_name", "$.username")
    normal = unicodedata.normalize("NFKC", name)
    assert any(f"U+{ord(char):04X}" in error.message for char in normal)


@pytest.mark.parametrize("name", [name for name in DECEPTIVE.values() if len(name) > 1])
def test_a_deceptive_character_alone_is_no_name(name: str) -> None:
    for char in name:
        if not char.isascii() or not char.isprintable():
            refusal(char)


@pytest.mark.parametrize(("name", "clean"), NORMAL.items())
def test_names_are_normalised(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize("name", ["", " ", "\n\t ", "\u3000\u00a0", "\u2003"])
def test_an_empty_name_is_refused(name: str) -> None:
    assert refusal(name).message == "The username must not be empty"


@pytest.mark.parametrize("char", ["a", "é", "花", "😀"])
def test_a_name_has_up_to_64_code_points(char: str) -> None:
    assert clean_name(char * MAX_NAME) == char * MAX_NAME
    assert clean_name(f" {char * MAX_NAME} ") == char * MAX_NAME
    assert "64" in refusal(char * (MAX_NAME + 1)).message


def test_length_counts_after_normalisation() -> None:
    assert clean_name("e\u0301" * MAX_NAME) == "é" * MAX_NAME
    assert "64" in refusal("\ufb03" * 22).message
    assert "64" in refusal("a" * 1_000_000).message


def test_the_error_says_what_was_wrong_with_what() -> None:
    with pytest.raises(ActionError) as caught:
        clean_name("", "room", "$.room")
    assert (caught.value.message, caught.value.field) == ("The room must not be empty", "$.room")
    with pytest.raises(ActionError) as caught:
        clean_name("a\u202eb")
    assert caught.value.field is None
    assert "U+202E" in caught.value.message


@pytest.mark.parametrize(
    "names",
    [
        ("alice", "ALICE", "Alice", "ａＬice"),
        ("straße", "STRASSE", "Strasse"),
        ("ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς", "ὀδυσσεύσ"),
        ("\u212aelvin", "kelvin"),
        ("ŉ", "ʼn"),
        ("ᾷ", "ᾼ͂", "\u0391\u0342\u0345"),
    ],
)
def test_names_that_differ_in_case_only_are_the_same(names: tuple[str, ...]) -> None:
    assert len({fold(clean_name(name)) for name in names}) == 1


@given(ANY)
def test_folding_again_changes_nothing(name: str) -> None:
    name = unicodedata.normalize("NFKC", name)
    assert fold(fold(name)) == fold(name)


@given(st.text(st.characters(categories=["L", "N"], exclude_characters="ı\U0001d6a4"), min_size=1))
def test_upper_and_lower_case_clash(name: str) -> None:
    name = unicodedata.normalize("NFKC", name)
    assert fold(name.upper()) == fold(name) == fold(name.lower())


def test_different_names_stay_different() -> None:
    names = ["alice", "alicé", "al ice", "a1ice", "bob", "ß", "s", "ı", "i"]
    assert len({fold(name) for name in names}) == len(names)
