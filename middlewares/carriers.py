"""Find the token a client brings along (docs/protocol.md, "Before the upgrade")."""

import re
from base64 import b64decode
from collections.abc import Iterator

from chatserver import Handshake

from .auth_config import MAX_TOKEN
from .token_errors import TokenError

_PREFIX = "bearer."
_FORM = re.compile(rf"[\x21-\x7e]{{1,{MAX_TOKEN}}}")


def check_form(token: str) -> str:
    """Return a token that can be one: 1 to `MAX_TOKEN` characters of ASCII without spaces.

    Raises:
        TokenError: It cannot.
    """
    if not _FORM.fullmatch(token):
        raise TokenError("the token is empty, too long or has characters no token has")
    return token


def find_token(handshake: Handshake, *, query: bool) -> str | None:
    """Return the token of a handshake, or None where it carries none.

    Args:
        handshake: Looked at are ``Authorization: Bearer`` (RFC 6750, section 2.1) and the
            subprotocol ``bearer.<base64url without padding>``.
        query: Whether ``?token=`` counts as well; otherwise it is ignored.

    Raises:
        TokenError: A carrier is malformed, or two carry different tokens.
    """
    found = {check_form(token) for token in _carried(handshake, query=query)}
    if len(found) > 1:
        raise TokenError("the request carries different tokens")
    return found.pop() if found else None


def _carried(handshake: Handshake, *, query: bool) -> Iterator[str]:
    for value in handshake.headers.getall("Authorization", []):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            yield token.strip(" ")
    for offered in handshake.subprotocols:
        if offered.startswith(_PREFIX):
            yield _decode(offered.removeprefix(_PREFIX))
    if query and "token" in handshake.query:
        yield handshake.query["token"]


def _decode(text: str) -> str:
    try:
        return b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode("ascii")
    except ValueError:
        raise TokenError("the subprotocol's token is not base64url") from None
