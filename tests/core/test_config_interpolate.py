"""References to the environment are filled in, and never change what a document is made of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from chatserver.config.document import Document
from chatserver.config.interpolate import interpolate
from chatserver.errors import ConfigError

ENV = {"PORT": "9000", "EMPTY": "", "NAME": "alice", "REF": "${PORT}", "BYTES": "a\udcff"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("${PORT}", "9000"),
        ("http://${NAME}:${PORT}/", "http://alice:9000/"),
        ("${NONE:-8765}", "8765"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b?c $d}", "a:-b?c $d"),
        ("${EMPTY:-8765}", "8765"),
        ("${EMPTY}", ""),
        ("${PORT:?set PORT}", "9000"),
        ("$${PORT}", "${PORT}"),
        ("$$${PORT}", "$${PORT}"),
        ("$${", "${"),
        ("$PORT $ $$ {PORT}", "$PORT $ $$ {PORT}"),
        ("${REF}", "${PORT}"),
    ],
)
def test_references(text: str, result: str) -> None:
    assert interpolate(text, ENV, "here") == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NONE}", "the environment variable NONE is not set: set it, or give a default as in "),
        ("${NONE:?name the port}", "the environment variable NONE is not set: name the port"),
        ("${NONE:?two\nlines}", "the environment variable NONE is not set: two lines"),
        ("${EMPTY:?}", "the environment variable EMPTY is empty: set it, or give a default"),
        ("a ${PORT", "cannot read a ${ in this value; write ${NAME}, ${NAME:-default} or ${NAME"),
        ("${}", "cannot read a ${ in this value"),
        ("${1A}", "cannot read a ${ in this value"),
        ("${PORT-8765}", "cannot read a ${ in this value"),
        ("${PORT:+8765}", "cannot read a ${ in this value"),
        ("${NONE:-${PORT}}", "not one inside another"),
        ("${BYTES}", "the environment variable BYTES is not valid UTF-8"),
    ],
)
def test_what_cannot_be_filled_says_what_to_do(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        interpolate(text, ENV, "config.yaml:3:9")
    assert str(caught.value).startswith("config.yaml:3:9: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class Both(Struct):
    port: int = 0
    name: str = ""


def test_unquoted_values_take_the_type_of_the_result_and_quoted_ones_stay_text() -> None:
    document = Document.parse(
        "a: ${PORT:-8765}\nb: '${PORT}'\nc: \"${PORT}\"\nd: ${NONE:-yes}\ne: ${EMPTY}\n"
        "f: $${PORT}\ng: !!int '${PORT}'\nh: !!str ${PORT}\ni: |\n  ${PORT}\n"
        "list:\n  - ${PORT}\n  - ${NAME}\n",
        "config.yaml",
        ENV,
    )
    assert document.data == {
        "a": 9000,
        "b": "9000",
        "c": "9000",
        "d": True,
        "e": None,
        "f": "${PORT}",
        "g": 9000,
        "h": "9000",
        "i": "9000\n",
        "list": [9000, "alice"],
    }


def test_keys_and_comments_are_left_alone() -> None:
    text = "# ${NONE} is not read\n${NONE}: 1 # nor ${NONE} here\n"
    assert Document.parse(text, "config.yaml", {}).data == {"${NONE}": 1}


def test_an_unset_variable_is_placed() -> None:
    with pytest.raises(ConfigError) as caught:
        Document.parse("a: 1\nserver:\n  port: ${PORT}\n", "config.yaml", {})
    assert str(caught.value) == (
        "config.yaml:3:9: the environment variable PORT is not set: "
        "set it, or give a default as in ${PORT:-default}"
    )


def test_a_password_of_digits_is_text_where_text_is_wanted() -> None:
    document = Document.parse("port: ${P}\nname: ${P}\n", "config.yaml", {"P": "0123"})
    assert document.convert((), Both) == Both(port=0o123, name="0123")


def test_a_quoted_number_is_refused_with_the_way_out() -> None:
    document = Document.parse("port: '${PORT}'\n", "config.yaml", ENV)
    with pytest.raises(ConfigError) as caught:
        document.convert((), Both)
    assert str(caught.value) == (
        "config.yaml:1:7: port must be an integer, not a string ('9000'); remove the quotes"
    )


VALUE = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "a: b",
        "[1]",
        "{a: 1}",
        "- x",
        "x\nb: 3",
        "*a",
        "&a x",
        "!!int 5",
        "'",
        '"',
        "# x",
        "---",
        "~",
    ]
)


@settings(deadline=None)
@given(VALUE)
def test_a_variable_never_changes_the_structure(value: str) -> None:
    document = Document.parse(
        "name: ${V}\nquoted: '${V}'\nlist: ['${V}', \"x${V}\"]\nblock: |-\n  ${V}\nport: 1\n",
        "config.yaml",
        {"V": value},
    )
    name = document.at(("name",))
    assert name is None or isinstance(name, str | int | float)
    assert not isinstance(name, str) or name == value
    assert {key: part for key, part in document.data.items() if key != "name"} == {
        "quoted": value,
        "list": [value, f"x{value}"],
        "block": value,
        "port": 1,
    }
    both = document.convert((), Both, ignore=("quoted", "list", "block"))
    assert both == Both(port=1, name=value)
