"""Find out who a client is behind proxies (RFC 7239 and the X-Forwarded-* headers).

Each proxy writes down at the right end of a list whom it got the request from. Only what a trusted
proxy wrote counts, so the list is walked from the right, and from the connection's own peer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice
from typing import Final, Protocol

from msgspec import Struct

from chatserver.errors import ConfigError

MAX_HOPS: Final = 32
"""Proxies looked at; what is further left is ignored."""

MAX_CHARACTERS: Final = 4096
"""Characters of a header looked at, from the right; the rest is ignored."""

UNIX: Final = "unix"
"""What stands for the peer of a unix socket in a list of trusted proxies."""

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_MARK: Final = re.compile(r'(?<!\\)\\*"|,')
_PAIR: Final = re.compile(
    r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s";,]*)\s*(?:;|$)"""
)
_NODE: Final = re.compile(r"\[([^\]%]*)\](?::\w+)?|([^:%]*)(?::\w+)?|([^%]*)")
_HOST: Final = re.compile(r"[!$%&'()*+.:;=\[\]_~0-9A-Za-z-]{1,261}")
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Headers(Protocol):
    """Read HTTP headers, case-insensitively."""

    def get(self, name: str, /) -> str | None:
        """Return the first value, or None."""

    def getall(self, name: str, default: list[str], /) -> Sequence[str]:
        """Return all values of a header that came several times."""


class Client(Struct, frozen=True):
    """Say who asks, and for what, as the client itself would put it.

    Attributes:
        remote: The client's address without port; empty for an untrusted unix socket's peer.
        scheme: ``http`` or ``https``.
        host: Host and port as the client used them; empty if nobody said.
    """

    remote: str
    scheme: str
    host: str


class Trusted:
    """Know which peers are proxies that tell the truth.

    Args:
        networks: Their addresses.
        unix: Whether the peer of a unix socket is one.
    """

    __slots__ = ("_networks", "_unix")

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network], *, unix: bool) -> None:
        self._networks = tuple(networks)
        self._unix = unix

    @classmethod
    def of(cls, ranges: Iterable[str]) -> "Trusted":
        """Build from addresses and CIDR ranges (``10.0.0.0/8``, ``::1``) and the word ``unix``.

        Raises:
            ConfigError: One of them is neither, or has bits set beyond its prefix.
        """
        names = list(ranges)
        return cls((_network(name) for name in names if name != UNIX), unix=UNIX in names)

    def trusts(self, address: str) -> bool:
        """Return whether a peer is trusted; the empty address is a unix socket's peer."""
        if not address:
            return self._unix
        normal = normalized(address)
        if normal is None:
            return False
        parsed = ip_address(normal)
        return any(parsed in network for network in self._networks)


def find_client(trusted: Trusted, peer: str, headers: Headers, *, tls: bool) -> Client:
    """Tell the client's address, scheme and host, proxies taken into account.

    The walk ends at the first address that is not trusted: that is the client. At one that is
    hidden, unknown or nonsense, the client is the proxy that reported it. Scheme and host come from
    what the proxy nearest to the client wrote, and from the connection where it wrote nothing.
    ``Forwarded`` goes before the X-Forwarded-* headers; where both are there and lead to different
    clients, one of them is the client's own invention, so neither is believed. Bad input never
    raises and costs bounded time.

    Args:
        trusted: The proxies to believe; headers from any other peer are ignored.
        peer: The address at the other end of the connection; empty on a unix socket.
        headers: The request's headers.
        tls: Whether the connection itself is encrypted.
    """
    remote = normalized(peer) or peer
    scheme = "https" if tls else "http"
    host = headers.get("Host") or ""
    if not trusted.trusts(peer):
        return Client(remote, scheme, host)
    forwarded = _from_right(headers, "Forwarded")
    x_forwarded = _from_right(headers, "X-Forwarded-For")
    found, depth = _walk(trusted, remote, x_forwarded)
    if forwarded:
        elements = [_pairs(element) for element in forwarded]
        nodes = (element.get("for", "") for element in elements)
        by_x, (found, depth) = found, _walk(trusted, remote, nodes)
        if x_forwarded and by_x != found:
            return Client(remote, scheme, host)
        said = elements[depth]
        proto, name = said.get("proto", ""), said.get("host", "")
    else:
        proto = _at(_from_right(headers, "X-Forwarded-Proto"), depth)
        name = _at(_from_right(headers, "X-Forwarded-Host"), depth)
    return Client(
        found, _SCHEMES.get(proto.lower(), scheme), name if _HOST.fullmatch(name) else host
    )


def normalized(address: str) -> str | None:
    """Return an address in its one form, IPv4 out of IPv6 and without zone; None if it is none."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def bucket_key(remote: str) -> str:
    """Return what stands for one subscriber: an IPv4 address, or the /64 of an IPv6 one.

    Anything else is returned as it is.
    """
    address = normalized(remote)
    if address is None:
        return remote
    if ":" not in address:
        return address
    return str(IPv6Network((address, 64), strict=False))


def _network(name: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(name, strict=False)
    except ValueError:
        raise ConfigError(
            f"{name!r} is no trusted proxy; write an address or a range such as 10.0.0.0/8,"
            f" 2001:db8::/32, or {UNIX}"
        ) from None
    address = name.partition("/")[0]
    if ip_address(address) != network.network_address:
        raise ConfigError(
            f"{name!r} has bits set beyond its prefix; write {network} for the range,"
            f" or {address} for the one address"
        )
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = IPv6Address(network.network_address).ipv4_mapped
        return IPv4Network((int(mapped or 0), network.prefixlen - 96))
    return network


def _from_right(headers: Headers, name: str) -> list[str]:
    text = ",".join(headers.getall(name, []))
    whole = len(text) <= MAX_CHARACTERS
    text = text[-MAX_CHARACTERS:]
    if not text.strip():
        return []
    # Read backwards: a quote that a client left open cannot swallow what a proxy put after it.
    return list(islice(_elements(text, whole=whole), MAX_HOPS))


def _elements(text: str, *, whole: bool) -> Iterator[str]:
    end = len(text)
    quoted = False
    for mark in reversed([*_MARK.finditer(text)]):
        if mark[0] != ",":
            # A quote behind an odd number of backslashes is escaped.
            quoted ^= len(mark[0]) % 2 == 1
        elif not quoted:
            yield text[mark.end() : end].strip()
            end = mark.start()
    yield text[:end].strip() if whole else ""


def _pairs(element: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    position = 0
    while position < len(element):
        found = _PAIR.match(element, position)
        if found is None or found[1].lower() in pairs:
            return {}
        value = found[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        pairs[found[1].lower()] = value
        position = found.end()
    return pairs


def _walk(trusted: Trusted, peer: str, nodes: Iterable[str]) -> tuple[str, int]:
    remote, depth = peer, 0
    for place, node in enumerate(nodes):
        depth = place
        address = _node_address(node)
        if address is None:
            break
        remote = address
        if not trusted.trusts(address):
            break
    return remote, depth


def _node_address(node: str) -> str | None:
    found = _NODE.fullmatch(node)
    return normalized(found[1] or found[2] or found[3] or "") if found else None


def _at(values: Sequence[str], depth: int) -> str:
    return values[min(depth, len(values) - 1)] if values else ""
