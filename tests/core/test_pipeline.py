"""Middlewares form an onion in their order; hooks that are not overridden are not in it."""

from collections.abc import Sequence

import pytest
from multidict import CIMultiDict

from chatserver.context import Context, Handshake, Outcome
from chatserver.envelope import parse
from chatserver.errors import ActionError, Disconnect, Refused
from chatserver.extension import NoConfig
from chatserver.middleware import AnyMiddleware, ConnectNext, MessageNext, Middleware
from chatserver.pipeline import Pipeline
from chatserver.session import Identity, Reply, Session

from .sinks import Place

Diary = list[str]


class Layer(Middleware[NoConfig]):
    """Write down the way in and out of all hooks."""

    def __init__(self, name: str, diary: Diary) -> None:
        super().__init__(NoConfig())
        self.name = name
        self.diary = diary

    async def connect(self, handshake: Handshake, call_next: ConnectNext) -> Session:
        self.diary.append(f"{self.name} in")
        session = await call_next(handshake)
        self.diary.append(f"{self.name} out")
        return session

    def frame(self, session: Session, size: int) -> None:
        self.diary.append(f"{self.name} {session.id} {size}")

    async def message(self, ctx: Context, call_next: MessageNext) -> Outcome:
        self.diary.append(f"{self.name} in")
        outcome = await call_next(ctx)
        self.diary.append(f"{self.name} out")
        return outcome


class Guard(Middleware[NoConfig]):
    """Refuse everything."""

    def __init__(self) -> None:
        super().__init__(NoConfig())

    async def connect(self, handshake: Handshake, call_next: ConnectNext) -> Session:
        raise Refused(403, "No\n", reason="guard")

    def frame(self, session: Session, size: int) -> None:
        raise Disconnect(4001, "no")

    async def message(self, ctx: Context, call_next: MessageNext) -> Outcome:
        raise ActionError("forbidden", "No")


class Plain(Middleware[NoConfig]):
    """Override nothing."""

    def __init__(self) -> None:
        super().__init__(NoConfig())


class Core:
    """Be what the onions are wrapped around."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    async def connect(self, handshake: Handshake) -> Session:
        self.diary.append("core")
        return Session("c1", handshake.identity or Identity(user="nobody"), handshake.remote)

    async def dispatch(self, ctx: Context) -> Outcome:
        self.diary.append("core")
        return Reply(f"did {ctx.envelope.action}")


def compose(diary: Diary, middlewares: Sequence[AnyMiddleware]) -> Pipeline:
    core = Core(diary)
    return Pipeline(middlewares, core.connect, core.dispatch)


def handshake() -> Handshake:
    return Handshake(
        headers=CIMultiDict(), query={}, remote="203.0.113.5", local="", scheme="http", host="chat"
    )


def context() -> Context:
    place = Place()
    session, _ = place.connect()
    return Context(session, place.hub, parse('{"action": "jump"}'))


async def test_the_first_middleware_is_the_outermost() -> None:
    diary: Diary = []
    pipeline = compose(diary, [Layer("a", diary), Layer("b", diary), Layer("c", diary)])
    session = await pipeline.connect(handshake())
    assert session.remote == "203.0.113.5"
    assert diary == ["a in", "b in", "c in", "core", "c out", "b out", "a out"]
    diary.clear()
    outcome = await pipeline.message(context())
    assert isinstance(outcome, Reply)
    assert outcome.action == "did jump"
    assert diary == ["a in", "b in", "c in", "core", "c out", "b out", "a out"]


async def test_what_is_refused_goes_no_further_in_and_passes_all_further_out() -> None:
    diary: Diary = []
    pipeline = compose(diary, [Layer("a", diary), Guard(), Layer("c", diary)])
    with pytest.raises(Refused):
        await pipeline.connect(handshake())
    with pytest.raises(ActionError):
        await pipeline.message(context())
    assert diary == ["a in", "a in"]


async def test_a_layer_may_answer_itself_or_change_what_goes_out() -> None:
    class Cache(Plain):
        async def message(self, ctx: Context, call_next: MessageNext) -> Outcome:
            return Reply("cached")

    class Stamp(Plain):
        async def message(self, ctx: Context, call_next: MessageNext) -> Outcome:
            outcome = await call_next(ctx)
            return Reply("stamped", of=outcome.action) if isinstance(outcome, Reply) else None

    diary: Diary = []
    outcome = await compose(diary, [Stamp(), Cache(), Layer("never", diary)]).message(context())
    assert isinstance(outcome, Reply)
    assert (outcome.action, outcome.fields) == ("stamped", {"of": "cached"})
    assert diary == []


async def test_a_layer_may_say_who_it_is_before_the_session_is_made() -> None:
    class SignIn(Plain):
        async def connect(self, handshake: Handshake, call_next: ConnectNext) -> Session:
            handshake.identity = Identity(user="alice")
            return await call_next(handshake)

    session = await compose([], [SignIn()]).connect(handshake())
    assert session.user.id == "alice"


def test_frames_are_charged_from_the_outside_in_until_one_is_refused() -> None:
    diary: Diary = []
    pipeline = compose(diary, [Layer("a", diary), Plain(), Guard(), Layer("c", diary)])
    session = Session("c1", Identity(user="alice"), "")

    def charge() -> None:
        for each in pipeline.charges:
            each(session, 42)

    with pytest.raises(Disconnect):
        charge()
    assert diary == ["a c1 42"]
    assert len(pipeline.charges) == 3


async def test_hooks_that_are_not_overridden_cost_nothing() -> None:
    core = Core([])
    pipeline = Pipeline([Plain(), Plain()], core.connect, core.dispatch)
    assert (pipeline.connect, pipeline.message) == (core.connect, core.dispatch)
    assert pipeline.charges == ()


async def test_the_hooks_as_they_are_by_default_let_everything_pass() -> None:
    core = Core([])
    plain = Plain()
    session = await plain.connect(handshake(), core.connect)
    assert session.user.id == "nobody"
    plain.frame(session, 10**9)
    outcome = await plain.message(context(), core.dispatch)
    assert isinstance(outcome, Reply)
    assert not plain.authenticates
