"""Let only the pages connect that are meant to (cross-site WebSocket hijacking, DNS rebinding)."""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final

from msgspec import Struct

from chatserver import ConfigError, ConnectNext, Handshake, Middleware, Refused, Session

from .sites import Site, host_covers, parse_authority, parse_origin

LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
"""What a server that listens on loopback is called anyway."""

_EVERYTHING: Final = "*"


class OriginConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say whose pages may connect.

    Attributes:
        allow: Origins beside our own: ``https://app.example.com[:port]``. ``*`` stands for exactly
            one label of the host, in any place but the last: ``https://*.example.com`` is neither
            ``https://example.com`` nor ``https://a.b.example.com``. A lone ``*`` lets every page on
            the web connect in its visitors' names; that is dangerous wherever cookies, or where
            somebody is, say who they are.
        same_origin: Whether pages may connect that come from the host they connect to.
        allowed_hosts: Host names, without port, under which a server that listens on loopback can
            be reached beside localhost, 127.0.0.1 and [::1]; ``*`` as above. Needed behind a proxy
            on the same machine that passes the public name on.
    """

    allow: list[str] = []
    same_origin: bool = True
    allowed_hosts: list[str] = []


class OriginMiddleware(Middleware[OriginConfig]):
    """Refuse handshakes from pages of other origins with 403.

    Whatever is no browser sends no Origin and is let through, unless the embedding app has already
    said who it is, say by a cookie: then only a page may ask. ``null`` (sandboxed frames, local
    files), an unreadable Origin and several at once are always refused.
    """

    Config = OriginConfig
    _allowed: tuple[Site, ...]
    _everything: bool
    _hosts: tuple[str, ...]

    def configure(self, config: OriginConfig) -> None:
        """Read the patterns.

        Raises:
            ConfigError: One of them is none.
        """
        allowed = tuple(_origin(text) for text in config.allow if text != _EVERYTHING)
        hosts = tuple(_host(text) for text in config.allowed_hosts)
        super().configure(config)
        self._allowed = allowed
        self._everything = _EVERYTHING in config.allow
        self._hosts = LOOPBACK_HOSTS + hosts

    async def connect(self, handshake: Handshake, call_next: ConnectNext) -> Session:
        """Check host and origin.

        Raises:
            Refused: 403 with reason ``host`` or ``origin``.
        """
        self._check_host(handshake)
        origins = handshake.headers.getall("Origin", [])
        if origins:
            self._check_origin(handshake, origins)
        elif handshake.from_host and not self._is_own_probe(handshake):
            raise Refused(
                403,
                "An Origin header is needed here: without one nobody can tell which page connects"
                " in the name of your session.\n",
                reason="origin",
            )
        return await call_next(handshake)

    def _check_host(self, handshake: Handshake) -> None:
        if not _is_loopback(handshake.local):
            return
        authority = parse_authority(handshake.host)
        if authority and any(host_covers(pattern, authority[0]) for pattern in self._hosts):
            return
        used = f"host name {authority[0]}" if authority else "host name of this request"
        raise Refused(
            403,
            f"This server listens on loopback only and does not know the {used}; to serve it, add"
            " it to allowed_hosts of the origin middleware.\n",
            reason="host",
        )

    def _check_origin(self, handshake: Handshake, origins: Sequence[str]) -> None:
        origin = parse_origin(origins[0]) if len(origins) == 1 else None
        if origin is None:
            raise Refused(
                403,
                "Exactly one Origin with scheme and host is needed; a page opened from a file or in"
                " a sandbox has none.\n",
                reason="origin",
            )
        if self._everything or any(pattern.covers(origin) for pattern in self._allowed):
            return
        own = parse_origin(f"{handshake.scheme}://{handshake.host}")
        if self.config.same_origin and origin == own:
            return
        raise Refused(
            403,
            f"Pages from {origin} may not connect; to let them, add that to allow of the origin"
            " middleware. If it is this server's own address behind a proxy, add the proxy to"
            " server.trusted_proxies.\n",
            reason="origin",
        )

    def _is_own_probe(self, handshake: Handshake) -> bool:
        # Browsers send no Origin with a plain GET to the page's own host, but this header, which
        # no page can forge.
        return (
            handshake.probe
            and self.config.same_origin
            and list(handshake.headers.getall("Sec-Fetch-Site", [])) == ["same-origin"]
        )


def _origin(text: str) -> Site:
    site = parse_origin(text, pattern=True)
    if site is None:
        raise ConfigError(
            f"allow: {text!r} is no origin; write scheme://host or scheme://host:port, such as"
            " https://app.example.com or https://*.example.com, with nothing behind, and names in"
            " other scripts in their xn-- form"
        )
    return site


def _host(text: str) -> str:
    if text == _EVERYTHING:
        return text
    authority = parse_authority(text, pattern=True)
    if authority is None or authority[1] is not None:
        raise ConfigError(
            f"allowed_hosts: {text!r} is no host name; write one without scheme and port, such as"
            " chat.example.com or *.example.com"
        )
    return authority[0]


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback
