import json
from collections.abc import Mapping

import pytest
from chatserver_middlewares.auth_config import MAX_TOKEN, StaticToken
from chatserver_middlewares.key_set import parse
from chatserver_middlewares.keys import Key, from_pem, from_secret
from chatserver_middlewares.token_errors import TokenError
from chatserver_middlewares.tokens import MAX_TRIED, StaticTokens, read_head, verify
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chatserver import ConfigError, Right
from tests.middlewares.issuer import (
    EC,
    EC384,
    ED,
    OTHER_RSA,
    RSA,
    SECRET,
    PrivateKey,
    base64url,
    claims,
    forge,
    jwk,
    key_set,
    public_pem,
    sign,
)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

HS256 = (from_secret(SECRET, ["HS256"]),)
RS256 = (from_pem(public_pem(RSA), ["RS256"]),)


def read(token: str, keys: tuple[Key, ...], *algorithms: str) -> Mapping[str, object]:
    return verify(token, read_head(token, algorithms), keys)


# Fixed tokens


def test_a_plain_token_stands_for_a_user_of_its_own() -> None:
    known = StaticTokens(["secret-token-123", "secret-token-456"], allow_rename=False)
    one, two = known.find("secret-token-123"), known.find("secret-token-456")
    assert one is not None
    assert two is not None
    assert one.user.startswith("token:")
    assert len(one.user) == len("token:") + 16
    assert one.user != two.user
    assert "secret" not in one.user
    assert one.name is None
    assert one.expires is None
    again = StaticTokens(["secret-token-123"], allow_rename=False).find("secret-token-123")
    assert again == one


def test_a_token_with_a_user() -> None:
    rights = {"lobby": frozenset({Right.READ})}
    given = StaticToken(token="t", user="alice", name=" Alice ", rights=rights)
    found = StaticTokens([given], allow_rename=True).find("t")
    assert found is not None
    assert (found.user, found.name, found.allow_rename) == ("alice", "Alice", True)
    assert found.rights.allows(Right.READ, "lobby")
    assert not found.rights.allows(Right.WRITE, "lobby")
    assert not found.rights.allows(Right.READ, "other")


@pytest.mark.parametrize("token", ["", "secret-token-12", "secret-token-1234", "Secret-token-123"])
def test_other_tokens_stand_for_nobody(token: str) -> None:
    assert StaticTokens(["secret-token-123"], allow_rename=False).find(token) is None


@pytest.mark.parametrize(
    ("tokens", "fault"),
    [
        (["a", "b", "a"], r"tokens\[2\] is given twice"),
        (["a", StaticToken(token="a", user="u")], r"tokens\[1\] is given twice"),
        ([StaticToken(token="hidden", user="guest:1")], r"tokens\[0\]: user ids beginning"),
        ([StaticToken(token="hidden", user="a\nb")], r"tokens\[0\]: a user id"),
        ([StaticToken(token="hidden", name="\u200b")], r"tokens\[0\]: The name"),
    ],
)
def test_impossible_tokens_are_found_at_start_up(
    tokens: list[str | StaticToken], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault) as caught:
        StaticTokens(tokens, allow_rename=False)
    assert "hidden" not in str(caught.value)


# Signatures


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA, "RS256"),
        (RSA, "RS512"),
        (RSA, "PS256"),
        (EC, "ES256"),
        (EC384, "ES384"),
        (ED, "EdDSA"),
    ],
)
def test_every_kind_of_key(key: PrivateKey, algorithm: str) -> None:
    keys = (from_pem(public_pem(key), [algorithm]),)
    assert read(sign(claims(), key, algorithm), keys, algorithm) == claims()


@pytest.mark.parametrize(("algorithm", "length"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_every_kind_of_secret(algorithm: str, length: int) -> None:
    secret = "s" * length
    token = sign(claims(), secret, algorithm)
    assert read(token, (from_secret(secret, [algorithm]),), algorithm) == claims()


def test_an_algorithm_that_is_not_configured_is_refused() -> None:
    keys = (from_pem(public_pem(RSA), ["RS256", "RS512"]),)
    with pytest.raises(TokenError, match="algorithm"):
        read(sign(claims(), RSA, "RS512"), keys, "RS256")


def test_a_public_key_does_not_work_as_a_secret() -> None:
    confused = forge(
        {"alg": "HS256", "typ": "JWT"},
        json.dumps(claims()).encode(),
        public_pem(RSA).encode(),
    )
    with pytest.raises(TokenError, match="algorithm"):
        read(confused, RS256, "RS256")
    # Nor where the check of the configuration should have let it through.
    with pytest.raises(TokenError):
        read(confused, RS256, "RS256", "HS256")


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 7, ["RS256"], {}])
def test_an_unsigned_token_is_refused(name: object) -> None:
    for secret in (b"", SECRET.encode()):
        for keys, algorithm in ((RS256, "RS256"), (HS256, "HS256")):
            with pytest.raises(TokenError):
                read(forge({"alg": name}, b'{"sub":"alice"}', secret), keys, algorithm)


def test_a_token_changed_on_its_way_is_refused() -> None:
    head, _, signature = sign(claims(), RSA, "RS256").split(".")
    body = base64url(json.dumps(claims(sub="root")).encode())
    with pytest.raises(TokenError, match="none of our keys"):
        read(f"{head}.{body}.{signature}", RS256, "RS256")


def test_a_signature_by_somebody_else_is_refused() -> None:
    with pytest.raises(TokenError, match="none of our keys"):
        read(sign(claims(), OTHER_RSA, "RS256"), RS256, "RS256")
    with pytest.raises(TokenError, match="none of our keys"):
        read(sign(claims(), "f" * 32), HS256, "HS256")


def test_a_key_is_found_by_its_name() -> None:
    keys = parse(key_set(jwk(OTHER_RSA, "old"), jwk(RSA, "new")), ["RS256"])
    assert read(sign(claims(), RSA, "RS256", kid="new"), keys, "RS256")
    with pytest.raises(TokenError, match="none of our keys"):
        read(sign(claims(), RSA, "RS256", kid="old"), keys, "RS256")
    with pytest.raises(TokenError, match="unknown key"):
        read(sign(claims(), RSA, "RS256", kid="other"), keys, "RS256")


def test_without_a_name_the_keys_are_tried() -> None:
    token = sign(claims(), RSA, "RS256")
    others = [jwk(OTHER_RSA, f"{n}") for n in range(MAX_TRIED)]
    nearly = parse(key_set(*others[1:], jwk(RSA, "new")), ["RS256"])
    assert read(token, nearly, "RS256") == claims()
    beyond = parse(key_set(*others, jwk(RSA, "new")), ["RS256"])
    with pytest.raises(TokenError):
        read(token, beyond, "RS256")


def test_a_single_key_needs_no_name() -> None:
    assert read(sign(claims(), RSA, "RS256", kid="whatever"), RS256, "RS256") == claims()


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b"null", b"{", b"\xff", b"[" * 5000])
def test_claims_have_to_be_an_object(payload: bytes) -> None:
    with pytest.raises(TokenError):
        read(sign(payload), HS256, "HS256")


# Hostile tokens

DEEP = base64url(b'{"alg":' + b"[" * 5000)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "e30.e30.e30",
        f"{DEEP}.e30.e30",
        f"{base64url(b'null')}.e30.AA",
        f"{base64url(b'[]')}.e30.AA",
        forge({"alg": "HS256", "crit": ["x"]}, b"{}", SECRET.encode()),
        forge({"alg": "HS256", "crit": "x"}, b"{}", SECRET.encode()),
        forge({"alg": "HS256", "kid": 7}, b"{}", SECRET.encode()),
        forge({"alg": "HS256", "b64": False, "crit": ["b64"]}, b"{}", SECRET.encode()),
        forge(b'{"alg":"HS256","n":' + b"9" * 5000 + b"}", b"{}", SECRET.encode()),
        forge(b'{"alg":"HS256","n":\xff}', b"{}", SECRET.encode()),
        sign(claims())[:-1],
        sign(claims()) + "=",
        sign(claims()) + "\n",
        " " + sign(claims()),
        "ü.ü.ü",
        "\ud800.a.b",
        "A" * MAX_TOKEN,
        "." * MAX_TOKEN,
    ],
    ids=lambda token: f"{token[:12]!a}-{len(token)}",
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError):
        read(token, HS256, "HS256")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["HS256", "RS256", "none"]),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=4), part),
    max_leaves=6,
)
headers = st.dictionaries(
    st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk", "jku", "x5c"]), json_values
)


@unhurried
@given(header=headers, payload=json_values, signed=st.booleans())
@example(header={"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}}, payload={}, signed=False)
def test_only_our_signature_counts(
    header: dict[str, object], payload: object, signed: bool
) -> None:
    body = json.dumps(payload).encode()
    token = forge(header, body, SECRET.encode() if signed else b"x")
    try:
        found = read(token, (*HS256, *RS256), "HS256", "RS256")
    except TokenError:
        return
    assert signed
    assert header["alg"] == "HS256"
    assert isinstance(payload, dict)
    assert found.keys() == payload.keys()


@unhurried
@given(st.text(alphabet="abAB01-_.=", max_size=60) | st.text(max_size=60))
def test_any_text_is_judged(token: str) -> None:
    with pytest.raises(TokenError):
        read(token, HS256, "HS256")
