"""A configuration tells where each value stands, and says in one line what is wrong with it."""

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from chatserver.config import compose
from chatserver.config.document import Document
from chatserver.errors import ConfigError


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Listen(Struct, frozen=True, forbid_unknown_fields=True):
    port: Annotated[int, Meta(ge=1)] = 8765
    host: str = "localhost"


class Small(Struct, frozen=True):
    sides: int = 6

    def __post_init__(self) -> None:
        if self.sides > 100:
            raise ValueError("sides must be 2..100,\nnot more")


class Memory(Struct, frozen=True, tag="memory"):
    size: int = 1


class Disk(Struct, frozen=True, tag="disk"):
    path: str


class Third(TypedDict, total=False):
    depth: int


@dataclass
class Party:
    depth: int
    label: str = ""


class Auth(Struct, frozen=True):
    tokens: dict[str, str] = {}
    secret: Annotated[str, Meta(min_length=8)] = "longenough"
    password: int = 0
    api_key: Literal["a", "b"] = "a"
    keys: dict[str, Listen] = {}
    token_rules: Listen = Listen()


class Root(Struct, frozen=True, forbid_unknown_fields=True):
    server: Listen = Listen()
    listen: list[Listen] = []
    named: dict[str, Listen] = {}
    deep: dict[str, dict[str, list[Listen]]] = {}
    short: dict[Annotated[str, Meta(max_length=3)], int] = {}
    several: Annotated[dict[str, int], Meta(min_length=2)] = {}
    level: Literal["debug", "info"] = "info"
    color: Color | None = None
    small: Small | None = None
    store: Memory | Disk = Memory()
    third: Third = {}
    party: Party | None = None
    hosts: str | list[str] = ""
    pair: tuple[int, Listen] | None = None
    ratio: float = 1.0
    on: bool = True
    auth: Auth = Auth()


def parse(text: str) -> Document:
    return Document.parse(text, "config.yaml", {})


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text).convert((), Root)
    return one_line(caught.value)


def one_line(error: ConfigError) -> str:
    assert "\n" not in str(error)
    assert error.__suppress_context__ or error.__context__ is None
    return str(error)


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except ConfigError as error:
        return one_line(error)
    return "config.yaml: fine"


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    return "\n".join(lines)


def chain() -> str:
    return "a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 100))


# What is wrong before any type is known: text, place, and a part of the message.
SYNTAX = [
    ("a: 1\nb: 2\na: 3", "3:1", "duplicate key 'a'; the first is at config.yaml:1:1"),
    ("server:\n  port: 1\n  'port': 2", "3:3", "duplicate key 'port'"),
    ("a: {b: 1, b: 2}", "1:11", "duplicate key 'b'"),
    ("\ufeffa: 1\ufeff\na: 2", "2:1", "duplicate key 'a'; the first is at config.yaml:1:1"),
    ("on: 1", "1:1", "YAML reads the key 'on' as true or false; put it in quotes"),
    ("a:\n  8080: x", "2:3", "YAML reads the key '8080' as a number; put it in quotes"),
    ("~: 1", "1:1", "YAML reads the key '~' as null; put it in quotes"),
    ("? [a, b]\n: 1", "1:3", "a key must be a string"),
    ("a: &a x\n*a : 1", "2:1", "a key must be a string"),
    ("!!int 5: 1", "1:1", "tag"),
    ("- a", "1:1", "the top level must be a mapping"),
    ("just text", "1:1", "the top level must be a mapping"),
    ("a: 1\n---\nb: 2", "2:1", "a second document starts here"),
    ("a: !!python/object/apply:os.system [x]", "1:4", "this tag is not allowed here"),
    ("a: !secret b", "1:4", "put a text that starts with ! in quotes"),
    ("a: !!set {b}", "1:4", "this tag is not allowed here"),
    ("a: !!int seven", "1:4", "this is no int, as its tag says"),
    ("a: !!int ''", "1:4", "this is no int, as its tag says"),
    ("a: !!bool maybe", "1:4", "this is no bool, as its tag says"),
    ("a: *nobody", "1:4", "put a text that starts with * in quotes"),
    ("a: &a [*a]", "1:8", "this alias names no complete value above"),
    ("<<: 5", "1:5", "<< takes a mapping or a list of mappings"),
    ("a: &a {}\nb:\n  <<: [*a, 5]", "3:7", "<< takes a mapping or a list of mappings"),
    ("a:\n\tb: 1", "2:1", "indent with spaces, not tabs"),
    ("a: b: c", "1:5", "not valid YAML: mapping values are not allowed"),
    ("a: {b: ${C}}", "1:9", "put ${...} in quotes"),
    ("a: [1,\nb: 2\n", "3:1", "while parsing a flow sequence that starts in line 1"),
    ("a: '1\n", "2:1", "not valid YAML"),
    ("a: \x01", "1:4", "the character U+0001 may not stand in YAML"),
    ("é: é\nb: \x00", "2:4", "the character U+0000 may not stand in YAML"),
    ("a: x\ud800", "1:5", "the character U+D800 may not stand in YAML"),
    ("a: " + "[" * 100_000, "1:67", "nested more than 64 levels deep"),
    ("a: " + "{a: " * 30_000, "1:256", "nested more than 64 levels deep"),
    (chain(), "36:1", "aliases nest more than 64 levels deep"),
]


@pytest.mark.parametrize(("text", "place", "message"), SYNTAX)
def test_bad_yaml_is_one_line_with_its_place(text: str, place: str, message: str) -> None:
    shown = refusal(text)
    assert shown.startswith(f"config.yaml:{place}: ")
    assert message in shown


@pytest.mark.parametrize("text", [text for text, _, _ in SYNTAX if len(text) < 10_000])
def test_without_libyaml_the_messages_are_the_same(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = refusal(text)
    monkeypatch.setattr(compose, "_LOADER", yaml.SafeLoader)
    slow = refusal(text)
    if "not valid YAML" in fast:  # the two parsers have words and columns of their own
        assert "not valid YAML" in slow
    else:
        assert slow == fast


def test_a_few_lines_cannot_unfold_into_millions_of_values() -> None:
    assert "more than 100000 values, aliases unfolded" in refusal(bomb())


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~", "\ufeff"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert parse(text).data == {}
    assert parse(text).convert((), Root) == Root()


def test_anchors_and_merge_keys_work_and_keep_their_places() -> None:
    document = parse(
        "named:\n"
        "  a: &a {port: 1, host: x}\n"
        "  b: &b\n"
        "    <<: *a\n"
        "    port: 2\n"
        "  c: {<<: [*b, *a], host: z}\n"
        "  '<<': {}\n"
        "text: &t red\n"
        "color: *t\n"
    )
    assert document.at(("named", "b")) == {"port": 2, "host": "x"}
    assert document.at(("named", "c")) == {"port": 2, "host": "z"}
    assert document.at(("named", "<<")) == {}
    assert document.at(("color",)) == "red"
    assert document.where(("named", "c", "port")) == "config.yaml:5:11"
    assert document.where(("named", "b", "host")) == "config.yaml:2:25"


def test_plain_text_has_the_types_of_yaml_and_quoted_text_is_a_string() -> None:
    document = parse(
        "a: 1\nb: 1.5\nc: yes\nd: ~\ne: '1'\nf: 2024-01-01\ng: =\nh: 0x_\ni: !!str 1\n"
        "j: !!int '7'\nk: |\n  1\nl: " + "9" * 5000
    )
    assert document.data == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": "1",
        "f": "2024-01-01",
        "g": "=",
        "h": "0x_",
        "i": "1",
        "j": 7,
        "k": "1\n",
        "l": "9" * 5000,
    }


# What does not fit the type: text and the whole message.
MISFITS = [
    ("zz: 1", "1:1: unknown key 'zz'; valid: server, listen, named, deep, short, several, level"),
    ("serve: {}", "1:1: unknown key 'serve'; did you mean 'server'?"),
    ("server:\n  prot: 1", "2:3: unknown key 'prot' in server; did you mean 'port'?"),
    ("server: {PORT: 1}", "1:10: unknown key 'PORT' in server; did you mean 'port'?"),
    ("listen:\n- {port: 1}\n- {hosst: x}", "3:4: unknown key 'hosst' in listen[1]; did you mean"),
    ("named: {a: {}, b: {prt: 1}}", "1:20: unknown key 'prt' in named.b; did you mean 'port'?"),
    ("deep: {a: {b: [{}, {prt: 1}]}}", "1:21: unknown key 'prt' in deep.a.b[1]; did you mean"),
    ("pair: [1, {prt: 1}]", "1:12: unknown key 'prt' in pair[1]; did you mean 'port'?"),
    ("small: {site: 1}", "1:9: unknown key 'site' in small; did you mean 'sides'?"),
    ("store: {type: disk, pth: x}", "1:21: unknown key 'pth' in store; did you mean 'path'?"),
    ("third: {dept: 1}", "1:9: unknown key 'dept' in third; did you mean 'depth'?"),
    ("party: {dept: 1}", "1:9: unknown key 'dept' in party; did you mean 'depth'?"),
    ("server: 5", "1:9: server must be a mapping, not an integer (5)"),
    ("server: []", "1:1: server must be a mapping, not a list"),
    ("hosts:\n  a: 1", "1:1: hosts must be a string or a list, not a mapping"),
    ("server:\n  port: abc", "2:9: server.port must be an integer, not a string ('abc')"),
    ("server: {port: '80'}", "1:16: server.port must be an integer, not a string ('80'); remove "),
    ("server: {port: 0}", "1:16: server.port must be an integer >= 1, not 0"),
    ("server: {port: }", "1:16: server.port must be an integer, not null; give a value or remove "),
    ("server: {host: 1}", "1:16: server.host must be a string, not an integer (1); put it in quot"),
    ("hosts: [a, 1]", "1:12: hosts[1] must be a string, not an integer (1); put it in quotes"),
    ("named:\n  a: {}\n  b:\n    port: x", "4:11: named.b.port must be an integer, not a string"),
    ("deep: {x: {y: []}, a: {c: [{}], b: [{port: x}]}}", "1:44: deep.a.b[0].port must be an inte"),
    ("deep: {x: {y: [{}], z: [{port: x}]}, a: {b: [{port: x}]}}", "1:32: deep.x.z[0].port must b"),
    ("short: {a: 1, b: x}", "1:18: short.b must be an integer, not a string ('x')"),
    ("short: {a: 1, long: 2}", "1:15: the key of short.long must be a string of length <= 3, not"),
    ('short: {"\\n": x}', "1:15: short.'\\n' must be an integer, not a string ('x')"),
    ("several: {a: 1, b: x}", "1:1: several.*** must be an integer, not a string"),
    ("level: debgu", "1:8: level must be one of debug, info, not 'debgu'; did you mean 'debug'?"),
    ("level: off", "1:8: level must be a string, not a boolean (false); put it in quotes"),
    ("color: green", "1:8: color must be one of red, blue, not 'green'"),
    ("store: {type: tape}", "1:15: store.type must be one of its choices, not 'tape'"),
    ("store:\n  type: disk", "1:1: missing key 'path' in store"),
    ("party: {}", "1:1: missing key 'depth' in party"),
    ("small:\n  sides: 101", "1:1: small: sides must be 2..100, not more"),
    ("ratio: yes", "1:8: ratio must be a number, not a boolean (true)"),
    ("ratio: 1" + "0" * 400, "1:8: ratio: Number out of range"),
    ("on: 1", "1:1: YAML reads the key 'on'"),
    ("'on': " + "x" * 90, "1:7: on must be a boolean, not a string ('" + "x" * 40 + "...')"),
    ("server: {host: 0x" + "f" * 9000 + "}", "1:16: server.host must be a string, not an integer;"),
]


@pytest.mark.parametrize(("text", "message"), MISFITS)
def test_a_misfit_names_place_path_and_what_is_valid(text: str, message: str) -> None:
    assert refusal(text).startswith(f"config.yaml:{message}")


@pytest.mark.parametrize(
    "text",
    [
        "auth: {tokens: {hunter2: 5}}",
        "auth: {tokens: {hunter2: x, hunter2: y}}",
        "auth: {tokens: {alice: 'hunter2'}, password: hunter2}",
        "auth: {secret: hunter2}",
        "auth: {api_key: hunter2}",
        "auth: {tokens: hunter2}",
        "auth: {password: !hunter2 x}",
        "auth: {password: *hunter2}",
        "auth: {tokens: [hunter2]}",
        "auth: {keys: {hunter2: {prt: 1}}}",
        "auth: {keys: {hunter2: {port: x}}}",
        "auth: {token_rules: {hunter2: 1}}",
        "third: {tokens: {12345: 1}}",
    ],
)
def test_secrets_are_not_shown(text: str) -> None:
    shown = refusal(text)
    assert "hunter2" not in shown
    assert "12345" not in shown


def test_an_empty_section_means_its_defaults() -> None:
    document = parse("server:\nlisten:\nnamed:\n  a:\nsmall:\n")
    assert document.convert((), Root) == Root(named={"a": Listen()})
    assert document.convert(("server",), Listen) == Listen()
    assert document.convert(("missing", 3), Listen) == Listen()


def test_a_part_converts_by_itself_and_errors_keep_the_whole_path() -> None:
    document = parse("plugins:\n  dice: {use: 'x:Y', sides: 8}\n  cards: {sides: many}\n")
    dice = document.convert(("plugins", "dice"), Small, ignore=("use",))
    assert dice.sides == 8
    with pytest.raises(ConfigError) as caught:
        document.convert(("plugins", "cards"), Small)
    assert one_line(caught.value) == (
        "config.yaml:3:18: plugins.cards.sides must be an integer, not a string ('many')"
    )
    with pytest.raises(ConfigError, match="unknown key 'use' in plugins"):
        document.convert(("plugins", "dice"), Small)


def test_a_missing_key_of_a_missing_section_is_placed_around_it() -> None:
    document = parse("plugins:\n  other: {}\n")
    with pytest.raises(ConfigError) as caught:
        document.convert(("plugins", "party"), Party)
    assert str(caught.value) == "config.yaml:1:1: missing key 'depth' in plugins.party"


def test_places_of_values_keys_and_collections() -> None:
    document = parse("server:\n  port: 1\nlisten:\n  - host: a\n    port: 2\n")
    assert document.where(("server",)) == "config.yaml:1:1"
    assert document.where(("server", "port")) == "config.yaml:2:9"
    assert document.where(("server", "port"), key=True) == "config.yaml:2:3"
    assert document.where(("listen", 0)) == "config.yaml:4:5"
    assert document.where(("listen", 0), key=True) == "config.yaml:4:5"
    assert document.where(("listen", 0, "port")) == "config.yaml:5:11"
    assert document.where(("listen", 7, "port")) == "config.yaml:3:1"
    assert document.at(("listen", 0, "port")) == 2
    assert document.at(("listen", 7)) is None
    assert document.at(("listen", -1)) is None
    assert document.at(("server", 0)) is None


def test_a_programs_own_data_is_named_by_key_paths() -> None:
    document = Document.from_data({"server": {"port": "x"}, "listen": ({"port": 1},)})
    assert document.data == {"server": {"port": "x"}, "listen": [{"port": 1}]}
    assert document.where(("server", "port")) == "server.port"
    assert document.where(("listen", 0, "port")) == "listen[0].port"
    assert document.where(("server", "tls", "key")) == "server.tls.key"
    assert document.base_dir == Path.cwd()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"server": {"port": "x"}}, "server.port: must be an integer, not a string ('x')"),
        ({"server": {"port": 0}}, "server.port: must be an integer >= 1, not 0"),
        ({"server": {"prot": 1}}, "server.prot: unknown key 'prot' in server; did you mean 'port'"),
        (
            {"level": "debgu"},
            "level: must be one of debug, info, not 'debgu'; did you mean 'debug'",
        ),
        ({"store": {"type": "disk"}}, "store: missing key 'path' in store"),
        ({"small": {"sides": 101}}, "small: sides must be 2..100, not more"),
        ({"server": {5: 1}}, "server: keys must be strings, not int"),
        ({5: 1}, "keys must be strings, not int"),
        ({"auth": {"tokens": {"hunter2": 5}}}, "auth.tokens.***: must be a string, not an integer"),
    ],
)
def test_errors_in_a_programs_own_data(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Document.from_data(data).convert((), Root)
    assert one_line(caught.value).startswith(message)


def test_data_that_contains_itself_is_refused() -> None:
    data: dict[str, object] = {}
    data["loop"] = data
    with pytest.raises(ConfigError, match="loop: nested more than 64 levels deep"):
        Document.from_data(data)


def test_an_overlaid_value_names_its_origin() -> None:
    document = parse("server:\n  port: 1\nlisten: [{port: 1}]\n")
    changed = document.overlay(("server", "port"), "x", "--port")
    assert document.at(("server", "port")) == 1
    assert changed.where(("server", "port")) == "--port"
    assert changed.where(("server",), key=True) == "config.yaml:1:1"
    with pytest.raises(ConfigError) as caught:
        changed.convert((), Root)
    assert str(caught.value) == "--port: server.port must be an integer, not a string ('x')"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("named", "a"), {"prt": 1}, "--x: unknown key 'prt' in named.a; did you mean 'port'?"),
        (("party", "label"), "x", "--x: missing key 'depth' in party"),
        (("serve", "port"), 1, "--x: unknown key 'serve'; did you mean 'server'?"),
        (("server", "port", "y"), 1, "--x: the value at config.yaml:2:9 is no mapping, so it ca"),
        (("listen", "1", "port"), 1, "--x: the list at config.yaml:3:1 has 1 entries, counted"),
        (("listen", "host"), 1, "--x: the list at config.yaml:3:1 has 1 entries, counted"),
        ((), 5, "--x: the top level must be a mapping"),
        (("a",) * 100, 5, "--x: nested more than 64 levels deep"),
    ],
)
def test_errors_below_an_overlaid_value(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    document = parse("server:\n  port: 1\nlisten: [{port: 1}]\n")
    with pytest.raises(ConfigError) as caught:
        document.overlay(path, value, "--x").convert((), Root)
    assert one_line(caught.value).startswith(message)


def test_an_overlay_makes_what_is_missing_and_reaches_into_lists() -> None:
    document = parse("server:\nlisten: [{port: 1}, {port: 2}]\n")
    document = document.overlay(("server", "port"), 9, "--port")
    document = document.overlay(("named", "a", "host"), "h", "--host")
    document = document.overlay(("listen", 1, "port"), 3, "--second")
    assert document.convert((), Root) == Root(
        server=Listen(port=9),
        named={"a": Listen(host="h")},
        listen=[Listen(port=1), Listen(port=3)],
    )


def test_a_file_is_read_and_its_directory_remembered(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("\ufeffserver: {port: 1, host: ü}\n", "utf-8")
    document = Document.read(file, {})
    assert document.base_dir == tmp_path
    assert document.at(("server", "host")) == "ü"
    assert document.where(("server", "host")) == f"{file}:1:25"


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: ü\nü: gr".encode() + b"\xf6\xdfer")
    missing = tmp_path / "none.yaml"
    for file, message in [
        (missing, f"{missing}: cannot be read: No such file or directory"),
        (tmp_path, f"{tmp_path}: cannot be read: Is a directory"),
        (latin, f"{latin}:2:6: not UTF-8 from here on; save the file as UTF-8"),
    ]:
        with pytest.raises(ConfigError) as caught:
            Document.read(file, {})
        assert one_line(caught.value) == message


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


def escaped(value: object) -> object:
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=5), st.booleans())
def test_what_yaml_writes_is_read_back(data: dict[str, object], flow: bool) -> None:
    text = yaml.safe_dump(escaped(data), default_flow_style=flow)
    assert parse(text).data == data
    assert Document.from_data(data).data == data


@settings(deadline=None, max_examples=300)
@given(st.text("ab1:{}[]-,&*!|>'\"%@`#?$~<=.\\ \n\t\ud800", max_size=30) | TEXT)
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    assert outcome(lambda: parse(text)).startswith("config.yaml:")


NAMES = st.sampled_from(
    [*Root.__struct_fields__, "port", "host", "type", "path", "depth", "tokens"]
)
FITTING = st.recursive(
    SCALARS | st.sampled_from(["memory", "disk", "red", "debug"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXT, inner, max_size=3),
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(NAMES, FITTING, max_size=3))
def test_any_data_converts_or_is_refused_in_one_line(data: dict[str, object]) -> None:
    place = outcome(lambda: Document.from_data(data).convert((), Root)).partition(": ")[0]
    assert re.split(r"[.\[]", place)[0] in {*data, "config"}
