from collections.abc import Sequence

import pytest
from chatserver_middlewares.auth_config import MAX_TOKEN
from chatserver_middlewares.carriers import check_form, find_token
from chatserver_middlewares.token_errors import TokenError
from multidict import CIMultiDict

from chatserver import Handshake
from tests.middlewares.issuer import base64url


def handshake(
    *authorization: str, subprotocols: Sequence[str] = (), token: str | None = None
) -> Handshake:
    return Handshake(
        headers=CIMultiDict([("authorization", value) for value in authorization]),
        query={} if token is None else {"token": token},
        remote="192.0.2.1",
        local="192.0.2.2",
        scheme="http",
        host="chat.example",
        subprotocols=subprotocols,
    )


def bearer(token: str) -> str:
    return f"bearer.{base64url(token.encode())}"


def test_nothing_is_carried() -> None:
    assert find_token(handshake(), query=True) is None
    assert find_token(handshake(subprotocols=["chatserver.v1"]), query=True) is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_authorization_header(scheme: str) -> None:
    assert find_token(handshake(f"{scheme} secret-token-123"), query=False) == "secret-token-123"


def test_another_scheme_is_somebody_elses() -> None:
    assert find_token(handshake("Basic YTpi"), query=False) is None
    assert find_token(handshake("Basic YTpi", "Bearer t"), query=False) == "t"


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer a b", "Bearer \udcff", "Bearer é"])
def test_a_malformed_header_is_a_wrong_token(value: str) -> None:
    with pytest.raises(TokenError):
        find_token(handshake(value), query=False)


@pytest.mark.parametrize("token", ["t", "to", "tok", "a.b-c_d~e/f+g=="])
def test_the_subprotocol(token: str) -> None:
    found = find_token(handshake(subprotocols=["chatserver.v1", bearer(token)]), query=False)
    assert found == token


@pytest.mark.parametrize(
    "offered", ["bearer.", "bearer.a", "bearer.w6k", "bearer.!!!!", "bearer.é"]
)
def test_a_malformed_subprotocol_is_a_wrong_token(offered: str) -> None:
    with pytest.raises(TokenError):
        find_token(handshake(subprotocols=["chatserver.v1", offered]), query=False)


def test_the_query_only_where_it_is_allowed() -> None:
    assert find_token(handshake(token="t"), query=True) == "t"
    assert find_token(handshake(token="t"), query=False) is None
    assert find_token(handshake("Bearer a", token="b"), query=False) == "a"


def test_an_empty_token_is_a_wrong_one() -> None:
    with pytest.raises(TokenError):
        find_token(handshake(token=""), query=True)


def test_carriers_may_agree() -> None:
    everywhere = handshake("Bearer t", "Bearer t", subprotocols=[bearer("t")], token="t")
    assert find_token(everywhere, query=True) == "t"


@pytest.mark.parametrize(
    "torn",
    [
        handshake("Bearer a", "Bearer b"),
        handshake("Bearer a", subprotocols=[bearer("b")]),
        handshake("Bearer a", token="b"),
        handshake(subprotocols=[bearer("a"), bearer("b")]),
        handshake(subprotocols=[bearer("a")], token="b"),
    ],
)
def test_carriers_may_not_differ(torn: Handshake) -> None:
    with pytest.raises(TokenError, match="different"):
        find_token(torn, query=True)


def test_the_length_is_bounded() -> None:
    assert check_form("x" * MAX_TOKEN)
    with pytest.raises(TokenError):
        check_form("x" * (MAX_TOKEN + 1))


@pytest.mark.parametrize("token", ["", " ", "a\n", "a\0", "é", "\ud800"])
def test_the_characters_are_those_of_a_header(token: str) -> None:
    with pytest.raises(TokenError):
        check_form(token)
