"""chatserver.js in Chromium: pages of other origins, tabs that share a storage, reloads."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page

from tests.e2e.people import Person, ServerProcess, Servers, Visits, Wire

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

CONNECT = """
async ([module, options]) => {
    const { connect } = await import(module);
    window.chat = connect(undefined, { backoff: { first: 50, most: 200 }, ...options });
    window.told = [];
    window.failed = (async () => {
        try {
            for await (const event of chat) told.push(event);
        } catch ({ name, status, code }) {
            return { name, status, code };
        }
    })();
}
"""

JOIN = """
async (join) => {
    window.room = await chat.join("lobby", join ?? {});
    window.seen = [];
    window.following = (async () => {
        for await (const event of room) seen.push(event);
    })();
    return chat.user;
}
"""

TEXTS = "seen.filter(({ action }) => action === 'message').map(({ text }) => text)"


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere() -> AsyncIterator[str]:
    """Give an empty page of another origin."""

    async def empty(_: web.Request) -> web.Response:
        return web.Response(
            text='<!doctype html><link rel="icon" href="data:,">', content_type="text/html"
        )

    app = web.Application()
    app.router.add_get("/", empty)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def start(page: Page, url: str, **options: object) -> None:
    """Connect to a server with the module it serves."""
    await page.evaluate(CONNECT, [f"{url}static/chatserver.js", options])


async def arrive(visit: Visits, server: ServerProcess) -> Person:
    """Open a page of the server's own origin that does nothing by itself, and has no icon."""
    person = await visit(f"{server.url}healthz")
    person.may_lose_connection = True
    return person


async def heard(page: Page, action: str) -> None:
    """Wait until the chat has told of an event."""
    await page.wait_for_function(
        "action => told.some((event) => event.action === action)", arg=action
    )


async def test_a_page_of_another_origin(serve: Servers, visit: Visits, elsewhere: str) -> None:
    server = await serve(
        middlewares=[
            {"origin": {"allow": [elsewhere.rstrip("/")]}},
            {"auth": {"tokens": [{"token": "alice-token", "user": "alice", "name": "alice"}]}},
            "size_limit",
        ]
    )
    alice = await visit(elsewhere)
    await start(alice.page, server.url, token="alice-token")
    assert await alice.page.evaluate(JOIN) == "alice"
    assert await alice.page.evaluate("room.publish('hello').then(({ offset }) => offset)") == 1

    mallory = await visit(elsewhere)
    mallory.may_lose_connection = True
    await start(mallory.page, server.url, token="wrong")
    failed = await mallory.page.evaluate("failed")
    assert (failed["name"], failed["status"]) == ("HandshakeError", 401)


async def test_a_page_of_an_origin_that_is_not_allowed(
    serve: Servers, visit: Visits, elsewhere: str
) -> None:
    server = await serve()
    mallory = await visit(elsewhere)
    mallory.may_lose_connection = True
    await start(mallory.page, server.url)
    failed = await mallory.page.evaluate("failed")
    assert (failed["name"], failed["status"]) == ("HandshakeError", 403)


async def test_a_reload_in_the_middle_of_sending(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice = await arrive(visit, server)
    page = alice.page
    await start(page, server.url, username="alice")
    user = await page.evaluate(JOIN, {"resume": True})
    await page.evaluate("room.publish('before')")
    await page.wait_for_function(f"{TEXTS}.length === 1")
    await server.stop()
    await heard(page, "offline")
    await page.evaluate("void [room.publish('one'), room.publish('two')]")
    await server.start()
    await page.reload()

    await start(page, server.url, username="alice")
    assert await page.evaluate(JOIN, {"resume": True, "last": 50}) == user
    await page.wait_for_function(f"{TEXTS}.length === 2")
    assert await page.evaluate(TEXTS) == ["one", "two"]
    assert await page.evaluate("chat.outbox") == []
    history = "room.history().then(({ messages }) => messages.map(({ text }) => text))"
    assert await page.evaluate(history) == ["before", "one", "two"]


async def test_tabs_do_not_send_each_others_messages(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice = await arrive(visit, server)
    first = alice.page
    second = await first.context.new_page()
    await second.goto(f"{server.url}healthz")
    for page in (first, second):
        await start(page, server.url, username="alice")
    users = {await page.evaluate(JOIN) for page in (first, second)}
    assert len(users) == 1
    await server.stop()
    await heard(first, "offline")
    await heard(second, "offline")
    await first.evaluate("void (window.sent = room.publish('from the first'))")
    await second.evaluate("void room.publish('from the second')")
    assert await first.evaluate("chat.outbox.map(({ text }) => text)") == ["from the first"]

    await second.close()
    await heard(first, "adopted")
    outbox = await first.evaluate("chat.outbox.map(({ text }) => text)")
    assert outbox == ["from the first", "from the second"]
    await server.start()
    await first.wait_for_function(f"{TEXTS}.length === 2")
    assert await first.evaluate(TEXTS) == ["from the first", "from the second"]
    assert await first.evaluate("sent.then(({ duplicate }) => duplicate === undefined)")


async def test_tabs_opened_together_are_one_guest(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice = await arrive(visit, server)
    await alice.page.evaluate(
        """async (module) => {
            const { connect } = await import(module);
            const tabs = [1, 2, 3].map(() => connect());
            window.users = Promise.all(tabs.map((tab) => tab.connected().then(({ user }) => user)));
        }""",
        f"{server.url}static/chatserver.js",
    )
    assert await alice.page.evaluate("users.then((all) => new Set(all).size)") == 1


async def test_a_hole_and_a_lost_close(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice, wire = await visit.prepare(), Wire()
    alice.may_lose_connection = True
    await wire.cut_into(alice)
    page = alice.page
    await page.goto(f"{server.url}healthz")
    await start(page, server.url, username="alice")
    await page.evaluate(JOIN)
    await page.evaluate("room.publish('one')")
    await page.wait_for_function(f"{TEXTS}.length === 1")
    wire.send(action="message", room="lobby", text="from the future", timestamp="", offset=7)
    await page.wait_for_function("seen.some(({ action }) => action === 'recovered')")
    await page.evaluate("room.publish('two')")
    await page.wait_for_function(f"{TEXTS}.length === 2")
    assert await page.evaluate(TEXTS) == ["one", "two"]

    wire.send(action="reconnect", after_ms=50, reason="elsewhere")
    await heard(page, "offline")
    offline = await page.evaluate("told.find(({ action }) => action === 'offline')")
    assert offline["reason"] == "The server asked us to connect again (elsewhere)"
    assert (offline["code"], offline["wait"]) == (3011, 0)
    await page.evaluate("room.publish('three')")
    await page.wait_for_function(f"{TEXTS}.length === 3")


async def test_what_another_device_has_read(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice = await visit.prepare()
    alice.may_lose_connection = True  # nor does that page have an icon
    first, second = alice.page, await alice.page.context.new_page()
    for page in (first, second):
        await page.goto(f"{server.url}healthz")
        await start(page, server.url, username="alice")
        await page.evaluate(JOIN)
    await first.evaluate("room.publish('one').then(() => room.publish('two'))")
    await second.wait_for_function(f"{TEXTS}.length === 2")
    await second.evaluate("room.read(1)")
    await heard(first, "read")
    read = await first.evaluate("told.find(({ action }) => action === 'read')")
    assert (read["room"], read["offset"]) == ("lobby", 1)
