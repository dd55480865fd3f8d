"""Run the embedding example as the program it is, and visit its shop."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, WSServerHandshakeError

from chatserver.testing import Peer
from tests.e2e.programs import Program

EXAMPLE = Path(__file__).parents[2] / "examples" / "embed.py"


def start(folder: Path) -> Program:
    """Make the example a program; in the folder it may keep the chat's data."""
    return Program([sys.executable, EXAMPLE, "--port", "0"], cwd=folder)


def address(shop: Program) -> str:
    """Wait for the shop to say where it is."""
    return shop.out.expect(r"Running on (http://localhost:\d+)", timeout=40)[1]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a running shop, which the tests share."""
    with start(tmp_path_factory.mktemp("shop")) as shop:
        yield address(shop)


@pytest_asyncio.fixture
async def visitor(origin: str) -> AsyncIterator[ClientSession]:
    """Give somebody with a cookie jar who has not signed in yet."""
    async with ClientSession(origin) as session:
        yield session


async def sign_in(visitor: ClientSession, name: str) -> str:
    """Sign in and return the page that follows."""
    answer = await visitor.post("/sign-in", data={"name": name})
    assert answer.status == 200
    return await answer.text()


async def open_chat(visitor: ClientSession, origin: str) -> Peer:
    """Open the chat as a page of the shop does, and join the room of the orders."""
    peer = Peer(await visitor.ws_connect("/chat/ws", origin=origin))
    assert (await peer.request("join", room="orders"))["action"] == "joined"
    await peer.expect("notification", event="join")
    return peer


async def test_a_customer_sees_an_order_being_paid(visitor: ClientSession, origin: str) -> None:
    page = await (await visitor.get("/")).text()
    assert 'action="/sign-in"' in page
    assert "Hello alice!" in await sign_in(visitor, "alice")
    alice = await open_chat(visitor, origin)

    page = await (await visitor.post("/orders/7/pay")).text()

    await alice.expect("order.paid", room="orders", order=7, by="alice")
    assert "In the room: alice." in page
    await alice.close()


async def test_the_session_says_who_it_is(visitor: ClientSession, origin: str) -> None:
    await sign_in(visitor, "alice")
    alice = await open_chat(visitor, origin)

    welcome = await alice.request("hello")
    assert (welcome["user"], welcome["username"]) == ("customer:alice", "alice")
    assert (await alice.request("register", username="bob"))["code"] == "forbidden"
    await alice.close()


async def test_only_customers_may_connect(visitor: ClientSession, origin: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refusal:
        await visitor.ws_connect("/chat/ws", origin=origin)
    assert refusal.value.status == 401
    assert (await visitor.post("/orders/7/pay")).status == 403


@pytest.mark.parametrize("from_page", ["https://evil.example", "null", None])
async def test_other_sites_cannot_use_the_cookie(
    visitor: ClientSession, from_page: str | None
) -> None:
    await sign_in(visitor, "alice")

    with pytest.raises(WSServerHandshakeError) as refusal:
        await visitor.ws_connect("/chat/ws", origin=from_page)
    assert refusal.value.status == 403


async def test_the_shop_has_its_own_middlewares_module(visitor: ClientSession) -> None:
    headers = {"Origin": "https://evil.example"}

    answer = await visitor.post("/sign-in", data={"name": "alice"}, headers=headers)

    assert answer.status == 403
    assert await answer.text() == "Forms of other sites are not accepted here\n"


async def test_the_chat_has_a_page_of_its_own(visitor: ClientSession) -> None:
    page = await (await visitor.get("/chat/")).text()
    assert "/chat/static/" in page
    assert "Pay order" not in page


async def test_signing_out_ends_the_connections(visitor: ClientSession, origin: str) -> None:
    await sign_in(visitor, "alice")
    alice = await open_chat(visitor, origin)

    page = await (await visitor.post("/sign-out")).text()

    assert 'action="/sign-in"' in page
    assert await alice.closed() == 3503


async def test_the_chat_ends_with_the_shop(tmp_path: Path) -> None:
    async with start(tmp_path) as shop:
        origin = await asyncio.to_thread(address, shop)
        async with ClientSession(origin) as visitor:
            await sign_in(visitor, "alice")
            alice = await open_chat(visitor, origin)

            shop.signal(signal.SIGTERM)

            assert (await alice.expect("reconnect"))["reason"] == "shutdown"
            assert await alice.closed() == 3001
        assert await shop.ended() == 0
        assert shop.stderr == "", "the chat set up logging in somebody else's program"
