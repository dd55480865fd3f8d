import pytest
from chatserver_middlewares.keys import from_pem, from_public, from_secret

from chatserver import ConfigError
from tests.middlewares.issuer import (
    EC,
    ED,
    RSA,
    SECRET,
    SMALL_RSA,
    PrivateKey,
    private_pem,
    public_pem,
)


def test_a_long_secret_is_taken() -> None:
    assert from_secret(SECRET, ["HS256"]).material == SECRET.encode()


@pytest.mark.parametrize(
    ("algorithms", "needed"), [(["HS256"], 32), (["HS256", "HS384"], 48), (["HS512"], 64)]
)
def test_a_secret_has_the_bytes_of_its_hash(algorithms: list[str], needed: int) -> None:
    assert from_secret("x" * needed, algorithms).algorithms == set(algorithms)
    with pytest.raises(ConfigError, match=f"has {needed - 1} bytes and needs {needed}") as caught:
        from_secret("x" * (needed - 1), algorithms)
    assert "secrets.token_urlsafe" in str(caught.value)
    assert "xxx" not in str(caught.value)


def test_the_length_of_a_secret_counts_in_bytes() -> None:
    assert from_secret("é" * 16, ["HS256"]).material == ("é" * 16).encode()


def test_a_public_key_is_no_secret() -> None:
    with pytest.raises(ConfigError, match=r"give the public one as jwt\.public_key"):
        from_secret(public_pem(RSA), ["HS256"])


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [(RSA, ["RS256", "PS512"]), (EC, ["ES256"]), (ED, ["EdDSA"])],
    ids=["rsa", "ec", "ed"],
)
def test_public_keys(key: PrivateKey, algorithms: list[str]) -> None:
    assert from_pem(public_pem(key), algorithms).algorithms == set(algorithms)


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [(RSA, ["RS256", "ES256"]), (EC, ["ES384"]), (EC, ["EdDSA"]), (ED, ["RS256"])],
    ids=["rsa-es", "p256-es384", "ec-ed", "ed-rs"],
)
def test_a_key_has_to_fit_every_algorithm(key: PrivateKey, algorithms: list[str]) -> None:
    with pytest.raises(ConfigError, match=f"cannot verify {algorithms[-1]}, only"):
        from_pem(public_pem(key), algorithms)


def test_a_private_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="private key") as caught:
        from_pem(private_pem(RSA), ["RS256"])
    assert private_pem(RSA)[40:60] not in str(caught.value)


def test_a_small_rsa_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="2048 bits"):
        from_pem(public_pem(SMALL_RSA), ["RS256"])


@pytest.mark.parametrize("text", ["", "key.pem", public_pem(RSA)[:60], "é"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="BEGIN PUBLIC KEY"):
        from_pem(text, ["RS256"])


def test_other_objects_are_no_keys() -> None:
    assert from_public(RSA) is None
    assert from_public(b"bytes") is None
