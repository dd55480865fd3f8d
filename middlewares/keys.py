"""Prepare the keys that JSON Web Tokens are verified with."""

from collections.abc import Collection
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import InvalidKeyError
from jwt.algorithms import HMACAlgorithm
from msgspec import Struct

from chatserver import ConfigError

MIN_RSA_BITS: Final = 2048
"""Bits an RSA key needs (RFC 7518, section 3.3)."""

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}


class Key(Struct, frozen=True):
    """Hold one key.

    Attributes:
        material: The secret, or the public key.
        algorithms: What it may verify.
        kid: The name tokens call it by, if it has one.
    """

    material: bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
    algorithms: frozenset[str]
    kid: str | None = None


def is_symmetric(algorithm: str) -> bool:
    """Return whether an algorithm signs and verifies with the same secret."""
    return algorithm in _HASH_BYTES


def from_secret(secret: str, algorithms: Collection[str]) -> Key:
    """Make the key for HS* algorithms.

    Raises:
        ConfigError: The secret is shorter than the hash (RFC 7518, section 3.2), or a public key.
    """
    needed = max(_HASH_BYTES[algorithm] for algorithm in algorithms)
    material = secret.encode()
    if len(material) < needed:
        raise ConfigError(
            f"jwt.secret has {len(material)} bytes and needs {needed} or more; make one with:"
            ' python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(material)
    except InvalidKeyError:
        raise ConfigError(
            "jwt.secret is a public or private key; give the public one as"
            " jwt.public_key, with its own algorithms"
        ) from None
    return Key(material, frozenset(algorithms))


def from_pem(pem: str, algorithms: Collection[str]) -> Key:
    """Make the key for asymmetric algorithms from PEM text.

    Raises:
        ConfigError: It is no public key, too small, or unfit for one of the algorithms.
    """
    if "PRIVATE KEY-----" in pem:
        raise ConfigError(
            "jwt.public_key is a private key, which stays with the issuer of the tokens; give"
            " the public one (openssl pkey -in key.pem -pubout)"
        )
    try:
        material = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(
            "jwt.public_key is no PEM public key (-----BEGIN PUBLIC KEY-----)"
        ) from None
    key = from_public(material)
    if key is None:
        raise ConfigError(
            f"jwt.public_key is of no use: take RSA with {MIN_RSA_BITS} bits or more, P-256,"
            " P-384, P-521, Ed25519 or Ed448"
        )
    if unfit := sorted(set(algorithms) - key.algorithms):
        raise ConfigError(
            f"jwt.public_key cannot verify {', '.join(unfit)}, only"
            f" {', '.join(sorted(key.algorithms))}; change jwt.algorithms"
        )
    return Key(key.material, frozenset(algorithms))


def from_public(material: object, kid: str | None = None) -> Key | None:
    """Make a key for all it can verify; None where that is nothing we know."""
    if isinstance(material, RSAPublicKey) and material.key_size >= MIN_RSA_BITS:
        return Key(material, _RSA, kid)
    if isinstance(material, EllipticCurvePublicKey) and material.curve.name in _CURVES:
        return Key(material, frozenset({_CURVES[material.curve.name]}), kid)
    if isinstance(material, Ed25519PublicKey | Ed448PublicKey):
        return Key(material, frozenset({"EdDSA"}), kid)
    return None
