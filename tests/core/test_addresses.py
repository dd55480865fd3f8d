from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from chatserver.addresses import (
    MAX_CHARACTERS,
    MAX_HOPS,
    Client,
    Trusted,
    bucket_key,
    find_client,
    normalized,
)
from chatserver.errors import ConfigError

PROXIES = Trusted.of(["10.0.0.0/8", "2001:db8:1::/48", "unix"])
PEER = "10.0.0.1"


def headers(*pairs: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict([("Host", "inside:8765"), *pairs])


def remote(*pairs: tuple[str, str], peer: str = PEER) -> str:
    return find_client(PROXIES, peer, headers(*pairs), tls=False).remote


def test_a_direct_client_is_its_own_address() -> None:
    client = find_client(PROXIES, "198.51.100.7", headers(), tls=True)
    assert client == Client("198.51.100.7", "https", "inside:8765")


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For"])
def test_headers_from_a_peer_that_is_not_trusted_are_ignored(name: str) -> None:
    lies = headers(
        (name, "for=1.2.3.4;proto=https;host=lie" if name == "Forwarded" else "1.2.3.4"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "lie"),
    )
    client = find_client(PROXIES, "198.51.100.7", lies, tls=False)
    assert client == Client("198.51.100.7", "http", "inside:8765")


def test_the_unix_peer_is_trusted_by_its_word_only() -> None:
    said = headers(("X-Forwarded-For", "203.0.113.5"))
    assert find_client(Trusted.of(["unix"]), "", said, tls=False).remote == "203.0.113.5"
    assert find_client(Trusted.of(["0.0.0.0/0", "::/0"]), "", said, tls=False).remote == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("6.6.6.6, 203.0.113.5", "203.0.113.5"),
        ("6.6.6.6, 203.0.113.5, 10.9.9.9", "203.0.113.5"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("2001:db8:9::1", "2001:db8:9::1"),
        ("[2001:DB8:9:0::1]:80", "2001:db8:9::1"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("203.0.113.5, ::ffff:10.0.0.9", "203.0.113.5"),
        ("203.0.113.5, 2001:db8:1::7", "203.0.113.5"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("203.0.113.5, nonsense, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.5, ", PEER),
        ("", PEER),
        ("fe80::1%eth0", PEER),
        ("1.2.3.4.5", PEER),
        ("١.2.3.4", PEER),
        ('"', PEER),
    ],
)
def test_x_forwarded_for_is_walked_from_the_right(value: str, expected: str) -> None:
    assert remote(("X-Forwarded-For", value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.5", "203.0.113.5"),
        ('FOR="203.0.113.5:4711"', "203.0.113.5"),
        ("for=6.6.6.6, for=203.0.113.5", "203.0.113.5"),
        ("for=6.6.6.6, for=203.0.113.5,for=10.9.9.9", "203.0.113.5"),
        ('for="[2001:db8:9::1]:4711"', "2001:db8:9::1"),
        ('for="[2001:db8:9::1]"; proto=https ; by=10.0.0.1', "2001:db8:9::1"),
        ('for="[2001:db8:9::1]:_port"', "2001:db8:9::1"),
        (r'for="203\.0.113.5"', "203.0.113.5"),
        ('ext="a, b\\", c";for=203.0.113.5', "203.0.113.5"),
        ("for=203.0.113.5, for=_hidden", PEER),
        ("for=203.0.113.5, for=unknown, for=10.0.0.2", "10.0.0.2"),
        ("for=203.0.113.5, by=10.0.0.1", PEER),
        ("for=203.0.113.5;for=1.1.1.1", PEER),
        ("for=203.0.113.5 1.1.1.1", PEER),
        ('for="203.0.113.5', PEER),
        ('for="6.6.6.6, for=203.0.113.5', "203.0.113.5"),
        (r'for="6.6.6.6\", for=203.0.113.5', "203.0.113.5"),
        ("=;,", PEER),
    ],
)
def test_forwarded_is_walked_from_the_right(value: str, expected: str) -> None:
    assert remote(("Forwarded", value)) == expected


@pytest.mark.parametrize("form", ["{}", "for={}"])
def test_several_headers_are_one_list(form: str) -> None:
    name = "Forwarded" if "for" in form else "X-Forwarded-For"
    several = [(name, form.format(ip)) for ip in ("6.6.6.6", "203.0.113.5", "10.0.0.2")]
    assert remote(*several) == "203.0.113.5"


def test_headers_that_contradict_each_other_are_not_believed() -> None:
    other = ("X-Forwarded-For", "203.0.113.5")
    proxy = remote()
    assert remote(("Forwarded", "for=198.51.100.7"), other) == proxy
    assert remote(("Forwarded", "for=203.0.113.5"), other) == "203.0.113.5"
    assert remote(("Forwarded", " "), other) == "203.0.113.5"


def test_scheme_and_host_come_from_the_proxy_nearest_to_the_client() -> None:
    said = headers(
        (
            "Forwarded",
            "for=6.6.6.6;proto=http;host=lie, for=203.0.113.5;proto=https;"
            'host="chat.example.com:444", for=10.0.0.2;proto=http;host=inner',
        )
    )
    client = find_client(PROXIES, PEER, said, tls=False)
    assert client == Client("203.0.113.5", "https", "chat.example.com:444")


def test_what_the_proxy_did_not_say_comes_from_the_connection() -> None:
    said = headers(("Forwarded", "for=203.0.113.5, for=10.0.0.2;proto=https;host=inner"))
    assert find_client(PROXIES, PEER, said, tls=False) == Client(
        "203.0.113.5", "http", "inside:8765"
    )


@pytest.mark.parametrize(
    ("proto", "host", "expected"),
    [
        ("https", "chat.example.com", ("https", "chat.example.com")),
        ("http, HTTPS, http", "lie, chat.example.com, inner", ("https", "chat.example.com")),
        ("wss", "[2001:db8::1]:444", ("https", "[2001:db8::1]:444")),
        ("gopher", "a b", ("http", "inside:8765")),
        ("", "<script>", ("http", "inside:8765")),
        ("https", "h" * 300, ("https", "inside:8765")),
    ],
)
def test_x_forwarded_proto_and_host(proto: str, host: str, expected: tuple[str, str]) -> None:
    said = headers(
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.5, 10.0.0.2"),
        ("X-Forwarded-Proto", proto),
        ("X-Forwarded-Host", host),
    )
    client = find_client(PROXIES, PEER, said, tls=False)
    assert (client.scheme, client.host) == expected


def test_proto_and_host_count_without_an_address() -> None:
    said = headers(("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "chat.example.com"))
    assert find_client(PROXIES, PEER, said, tls=False) == Client(PEER, "https", "chat.example.com")


def test_no_host_at_all_is_empty() -> None:
    assert find_client(PROXIES, PEER, CIMultiDict(), tls=False) == Client(PEER, "http", "")


def test_only_so_many_hops_and_characters_are_looked_at() -> None:
    hops = ["203.0.113.5", *["10.0.0.2"] * MAX_HOPS]
    assert remote(("X-Forwarded-For", ",".join(hops))) == "10.0.0.2"
    assert remote(("X-Forwarded-For", ",".join(hops[:-1]))) == "203.0.113.5"
    far = "203.0.113.5" + " " * MAX_CHARACTERS + ", 10.0.0.2"
    assert remote(("X-Forwarded-For", far)) == "10.0.0.2"
    shown = "6.6.6.6" + " " * (MAX_CHARACTERS - 16) + ",10.0.0.2"
    assert remote(("X-Forwarded-For", shown)) == "6.6.6.6"
    assert remote(("X-Forwarded-For", f"20{shown}")) == "10.0.0.2"


@pytest.mark.parametrize(
    "hostile",
    ['"', "\\", ',"', '\\"', "a=", "for=10.0.0.2,", "a=b;", "[", " ", "for=\\", "x\x00", "\udcff"],
)
def test_hostile_headers_end_in_the_proxy(hostile: str) -> None:
    long = hostile * (8000 // len(hostile))
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"):
        client = find_client(PROXIES, PEER, headers(*[(name, long)] * 50), tls=False)
        assert client in (
            Client(PEER, "http", "inside:8765"),
            Client("10.0.0.2", "http", "inside:8765"),
        )


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("10.0.0.0/33", "10.0.0.0/8"),
        ("proxy.example.com", "10.0.0.0/8"),
        ("", "10.0.0.0/8"),
    ],
)
def test_a_wrong_range_names_itself_and_the_right_one(entry: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Trusted.of(["127.0.0.1", entry])
    assert repr(entry) in caught.value.message
    assert hint in caught.value.message


def test_ranges_in_mapped_form_mean_ipv4() -> None:
    trusted = Trusted.of(["::ffff:10.0.0.0/104"])
    assert trusted.trusts("10.1.2.3")
    assert trusted.trusts("::ffff:10.1.2.3")
    assert not trusted.trusts("11.1.2.3")


def test_single_addresses_and_zones() -> None:
    trusted = Trusted.of(["127.0.0.1", "fe80::1", "fe80::2%eth0"])
    assert trusted.trusts("127.0.0.1")
    assert not trusted.trusts("127.0.0.2")
    assert trusted.trusts("fe80::1%eth0")
    assert trusted.trusts("fe80::2")
    assert not trusted.trusts("nonsense")
    assert not trusted.trusts("")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_bucket_keys(address: str, key: str) -> None:
    assert bucket_key(address) == key


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_addresses_of_one_64_share_a_key(address: IPv6Address, host: int) -> None:
    neighbour = IPv6Address(int(address) >> 64 << 64 | host)
    if address.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert bucket_key(str(address)) == bucket_key(str(neighbour))


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_ipv4_addresses_have_keys_of_their_own(one: IPv4Address, other: IPv4Address) -> None:
    assert (bucket_key(str(one)) == bucket_key(str(other))) == (one == other)


HEADER = st.text(st.sampled_from('for=host;proto,"\\[]:._ 10.02unkw%\t'), max_size=60)


@given(HEADER, HEADER, st.booleans())
def test_nothing_a_client_sends_changes_what_the_proxy_put_after_it(
    lie: str, other: str, forwarded: bool
) -> None:
    """Whatever is left of the proxy's own entry, that entry decides."""
    name = "Forwarded" if forwarded else "X-Forwarded-For"
    truth = "for=203.0.113.5;proto=https;host=a.example" if forwarded else "203.0.113.5"
    said = headers((name, f"{lie},{truth}"), ("X-Forwarded-Proto", f"{other},https"))
    client = find_client(PROXIES, PEER, said, tls=False)
    assert client.remote == "203.0.113.5"
    assert client.scheme == "https"


@given(st.lists(st.tuples(st.sampled_from(["Forwarded", "X-Forwarded-For", "Host"]), st.text())))
def test_nothing_raises_and_the_answer_is_an_address(pairs: list[tuple[str, str]]) -> None:
    client = find_client(PROXIES, PEER, CIMultiDict(pairs), tls=True)
    assert normalized(client.remote) == client.remote
    assert client.scheme in ("http", "https")


@given(st.text(max_size=60))
def test_ranges_raise_nothing_but_config_errors(text: str) -> None:
    with suppress(ConfigError):
        Trusted.of([text])
