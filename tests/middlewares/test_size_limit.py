import msgspec
import pytest
from chatserver_middlewares.size_limit import SizeLimitConfig, SizeLimitMiddleware

from chatserver import ActionError, ConfigError, Session

from .handshakes import accept, handshake, send


def size_limit(**options: object) -> SizeLimitMiddleware:
    return SizeLimitMiddleware(msgspec.convert(options, SizeLimitConfig))


async def connected(middleware: SizeLimitMiddleware) -> Session:
    return await middleware.connect(handshake(), accept)


def message(size: int, fill: str = "x", action: str = "message") -> str:
    """Return a message of exactly `size` bytes."""
    frame = f'{{"action":"{action}","text":"%s"}}'
    left = size - len(frame) + 2
    count, rest = divmod(left, len(fill.encode()))
    return frame % (fill * count + "." * rest)


async def test_limits_are_announced_and_the_wall_is_set() -> None:
    shaken = handshake()
    session = await size_limit(max_message_size=2000, hard_limit=5_000_000).connect(shaken, accept)
    assert shaken.max_frame == 5_000_000
    assert session.max_message_size == 2000


@pytest.mark.parametrize("fill", ["x", "ü", "💬"])
async def test_bytes_are_counted(fill: str) -> None:
    middleware = size_limit(max_message_size=1000)
    session = await connected(middleware)
    assert await send(middleware, session, message(1000, fill)) is not None
    with pytest.raises(ActionError, match="1000 bytes") as caught:
        await send(middleware, session, message(1001, fill))
    assert caught.value.code == "too_large"


async def test_what_is_certainly_too_large_is_refused_before_parsing() -> None:
    middleware = size_limit(max_message_size=1000)
    session = await connected(middleware)
    middleware.frame(session, 1000)
    with pytest.raises(ActionError, match="1000 bytes"):
        middleware.frame(session, 1001)


async def test_an_action_can_have_a_lower_limit() -> None:
    middleware = size_limit(max_message_size=1000, actions={"message": 500})
    session = await connected(middleware)
    assert await send(middleware, session, message(500)) is not None
    assert await send(middleware, session, message(1000, action="echo")) is not None
    assert await send(middleware, session, '{"text":"no action"}') is not None
    with pytest.raises(ActionError, match=r"'message'.*500 bytes") as caught:
        await send(middleware, session, message(501))
    assert caught.value.code == "too_large"


async def test_a_new_configuration_holds_for_the_next_message() -> None:
    middleware = size_limit(max_message_size=1000)
    session = await connected(middleware)
    middleware.configure(SizeLimitConfig(max_message_size=2000))
    assert await send(middleware, session, message(2000)) is not None
    middleware.configure(SizeLimitConfig(max_message_size=500))
    with pytest.raises(ActionError, match="500 bytes"):
        await send(middleware, session, message(501))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_message_size": 1001, "hard_limit": 1000}, ["max_message_size", "1001", "1000"]),
        ({"max_message_size": 1000, "actions": {"echo": 1001}}, ["'echo'", "1001", "1000"]),
    ],
)
def test_limits_that_contradict_each_other_are_named(
    options: dict[str, object], named: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        size_limit(**options)
    assert [word for word in named if word not in caught.value.message] == []


def test_equal_limits_are_fine() -> None:
    size_limit(max_message_size=1000, hard_limit=1000, actions={"echo": 1000})
