from typing import get_args

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from chatserver_middlewares.auth_config import MAX_TOKEN, Algorithm, AuthConfig, JwtConfig
from chatserver_middlewares.token_errors import NoKeysError, TokenError
from chatserver_middlewares.verifier import Verifier

from chatserver import ConfigError
from tests.middlewares.issuer import (
    EC,
    NOW,
    RSA,
    SECRET,
    claims,
    jwk,
    key_set,
    public_pem,
    sign,
)

URL = "https://issuer.example/keys"


def verifier(config: AuthConfig, before: Verifier | None = None) -> Verifier:
    return Verifier(config, lambda: NOW, before)


async def test_without_tokens_and_jwt_nobody_is_known() -> None:
    with pytest.raises(TokenError):
        await verifier(AuthConfig()).identify("secret-token-123")


async def test_fixed_tokens_and_jwt_beside_each_other() -> None:
    config = AuthConfig(tokens=("a.b.c",), jwt=JwtConfig(algorithms=("HS256",), secret=SECRET))
    both = verifier(config)
    assert (await both.identify("a.b.c")).user.startswith("token:")
    assert (await both.identify(sign(claims()))).user == "alice"
    with pytest.raises(TokenError, match="expired"):
        await both.identify(sign(claims(exp=NOW)))
    with pytest.raises(TokenError, match="neither"):
        await both.identify("secret-token-123")


@pytest.mark.parametrize(
    "token",
    [sign(claims(pad="x" * MAX_TOKEN)), "\ud800", ""],
    ids=["long", "surrogate", "empty"],
)
async def test_what_no_carrier_would_bring_is_refused_from_anywhere(token: str) -> None:
    jwt = JwtConfig(algorithms=("HS256",), secret=SECRET)
    with pytest.raises(TokenError, match="too long"):
        await verifier(AuthConfig(jwt=jwt)).identify(token)


async def test_names_in_tokens_are_fixed_unless_the_configuration_says_so() -> None:
    jwt = JwtConfig(algorithms=("HS256",), secret=SECRET)
    token = sign(claims(name="Alice"))
    assert not (await verifier(AuthConfig(jwt=jwt)).identify(token)).allow_rename
    free = AuthConfig(jwt=jwt, allow_rename=True)
    assert (await verifier(free).identify(token)).allow_rename


async def test_a_public_key() -> None:
    jwt = JwtConfig(algorithms=("RS256", "RS384"), public_key=public_pem(RSA))
    one = verifier(AuthConfig(jwt=jwt))
    assert (await one.identify(sign(claims(), RSA, "RS384"))).user == "alice"
    with pytest.raises(TokenError):
        await one.identify(sign(claims(), RSA, "RS512"))
    with pytest.raises(TokenError):
        await one.identify(sign(claims(), EC, "ES256"))


async def test_published_keys_outlive_a_reload_that_does_not_concern_them() -> None:
    asked = 0

    async def publish(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(body=key_set(jwk(RSA, "1"), jwk(EC, "2")))

    app = web.Application()
    app.router.add_get("/keys", publish)
    async with TestServer(app, host="127.0.0.1") as server:
        jwt = JwtConfig(algorithms=("RS256",), jwks_url=str(server.make_url("/keys")))
        first = verifier(AuthConfig(jwt=jwt))
        await first.start()
        assert (await first.identify(sign(claims(), RSA, "RS256", kid="1"))).user == "alice"

        second = verifier(AuthConfig(jwt=jwt, tokens=("t",)), first)
        assert (await second.identify(sign(claims(), RSA, "RS256", kid="1"))).user == "alice"
        assert asked == 1

        other = JwtConfig(algorithms=("ES256",), jwks_url=jwt.jwks_url)
        third = verifier(AuthConfig(jwt=other), second)
        assert (await third.identify(sign(claims(), EC, "ES256", kid="2"))).user == "alice"
        with pytest.raises(TokenError, match="algorithm"):
            await third.identify(sign(claims(), RSA, "RS256", kid="1"))
        assert asked == 2
        await third.close()


async def test_garbage_does_not_make_us_ask_for_keys(unused_tcp_port: int) -> None:
    jwt = JwtConfig(algorithms=("RS256",), jwks_url=f"http://127.0.0.1:{unused_tcp_port}/")
    one = verifier(AuthConfig(jwt=jwt))
    for garbage in ("garbage", "a.b.c", sign(claims()), sign(claims(), EC, "ES256")):
        with pytest.raises(TokenError):
            await one.identify(garbage)
    with pytest.raises(NoKeysError):
        await one.identify(sign(claims(), RSA, "RS256"))
    await one.close()


@pytest.mark.parametrize(
    ("jwt", "fault"),
    [
        (JwtConfig(algorithms=("HS256",)), "exactly one .* it has none"),
        (JwtConfig(algorithms=("RS256",)), "exactly one"),
        (
            JwtConfig(algorithms=("RS256",), jwks_url=URL, public_key=public_pem(RSA)),
            "it has public_key and jwks_url",
        ),
        (
            JwtConfig(algorithms=("HS256",), secret=SECRET, public_key=public_pem(RSA)),
            "it has secret and public_key",
        ),
        (JwtConfig(algorithms=("HS256", "RS256"), secret=SECRET), "mixes"),
        (JwtConfig(algorithms=("HS256", "RS256"), public_key=public_pem(RSA)), "mixes"),
        (JwtConfig(algorithms=("ES256", "HS256"), jwks_url=URL), "mixes"),
        (JwtConfig(algorithms=("HS256",), public_key=public_pem(RSA)), "needs jwt.secret"),
        (JwtConfig(algorithms=("HS256",), jwks_url=URL), "needs jwt.secret"),
        (JwtConfig(algorithms=("RS256",), secret=SECRET), "HS. only"),
        (JwtConfig(algorithms=("HS256",), secret=SECRET[:31]), "31 bytes and needs 32"),
        (JwtConfig(algorithms=("HS256",), secret=""), "0 bytes"),
        (JwtConfig(algorithms=("RS256",), public_key="key"), "PEM"),
        (JwtConfig(algorithms=("RS256",), jwks_url="http://issuer.example/"), "https URL"),
    ],
)
def test_impossible_keys_are_found_at_start_up(jwt: JwtConfig, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        verifier(AuthConfig(jwt=jwt))


def test_none_is_no_algorithm() -> None:
    assert not [name for name in get_args(Algorithm) if name.lower() == "none"]
