"""Environment variables lie over the file and are named where they are wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from chatserver.config.document import Document
from chatserver.config.overrides import apply_environment
from chatserver.errors import ConfigError


class Server(Struct, frozen=True):
    port: int = 1
    host: str | list[str] = "localhost"
    secret: str = ""
    tls: bool = False


class Root(Struct, frozen=True):
    server: Server = Server()
    listen: list[Server] = []
    plugins: dict[str, dict[str, object] | bool | None] = {}


FILE = "server:\n  port: 2\nlisten:\n  - port: 3\nplugins:\n  dice: {sides: 6}\n"


def laid_over(env: dict[str, str], text: str = FILE) -> Document:
    return apply_environment(Document.parse(text, "config.yaml", {}), env)


def refusal(env: dict[str, str], text: str = FILE) -> str:
    with pytest.raises(ConfigError) as caught:
        laid_over(env, text).convert((), Root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_variable_wins_over_the_file_and_the_rest_stays() -> None:
    document = laid_over({"CHATSERVER_SERVER__PORT": "9000", "OTHER": "x", "CHATSERVERX": "y"})
    assert document.convert((), Root) == Root(
        server=Server(port=9000), listen=[Server(port=3)], plugins={"dice": {"sides": 6}}
    )
    assert document.where(("server", "port")) == "CHATSERVER_SERVER__PORT"
    assert document.where(("listen", 0, "port")) == "config.yaml:4:11"


def test_variables_are_enough_without_a_file() -> None:
    env = {"CHATSERVER_SERVER__PORT": "9000", "CHATSERVER_PLUGINS": "{echo: false}"}
    document = apply_environment(Document.from_data({}), env)
    assert document.convert((), Root) == Root(server=Server(port=9000), plugins={"echo": False})


def test_an_empty_section_of_the_file_takes_variables() -> None:
    assert laid_over({"CHATSERVER_SERVER__TLS": "on"}, "server:\n").data == {
        "server": {"tls": True}
    }


def test_a_whole_section_is_replaced_first_and_then_its_parts() -> None:
    env = {
        "CHATSERVER_PLUGINS__DICE__SIDES": "8",
        "CHATSERVER_PLUGINS": "{dice: {max: 20}, echo: false}",
    }
    assert laid_over(env).at(("plugins",)) == {"dice": {"max": 20, "sides": 8}, "echo": False}


def test_list_entries_go_by_index() -> None:
    assert laid_over({"CHATSERVER_LISTEN__0__HOST": "::1"}).at(("listen",)) == [
        {"port": 3, "host": "::1"}
    ]
    assert refusal({"CHATSERVER_LISTEN__1__HOST": "::1"}) == (
        "CHATSERVER_LISTEN__1__HOST: the list at config.yaml:3:1 has 1 entries, counted from 0; "
        "there is no '1'"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        (" 1.5\n", 1.5),
        ("true", True),
        ("", None),
        ("localhost", "localhost"),
        ("[a, 1]", ["a", 1]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("'1'", "1"),
        ('"a\\nb"', "a\nb"),
        ("a: b", "a: b"),
        ("- a", "- a"),
        ("a #b", "a #b"),
        ("*a", "*a"),
        ("!!int 5", "!!int 5"),
        ("[::1]", "[::1]"),
        ("{a: 1, a: 2}", "{a: 1, a: 2}"),
        ("'tis", "'tis"),
        ("${HOME} $${X}", "${HOME} $${X}"),
        ("'${HOME}'", "${HOME}"),
    ],
)
def test_values_are_read_like_yaml_and_otherwise_stay_text(text: str, value: object) -> None:
    assert laid_over({"CHATSERVER_X__Y": text}).at(("x", "y")) == value


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_itself_where_text_is_wanted(text: str) -> None:
    document = laid_over({"CHATSERVER_SERVER__SECRET": text})
    secret = document.convert((), Root).server.secret
    assert secret == text.strip() or text.strip()[:1] in ("'", '"')


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            {"CHATSERVER_SERVER__PORT": "abc"},
            "CHATSERVER_SERVER__PORT: server.port must be an integer, not a string ('abc')",
        ),
        (
            {"CHATSERVER_SERVER__PORT": ""},
            "CHATSERVER_SERVER__PORT: server.port must be an integer, not null; give a value or ",
        ),
        (
            {"CHATSERVER_SERVER__PROT": "1"},
            "CHATSERVER_SERVER__PROT: unknown key 'prot' in server; did you mean 'port'?",
        ),
        (
            {"CHATSERVER_PLUGIN": "{}"},
            "CHATSERVER_PLUGIN: unknown key 'plugin'; did you mean 'plugins'?",
        ),
        ({"CHATSERVER_PORT": "80"}, "CHATSERVER_PORT: unknown key 'port'; valid: server, listen, "),
        (
            {"CHATSERVER_PLUGINS": "{echo: false"},
            "CHATSERVER_PLUGINS: plugins must be a mapping, not a string ('{echo: false')",
        ),
        (
            {"CHATSERVER_SERVER__PORT__X": "1"},
            "CHATSERVER_SERVER__PORT__X: the value at config.yaml:2:9 is no mapping, so it cannot",
        ),
        ({"CHATSERVER_SERVER__TLS": "{a: 1}"}, "CHATSERVER_SERVER__TLS: server.tls must be"),
        ({"CHATSERVER_": "1"}, "CHATSERVER_: this names no key; write CHATSERVER_SECTION__KEY or "),
        ({"CHATSERVER_SERVER__": "1"}, "CHATSERVER_SERVER__: this names no key"),
        ({"CHATSERVER__PORT": "1"}, "CHATSERVER__PORT: unknown key '_port'; valid: server"),
        ({"CHATSERVER_SERVER__HOST": "\udcff"}, "CHATSERVER_SERVER__HOST: the value is not valid"),
        ({"CHATSERVER_" + "A__" * 2000 + "B": "1"}, "CHATSERVER_A__A__"),
    ],
)
def test_errors_name_the_variable(env: dict[str, str], message: str) -> None:
    assert refusal(env).startswith(message)


def test_a_kubernetes_service_of_our_name_does_not_stop_the_start() -> None:
    env = {
        "CHATSERVER_SERVICE_HOST": "10.0.0.1",
        "CHATSERVER_SERVICE_PORT": "8765",
        "CHATSERVER_SERVICE_PORT_HTTP": "8765",
        "CHATSERVER_PORT": "tcp://10.0.0.1:8765",
        "CHATSERVER_PORT_8765_TCP": "tcp://10.0.0.1:8765",
        "CHATSERVER_PORT_8765_TCP_PROTO": "tcp",
        "CHATSERVER_PORT_8765_TCP_PORT": "8765",
        "CHATSERVER_PORT_8765_TCP_ADDR": "10.0.0.1",
    }
    assert laid_over(env).data == laid_over({}).data
