import msgspec
import pytest
from chatserver_middlewares.origin import OriginConfig, OriginMiddleware

from chatserver import ConfigError, Identity, Refused

from .handshakes import handshake, refusal


def origin(**options: object) -> OriginMiddleware:
    return OriginMiddleware(msgspec.convert(options, OriginConfig))


async def lets_in(
    middleware: OriginMiddleware, *origins: str, scheme: str = "https", host: str = "chat.example"
) -> bool:
    headers = [("Origin", value) for value in origins]
    refused = await refusal(middleware, handshake(headers, scheme=scheme, host=host))
    if refused is not None:
        assert (refused.status, refused.reason) == (403, "origin")
    return refused is None


@pytest.mark.parametrize(
    ("value", "scheme", "host"),
    [
        ("https://chat.example", "https", "chat.example"),
        ("https://chat.example:443", "https", "chat.example"),
        ("https://chat.example", "https", "chat.example:443"),
        ("wss://chat.example", "https", "chat.example"),
        ("http://chat.example", "http", "chat.example:80"),
        ("HTTPS://Chat.EXAMPLE.", "https", "chat.example"),
        ("https://chat.example", "https", "CHAT.example."),
        ("http://localhost:8765", "http", "localhost:8765"),
        ("http://[::1]:8765", "http", "[0:0::1]:8765"),
        ("https://xn--bcher-kva.example", "https", "Bücher.example"),
    ],
)
async def test_pages_of_the_same_origin_connect(value: str, scheme: str, host: str) -> None:
    assert await lets_in(origin(), value, scheme=scheme, host=host)
    assert not await lets_in(origin(same_origin=False), value, scheme=scheme, host=host)


@pytest.mark.parametrize(
    "value",
    [
        "http://chat.example",
        "https://chat.example:444",
        "https://evil.example",
        "https://evil.chat.example",
        "https://chat.example.evil.example",
        "https://chat.example@evil.example",
        "https://chat.example/",
        "https://chat.example:443:443",
        "https://chat.example:99999",
        "https://chat.example:٤٤٣",
        "https://chat.example https://chat.example",
        "https://chat.example\t",
        "chat.example",
        "//chat.example",
        "null",
        "",
        "https://",
        "https://[::1",
        "https://[nonsense]",
        "https://\udcff.example",
        "https://chat.example" + "." * 300,
        "https://" + "a." * 140 + "example",
    ],
)
async def test_other_origins_are_refused(value: str) -> None:
    assert not await lets_in(origin(), value)


async def test_null_is_refused_even_where_everything_is_allowed() -> None:
    assert await lets_in(origin(allow=["*"]), "https://evil.example")
    assert not await lets_in(origin(allow=["*"]), "null")


async def test_several_origins_are_refused() -> None:
    same = "https://chat.example"
    assert not await lets_in(origin(), same, same)
    assert not await lets_in(origin(allow=["*"]), same, same)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (
            "https://app.example.com",
            ["https://app.example.com", "wss://APP.example.com:443"],
            ["http://app.example.com", "https://app.example.com:8443", "https://x.app.example.com"],
        ),
        ("http://localhost:3000", ["http://localhost:3000"], ["http://localhost:3001"]),
        (
            "https://*.example.com",
            ["https://a.example.com", "https://a-b.example.com"],
            [
                "https://example.com",
                "https://a.b.example.com",
                "https://aexample.com",
                "http://a.example.com",
                "https://.example.com",
                "https://*.example.com",
            ],
        ),
        ("https://*.*.example.com", ["https://a.b.example.com"], ["https://a.example.com"]),
        ("https://pr-1.*.example.com:444", ["https://pr-1.x.example.com:444"], ["https://x:444"]),
        ("https://Bücher.example", ["https://xn--bcher-kva.example"], ["https://bcher.example"]),
        ("tauri://localhost", ["tauri://localhost"], ["http://localhost", "tauri://localhost:1"]),
        ("https://[2001:db8::1]:444", ["https://[2001:DB8:0::1]:444"], ["https://[2001:db8::1]"]),
    ],
)
async def test_allowed_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    middleware = origin(allow=["https://other.example", pattern])
    assert [value for value in yes if not await lets_in(middleware, value)] == []
    assert [value for value in no if await lets_in(middleware, value)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "example.com",
        "https://example.com/",
        "https://example.com/chat",
        "https://ex*mple.com",
        "https://example.*",
        "https://*",
        "https://*:443",
        "https://example.com:x",
        "https://example.com:65536",
        "https://user@example.com",
        "https://straße.example",
        "null",
        "",
    ],
)
def test_a_wrong_pattern_is_named(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        origin(allow=["https://fine.example", pattern])
    assert repr(pattern) in caught.value.message
    assert "allow" in caught.value.message


@pytest.mark.parametrize("host", ["https://a.example", "a.example:80", "", "a b", "*.*"])
def test_a_wrong_host_is_named(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        origin(allowed_hosts=[host])
    assert repr(host) in caught.value.message


async def test_a_wrong_configuration_changes_nothing() -> None:
    middleware = origin(allow=["https://app.example"])
    with pytest.raises(ConfigError):
        middleware.configure(OriginConfig(allow=["https://new.example", "wrong"]))
    assert await lets_in(middleware, "https://app.example")
    assert not await lets_in(middleware, "https://new.example")
    middleware.configure(OriginConfig(allow=["https://new.example"]))
    assert await lets_in(middleware, "https://new.example")
    assert not await lets_in(middleware, "https://app.example")


async def test_what_is_no_browser_connects_without_origin() -> None:
    assert await lets_in(origin())
    assert await lets_in(origin(same_origin=False))


async def test_a_cookie_identity_needs_an_origin() -> None:
    mary = Identity(user="mary")
    refused = await refusal(origin(), handshake(identity=mary))
    assert refused is not None
    assert (refused.status, refused.reason) == (403, "origin")
    same = handshake([("Origin", "http://chat.example.com")], identity=mary)
    assert await refusal(origin(), same) is None
    foreign = handshake([("Origin", "http://evil.example")], identity=mary)
    assert await refusal(origin(), foreign) is not None


@pytest.mark.parametrize(
    ("site", "probe", "same_origin", "allowed"),
    [
        ("same-origin", True, True, True),
        ("same-origin", True, False, False),
        ("same-origin", False, True, False),
        ("same-site", True, True, False),
        ("cross-site", True, True, False),
        ("none", True, True, False),
    ],
)
async def test_a_page_may_probe_with_a_cookie(
    site: str, probe: bool, same_origin: bool, allowed: bool
) -> None:
    shaken = handshake([("Sec-Fetch-Site", site)], probe=probe, identity=Identity(user="mary"))
    refused = await refusal(origin(same_origin=same_origin), shaken)
    assert (refused is None) == allowed


@pytest.mark.parametrize("local", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.53"])
@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8765", True),
        ("127.0.0.1:8765", True),
        ("[::1]:8765", True),
        ("chat.example", True),
        ("chat.example:444", True),
        ("a.dev.example", True),
        ("a.b.dev.example", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("", False),
        ("<script>", False),
    ],
)
async def test_loopback_is_reached_by_its_own_names_only(
    local: str, host: str, allowed: bool
) -> None:
    middleware = origin(allowed_hosts=["Chat.example.", "*.dev.example"])
    refused = await refusal(middleware, handshake(local=local, host=host))
    assert (refused is None) == allowed
    if refused is not None:
        assert (refused.status, refused.reason) == (403, "host")
        assert "allowed_hosts" in refused.text


async def test_a_rebound_name_is_refused_though_origin_and_host_agree() -> None:
    shaken = handshake(
        [("Origin", "http://evil.example:8765")], local="127.0.0.1", host="evil.example:8765"
    )
    refused = await refusal(origin(), shaken)
    assert refused is not None
    assert refused.reason == "host"


@pytest.mark.parametrize("local", ["192.0.2.1", "2001:db8::1", ""])
async def test_other_listeners_take_any_host(local: str) -> None:
    assert await refusal(origin(), handshake(local=local, host="whatever.example")) is None


async def test_a_lone_star_takes_any_host_on_loopback() -> None:
    middleware = origin(allowed_hosts=["*"])
    assert await refusal(middleware, handshake(local="::1", host="a.b.example")) is None


@pytest.mark.parametrize(
    "value", ["https://<script>.example", "https://evil.example/<b>", "\x1b[31m", "x" * 8000]
)
async def test_texts_show_nothing_but_plain_origins(value: str) -> None:
    for shaken in (handshake([("Origin", value)]), handshake(local="127.0.0.1", host=value)):
        refused = await refusal(origin(), shaken)
        assert isinstance(refused, Refused)
        assert value not in refused.text
        assert len(refused.text) < 600
        assert refused.text.replace("\n", "").isprintable()


async def test_the_text_says_what_to_allow() -> None:
    refused = await refusal(origin(), handshake([("Origin", "HTTPS://Other.example:443")]))
    assert refused is not None
    assert "https://other.example " in refused.text
    assert "allow" in refused.text
