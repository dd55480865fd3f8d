import math

import msgspec
import pytest
from chatserver_middlewares.rate_limit import RateLimitConfig, RateLimitMiddleware

from chatserver import (
    ActionError,
    Disconnect,
    Handshake,
    Identity,
    Session,
    User,
)

from .handshakes import accept, handshake, refusal, send

OFF: dict[str, object] = {"connection": None, "user": None, "ip": None, "handshake": None}


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def limited(clock: FakeClock, **options: object) -> RateLimitMiddleware:
    """Return a middleware in which all limits are off but the given ones."""
    middleware = RateLimitMiddleware(config(**options))
    middleware.clock = clock
    return middleware


def config(**options: object) -> RateLimitConfig:
    return msgspec.convert({**OFF, **options}, RateLimitConfig)


def limit(rate: float, burst: float) -> dict[str, float]:
    return {"rate": rate, "burst": burst}


async def connect(
    middleware: RateLimitMiddleware, user: str = "mary", remote: str = "203.0.113.5"
) -> Session:
    shaken = handshake(remote=remote, identity=Identity(user=user))
    return await middleware.connect(shaken, accept)


def passes(middleware: RateLimitMiddleware, session: Session) -> bool:
    try:
        middleware.frame(session, 10)
    except ActionError:
        return False
    return True


def granted(middleware: RateLimitMiddleware, session: Session, frames: int) -> int:
    return sum(passes(middleware, session) for _ in range(frames))


def told_to_wait(middleware: RateLimitMiddleware, session: Session) -> float:
    with pytest.raises(ActionError, match="too fast") as caught:
        middleware.frame(session, 10)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def message(action: str) -> str:
    return f'{{"action":"{action}"}}'


async def test_a_connection_has_its_burst_then_its_rate(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(10, 5), max_strikes=100)
    session = await connect(middleware)
    assert granted(middleware, session, 20) == 5
    clock.now += 0.3
    assert granted(middleware, session, 20) == 3


@pytest.mark.parametrize("rate", [0.3, 7, 50, 333.3, 9999])
async def test_whoever_waits_as_told_succeeds(clock: FakeClock, rate: float) -> None:
    middleware = limited(clock, connection=limit(rate, 1), max_strikes=1000)
    session = await connect(middleware)
    for _ in range(200):
        middleware.frame(session, 10)
        wait = told_to_wait(middleware, session)
        assert wait == round(wait, 3)
        clock.now += wait


async def test_other_connections_do_not_notice(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 3))
    one, other = await connect(middleware), await connect(middleware)
    assert granted(middleware, one, 5) == 3
    assert granted(middleware, other, 5) == 3


async def test_a_users_connections_share(clock: FakeClock) -> None:
    middleware = limited(clock, user=limit(1, 4))
    phone = await connect(middleware, "mary", "203.0.113.5")
    laptop = await connect(middleware, "mary", "198.51.100.7")
    assert granted(middleware, phone, 3) == 3
    assert granted(middleware, laptop, 3) == 1
    assert granted(middleware, await connect(middleware, "john"), 4) == 4


async def test_an_address_is_shared(clock: FakeClock) -> None:
    middleware = limited(clock, ip=limit(1, 4))
    assert granted(middleware, await connect(middleware, "mary", "2001:db8::1"), 3) == 3
    assert granted(middleware, await connect(middleware, "john", "2001:db8::2"), 3) == 1
    assert granted(middleware, await connect(middleware, "john", "2001:db8:0:1::1"), 4) == 4


async def test_peers_without_address_do_not_share_one(clock: FakeClock) -> None:
    middleware = limited(clock, ip=limit(1, 1), handshake=limit(1, 1))
    for user in ("mary", "john"):
        assert granted(middleware, await connect(middleware, user, ""), 5) == 5


async def test_one_refusal_charges_nobody(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 10), user=limit(1, 10), ip=limit(1, 2))
    session = await connect(middleware)
    assert granted(middleware, session, 9) == 2
    elsewhere = await connect(middleware, "mary", "198.51.100.7")
    middleware.configure(config(connection=limit(1, 10), user=limit(1, 10)))
    assert granted(middleware, session, 20) == 8
    assert granted(middleware, elsewhere, 20) == 0


async def test_buckets_survive_a_reconnect(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 100), user=limit(1, 5))
    assert granted(middleware, await connect(middleware), 9) == 5
    clock.now += 2
    assert granted(middleware, await connect(middleware), 9) == 2


async def test_a_session_that_becomes_another_user_pays_as_that_user(clock: FakeClock) -> None:
    middleware = limited(clock, user=limit(1, 3))
    session = await connect(middleware, "mary")
    assert granted(middleware, session, 2) == 2
    session.user = User("john")
    assert granted(middleware, session, 5) == 3
    assert granted(middleware, await connect(middleware, "john"), 1) == 0
    assert granted(middleware, await connect(middleware, "mary"), 5) == 1


async def test_dear_actions_cost_more(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 10), costs={"list_rooms": 5, "join": 2.5})
    session = await connect(middleware)
    assert await send(middleware, session, message("list_rooms")) is not None
    assert await send(middleware, session, message("join")) is not None
    assert await send(middleware, session, message("message")) is not None
    assert granted(middleware, session, 5) == 1


async def test_waiting_as_told_twice_is_enough_for_a_dear_action(clock: FakeClock) -> None:
    """A frame is refused before it is known how dear it is, so the first wait can be too short."""
    middleware = limited(
        clock,
        connection=limit(2, 5),
        user=limit(0.7, 5.5),
        costs={"list_rooms": 5},
        max_strikes=1000,
    )
    session = await connect(middleware)
    for _ in range(50):
        waits = 0
        while True:
            try:
                await send(middleware, session, message("list_rooms"))
            except ActionError as refused:
                clock.now += refused.retry_after or 0.0
                waits += 1
            else:
                break
        assert waits <= 2


async def test_an_action_refused_for_its_price_is_not_handled(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 5), costs={"list_rooms": 5})
    session = await connect(middleware)
    middleware.frame(session, 10)
    with pytest.raises(ActionError) as caught:
        await send(middleware, session, message("list_rooms"))
    assert caught.value.code == "rate_limited"
    assert caught.value.retry_after == 2.0
    assert granted(middleware, session, 9) == 3


async def test_handshakes_are_charged_to_the_address(clock: FakeClock) -> None:
    middleware = limited(clock, handshake=limit(0.4, 2))

    def shaken(remote: str, probe: bool = False) -> Handshake:
        return handshake(remote=remote, probe=probe)

    assert await refusal(middleware, shaken("2001:db8::1")) is None
    assert await refusal(middleware, shaken("2001:db8::2", probe=True)) is None
    refused = await refusal(middleware, shaken("2001:db8::3"))
    assert refused is not None
    assert (refused.status, refused.reason, refused.retry_after) == (429, "rate_limit", 2.5)
    assert "2.5 s" in refused.text
    assert await refusal(middleware, shaken("203.0.113.5")) is None
    clock.now += 2.5
    assert await refusal(middleware, shaken("2001:db8::3")) is None


async def test_persistent_offenders_are_disconnected(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(10, 1), max_strikes=3)
    session = await connect(middleware)
    for _ in range(30):
        passes(middleware, session)
        clock.now += 0.01
    with pytest.raises(Disconnect) as caught:
        granted(middleware, session, 10)
    assert caught.value.code == 3013


async def test_refusals_count_once_per_announced_wait(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(0.1, 1), max_strikes=1)
    session = await connect(middleware)
    assert granted(middleware, session, 500) == 1
    clock.now += 9.9
    assert granted(middleware, session, 500) == 0
    clock.now += 0.2
    assert granted(middleware, session, 1) == 1
    with pytest.raises(Disconnect):
        middleware.frame(session, 10)


async def test_strikes_are_forgiven_one_by_one(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 1), max_strikes=2, strike_memory=30)
    session = await connect(middleware)
    for _ in range(20):
        assert granted(middleware, session, 2) == 1
        clock.now += 30
    assert granted(middleware, session, 2) == 1
    clock.now += 29
    assert granted(middleware, session, 2) == 1
    clock.now += 29
    with pytest.raises(Disconnect):
        granted(middleware, session, 2)


async def test_no_strike_is_allowed_where_none_is(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 1), max_strikes=0)
    session = await connect(middleware)
    middleware.frame(session, 10)
    with pytest.raises(Disconnect) as caught:
        middleware.frame(session, 10)
    assert 0 < len(caught.value.reason.encode()) <= 123


async def test_new_limits_hold_for_live_connections_and_known_users(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 10), user=limit(1, 10))
    session = await connect(middleware)
    assert granted(middleware, session, 4) == 4
    middleware.configure(config(connection=limit(1, 6), user=limit(1, 100)))
    assert granted(middleware, session, 20) == 2
    middleware.configure(config(user=limit(1, 20)))
    assert granted(middleware, session, 20) == 14
    middleware.configure(config())
    assert granted(middleware, session, 20) == 20


async def test_the_table_is_bounded_and_forgets_the_full_first(clock: FakeClock) -> None:
    middleware = limited(clock, user=limit(0.001, 3), max_buckets=4)
    assert granted(middleware, await connect(middleware, "mary"), 9) == 3
    for stranger in range(50):
        assert granted(middleware, await connect(middleware, f"s{stranger}"), 1) == 1
    assert granted(middleware, await connect(middleware, "mary"), 9) == 0
    assert granted(middleware, await connect(middleware, "s1"), 9) == 3


async def test_a_smaller_table_holds_at_once(clock: FakeClock) -> None:
    middleware = limited(clock, user=limit(0.001, 3), max_buckets=100)
    for stranger in range(50):
        assert granted(middleware, await connect(middleware, f"s{stranger}"), 3) == 3
    middleware.configure(config(user=limit(0.001, 3), max_buckets=1))
    assert granted(middleware, await connect(middleware, "new"), 9) == 3
    assert granted(middleware, await connect(middleware, "s49"), 9) == 3


async def test_what_costs_more_than_a_full_bucket_takes_all_of_it(clock: FakeClock) -> None:
    middleware = limited(clock, connection=limit(1, 20), user=limit(1, 4), costs={"list_rooms": 9})
    session = await connect(middleware)
    for _ in range(3):
        assert await send(middleware, session, message("list_rooms")) is not None
        clock.now += 2
        with pytest.raises(ActionError, match="too fast") as caught:
            await send(middleware, session, message("list_rooms"))
        assert caught.value.retry_after == 3.0
        clock.now += 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"connection": {"rate": 0, "burst": 1}},
        {"connection": {"rate": 1, "burst": 0.5}},
        {"connection": {"rate": math.inf, "burst": 1}},
        {"connection": {"rate": 1}},
        {"costs": {"join": 0.5}},
        {"max_buckets": 0},
        {"conection": None},
    ],
)
def test_nonsense_is_no_configuration(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        config(**wrong)


async def test_the_defaults_bear_a_person_who_pastes(clock: FakeClock) -> None:
    middleware = RateLimitMiddleware(RateLimitConfig())
    middleware.clock = clock
    session = await connect(middleware)
    assert granted(middleware, session, 100) == 100
    clock.now += 1
    assert granted(middleware, session, 50) == 50
