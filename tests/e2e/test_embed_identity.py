"""Embed a chat in an application that knows its users, and reach it from handlers and tasks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError, web
from aiohttp.test_utils import TestClient
from aiohttp_session import SimpleCookieStorage, get_session, session_middleware
from pytest_aiohttp.plugin import AiohttpClient

import chatserver
from chatserver import CHAT, Identity, Right, Rights
from chatserver.testing import Peer

Client = TestClient[web.Request, web.Application]
MakeHost = Callable[..., web.Application]

# aiohttp-session keeps its session under a plain string, which aiohttp advises against.
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning")

FOREIGN = "https://evil.example"
MEMBERS_ONLY = ["origin", "rate_limit", "auth", "size_limit"]


async def who(request: web.Request) -> Identity | None:
    """Read the host's session cookie."""
    name = (await get_session(request)).get("name")
    return None if name is None else Identity(user=f"user:{name}", name=name)


async def sign_in(request: web.Request) -> web.Response:
    """Start a session of the host's."""
    (await get_session(request))["name"] = request.match_info["name"]
    return web.Response()


@pytest.fixture
def make_host(tmp_path: Path) -> MakeHost:
    """Give a function that makes an application with sessions and a chat that knows them."""

    def make(middlewares: list[str] | None = None) -> web.Application:
        app = web.Application(middlewares=[session_middleware(SimpleCookieStorage())])
        app.router.add_post("/sign-in/{name}", sign_in)
        config: dict[str, object] = {"server": {"data_dir": str(tmp_path / "data")}}
        if middlewares is not None:
            config["middlewares"] = middlewares
        chatserver.setup(app, config, identity=who)
        return app

    return make


@pytest.fixture
def host(make_host: MakeHost) -> web.Application:
    """Give one whose chat takes guests as well."""
    return make_host()


async def open_chat(client: Client, *rooms: str, name: str | None = None) -> Peer:
    """Open the chat as one of the host's pages would, as somebody signed in if there is a name."""
    if name is not None:
        assert (await client.post(f"/sign-in/{name}")).status == 200
    origin = str(client.make_url("/").origin())
    peer = Peer(await client.ws_connect("/chat/ws", origin=origin))
    for room in rooms:
        assert (await peer.request("join", room=room))["action"] == "joined"
        await peer.expect("notification", event="join")
    return peer


# Who is who


async def test_the_session_cookie_names_user_and_display_name(
    aiohttp_client: AiohttpClient, host: web.Application
) -> None:
    client = await aiohttp_client(host)
    alice = await open_chat(client, "lobby", name="alice")

    welcome = await alice.request("hello")
    assert (welcome["user"], welcome["username"]) == ("user:alice", "alice")
    assert "guest_token" not in welcome
    await alice.send("message", text="hi", username="bob", sender="user:bob")
    await alice.expect("message", username="alice", sender="user:alice", text="hi")


async def test_two_tabs_are_one_user(aiohttp_client: AiohttpClient, host: web.Application) -> None:
    client = await aiohttp_client(host)
    one = await open_chat(client, "lobby", name="alice")
    other = await open_chat(client, "lobby")

    assert (await other.request("hello"))["user"] == "user:alice"
    await one.expect("notification", event="join", text="alice joined lobby")


async def test_without_a_cookie_one_is_a_guest(
    aiohttp_client: AiohttpClient, host: web.Application
) -> None:
    client = await aiohttp_client(host)
    guest = await open_chat(client)

    assert str((await guest.request("hello"))["user"]).startswith("guest:")
    assert (await guest.request("join", room="lobby"))["code"] == "not_registered"


async def test_without_a_cookie_one_is_refused_where_guests_are_not_wanted(
    aiohttp_client: AiohttpClient, make_host: MakeHost
) -> None:
    client = await aiohttp_client(make_host(MEMBERS_ONLY))

    with pytest.raises(WSServerHandshakeError) as refusal:
        await open_chat(client)
    assert refusal.value.status == 401
    answer = await client.get("/chat/ws")
    assert (answer.status, await answer.read()) == (401, b"Invalid token\n")

    alice = await open_chat(client, "lobby", name="alice")
    assert (await alice.request("hello"))["username"] == "alice"


@pytest.mark.parametrize("origin", [FOREIGN, "null", None])
async def test_a_page_of_another_site_cannot_use_the_cookie(
    aiohttp_client: AiohttpClient, host: web.Application, origin: str | None
) -> None:
    client = await aiohttp_client(host)
    await client.post("/sign-in/alice")

    with pytest.raises(WSServerHandshakeError) as refusal:
        await client.ws_connect("/chat/ws", origin=origin)
    assert refusal.value.status == 403
    assert host[CHAT].members("lobby") == []


async def test_the_host_decides_what_its_users_may_do(
    aiohttp_client: AiohttpClient, tmp_path: Path
) -> None:
    async def reader(_: web.Request) -> Identity:
        rights = Rights.of({"news": [Right.JOIN, Right.READ]})
        return Identity(user="user:reader", name="reader", rights=rights)

    app = web.Application()
    data = {"server": {"data_dir": str(tmp_path / "data")}}
    chatserver.setup(app, data, identity=reader)
    peer = await open_chat(await aiohttp_client(app), "news")

    assert (await peer.request("message", room="news", text="hi"))["code"] == "forbidden"
    assert (await peer.request("join", room="staff"))["code"] == "forbidden"


# From handlers and tasks


async def test_a_handler_publishes_to_a_room(
    aiohttp_client: AiohttpClient, host: web.Application
) -> None:
    async def pay(request: web.Request) -> web.Response:
        published = await request.app[CHAT].publish("orders", "order.paid", order=7)
        return web.json_response({"room": published.room, "at": published.timestamp})

    host.router.add_post("/pay", pay)
    client = await aiohttp_client(host)
    alice = await open_chat(client, "orders", name="alice")
    bob = await open_chat(client, "lobby", name="bob")

    answer = await (await client.post("/pay")).json()

    event = await alice.expect("order.paid", room="orders", order=7)
    assert answer == {"room": "orders", "at": event["timestamp"]}
    assert "sender" not in event
    await bob.silent()


async def test_a_handler_of_a_sub_application_finds_the_chat(
    aiohttp_client: AiohttpClient, host: web.Application
) -> None:
    async def pay(request: web.Request) -> web.Response:
        await request.config_dict[CHAT].publish("orders", "order.paid", order=7)
        return web.Response()

    shop = web.Application()
    shop.router.add_post("/pay", pay)
    host.add_subapp("/shop/", shop)
    client = await aiohttp_client(host)
    alice = await open_chat(client, "orders", name="alice")

    assert (await client.post("/shop/pay")).status == 200

    await alice.expect("order.paid", order=7)


async def test_a_background_task_publishes(
    aiohttp_client: AiohttpClient, host: web.Application
) -> None:
    due = asyncio.Event()

    async def announce(app: web.Application) -> None:
        await due.wait()
        await app[CHAT].publish("orders", "order.due", order=8)

    async def background(app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(announce(app))
        yield
        await task

    host.cleanup_ctx.append(background)
    client = await aiohttp_client(host)
    alice = await open_chat(client, "orders", name="alice")

    due.set()

    await alice.expect("order.due", order=8)


async def test_a_handler_writes_to_one_user_and_counts_the_connections(
    aiohttp_client: AiohttpClient, host: web.Application
) -> None:
    async def remind(request: web.Request) -> web.Response:
        count = request.app[CHAT].publish_to("user:alice", "reminder", of="tea")
        return web.json_response(count)

    host.router.add_post("/remind", remind)
    client = await aiohttp_client(host)
    assert await (await client.post("/remind")).json() == 0
    tabs = [await open_chat(client, name="alice"), await open_chat(client)]
    bob = await open_chat(client, name="bob")
    for peer in (*tabs, bob):
        await peer.request("ping")

    assert await (await client.post("/remind")).json() == 2

    for peer in tabs:
        await peer.expect("reminder", of="tea")
    await bob.silent()


async def test_a_handler_lists_the_members_and_kicks_one(
    aiohttp_client: AiohttpClient, host: web.Application
) -> None:
    async def members(request: web.Request) -> web.Response:
        found = request.app[CHAT].members("lobby")
        return web.json_response([[member.user, member.username] for member in found])

    async def kick(request: web.Request) -> web.Response:
        return web.json_response(request.app[CHAT].kick("user:alice", reason="enough"))

    host.router.add_get("/members", members)
    host.router.add_post("/kick", kick)
    client = await aiohttp_client(host)
    assert await (await client.get("/members")).json() == []
    alice = await open_chat(client, "lobby", name="alice")
    bob = await open_chat(client, "lobby", name="bob")
    listed = await (await client.get("/members")).json()
    assert listed == [["user:alice", "alice"], ["user:bob", "bob"]]

    assert await (await client.post("/kick")).json() == 1

    assert await alice.closed() == 3503
    await bob.expect("notification", event="leave", text="alice left lobby")
    assert await (await client.get("/members")).json() == [["user:bob", "bob"]]
    assert await (await client.post("/kick")).json() == 0


def test_a_handler_cannot_set_what_only_the_server_says(host: web.Application) -> None:
    with pytest.raises(ValueError, match="only the server sets"):
        host[CHAT].publish("orders", "order.paid", order=7, sender="user:alice")
