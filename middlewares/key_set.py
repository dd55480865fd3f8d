"""Read the keys an issuer publishes: a JSON Web Key Set (RFC 7517)."""

import logging
from collections.abc import Collection

from cryptography.exceptions import UnsupportedAlgorithm
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from msgspec import Raw, Struct, structs, to_builtins
from msgspec.json import Decoder

from .keys import Key, from_public

_UNREADABLE = (PyJWTError, ValueError, TypeError, OverflowError, UnsupportedAlgorithm)

log = logging.getLogger("chatserver.auth")


class _Jwk(Struct, frozen=True, omit_defaults=True):
    kty: str
    kid: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None
    n: str | None = None
    e: str | None = None
    crv: str | None = None
    x: str | None = None
    y: str | None = None
    d: str | None = None


class _JwkSet(Struct, frozen=True):
    keys: list[Raw]


_jwk = Decoder(_Jwk)
_jwk_set = Decoder(_JwkSet)


def parse(document: bytes, algorithms: Collection[str]) -> tuple[Key, ...]:
    """Return the keys that can verify one of `algorithms`; the rest of the set is passed over.

    Raises:
        ValueError: The document is no key set, or has no such key.
    """
    try:
        published = _jwk_set.decode(document).keys
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON Web Key Set: {error}") from None
    keys = tuple(key for raw in published if (key := _read(raw, algorithms)) is not None)
    if not keys:
        raise ValueError(f"none of its {len(published)} keys is for {', '.join(algorithms)}")
    return keys


def _read(raw: Raw, algorithms: Collection[str]) -> Key | None:
    try:
        jwk = _jwk.decode(raw)
        key = from_public(_material(jwk), jwk.kid)
    except _UNREADABLE:
        return None
    if key is None or jwk.use not in (None, "sig") or "verify" not in (jwk.key_ops or ["verify"]):
        return None
    fit = key.algorithms.intersection(algorithms if jwk.alg is None else {jwk.alg} & {*algorithms})
    return structs.replace(key, algorithms=fit) if fit else None


def _material(jwk: _Jwk) -> object:
    if jwk.d is not None:
        log.warning("the key set publishes a private key, which is not used; tell its issuer")
        return None
    match jwk.kty:
        case "RSA":
            return RSAAlgorithm.from_jwk(to_builtins(jwk))
        case "EC":
            return ECAlgorithm.from_jwk(to_builtins(jwk))
        case "OKP":
            return OKPAlgorithm.from_jwk(to_builtins(jwk))
    return None
