"""Verify tokens: fixed ones and JSON Web Tokens (RFC 7519), given the keys and the time."""

import hmac
import re
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from typing import Final, get_args

from jwt import PyJWS, PyJWTError
from msgspec import Struct
from msgspec.json import Decoder

from chatserver import EVERYWHERE, ActionError, ConfigError, Identity, Rights, clean_name

from .auth_config import Algorithm, StaticToken
from .keys import Key
from .token_errors import TokenError

MAX_TRIED: Final = 8
"""Keys a token is tried with that does not name its key."""

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_FAULTS = (PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError)

_jws = PyJWS(list(get_args(Algorithm)), {"enforce_minimum_key_length": True})
_claims = Decoder(dict[str, object])


class StaticTokens:
    """Know fixed tokens by their digests, so that comparing them tells nothing about them.

    Args:
        tokens: Plain tokens, or tokens with the user they stand for.
        allow_rename: Whether a name given here may be changed by the user.

    Raises:
        ConfigError: A token is given twice, or stands for an impossible user or name.
    """

    def __init__(self, tokens: Iterable[str | StaticToken], *, allow_rename: bool) -> None:
        known: dict[bytes, Identity] = {}
        for number, token in enumerate(tokens):
            given = StaticToken(token=token) if isinstance(token, str) else token
            digest = sha256(given.token.encode()).digest()
            if digest in known:
                raise ConfigError(f"tokens[{number}] is given twice; remove one of them")
            try:
                known[digest] = _static_identity(given, digest, allow_rename=allow_rename)
            except (ValueError, ActionError) as error:
                fault = error.message if isinstance(error, ActionError) else error
                raise ConfigError(f"tokens[{number}]: {fault}") from None
        self._known = tuple(known.items())

    def find(self, token: str) -> Identity | None:
        """Return whom a token stands for; it is compared with every one, in constant time."""
        digest = sha256(token.encode()).digest()
        found = None
        for known, identity in self._known:
            if hmac.compare_digest(known, digest):
                found = identity
        return found


class Head(Struct, frozen=True):
    """Hold what an unverified token says about its signature.

    Attributes:
        algorithm: One of the algorithms that are accepted.
        kid: The name of its key, if it gives one.
    """

    algorithm: str
    kid: str | None


def read_head(token: str, algorithms: Collection[str]) -> Head:
    """Read how a token is signed, before its signature can be checked.

    Raises:
        TokenError: It is no JSON Web Token, or signed by an algorithm that is not accepted.
    """
    if not _FORM.fullmatch(token):
        raise TokenError("neither a known token nor a JSON Web Token")
    try:
        header: Mapping[str, object] = _jws.get_unverified_header(token)
    except _FAULTS:
        raise TokenError("not a JSON Web Token") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenError("signed by an algorithm that is not accepted")
    return Head(algorithm, kid if isinstance(kid, str) else None)


def verify(token: str, head: Head, keys: Iterable[Key]) -> dict[str, object]:
    """Return the claims of a token that one of the keys has signed.

    Args:
        token: A JSON Web Token of at most `MAX_TOKEN` characters.
        head: What `read_head` found in it.
        keys: The keys to choose from: those the token names, or `MAX_TRIED` if it names none.

    Raises:
        TokenError: No key has signed it, or its claims are no JSON object.
    """
    fitting = [
        key
        for key in keys
        if head.algorithm in key.algorithms and (None in (head.kid, key.kid) or head.kid == key.kid)
    ]
    for key in fitting[:MAX_TRIED]:
        try:
            verified = _jws.decode_complete(token, key.material, [head.algorithm])
        except _FAULTS:
            continue
        try:
            return _claims.decode(verified["payload"])
        except (ValueError, RecursionError):
            raise TokenError("its claims are no JSON object") from None
    raise TokenError("signed by none of our keys" if fitting else "signed by an unknown key")


def _static_identity(given: StaticToken, digest: bytes, *, allow_rename: bool) -> Identity:
    return Identity(
        user=given.user or f"token:{digest.hex()[:16]}",
        name=None if given.name is None else clean_name(given.name),
        allow_rename=allow_rename,
        rights=EVERYWHERE if given.rights is None else Rights.of(given.rights),
    )
