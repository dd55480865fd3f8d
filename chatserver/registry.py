"""Find, check and build the plugins, middlewares and broker that the configuration names.

Built-ins come through the same entry points as everybody else's. Nothing is imported unless it is
configured. Whatever is wrong is a `ConfigError` that names the culprit and its distribution.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import TypeVar

from msgspec import Struct

from chatserver.broker import Broker
from chatserver.config import DEFAULT_PLUGINS
from chatserver.config.check import nearest
from chatserver.config.load import Settings
from chatserver.errors import ConfigError
from chatserver.extension import API_VERSION, AnyExtension
from chatserver.middleware import AnyMiddleware, Middleware
from chatserver.plugin import AnyPlugin, Plugin

E = TypeVar("E", bound=AnyExtension)

Path = tuple[str | int, ...]


class Found(Struct, frozen=True):
    """Describe an entry point.

    Attributes:
        name: The name it is configured by.
        distribution: Name and version of the package that brings it, such as ``dice 1.0``.
        entry_point: How to import it.
    """

    name: str
    distribution: str
    entry_point: EntryPoint


def find(group: str) -> dict[str, list[Found]]:
    """Return the installed entry points of a group by name; imports none of them.

    Args:
        group: ``chatserver.plugins``, ``.middlewares`` or ``.brokers``.
    """
    return _find(group, tuple(sys.path))


@lru_cache(maxsize=3)
def _find(group: str, path: tuple[str, ...]) -> dict[str, list[Found]]:
    # Along Python's path, files of all distributions are read, and parsed at each question.
    found: dict[str, list[Found]] = {}
    label = cache(_label)
    for point in entry_points(group=group):
        same = found.setdefault(point.name, [])
        distribution = label(point.dist)
        if not any(other.distribution == distribution for other in same):
            same.append(Found(point.name, distribution, point))
    return found


def _label(distribution: Distribution | None) -> str:
    if distribution is None:
        return "unknown"
    about = distribution.metadata
    return f"{about['Name']} {about['Version']}"


def load_middlewares(settings: Settings) -> list[AnyMiddleware]:
    """Build the configured middlewares, outermost first."""
    found = find("chatserver.middlewares")
    built: list[AnyMiddleware] = []
    for path, name in configured_middlewares(settings):
        if any(other.name == name for other in built):
            raise ConfigError(f"the middleware {name!r} is listed twice", settings.where(path))
        built.append(_build(settings, "middleware", Middleware, found, path, name))
    return built


def load_plugins(settings: Settings, instances: Sequence[AnyPlugin] = ()) -> list[AnyPlugin]:
    """Build the configured plugins, ordered so that what one requires comes before it.

    Args:
        settings: The configuration.
        instances: Plugins made by an embedding app or a test, added to the configured ones.
    """
    found = find("chatserver.plugins")
    given: dict[str, AnyPlugin] = {}
    for plugin in instances:
        plugin.name = plugin.name or _default_name(plugin)
        if plugin.name in given:
            raise ConfigError(f"two plugins are called {plugin.name!r}; give one another `name`")
        given[plugin.name] = plugin
    built = dict(given)
    for name in given:
        if name in settings.config.plugins:
            raise ConfigError(
                f"the plugin {name!r} is given as an instance and configured; remove one of them",
                settings.where(("plugins", name)),
            )
    for path, name in configured_plugins(settings):
        if name not in given:
            built[name] = _build(settings, "plugin", Plugin, found, path, name)
    return _ordered(built)


def load_broker(settings: Settings) -> Broker:
    """Build the configured broker; nothing is opened before it is started."""
    found = find("chatserver.brokers")
    name = settings.config.broker
    cls = _import(settings, "broker", found, ("broker",), name)
    if not (isinstance(cls, type) and issubclass(cls, Broker)):
        raise ConfigError(f"the broker {name!r} is no chatserver Broker", settings.where("broker"))
    try:
        return cls.configured(settings.config, settings.path(settings.config.server.data_dir))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.message}", settings.where("broker")) from error


def configured_middlewares(settings: Settings) -> list[tuple[Path, str]]:
    """Return place and name of each configured middleware, outermost first."""
    entries: list[tuple[Path, str]] = []
    for index, entry in enumerate(settings.config.middlewares):
        if isinstance(entry, str):
            entries.append((("middlewares", index, entry), entry))
            continue
        if len(entry) != 1:
            raise ConfigError(
                "each middleware is one list item: `- name` or `- name: {option: value}`",
                settings.where(("middlewares", index)),
            )
        (name,) = entry
        entries.append((("middlewares", index, name), name))
    return entries


def configured_plugins(settings: Settings) -> list[tuple[Path, str]]:
    """Return place and name of each plugin that is on."""
    listed = settings.config.plugins
    names = [*DEFAULT_PLUGINS, *(name for name in listed if name not in DEFAULT_PLUGINS)]
    return [(("plugins", name), name) for name in names if listed.get(name) is not False]


def make(settings: Settings, cls: type[E], path: Path, name: str) -> E:
    """Make an extension with its own part of the configuration.

    Raises:
        ConfigError: The part does not fit its `Config` type, or it cannot work with it.
    """
    document = settings.document
    if document.at(path) is True:
        document = document.overlay(path, {}, settings.where(path))
    config: object = document.convert(path, cls.Config, ignore=("use",))
    try:
        extension = cls(config)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.message}", settings.where(path)) from error
    except Exception as error:
        raise ConfigError(f"{name} does not start: {error!r}", settings.where(path)) from error
    extension.name = name
    return extension


def _build(
    settings: Settings,
    what: str,
    base: type[E],
    found: Mapping[str, list[Found]],
    path: Path,
    name: str,
) -> E:
    cls = _import(settings, what, found, path, name)
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise ConfigError(f"the {what} {name!r} is no subclass of chatserver.{base.__name__}")
    if cls.api != API_VERSION:
        origin = f" of {found[name][0].distribution}" if name in found else ""
        raise ConfigError(
            f"the {what} {name!r}{origin} is made for version {cls.api} of the contract, this"
            f" server has {API_VERSION}; install a matching release"
        )
    return make(settings, cls, path, name)


def _import(
    settings: Settings, what: str, found: Mapping[str, list[Found]], path: Path, name: str
) -> object:
    use = settings.document.at((*path, "use"))
    if isinstance(use, str):
        return _import_path(what, name, use, settings.where((*path, "use")))
    points = found.get(name, [])
    if not points:
        if not found:
            raise ConfigError(
                f"no {what} is installed, not even the built-in ones;"
                " run `make install`, or `pip install .` in chatserver's folder"
            )
        known = ", ".join(sorted(found))
        hint = nearest(name, found) or "; one of your own needs `use: 'module:Class'`"
        raise ConfigError(
            f"unknown {what} {name!r}; installed: {known}{hint}", settings.where(path)
        )
    if len(points) > 1:
        both = " and ".join(point.distribution for point in points)
        raise ConfigError(f"the {what} {name!r} is offered by both {both}; uninstall one")
    try:
        return points[0].entry_point.load()
    except Exception as error:
        raise ConfigError(
            f"the {what} {name!r} of {points[0].distribution} cannot be imported: {error!r}"
        ) from error


def _import_path(what: str, name: str, use: str, where: str) -> object:
    module_name, _, attribute = use.partition(":")
    hint = ""
    try:
        module = import_module(module_name)
        hint = nearest(attribute, vars(module))
        loaded: object = getattr(module, attribute)
    except Exception as error:
        raise ConfigError(
            f"the {what} {name!r} cannot be imported from {use!r}, which must read"
            f" 'module:Class': {type(error).__name__}: {error}{hint}",
            where,
        ) from error
    return loaded


def _default_name(plugin: AnyPlugin) -> str:
    return type(plugin).__name__.removesuffix("Plugin").lower()


def _ordered(plugins: Mapping[str, AnyPlugin]) -> list[AnyPlugin]:
    ordered: dict[str, AnyPlugin] = {}

    def place(name: str, chain: tuple[str, ...]) -> None:
        if name in ordered:
            return
        if name in chain:
            raise ConfigError(f"plugins require each other: {' -> '.join((*chain, name))}")
        plugin = plugins.get(name)
        if plugin is None:
            raise ConfigError(
                f"the plugin {chain[-1]!r} requires {name!r}, which is not on; add it to `plugins`"
            )
        for required in plugin.requires:
            place(required, (*chain, name))
        ordered[name] = plugin

    for name in plugins:
        place(name, ())
    return list(ordered.values())
