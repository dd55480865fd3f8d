"""Actions find their handlers, and handlers get decoded payloads."""

from dataclasses import dataclass
from typing import TypedDict, cast

import msgspec
import pytest

from chatserver.context import Context, Outcome
from chatserver.dispatch import Dispatcher
from chatserver.envelope import parse
from chatserver.errors import ActionError, ConfigError
from chatserver.extension import AnyExtension, NoConfig, action
from chatserver.middleware import Middleware
from chatserver.pending import Pending
from chatserver.plugin import Plugin
from chatserver.session import Reply

from .sinks import Place


class Roll(msgspec.Struct, frozen=True):
    sides: int = 6
    label: str | None = None


@dataclass
class Move:
    x: int
    y: int = 0


class Say(TypedDict):
    words: list[str]


class Forward(msgspec.Struct):
    later: "Later"


class Later(msgspec.Struct):
    number: int


class Game(Plugin[NoConfig]):
    name = "game"

    @action("game.roll")
    async def roll(self, ctx: Context, msg: Roll) -> Reply:
        return Reply("rolled", sides=msg.sides, label=msg.label)

    @action("game.move")
    async def move(self, ctx: Context, msg: Move) -> Reply:
        return Reply("moved", x=msg.x, y=msg.y)

    @action("game.say")
    async def say(self, ctx: Context, msg: Say) -> Reply:
        return Reply("said", words=msg["words"])

    @action("game.later")
    async def later(self, ctx: Context, msg: "Forward") -> Reply:
        return Reply("later", number=msg.later.number)

    @action("game.who")
    async def who(self, ctx: Context) -> Reply:
        return Reply("who", user=ctx.session.user.id)

    @action("game.nothing")
    async def nothing(self, ctx: Context) -> None:
        return None

    @action("game.pending")
    async def pending(self, ctx: Context) -> Pending[Reply | None]:
        return Pending.done(Reply("done"))

    @action("game.lose")
    async def lose(self, ctx: Context) -> Outcome:
        raise ActionError("game.lost", "You have lost")

    @action("game.crash")
    async def crash(self, ctx: Context) -> Outcome:
        raise ZeroDivisionError


class Door(Middleware[NoConfig]):
    name = "door"

    @action("door.knock")
    async def knock(self, ctx: Context) -> Outcome:
        return Reply("knocked")


def make(*kinds: type[AnyExtension]) -> Dispatcher:
    return Dispatcher([kind(NoConfig()) for kind in kinds])


async def run(raw: str, *kinds: type[AnyExtension]) -> Outcome:
    place = Place()
    session, _ = place.connect("alice")
    context = Context(session, place.hub, parse(raw))
    return await make(*(kinds or (Game,))).dispatch(context)


@pytest.mark.parametrize(
    ("raw", "action_", "fields"),
    [
        ('{"action": "game.roll"}', "rolled", {"sides": 6, "label": None}),
        ('{"action": "game.roll", "sides": 20}', "rolled", {"sides": 20, "label": None}),
        ('{"type": "game.roll", "id": 1, "label": "ä"}', "rolled", {"sides": 6, "label": "ä"}),
        ('{"action": "game.roll", "unknown": {}}', "rolled", {"sides": 6, "label": None}),
        ('{"action": "game.move", "x": 3, "z": 4}', "moved", {"x": 3, "y": 0}),
        ('{"action": "game.say", "words": ["a", "b"]}', "said", {"words": ["a", "b"]}),
        ('{"action": "game.later", "later": {"number": 5}}', "later", {"number": 5}),
        ('{"action": "game.who", "sides": "ignored"}', "who", {"user": "alice"}),
    ],
)
async def test_a_handler_gets_its_payload(
    raw: str, action_: str, fields: dict[str, object]
) -> None:
    outcome = await run(raw)
    assert isinstance(outcome, Reply)
    assert (outcome.action, outcome.fields) == (action_, fields)


async def test_a_handler_may_answer_nothing_or_later() -> None:
    assert await run('{"action": "game.nothing"}') is None
    outcome = await run('{"action": "game.pending"}')
    assert isinstance(outcome, Pending)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ('{"action": "game.roll", "sides": "six"}', "$.sides"),
        ('{"action": "game.roll", "sides": 1.5}', "$.sides"),
        ('{"action": "game.roll", "sides": null}', "$.sides"),
        ('{"action": "game.roll", "sides": ' + "9" * 5000 + "}", "$.sides"),
        ('{"action": "game.move"}', "$.x"),
        ('{"action": "game.move", "x": 1, "y": []}', "$.y"),
        ('{"action": "game.say", "words": ["a", 2]}', "$.words[1]"),
        ('{"action": "game.later", "later": {"number": "5"}}', "$.later.number"),
    ],
)
async def test_a_payload_that_does_not_fit_is_refused_by_its_field(
    raw: str, field: str | None
) -> None:
    with pytest.raises(ActionError) as caught:
        await run(raw)
    assert (caught.value.code, caught.value.field) == ("bad_payload", field)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ('{"action": "game.fly"}', "Unknown action: game.fly"),
        ('{"type": "game.fly"}', "Unknown type: game.fly"),
        ('{"action": "roll"}', "Unknown action: roll"),
        ('{"action": "GAME.ROLL"}', "Unknown action: GAME.ROLL"),
        ('{"action": "__init__"}', "Unknown action: __init__"),
        ("{}", "Unknown action: None"),
    ],
)
async def test_an_action_nobody_offers_is_unknown(raw: str, message: str) -> None:
    with pytest.raises(ActionError) as caught:
        await run(raw)
    assert (caught.value.code, caught.value.message) == ("unknown_action", message)


async def test_what_a_handler_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ActionError, match=r"game\.lost"):
        await run('{"action": "game.lose"}')
    with pytest.raises(ZeroDivisionError):
        await run('{"action": "game.crash"}')


async def test_middlewares_offer_actions_as_plugins_do() -> None:
    outcome = await run('{"action": "door.knock"}', Game, Door)
    assert isinstance(outcome, Reply)
    assert outcome.action == "knocked"


def test_all_actions_on_offer_are_listed() -> None:
    actions = set(make(Game, Door).offers)
    assert {"game.roll", "game.crash", "door.knock"} < actions
    assert len(actions) == 10
    assert not make().offers


def test_two_extensions_with_one_action_do_not_start() -> None:
    class Rival(Plugin[NoConfig]):
        name = "rival"

        @action("game.roll")
        async def again(self, ctx: Context) -> Outcome:
            return None

    with pytest.raises(ConfigError, match=r"'game\.roll' is defined by both 'game' and 'rival'"):
        make(Game, Rival)


def wrong(handler: object) -> type[AnyExtension]:
    """Return a plugin whose only action has this handler."""
    mark = action("wrong.act")
    kind = type("Wrong", (Plugin,), {"act": mark(cast("type", handler))})
    assert issubclass(kind, Plugin)
    return kind


def _sync(self: object, ctx: Context) -> None: ...
async def _too_many(self: object, ctx: Context, msg: Roll, more: int) -> None: ...
async def _too_few(self: object) -> None: ...
async def _unsaid(self: object, ctx: Context, msg) -> None: ...  # type: ignore[no-untyped-def]  # what is tested
async def _missing(self: object, ctx: Context, msg: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - what is tested
async def _either(self: object, ctx: Context, msg: Roll | Forward) -> None: ...


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (_sync, r"'wrong\.act', Wrong\.act, must be an `async def`"),
        (_too_many, r"'wrong\.act', Wrong\.act, must take \(self, ctx, payload\)"),
        (_too_few, r"'wrong\.act', Wrong\.act, must take \(self, ctx, payload\)"),
        (_unsaid, r"payload of 'wrong\.act' in Wrong\.act needs the annotation"),
        (_missing, r"payload of 'wrong\.act' in Wrong\.act needs the annotation.*Missing"),
        (_either, r"payload of 'wrong\.act' in Wrong\.act needs the annotation"),
    ],
)
def test_a_handler_that_cannot_be_called_does_not_start(handler: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(wrong(handler))
