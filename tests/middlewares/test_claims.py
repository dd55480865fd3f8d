import logging

import pytest
from chatserver_middlewares.auth_config import JwtConfig
from chatserver_middlewares.claims import identify
from chatserver_middlewares.token_errors import TokenError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatserver import EVERYWHERE, Identity, Right
from tests.middlewares.issuer import NOW, claims

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PLAIN = JwtConfig(algorithms=("HS256",))


def read(config: JwtConfig = PLAIN, /, **changes: object) -> Identity:
    return identify(claims(**changes), config, allow_rename=False, now=NOW)


def test_the_least_a_token_says() -> None:
    assert read() == Identity(user="alice", expires=NOW + 60, rights=EVERYWHERE)


# Times


def test_a_token_ends_at_its_time() -> None:
    assert read(exp=NOW + 1).expires == NOW + 1
    with pytest.raises(TokenError, match="expired"):
        read(exp=NOW)
    with pytest.raises(TokenError, match="expired"):
        read(exp=0)


def test_a_token_without_an_end_is_refused() -> None:
    with pytest.raises(TokenError, match="exp is missing"):
        read(exp=None)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_begins_at_its_time(claim: str) -> None:
    assert read(**{claim: NOW}).user == "alice"
    with pytest.raises(TokenError, match=f"not valid yet \\({claim}\\)"):
        read(**{claim: NOW + 1})


def test_the_leeway_goes_both_ways_and_counts_for_the_connection() -> None:
    lenient = JwtConfig(algorithms=("HS256",), leeway=10)
    assert read(lenient, exp=NOW - 9).expires == NOW + 1
    assert read(lenient, nbf=NOW + 10, iat=NOW + 10).user == "alice"
    with pytest.raises(TokenError):
        read(lenient, exp=NOW - 10)
    with pytest.raises(TokenError):
        read(lenient, nbf=NOW + 11)


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", ["1800000060", True, [], {}, -1, 10**400, 1e300, float("nan"), float("inf"), 2**53 + 2]
)
def test_what_is_no_time_is_refused(claim: str, value: object) -> None:
    with pytest.raises(TokenError, match=f"{claim} is no time"):
        read(**{claim: value})


def test_null_is_no_time() -> None:
    for claim in ("exp", "nbf", "iat"):
        with pytest.raises(TokenError, match=f"{claim} is no time"):
            identify({**claims(), claim: None}, PLAIN, allow_rename=False, now=NOW)


# Parties

OURS = JwtConfig(algorithms=("HS256",), audience="chat", issuer="https://issuer.example")


@pytest.mark.parametrize("audience", ["chat", ["chat"], ["mail", "chat"]])
def test_the_right_parties(audience: object) -> None:
    assert read(OURS, aud=audience, iss="https://issuer.example").user == "alice"


@pytest.mark.parametrize("audience", [None, "", "Chat", "chat2", [], ["mail"], {"chat": 1}, 7])
def test_another_audience(audience: object) -> None:
    with pytest.raises(TokenError, match="audience"):
        read(OURS, aud=audience, iss="https://issuer.example")


@pytest.mark.parametrize(
    "issuer", [None, "", "https://issuer.example/", "https://issuer", ["https://issuer.example"]]
)
def test_another_issuer(issuer: object) -> None:
    with pytest.raises(TokenError, match="issuer"):
        read(OURS, aud="chat", iss=issuer)


def test_a_token_for_an_audience_needs_one_configured() -> None:
    with pytest.raises(TokenError, match=r"auth\.jwt\.audience"):
        read(aud="chat")


def test_any_issuer_without_one_configured() -> None:
    assert read(iss="anybody").user == "alice"


# The user


@pytest.mark.parametrize("user", [None, "", 7, ["alice"], "x" * 256, "a\nb", "\0", "guest:1"])
def test_impossible_users(user: object) -> None:
    with pytest.raises(TokenError):
        read(sub=user)


def test_the_claims_can_have_other_names() -> None:
    config = JwtConfig(
        algorithms=("HS256",), user_claim="uid", name_claim="nick", rights_claim="may"
    )
    found = read(config, uid="bob", nick="Bob", may={"lobby": ["join"]}, name="x", rooms=7)
    assert (found.user, found.name) == ("bob", "Bob")
    assert found.rights.allows(Right.JOIN, "lobby")


def test_the_name_is_cleaned() -> None:
    assert read(name="  Ａlice ").name == "Alice"
    assert read(name=None).name is None
    assert identify(claims(name="A"), PLAIN, allow_rename=True, now=NOW).allow_rename


@pytest.mark.parametrize("name", ["", " ", "\u202e", "x" * 65, 7, ["Alice"]])
def test_a_bad_name_is_not_used(name: object, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "chatserver.auth"):
        assert read(name=name).name is None
    assert "'alice'" in caplog.text


def test_rights_by_room() -> None:
    rights = read(rooms={"lobby": ["join", "read"], "team-*": ["join", "moderate"]}).rights
    assert rights.allows(Right.READ, "lobby")
    assert not rights.allows(Right.WRITE, "lobby")
    assert rights.allows(Right.MODERATE, "team-red")
    assert not rights.allows(Right.JOIN, "other")


def test_no_rights_at_all() -> None:
    assert not read(rooms={}).rights.allows(Right.JOIN, "lobby")


@pytest.mark.parametrize(
    "rooms", ["*", [], 7, {"lobby": "join"}, {"lobby": ["Join"]}, {"lobby": ["admin"]}, {"a": None}]
)
def test_unknown_rights(rooms: object) -> None:
    with pytest.raises(TokenError, match="rights"):
        read(rooms=rooms)


def test_null_is_not_the_absence_of_rights() -> None:
    with pytest.raises(TokenError, match="rights"):
        identify({**claims(), "rooms": None}, PLAIN, allow_rename=False, now=NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=4), part),
    max_leaves=6,
)


@unhurried
@given(
    st.dictionaries(
        st.sampled_from(["sub", "exp", "nbf", "iat", "aud", "iss", "name", "rooms"]), json_values
    )
)
def test_any_claims_are_judged(changes: dict[str, object]) -> None:
    try:
        found = identify({**claims(), **changes}, OURS, allow_rename=False, now=NOW)
    except TokenError:
        return
    assert found.user == {**claims(), **changes}["sub"]
