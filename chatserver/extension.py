"""Hold what plugins and middlewares have in common: configuration, life cycle, actions."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

from msgspec import Struct

from chatserver.context import Hub, Outcome
from chatserver.errors import ConfigError

API_VERSION: Final = 1
"""The version of the contract; an extension made for another one does not start."""

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Awaitable[Outcome]])

Handler = Callable[..., Awaitable[Outcome]]
"""A coroutine method ``(self, ctx)`` or ``(self, ctx, payload)``."""

_ACTION: Final = "__chatserver_action__"


class NoConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Be the configuration of an extension that has nothing to configure."""


def action(name: str) -> Callable[[F], F]:
    """Register a coroutine method as the handler of an action.

    Args:
        name: What clients send; outside the core vocabulary dotted: ``<plugin>.<verb>``.

    The method takes the context and, if it has a second parameter, the payload decoded into that
    parameter's annotated type (a msgspec Struct, dataclass or TypedDict). What it returns is the
    reply.
    """

    def mark(function: F) -> F:
        setattr(function, _ACTION, name)
        return function

    return mark


class Extension(Generic[C]):
    """Be the base of plugins and middlewares.

    Args:
        config: The typed configuration, an instance of `Config`.

    Attributes:
        Config: The type of the configuration; unknown keys in the file are errors if it forbids
            them (``forbid_unknown_fields=True``).
        api: The version of the contract it was written for.
        requires: Names of plugins that have to be started before.
        name: The name it is configured under; set by the server.
        config: The typed configuration.
    """

    Config: ClassVar[type] = NoConfig
    api: ClassVar[int] = API_VERSION
    requires: ClassVar[tuple[str, ...]] = ()

    name: str = ""

    def __init__(self, config: C) -> None:
        self.configure(config)

    def configure(self, config: C) -> None:
        """Take a configuration, at the start and on SIGHUP; derive from it what is needed.

        Raises:
            ConfigError: The configuration makes no sense; nothing may have been changed then.
        """
        self.config = config

    async def startup(self, hub: Hub) -> None:
        """Prepare before the first connection; raise `ConfigError` for what cannot work."""

    async def cleanup(self) -> None:
        """Release what `startup` took, after the last connection."""

    @classmethod
    def actions(cls) -> dict[str, str]:
        """Return the actions it defines and the names of their methods.

        Raises:
            ConfigError: Two methods handle one action.
        """
        found: dict[str, str] = {}
        for attribute in dir(cls):
            name = cast("str | None", getattr(getattr(cls, attribute), _ACTION, None))
            if name in found:
                raise ConfigError(
                    f"{cls.__qualname__} handles the action {name!r} twice:"
                    f" {found[name]} and {attribute}; rename one of the actions"
                )
            if name is not None:
                found[name] = attribute
        return found


AnyExtension = Extension[Any]
"""An extension, whatever its configuration."""
