"""Turn the claims of a verified token into an identity."""

import logging
from collections.abc import Mapping

import msgspec

from chatserver import EVERYWHERE, ActionError, Identity, Right, Rights, clean_name

from .auth_config import JwtConfig
from .token_errors import TokenError

MAX_TIME = 2**53
"""Seconds since 1970 a time claim may say: what every JSON number keeps exactly."""

log = logging.getLogger("chatserver.auth")


def identify(
    claims: Mapping[str, object], config: JwtConfig, *, allow_rename: bool, now: float
) -> Identity:
    """Check the claims (RFC 7519, section 4.1) and say whom they are about.

    Args:
        claims: The payload of a token whose signature is good.
        config: What is expected.
        allow_rename: Whether a name in the token may be changed by the user.
        now: Unix time in seconds.

    Raises:
        TokenError: A claim is missing, malformed or not what is expected.
    """
    expires = _check_times(claims, config.leeway, now)
    _check_parties(claims, config)
    user = claims.get(config.user_claim)
    if not isinstance(user, str):
        raise TokenError("the claim with the user id is missing or no string")
    try:
        return Identity(
            user=user,
            name=_name(claims.get(config.name_claim), user),
            allow_rename=allow_rename,
            rights=_rights(claims, config.rights_claim),
            expires=expires,
        )
    except ValueError as error:
        raise TokenError(str(error)) from None


def _check_times(claims: Mapping[str, object], leeway: float, now: float) -> float:
    expires = _time(claims, "exp")
    if expires is None:
        raise TokenError("exp is missing")
    if expires + leeway <= now:
        raise TokenError("expired")
    for claim in ("nbf", "iat"):
        begins = _time(claims, claim)
        if begins is not None and begins > now + leeway:
            raise TokenError(f"not valid yet ({claim})")
    return expires + leeway


def _time(claims: Mapping[str, object], claim: str) -> float | None:
    if claim not in claims:
        return None
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TIME:
        raise TokenError(f"{claim} is no time")
    return value


def _check_parties(claims: Mapping[str, object], config: JwtConfig) -> None:
    audience = claims.get("aud")
    if config.audience is None:
        if "aud" in claims:
            raise TokenError("made for an audience; auth.jwt.audience does not say which is ours")
    elif audience != config.audience and not (
        isinstance(audience, list) and config.audience in audience
    ):
        raise TokenError("made for another audience")
    if config.issuer is not None and claims.get("iss") != config.issuer:
        raise TokenError("made by another issuer")


def _name(value: object, user: str) -> str | None:
    if value is None:
        return None
    try:
        return clean_name(msgspec.convert(value, str), "name")
    except (ActionError, msgspec.ValidationError) as error:
        log.info("the name in the token of user %r is not used: %s", user, error)
        return None


def _rights(claims: Mapping[str, object], claim: str) -> Rights:
    if claim not in claims:
        return EVERYWHERE
    try:
        return Rights.of(msgspec.convert(claims[claim], dict[str, frozenset[Right]]))
    except msgspec.ValidationError:
        raise TokenError("the claim with the rights is no mapping of rooms to rights") from None
