"""Compare web origins and host names by their parts, not as text."""

import re
import unicodedata
from ipaddress import IPv6Address
from typing import Final

from msgspec import Struct

_MAX_ORIGIN: Final = 300
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ORIGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#@\s]+)")
_AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{0,5}))?")
_NAME: Final = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_PATTERN: Final = re.compile(r"(?:(?:\*|[a-z0-9_-]{1,63})\.)*[a-z0-9_-]{1,63}")


class Site(Struct, frozen=True):
    """Hold what the same-origin policy compares (RFC 6454, section 4).

    Attributes:
        scheme: Lower case; ``http`` and ``https`` stand for ``ws`` and ``wss`` too.
        host: Lower case, in its ASCII form, without a trailing dot; IPv6 in brackets. In a pattern,
            a label can be ``*``.
        port: The port, the scheme's own if none was given; 0 for a scheme that has none.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        port = "" if self.port == _DEFAULT_PORTS.get(self.scheme, 0) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    def covers(self, other: "Site") -> bool:
        """Return whether this, as a pattern, stands for another site."""
        return (
            self.scheme == other.scheme
            and self.port == other.port
            and host_covers(self.host, other.host)
        )


def parse_origin(text: str, *, pattern: bool = False) -> Site | None:
    """Return the site that ``scheme://host[:port]`` names, or None where it is something else.

    Args:
        text: An Origin header's value, or an entry of the configuration.
        pattern: Whether ``*`` may stand for one label of the host, except the last.
    """
    found = _ORIGIN.fullmatch(text) if len(text) <= _MAX_ORIGIN else None
    authority = parse_authority(found[2], pattern=pattern) if found else None
    if found is None or authority is None:
        return None
    scheme = found[1].lower()
    scheme = _SCHEMES.get(scheme, scheme)
    host, port = authority
    return Site(scheme, host, _DEFAULT_PORTS.get(scheme, 0) if port is None else port)


def parse_authority(text: str, *, pattern: bool = False) -> tuple[str, int | None] | None:
    """Split ``host[:port]``, as in a Host header, into the host's one form and the port.

    Returns:
        Host and port, the port None where there is none; None where the text is nothing like it.
    """
    found = _AUTHORITY.fullmatch(text) if len(text) <= _MAX_ORIGIN else None
    host = _fold(found[1], _PATTERN if pattern else _NAME) if found else None
    if found is None or host is None:
        return None
    port = int(found[2]) if found[2] else None
    return None if port is not None and port > 65535 else (host, port)


def host_covers(pattern: str, host: str) -> bool:
    """Return whether a host fits a pattern.

    In it ``*`` stands for exactly one label; alone it stands for every host.
    """
    if pattern == "*":
        return True
    wanted, labels = pattern.split("."), host.split(".")
    return len(wanted) == len(labels) and all(
        one in ("*", other) for one, other in zip(wanted, labels, strict=True)
    )


def _fold(host: str, names: re.Pattern[str]) -> str | None:
    if host.startswith("["):
        try:
            return f"[{IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    host = host.removesuffix(".").lower()
    if len(host) > 253:
        return None
    if not host.isascii():
        try:
            ascii_host = host.encode("idna")
            # Names that do not survive the way back (such as "straße") mean another host in
            # browsers, which follow a newer standard than Python does.
            if ascii_host.decode("idna") != unicodedata.normalize("NFC", host):
                return None
        except UnicodeError:
            return None
        host = ascii_host.decode("ascii")
    return host if names.fullmatch(host) else None
