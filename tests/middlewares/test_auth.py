import json
import logging
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
import pytest
from chatserver_middlewares.auth import AuthMiddleware, Refresh
from chatserver_middlewares.auth_config import AuthConfig
from multidict import CIMultiDict

from chatserver import (
    ActionError,
    CloseCode,
    ConfigError,
    Context,
    Disconnect,
    ErrorCode,
    Handshake,
    Hub,
    Identity,
    Refused,
    Reply,
    Right,
    Session,
)
from chatserver.envelope import parse
from tests.middlewares.issuer import NOW, RSA, SECRET, claims, sign

TOKENS = [{"token": "alice-1", "user": "alice"}, {"token": "bob-1", "user": "bob"}]
JWT = {"algorithms": ["HS256"], "secret": SECRET}
STRICT = {"tokens": TOKENS, "jwt": JWT}
OPEN = {**STRICT, "anonymous": True}
LATE = {**STRICT, "late": True}


class RecordingHub:
    """Do to a session what the hub's contract says."""

    def __init__(self) -> None:
        self.identified: list[str] = []

    def identify(self, session: Session, identity: Identity) -> None:
        self.identified.append(identity.user)
        session.identity = identity
        session.admitted = True
        session.closes_at = identity.expires
        session.closes_with = CloseCode.EXPIRED


class Client:
    """Drive the hooks of one middleware as the core does for one connection."""

    def __init__(self, config: Mapping[str, object], now: float = NOW) -> None:
        self.now = now
        self.auth = AuthMiddleware(msgspec.convert(config, AuthConfig), lambda: self.now)
        self.hub = RecordingHub()
        self.handled: list[str | None] = []
        self.session = Session("c1", Identity(user="guest:0", guest=True), "192.0.2.1")

    async def connect(
        self,
        token: str | None = None,
        *,
        query: str | None = None,
        subprotocols: Sequence[str] = (),
        host_identity: Identity | None = None,
    ) -> Session:
        handshake = Handshake(
            headers=CIMultiDict({} if token is None else {"Authorization": f"Bearer {token}"}),
            query={} if query is None else {"token": query},
            remote="192.0.2.1",
            local="192.0.2.2",
            scheme="http",
            host="chat.example",
            subprotocols=subprotocols,
            identity=host_identity,
        )
        self.session = await self.auth.connect(handshake, self._admit)
        return self.session

    async def send(self, action: str, **fields: object) -> object:
        envelope = parse(json.dumps({"action": action, **fields}))
        return await self.auth.message(self._context(envelope.raw), self._handle)

    async def refresh(self, token: str) -> Reply:
        raw = json.dumps({"action": "refresh", "token": token})
        assert await self.auth.message(self._context(raw), self._handle) is None
        return await self.auth.refresh(self._context(raw), Refresh(token))

    def _context(self, raw: str) -> Context:
        return Context(self.session, cast("Hub", self.hub), parse(raw))

    async def _admit(self, handshake: Handshake) -> Session:
        identity = handshake.identity or Identity(user="guest:0", guest=True)
        return Session("c1", identity, handshake.remote)

    async def _handle(self, ctx: Context) -> None:
        self.handled.append(ctx.envelope.action)


async def refusal(client: Client, token: str | None = None, *, query: str | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        await client.connect(token, query=query)
    return caught.value


# Connecting


@pytest.mark.parametrize("token", [None, "wrong", "", "a.b.c", sign(claims(exp=NOW))])
async def test_strangers_are_refused(token: str | None) -> None:
    refused = await refusal(Client(STRICT), token)
    assert (refused.status, refused.text, refused.reason) == (401, "Invalid token\n", "auth")


@pytest.mark.parametrize("config", [OPEN, LATE], ids=["open", "late"])
async def test_a_wrong_token_is_refused_even_where_none_is_needed(
    config: Mapping[str, object],
) -> None:
    assert (await refusal(Client(config), "wrong")).status == 401


async def test_a_token_says_who_somebody_is() -> None:
    client = Client(STRICT)
    assert (await client.connect("alice-1")).identity.user == "alice"
    session = await client.connect(sign(claims(sub="carol", name="Carol", rooms={"a": ["join"]})))
    assert (session.identity.user, session.identity.name) == ("carol", "Carol")
    assert session.closes_at == NOW + 60
    assert not session.identity.rights.allows(Right.JOIN, "b")


async def test_the_subprotocol_carries_a_token() -> None:
    session = await Client(STRICT).connect(subprotocols=["chatserver.v1", "bearer.YWxpY2UtMQ"])
    assert session.identity.user == "alice"


async def test_the_query_carries_one_only_where_allowed(caplog: pytest.LogCaptureFixture) -> None:
    allowed = Client({**STRICT, "query": True})
    assert (await allowed.connect(query="alice-1")).identity.user == "alice"
    assert (await refusal(allowed, query="wrong")).status == 401
    with caplog.at_level(logging.INFO, "chatserver.auth"):
        assert (await refusal(Client(STRICT), query="alice-1")).status == 401
    assert "auth.query: true" in caplog.text


async def test_carriers_that_disagree_are_refused() -> None:
    assert (
        await refusal(Client({**STRICT, "query": True}), "alice-1", query="bob-1")
    ).status == 401


async def test_guests_only_where_allowed() -> None:
    session = await Client(OPEN).connect()
    assert session.identity.guest
    assert session.closes_at is None
    assert not Client(OPEN).auth.authenticates
    assert Client(STRICT).auth.authenticates
    assert Client(LATE).auth.authenticates


@pytest.mark.parametrize("config", [{}, STRICT, OPEN, LATE], ids=["none", "strict", "open", "late"])
async def test_the_word_of_the_embedding_app_counts_more_than_a_token(
    config: Mapping[str, object],
) -> None:
    client = Client(config)
    carol = Identity(user="carol")
    for token in (None, "alice-1", "wrong"):
        assert (await client.connect(token, host_identity=carol)).identity is carol
    await client.send("join")
    assert client.handled == ["join"]


async def test_keys_that_cannot_be_had_are_not_the_clients_fault(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/keys"
    client = Client({"late": True, "jwt": {"algorithms": ["RS256"], "jwks_url": url}})
    token = sign(claims(), RSA, "RS256", kid="1")
    refused = await refusal(client, token)
    assert refused.status == 503
    assert refused.retry_after is not None
    assert 0 < refused.retry_after <= 30
    await client.connect()
    with pytest.raises(ActionError) as caught:
        await client.send("hello", token=token)
    assert caught.value.code == ErrorCode.UNAVAILABLE
    assert caught.value.retry_after is not None


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = sign(claims()), sign(claims(exp=NOW - 1))
    with caplog.at_level(logging.DEBUG):
        client = Client({**OPEN, "query": True})
        for token in (good, "alice-1"):
            await client.connect(token)
        for token in (bad, "hidden-token"):
            await refusal(client, token)
            await refusal(client, query=token)
            await client.connect()
            with pytest.raises(ActionError):
                await client.send("hello", token=token)
    assert "expired" in caplog.text
    for secret in (good, bad, bad.split(".")[2], "alice-1", "hidden-token", SECRET):
        assert secret not in caplog.text


# Late authentication


async def test_a_late_client_can_do_nothing_but_say_who_it_is() -> None:
    client = Client(LATE)
    await client.connect()
    for action in ("join", "ping", "refresh", "unknown", "hello"):
        with pytest.raises(ActionError) as caught:
            await client.send(action)
        assert caught.value.code == ErrorCode.UNAUTHORIZED
    with pytest.raises(ActionError):
        await client.send("hello", guest_token="g")
    assert client.handled == []
    assert client.hub.identified == []


async def test_a_late_client_has_limited_time() -> None:
    session = await Client({**LATE, "late_timeout": 3}).connect()
    assert (session.closes_at, session.closes_with) == (NOW + 3, CloseCode.NEVER_AUTHENTICATED)


async def test_a_late_token_opens_the_door() -> None:
    client = Client(LATE)
    session = await client.connect()
    await client.send("hello", token=sign(claims()))
    await client.send("join")
    assert client.handled == ["hello", "join"]
    assert client.hub.identified == ["alice"]
    assert (session.closes_at, session.closes_with) == (NOW + 60, CloseCode.EXPIRED)


async def test_the_other_word_for_action_works_as_well() -> None:
    client = Client(LATE)
    await client.connect()
    raw = json.dumps({"type": "hello", "token": "alice-1"})
    await client.auth.message(client._context(raw), client._handle)
    assert client.session.identity.user == "alice"


async def test_a_late_token_without_an_end_lifts_the_limit() -> None:
    client = Client(LATE)
    session = await client.connect()
    await client.send("hello", token="alice-1")
    assert session.closes_at is None


@pytest.mark.parametrize("token", ["", "wrong", sign(claims(exp=NOW))])
async def test_a_wrong_late_token_ends_the_connection(token: str) -> None:
    client = Client(LATE)
    await client.connect()
    with pytest.raises(Disconnect) as caught:
        await client.send("hello", token=token)
    assert (caught.value.code, caught.value.reason) == (CloseCode.INVALID_TOKEN, "Invalid token")


@pytest.mark.parametrize("token", [7, ["alice-1"], {}, True])
async def test_a_late_token_of_another_type_is_a_bad_payload(token: object) -> None:
    client = Client(LATE)
    await client.connect()
    with pytest.raises(ActionError) as caught:
        await client.send("hello", token=token)
    assert (caught.value.code, caught.value.field) == (ErrorCode.BAD_PAYLOAD, "$.token")


async def test_who_brings_a_token_along_is_not_late() -> None:
    client = Client(LATE)
    session = await client.connect("alice-1")
    assert session.closes_at is None
    await client.send("join")
    assert client.handled == ["join"]


# hello with a token elsewhere


async def test_a_guest_can_become_a_user() -> None:
    client = Client(OPEN)
    await client.connect()
    await client.send("join")
    await client.send("hello")
    with pytest.raises(ActionError) as caught:
        await client.send("hello", token="wrong")
    assert caught.value.code == ErrorCode.UNAUTHORIZED
    assert client.session.identity.guest
    await client.send("hello", token=sign(claims()))
    assert client.session.identity.user == "alice"
    assert client.session.closes_at == NOW + 60
    assert client.handled == ["join", "hello", "hello"]


async def test_a_user_stays_the_same() -> None:
    client = Client(STRICT)
    await client.connect("alice-1")
    with pytest.raises(ActionError) as caught:
        await client.send("hello", token="bob-1")
    assert caught.value.code == ErrorCode.FORBIDDEN
    await client.send("hello", token=sign(claims()))
    assert client.session.closes_at == NOW + 60
    assert client.handled == ["hello"]
    await client.send("hello", token=None)
    assert client.session.closes_at == NOW + 60


# refresh


async def test_a_newer_token_prolongs_the_connection() -> None:
    client = Client(STRICT)
    session = await client.connect(sign(claims()))
    client.now += 50
    reply = await client.refresh(sign(claims(exp=NOW + 3600.5, rooms={})))
    assert (reply.action, reply.fields) == ("refreshed", {"expires": NOW + 3600})
    assert session.closes_at == NOW + 3600.5
    assert not session.identity.rights.allows(Right.JOIN, "lobby")


async def test_a_token_without_an_end_refreshes_for_good() -> None:
    client = Client(STRICT)
    session = await client.connect(sign(claims()))
    assert (await client.refresh("alice-1")).fields == {"expires": None}
    assert session.closes_at is None


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("bob-1", ErrorCode.FORBIDDEN),
        (sign(claims(sub="bob")), ErrorCode.FORBIDDEN),
        (sign(claims(exp=NOW)), ErrorCode.UNAUTHORIZED),
        ("wrong", ErrorCode.UNAUTHORIZED),
        ("", ErrorCode.UNAUTHORIZED),
        ("x" * 100_000, ErrorCode.UNAUTHORIZED),
    ],
    ids=["bob", "bob jwt", "expired", "wrong", "empty", "long"],
)
async def test_a_token_of_no_use_changes_nothing(token: str, code: ErrorCode) -> None:
    client = Client(STRICT)
    session = await client.connect(sign(claims()))
    with pytest.raises(ActionError) as caught:
        await client.refresh(token)
    assert caught.value.code == code
    assert (session.identity.user, session.closes_at) == ("alice", NOW + 60)
    assert client.hub.identified == []


async def test_a_guest_has_nothing_to_refresh() -> None:
    client = Client(OPEN)
    await client.connect()
    with pytest.raises(ActionError) as caught:
        await client.refresh("alice-1")
    assert caught.value.code == ErrorCode.FORBIDDEN
    assert client.session.identity.guest


def test_refresh_is_an_action_of_the_middleware() -> None:
    assert AuthMiddleware.actions() == {"refresh": "refresh"}


# Configuration


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({**LATE, "anonymous": True}, "exclude each other"),
        ({"late": True}, "needs tokens or jwt"),
        ({"tokens": ["a", "a"]}, "given twice"),
        ({"jwt": {"algorithms": ["HS256"], "secret": "short"}}, "5 bytes and needs 32"),
    ],
)
async def test_a_wrong_configuration_is_refused_and_changes_nothing(
    config: Mapping[str, object], fault: str
) -> None:
    wrong = msgspec.convert(config, AuthConfig)
    with pytest.raises(ConfigError, match=fault):
        AuthMiddleware(wrong)
    client = Client(STRICT)
    before = client.auth.config
    with pytest.raises(ConfigError, match=fault):
        client.auth.configure(wrong)
    assert client.auth.config is before
    assert (await client.connect("alice-1")).identity.user == "alice"
    assert (await refusal(client)).status == 401


async def test_a_new_configuration_counts_at_once() -> None:
    client = Client(STRICT)
    await client.connect("alice-1")
    client.auth.configure(msgspec.convert({"tokens": ["other"]}, AuthConfig))
    assert (await refusal(client, "alice-1")).status == 401
    assert (await client.connect("other")).identity.user.startswith("token:")


@pytest.mark.parametrize(
    "config",
    [
        {"tokens": [""]},
        {"tokens": ["a b"]},
        {"tokens": ["é"]},
        {"tokens": ["x" * 9000]},
        {"tokens": [{"token": "t", "rights": {"*": ["admin"]}}]},
        {"tokens": [{"token": "t", "role": "x"}]},
        {"jwt": {"algorithms": [], "secret": SECRET}},
        {"jwt": {"secret": SECRET}},
        {"jwt": {"algorithms": ["none"], "secret": SECRET}},
        {"jwt": {"algorithms": ["HS1"], "secret": SECRET}},
        {"jwt": {**JWT, "leeway": -1}},
        {"late_timeout": 0},
        {"anonymus": True},
    ],
    ids=str,
)
def test_the_types_refuse_what_makes_no_sense(config: Mapping[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(config, AuthConfig)


async def test_life_cycle(unused_tcp_port: int, caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/keys"
    client = Client({"jwt": {"algorithms": ["RS256"], "jwks_url": url}})
    await client.auth.startup(cast("Hub", client.hub))
    assert f"no keys from {url}" in caplog.text
    await client.auth.cleanup()


async def test_a_server_for_nobody_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "chatserver.auth"):
        client = Client({})
        await client.auth.startup(cast("Hub", client.hub))
    assert "only users of the embedding app get in" in caplog.text
