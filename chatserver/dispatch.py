"""Find the handler of an action and decode its payload."""

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import msgspec.inspect
from msgspec import Struct

from chatserver.context import Context, Outcome
from chatserver.envelope import DECODE_ERRORS, payload_error, unknown_action
from chatserver.errors import ConfigError
from chatserver.extension import AnyExtension

_OBJECTS = (
    msgspec.inspect.StructType,
    msgspec.inspect.DataclassType,
    msgspec.inspect.TypedDictType,
    msgspec.inspect.DictType,
)

Call = Callable[[Context], Awaitable[Outcome]]


class Offer(Struct, frozen=True):
    """Say what is on offer under an action.

    Attributes:
        owner: The plugin or middleware that defines it.
        payload: What its payload is decoded into; None if it takes none.
        summary: The first line of its handler's docstring; empty without one.
    """

    owner: AnyExtension
    payload: type[object] | None
    summary: str


class Dispatcher:
    """Map actions to handlers; built once at start-up.

    Args:
        extensions: Plugins and middlewares whose actions are offered.

    Attributes:
        offers: All actions, by name.

    Raises:
        ConfigError: Two extensions define one action, or a handler's signature cannot be used.
    """

    def __init__(self, extensions: Iterable[AnyExtension]) -> None:
        self._calls: dict[str | None, Call] = {}  # to be asked for None, which is none
        self.offers: dict[str, Offer] = {}
        for extension in extensions:
            for action, method in type(extension).actions().items():
                if action in self.offers:
                    raise ConfigError(
                        f"the action {action!r} is defined by both"
                        f" {self.offers[action].owner.name!r} and {extension.name!r}; turn one of"
                        " them off"
                    )
                self._calls[action], payload = _bind(extension, action, method)
                told = inspect.getdoc(getattr(extension, method)) or ""
                self.offers[action] = Offer(extension, payload, told.partition("\n")[0])

    def dispatch(self, ctx: Context) -> Awaitable[Outcome]:
        """Run the handler of a message; the core of the message onion.

        A plain function: the handler's own coroutine is the only one made.

        Raises:
            ActionError: ``unknown_action``, ``bad_payload``, or what the handler raises.
        """
        call = self._calls.get(ctx.envelope.action)
        if call is None:
            raise unknown_action(ctx.envelope)
        return call(ctx)


def _bind(extension: AnyExtension, action: str, method: str) -> tuple[Call, type[object] | None]:
    handler: Callable[..., Awaitable[Outcome]] = getattr(extension, method)
    where = f"{type(extension).__qualname__}.{method}"
    if not inspect.iscoroutinefunction(handler):
        raise ConfigError(f"the handler of {action!r}, {where}, must be an `async def`")
    parameters = list(inspect.signature(handler).parameters.values())
    if len(parameters) == 1:
        return handler, None
    if len(parameters) != 2:
        raise ConfigError(f"the handler of {action!r}, {where}, must take (self, ctx, payload)")
    try:
        payload_type: type[object] = typing.get_type_hints(handler)[parameters[1].name]
        if not isinstance(msgspec.inspect.type_info(payload_type), _OBJECTS):
            raise TypeError(f"{payload_type!r} is none of these")
        decode = msgspec.json.Decoder(payload_type).decode
    except Exception as error:
        raise ConfigError(
            f"the payload of {action!r} in {where} needs the annotation of a msgspec Struct,"
            f" dataclass or TypedDict ({error!r})"
        ) from error

    def call(ctx: Context) -> Awaitable[Outcome]:
        try:
            payload = decode(ctx.envelope.raw)
        except DECODE_ERRORS as error:
            raise payload_error(error) from None
        return handler(ctx, payload)

    return call, payload_type
