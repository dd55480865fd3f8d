"""config.yaml holds every option, with its default and a sentence; the docs tell the rest."""

import re
from collections.abc import Iterator
from typing import get_args

import msgspec
import pytest
from chatserver_middlewares.auth_config import Algorithm, AuthConfig, JwtConfig, StaticToken
from chatserver_middlewares.origin import OriginConfig
from chatserver_middlewares.rate_limit import RateLimitConfig
from chatserver_middlewares.size_limit import SizeLimitConfig

from chatserver.config import Config
from chatserver.config.document import Document
from chatserver.config.load import Settings
from chatserver.extension import AnyExtension
from chatserver.registry import (
    configured_middlewares,
    configured_plugins,
    load_middlewares,
    load_plugins,
)
from tests.docs.pages import ROOT, all_pages, code, page

FILE = ROOT / "config.yaml"
MIDDLEWARES = page("docs/middlewares.md")

MIDDLEWARE_OPTIONS: list[tuple[str, type[msgspec.Struct]]] = [
    ("origin", OriginConfig),
    ("rate_limit", RateLimitConfig),
    ("auth", AuthConfig),
    ("size_limit", SizeLimitConfig),
]

NO_OPTIONS = {"chat.example", "chat.connect", "chat.http", "chat.db"}
"""What else looks like an option."""


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings.load(FILE, env={})


def extensions(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], AnyExtension]]:
    """Each configured extension, and where its options stand."""
    plugins = {plugin.name: plugin for plugin in load_plugins(settings)}
    yield from ((path, plugins[name]) for path, name in configured_plugins(settings))
    paths = [path for path, _ in configured_middlewares(settings)]
    yield from zip(paths, load_middlewares(settings), strict=True)


def options(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def sections() -> list[tuple[str, type[msgspec.Struct]]]:
    """The sections of the configuration that have options of their own."""
    return [
        (field.encode_name, field.type)
        for field in msgspec.structs.fields(Config)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
    ]


def test_its_values_are_the_defaults(settings: Settings) -> None:
    default = Settings.from_data({})
    for name, _ in sections():
        assert getattr(settings.config, name) == getattr(default.config, name), name
    assert settings.config.broker == default.config.broker
    assert settings.config.rooms == default.config.rooms
    written = [(each.name, each.config) for _, each in extensions(settings)]
    assert written == [(each.name, each.config) for _, each in extensions(default)]


def test_it_has_every_option(settings: Settings) -> None:
    data = settings.document.data
    assert set(data) == set(options(Config))
    for name, kind in sections():
        assert set(settings.document.convert((name,), dict[str, object])) == set(options(kind))
    for path, extension in extensions(settings):
        written = settings.document.convert(path, dict[str, object])
        assert set(written) == set(options(extension.Config)), path


def test_each_option_has_a_sentence(settings: Settings) -> None:
    """A comment stands directly above every key that has a value."""
    lines = FILE.read_text().splitlines()
    places = [(name, option) for name, kind in sections() for option in options(kind)]
    keys: list[tuple[str | int, ...]] = [*places]
    keys += [(name,) for name in ("broker", "rooms", "middlewares", "plugins")]
    for path, extension in extensions(settings):
        keys += [(*path, option) for option in options(extension.Config)]
    for key in keys:
        line = int(settings.document.where(key, key=True).split(":")[-2])
        above = lines[line - 2].strip()
        assert above.startswith("# "), f"{key} has no comment in line {line - 1}"


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("`origin`", OriginConfig),
        ("`rate_limit`", RateLimitConfig),
        ("`auth`", AuthConfig),
        ("JSON Web Tokens", JwtConfig),
        ("`size_limit`", SizeLimitConfig),
    ],
)
def test_options_of_middlewares(title: str, kind: type[msgspec.Struct]) -> None:
    """docs/middlewares.md has each option, in their order, with the default of the code."""
    inner = options(JwtConfig) if kind is AuthConfig else []
    rows = [
        row
        for row in MIDDLEWARES.rows("option", "default", section=title)
        if code(row["option"])[0] not in inner
    ]
    assert [code(row["option"])[0] for row in rows] == options(kind)
    for row, field in zip(rows, msgspec.structs.fields(kind), strict=True):
        if field.required:
            assert not row["default"]
        else:
            told = Document.parse(f"default: {code(row['default'])[0]}", "docs", {})
            default = msgspec.to_builtins(default_of(field))
            assert told.data["default"] == default or not (told.data["default"] or default), row


def default_of(field: msgspec.structs.FieldInfo) -> object:
    made: object = field.default
    return field.default_factory() if made is msgspec.NODEFAULT else made


def test_fields_of_fixed_tokens() -> None:
    rows = MIDDLEWARES.rows("field", "meaning", section="Fixed tokens")
    assert [code(row["field"])[0] for row in rows] == options(StaticToken)


def test_algorithms() -> None:
    (row,) = [
        row
        for row in MIDDLEWARES.rows("option", "default", section="JSON Web Tokens")
        if code(row["option"]) == ["algorithms"]
    ]
    assert code(row["meaning"]) == list(get_args(Algorithm))


def test_options_that_the_pages_mention_exist() -> None:
    """What looks like `section.option` in the text is one, with the number behind it, if any."""
    known = {f"{name}.{option}" for name, kind in sections() for option in options(kind)}
    known |= {f"{name}.{option}" for name, kind in MIDDLEWARE_OPTIONS for option in options(kind)}
    names = "|".join(sorted({option.partition(".")[0] for option in known}))
    for each in all_pages():
        found = re.findall(rf"`((?:{names})\.[a-z_]+)(?:: [^`]*)?`", each.prose)
        assert set(found) <= known | NO_OPTIONS, each.name


def test_numbers_behind_options_are_their_defaults() -> None:
    """A page that says `limits.ping_interval` (20 s) says it with the default."""
    config = Settings.from_data({}).config
    for each in all_pages():
        for name, number in re.findall(
            r"`((?:server|chat|limits|store)\.\w+)`\s+\((\d+)(?: s)?\)", each.prose
        ):
            section, option = name.split(".")
            assert getattr(getattr(config, section), option) == int(number), (each.name, name)


def test_limits_of_the_protocol() -> None:
    """The table of limits says the defaults."""
    default = Settings.from_data({})
    values: dict[str, object] = {name: getattr(default.config, name) for name, _ in sections()}
    values |= {middleware.name: middleware.config for middleware in load_middlewares(default)}
    for row in page("docs/protocol.md").rows("limit", "option", "default"):
        section, option = code(row["option"])[0].split(".")
        told = Document.parse(f"default: {code(row['default'])[0]}", "docs", {}).data["default"]
        assert told == msgspec.to_builtins(getattr(values[section], option)), row
