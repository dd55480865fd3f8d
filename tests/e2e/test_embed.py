"""Embed chats in an application: where they are mounted, and what they leave alone."""

import asyncio
import json
import logging
import re
import signal
from collections.abc import Iterable
from pathlib import Path

import aiohttp_jinja2
import jinja2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from aiohttp.typedefs import Handler
from pytest_aiohttp.plugin import AiohttpClient

import chatserver
from chatserver import Chat, ConfigError, NoConfig, Plugin
from chatserver.testing import Peer

Client = TestClient[web.Request, web.Application]
Settings = dict[str, object]

SUPPORT = web.AppKey("support", Chat)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return {"server": {"data_dir": str(tmp_path / "data")}}


class BoardPlugin(Plugin[NoConfig]):
    """A plugin with a page of its own."""

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [web.get("/board", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        return web.Response(text="the board")


async def talk(client: Client, path: str, *rooms: str, name: str = "alice") -> Peer:
    """Connect, register, and join rooms."""
    peer = Peer(await client.ws_connect(path))
    assert (await peer.request("register", username=name))["action"] == "registered"
    for room in rooms:
        assert (await peer.request("join", room=room))["action"] == "joined"
        await peer.expect("notification", event="join")
    return peer


async def status(client: Client, path: str) -> int:
    return (await client.get(path)).status


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="the host's own page")


# Mounted where


@pytest.mark.parametrize("path", ["/chat", "/chat/", "/chat/ws"])
async def test_a_prefix_serves_three_paths(
    aiohttp_client: AiohttpClient, settings: Settings, path: str
) -> None:
    app = web.Application()
    app.router.add_get("/", hello)
    chatserver.setup(app, settings)
    client = await aiohttp_client(app)

    await talk(client, path, "lobby")

    assert await status(client, path) == 426
    assert await (await client.get("/")).text() == "the host's own page"
    assert await status(client, "/ws") == 404


async def test_pages_and_metrics_are_served_only_when_asked_for(
    aiohttp_client: AiohttpClient, settings: Settings, tmp_path: Path
) -> None:
    bare, full = web.Application(), web.Application()
    chatserver.setup(bare, settings)
    other: Settings = {"server": {"data_dir": str(tmp_path / "full")}}
    chatserver.setup(full, other, pages=True, metrics=True)
    client = await aiohttp_client(bare)
    for path in (
        *("/chat/static/chat.js", "/chat/console", "/chat/console/actions.json"),
        *("/chat/metrics", "/metrics", "/chat/healthz", "/healthz"),
    ):
        assert await status(client, path) == 404

    client = await aiohttp_client(full)
    for path in ("/chat", "/chat/"):
        page = await (await client.get(path)).text()
        assert '"/chat/static/chat.js"' in page
        await (await talk(client, path)).close()
    console = await (await client.get("/chat/console")).text()
    for path in (
        "/chat/static/console/main.js",
        "/chat/console/actions.json",
        "/chat/ws",
        "/chat/",
    ):
        assert f'"{path}"' in console
    for path in ("/chat/static/console/main.js", "/chat/console/actions.json"):
        assert await status(client, path) == 200
    assert await status(client, "/chat/static/chat.js") == 200
    assert await status(client, "/chat/metrics") == 200
    assert await status(client, "/chat/ws") == 426


async def test_a_chat_at_the_root_shares_it_with_the_host(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    app = web.Application()
    app.router.add_get("/about", hello)
    chatserver.setup(app, settings, prefix="")
    client = await aiohttp_client(app)

    for path in ("/", "/ws"):
        await (await talk(client, path, "lobby")).close()
    assert await status(client, "/about") == 200
    assert await status(client, "/chat") == 404


async def test_a_chat_is_mounted_as_a_sub_application(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    app = web.Application()
    app.add_subapp("/chat/", chat_app := chatserver.create_app(settings))
    client = await aiohttp_client(app)

    for path in ("/chat/", "/chat/ws"):
        peer = await talk(client, path, "lobby")
        await chat_app[chatserver.CHAT].publish("lobby", "noted", path=path)
        await peer.expect("noted", path=path)
        await peer.close()

    assert '"/chat/static/chat.js"' in await (await client.get("/chat/")).text()
    assert await status(client, "/chat/static/chat.js") == 200
    assert await status(client, "/chat/readyz") == 200


async def test_two_chats_in_one_application_know_nothing_of_each_other(
    aiohttp_client: AiohttpClient, settings: Settings, tmp_path: Path
) -> None:
    app = web.Application()
    team = chatserver.setup(app, settings, prefix="/team", pages=True)
    other: Settings = {"server": {"data_dir": str(tmp_path / "support")}}
    support = chatserver.setup(app, other, prefix="/support", key=SUPPORT, pages=True)
    assert (app[chatserver.CHAT], app[SUPPORT]) == (team, support)
    client = await aiohttp_client(app)
    colleague = await talk(client, "/team/ws", "lobby", name="sam")
    customer = await talk(client, "/support/ws", "lobby", name="sam")

    await support.publish("lobby", "opened")

    await customer.expect("opened")
    await colleague.silent()
    assert [member.username for member in team.members("lobby")] == ["sam"]
    for name in ("team", "support"):
        assert f'"/{name}/static/chat.js"' in await (await client.get(f"/{name}/")).text()


async def test_a_plugin_instance_is_added_and_its_pages_are_below_the_prefix(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    app = web.Application()
    chatserver.setup(app, settings, plugins=[BoardPlugin(NoConfig())])
    client = await aiohttp_client(app)

    assert await (await client.get("/chat/board")).text() == "the board"


async def test_the_host_reads_what_its_rooms_keep(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    app = web.Application()
    chat = chatserver.setup(app, settings)
    client = await aiohttp_client(app)
    alice = await talk(client, "/chat", "orders")
    await chat.publish("orders", "order.paid", order=7)
    await alice.request("message", text="thanks", room="orders")
    await alice.request("edit", offset=2, text="thank you", room="orders")

    newest = await chat.history("orders", limit=1)
    assert newest is not None
    assert json.loads(bytes(newest.encoded))[0]["text"] == "thank you"
    assert newest.more
    older = await chat.history("orders", before=newest.next)
    assert older is not None
    assert [json.loads(event)["order"] for _, event in older.events] == [7]
    with pytest.raises(ValueError, match="at least 1"):
        chat.history("orders", limit=0)


# What is taken already


def test_a_key_that_is_taken_is_a_mistake(settings: Settings) -> None:
    app = web.Application()
    chatserver.setup(app, settings, prefix="/one")
    with pytest.raises(ConfigError, match="give another `key`"):
        chatserver.setup(app, settings, prefix="/two")


@pytest.mark.parametrize("path", ["/ws", "/", "/healthz", "/metrics"])
def test_a_plugin_cannot_take_a_route_of_the_chat(settings: Settings, path: str) -> None:
    class Greedy(Plugin[NoConfig]):
        def routes(self) -> list[web.RouteDef]:
            return [web.get(path, hello)]

    with pytest.raises(ConfigError, match="of the plugin 'greedy' is taken already"):
        chatserver.create_app(settings, plugins=[Greedy(NoConfig())])


@pytest.mark.parametrize(
    "path",
    ["/chat", "/chat/", "/chat/ws", "/chat/metrics", "/chat/static/{name}", "/chat/board"],
)
def test_a_route_that_is_taken_is_a_mistake(settings: Settings, path: str) -> None:
    app = web.Application()
    app.router.add_get(path, hello)
    app.router.add_get("/other", hello)
    with pytest.raises(
        ConfigError, match=rf"{re.escape(path)}( of the plugin 'board')? is taken already"
    ) as error:
        chatserver.setup(app, settings, pages=True, metrics=True, plugins=[BoardPlugin(NoConfig())])
    assert "prefix" in str(error.value)
    assert chatserver.CHAT not in app


@pytest.mark.parametrize("prefix", ["chat", "/chat/", "/"])
def test_a_prefix_begins_with_a_slash_and_does_not_end_with_one(
    settings: Settings, prefix: str
) -> None:
    with pytest.raises(ConfigError, match="slash"):
        chatserver.setup(web.Application(), settings, prefix=prefix)


# What is left alone


async def test_the_host_keeps_its_signals_and_its_log(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    def process() -> object:
        loggers = [
            logging.getLogger(),
            logging.getLogger("chatserver"),
            logging.getLogger("aiohttp"),
        ]
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        return (
            [signal.getsignal(number) for number in signals],
            [(each.level, list(each.handlers), each.propagate) for each in loggers],
        )

    before = process()
    app = web.Application()
    chatserver.setup(app, settings, pages=True, metrics=True)
    client = await aiohttp_client(app)
    await talk(client, "/chat/ws", "lobby")

    assert process() == before


@pytest.mark.parametrize("host_first", [True, False])
async def test_the_host_keeps_its_templates(
    aiohttp_client: AiohttpClient, settings: Settings, host_first: bool
) -> None:
    def set_up_host() -> None:
        # The chat page has this name as well.
        aiohttp_jinja2.setup(app, loader=jinja2.DictLoader({"chat.html": "the host's template"}))

    async def show(request: web.Request) -> web.Response:
        return aiohttp_jinja2.render_template("chat.html", request, {})

    app = web.Application()
    app.router.add_get("/", show)
    if host_first:
        set_up_host()
    chatserver.setup(app, settings, pages=True)
    if not host_first:
        set_up_host()
    client = await aiohttp_client(app)

    assert await (await client.get("/")).text() == "the host's template"
    assert '"/chat/static/chat.js"' in await (await client.get("/chat/")).text()


async def test_the_hosts_middlewares_run_around_the_chat(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    seen: list[str] = []

    @web.middleware
    async def doorman(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "closed" in request.query:
            raise web.HTTPForbidden
        response = await handler(request)
        seen.append(f"{request.path} {response.status}")
        return response

    app = web.Application(middlewares=[doorman])
    chatserver.setup(app, settings)
    client = await aiohttp_client(app)

    assert await status(client, "/chat/ws?closed") == 403
    assert await status(client, "/chat/ws") == 426
    await (await talk(client, "/chat/ws", "lobby")).close()
    await client.server.close()
    assert seen == ["/chat/ws 426", "/chat/ws 101"]


# The end


async def test_the_end_of_the_host_tells_clients_to_come_back(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    app = web.Application()
    chatserver.setup(app, settings)
    client = await aiohttp_client(app)
    peers = [await talk(client, "/chat/ws", "lobby", name=f"guest {n}") for n in range(3)]

    ending = asyncio.create_task(client.server.close())

    for peer in peers:
        assert (await peer.expect("reconnect"))["reason"] == "shutdown"
        assert await peer.closed() == 3001
    await ending


async def test_a_host_drains_before_it_ends(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    async def drain(request: web.Request) -> web.Response:
        await request.app[chatserver.CHAT].drain()
        return web.Response(text="drained")

    app = web.Application()
    app.router.add_post("/drain", drain)
    chatserver.setup(app, settings)
    client = await aiohttp_client(app)
    peer = await talk(client, "/chat/ws", "lobby")

    answer = asyncio.create_task(client.post("/drain"))

    assert await peer.closed() == 3001
    assert await (await answer).text() == "drained"
    refusal = await client.get("/chat/ws")
    assert refusal.status == 503
    assert int(refusal.headers["Retry-After"]) > 0
