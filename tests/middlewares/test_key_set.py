import json

import pytest
from chatserver_middlewares.key_set import parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.middlewares.issuer import EC, EC384, ED, RSA, SMALL_RSA, jwk, key_set

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ALL = ["RS256", "ES256", "EdDSA"]


def test_each_kind_of_key() -> None:
    found = parse(key_set(jwk(RSA, "r"), jwk(EC, "e"), jwk(ED, "d")), ALL)
    assert [(key.kid, set(key.algorithms)) for key in found] == [
        ("r", {"RS256"}),
        ("e", {"ES256"}),
        ("d", {"EdDSA"}),
    ]


def test_a_key_can_be_bound_to_one_algorithm() -> None:
    (bound,) = parse(key_set(jwk(RSA, alg="RS512")), ["RS256", "RS512"])
    assert bound.algorithms == {"RS512"}


@pytest.mark.parametrize(
    "unfit",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "h"},
        jwk(EC384),
        jwk(SMALL_RSA),
        jwk(RSA, alg="RS512"),
        jwk(RSA, alg="HS256"),
        jwk(RSA, use="enc"),
        jwk(RSA, key_ops=["encrypt"]),
        jwk(RSA, kid=None) | {"kid": 7},
        jwk(RSA) | {"n": "!"},
        jwk(RSA) | {"n": None},
        jwk(RSA) | {"e": "AA"},
        jwk(EC) | {"x": "AA"},
        jwk(EC) | {"x": jwk(EC)["y"]},
        jwk(ED) | {"x": "AA"},
        jwk(ED) | {"crv": "X25519"},
        {"kty": "RSA"},
        {"kty": "DH"},
        {"kty": None},
        {},
    ],
)
def test_a_key_of_no_use_is_passed_over(unfit: dict[str, object]) -> None:
    (found,) = parse(key_set(unfit, jwk(ED, "good")), ALL)
    assert found.kid == "good"


def test_a_published_private_key_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    (found,) = parse(key_set(jwk(EC) | {"d": jwk(EC)["x"]}, jwk(ED, "good")), ALL)
    assert found.kid == "good"
    assert "private key" in caplog.text


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [1, null, "x", []]}',
        b"[" * 100_000,
        b'{"keys": ' + b"[" * 100_000,
    ],
    ids=lambda document: document[:12].decode(errors="replace"),
)
def test_what_has_no_keys_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"[Kk]ey"):
        parse(document, ALL)


def values() -> st.SearchStrategy[object]:
    plain = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
    return st.recursive(plain, lambda part: st.lists(part, max_size=3), max_leaves=4)


@unhurried
@given(
    base=st.sampled_from([jwk(RSA), jwk(EC), jwk(ED)]),
    changes=st.dictionaries(
        st.sampled_from(["kty", "n", "e", "crv", "x", "y", "d", "alg", "use", "key_ops", "kid"]),
        values(),
    ),
)
def test_a_damaged_key_harms_no_other(base: dict[str, object], changes: dict[str, object]) -> None:
    document = json.dumps({"keys": [{**base, **changes}, jwk(ED, "good")]}).encode()
    assert parse(document, ALL)[-1].kid == "good"


@unhurried
@given(st.binary(max_size=200))
def test_garbage_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"[Kk]ey"):
        parse(document, ALL)
