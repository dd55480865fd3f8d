import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from chatserver_middlewares.jwks import MAX_DOCUMENT, MAX_STALE, Jwks, JwksSettings
from chatserver_middlewares.token_errors import NoKeysError

from chatserver import ConfigError
from tests.middlewares.issuer import EC, ED, RSA, jwk, key_set

OLD = key_set(jwk(RSA, "old"))
NEW = key_set(jwk(RSA, "old"), jwk(EC, "new"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """A real HTTP server that publishes keys, as well or badly as a test wants."""

    def __init__(self) -> None:
        self.document = OLD
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.elsewhere = 0
        self.reached = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()
        app = web.Application()
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/elsewhere", self._elsewhere)
        self.server = TestServer(app, host="127.0.0.1")

    async def _keys(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.reached.set()
        await self.answers.wait()
        return web.Response(body=self.document, status=self.status, headers=self.headers)

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response(body=NEW)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    await issuer.server.start_server()
    yield issuer
    issuer.answers.set()
    await issuer.server.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., Jwks]


@pytest.fixture
async def make(issuer: Issuer, clock: Clock) -> AsyncIterator[Make]:
    made: list[Jwks] = []

    def jwks(timeout: float = 5.0) -> Jwks:
        url = str(issuer.server.make_url("/keys"))
        settings = JwksSettings(url=url, algorithms=("RS256", "ES256"), timeout=timeout)
        made.append(Jwks(settings, clock))
        return made[-1]

    yield jwks
    for one in made:
        await one.close()


async def names(found: Awaitable[object]) -> list[str | None]:
    keys = await found
    assert isinstance(keys, tuple)
    return [key.kid for key in keys]


async def test_keys_are_fetched_when_they_are_needed_and_kept(make: Make, issuer: Issuer) -> None:
    jwks = make()
    assert issuer.asked == 0
    for _ in range(3):
        assert await names(jwks.find("old")) == ["old"]
    assert await names(jwks.find(None)) == ["old"]
    assert issuer.asked == 1


async def test_old_keys_are_fetched_again(make: Make, issuer: Issuer, clock: Clock) -> None:
    jwks = make()
    await jwks.refresh()
    issuer.document = NEW
    clock.now += 599
    assert await names(jwks.find("old")) == ["old"]
    clock.now += 1
    assert await names(jwks.find("old")) == ["old", "new"]
    assert issuer.asked == 2


async def test_a_key_that_was_withdrawn_is_forgotten(
    make: Make, issuer: Issuer, clock: Clock
) -> None:
    jwks = make()
    await jwks.refresh()
    issuer.document = key_set(jwk(EC, "new"))
    clock.now += 600
    assert await names(jwks.find("old")) == ["new"]


async def test_a_new_key_is_found_at_once(make: Make, issuer: Issuer, clock: Clock) -> None:
    jwks = make()
    await jwks.refresh()
    clock.now += 30
    issuer.document = NEW
    assert await names(jwks.find("new")) == ["old", "new"]
    assert issuer.asked == 2


async def test_unknown_keys_are_asked_for_once_per_cool_down(
    make: Make, issuer: Issuer, clock: Clock
) -> None:
    jwks = make()
    await jwks.refresh()
    clock.now += 30
    for n in range(20):
        assert await names(jwks.find(f"unknown-{n}")) == ["old"]
    assert issuer.asked == 2
    clock.now += 29
    await jwks.find("unknown")
    assert issuer.asked == 2
    clock.now += 1
    await jwks.find("unknown")
    assert issuer.asked == 3


async def test_all_who_wait_share_one_fetch(make: Make, issuer: Issuer) -> None:
    jwks = make()
    issuer.answers.clear()
    waiting = [asyncio.ensure_future(names(jwks.find("old"))) for _ in range(50)]
    await issuer.reached.wait()
    issuer.answers.set()
    assert await asyncio.gather(*waiting) == [["old"]] * 50
    assert issuer.asked == 1


async def test_one_who_gives_up_does_not_disturb_the_others(make: Make, issuer: Issuer) -> None:
    jwks = make()
    issuer.answers.clear()
    first = asyncio.ensure_future(jwks.find("old"))
    second = asyncio.ensure_future(names(jwks.find("old")))
    await issuer.reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    issuer.answers.set()
    assert await second == ["old"]


async def test_keys_in_hand_do_not_wait_for_a_slow_fetch(
    make: Make, issuer: Issuer, clock: Clock
) -> None:
    jwks = make()
    await jwks.refresh()
    clock.now += 30
    issuer.answers.clear()
    issuer.reached.clear()
    slow = asyncio.ensure_future(jwks.find("new"))
    await issuer.reached.wait()
    assert await names(jwks.find("old")) == ["old"]
    assert not slow.done()
    issuer.answers.set()
    await slow


async def test_old_keys_serve_while_the_url_is_down(
    make: Make, issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    jwks = make()
    await jwks.refresh()
    await issuer.server.close()
    clock.now += MAX_STALE
    assert await names(jwks.find("old")) == ["old"]
    assert "1 older keys until then" in caplog.text
    clock.now += 1
    with pytest.raises(NoKeysError) as caught:
        await jwks.find("old")
    assert caught.value.retry_after == 29


async def test_a_token_is_not_called_wrong_while_its_key_cannot_be_had(
    make: Make, issuer: Issuer, clock: Clock
) -> None:
    jwks = make()
    await jwks.refresh()
    issuer.status = 503
    clock.now += 30
    with pytest.raises(NoKeysError):
        await jwks.find("new")
    assert await names(jwks.find("old")) == ["old"]
    issuer.status, issuer.document = 200, NEW
    clock.now += 30
    assert await names(jwks.find("new")) == ["old", "new"]


async def test_a_url_that_comes_up_later(make: Make, issuer: Issuer, clock: Clock) -> None:
    jwks = make()
    issuer.status = 500
    await jwks.refresh()
    with pytest.raises(NoKeysError) as caught:
        await jwks.find("old")
    assert caught.value.retry_after == 30
    assert issuer.asked == 1
    issuer.status = 200
    clock.now += 30
    assert await names(jwks.find("old")) == ["old"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html></html>",
        b"\xff\xfe",
        b'{"keys":[]}',
        key_set(jwk(ED)),
        b" " * MAX_DOCUMENT + OLD,
    ],
    ids=["empty", "html", "bytes", "no keys", "no fitting key", "too large"],
)
async def test_garbage_does_not_replace_keys(
    make: Make,
    issuer: Issuer,
    clock: Clock,
    document: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    jwks = make()
    await jwks.refresh()
    issuer.document = document
    clock.now += 600
    assert await names(jwks.find("old")) == ["old"]
    assert issuer.asked == 2
    assert "no keys from http://127.0.0.1:" in caplog.text


async def test_a_slow_url_is_given_up(
    make: Make, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    jwks = make(timeout=0.05)
    issuer.answers.clear()
    with pytest.raises(NoKeysError):
        await jwks.find("old")
    assert "/keys: " in caplog.text


async def test_redirects_are_not_followed(make: Make, issuer: Issuer) -> None:
    jwks = make()
    issuer.status, issuer.headers = 302, {"Location": "/elsewhere"}
    with pytest.raises(NoKeysError):
        await jwks.find("new")
    assert (issuer.asked, issuer.elsewhere) == (1, 0)


async def test_packed_answers_are_not_unpacked(make: Make, issuer: Issuer) -> None:
    jwks = make()
    issuer.headers = {"Content-Encoding": "gzip"}
    assert await names(jwks.find("old")) == ["old"]


async def test_closing_ends_a_fetch_and_frees_who_waits(make: Make, issuer: Issuer) -> None:
    jwks = make()
    issuer.answers.clear()
    waiting = asyncio.ensure_future(jwks.find("old"))
    await issuer.reached.wait()
    await jwks.close()
    with pytest.raises(NoKeysError):
        await waiting


async def test_the_query_of_the_url_is_not_logged(
    clock: Clock, caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/keys?code=hidden"
    with caplog.at_level(logging.DEBUG, "chatserver"):
        await Jwks(JwksSettings(url=url, algorithms=("RS256",)), clock).refresh()
    assert "no keys from http://127.0.0.1:" in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/keys",
        "https://issuer.example:8443/keys?tenant=1",
        "http://localhost/keys",
        "http://127.0.0.1:8080/keys",
        "http://[::1]:8080/keys",
    ],
)
def test_urls_that_can_be_trusted(url: str) -> None:
    assert JwksSettings(url=url, algorithms=("RS256",)).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.example/keys",
        "http://issuer.example/keys",
        "http://localhost.example/keys",
        "http://192.0.2.1/keys",
        "ftp://localhost/keys",
        "file:///etc/keys",
        "https:///keys",
        "https://user:hidden@issuer.example/keys",
        "https://issuer.example:port/keys",
        "https://[::1/keys",
    ],
)
def test_urls_that_cannot_be_trusted(url: str) -> None:
    with pytest.raises(ConfigError, match="https URL") as caught:
        JwksSettings(url=url, algorithms=("RS256",))
    assert "hidden" not in str(caught.value)
