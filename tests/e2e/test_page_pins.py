"""What is pinned far back, and who reacted behind the first: what the page asks the server for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Locator, expect

from chatserver.client import ChatClient, connect
from tests.e2e.people import Person, ServerProcess, Servers, Visits, Wire

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

EVERYONE: Final = {"match": "*", "moderate": "everyone"}
SETTINGS: Final[dict[str, object]] = {
    "rooms": [EVERYONE],
    "middlewares": ["origin", "size_limit"],
}
MESSAGES: Final = 120
"""More than a page that enters is shown."""


@asynccontextmanager
async def moderating(server: ServerProcess) -> AsyncIterator[ChatClient]:
    """Be bob, who has filled the lobby."""
    async with connect(server.url + "ws", username="bob") as bob, bob.join("lobby"):
        for number in range(1, MESSAGES + 1):
            await bob.publish("lobby", f"line {number}")
        yield bob


async def pin(bob: ChatClient, *offsets: int, remove: bool = False) -> None:
    for offset in offsets:
        await bob.request("pin", room="lobby", offset=offset, remove=remove)


def pins(person: Person) -> Locator:
    return person.page.get_by_role("complementary", name="Pinned messages")


async def look(person: Person) -> Locator:
    """Open the panel; return what it says of each pin."""
    await person.page.get_by_role("button", name="Pins", exact=False).first.click()
    return pins(person).locator(".said")


async def look_in_vain(person: Person, wire: Wire) -> Locator:
    """Open the panel while no answer comes; see `look`."""
    wire.hold.add("history")
    said = await look(person)
    await expect(pins(person)).to_contain_text("Loading…")
    return said


async def behind(wire: Wire, visit: Visits, server: ServerProcess) -> Person:
    """Let alice in, whose frames pass through our hands."""
    alice = await visit.prepare()
    await wire.cut_into(alice)
    await alice.page.goto(server.url)
    await alice.enter("alice")
    return alice


async def test_pins_of_all_the_history_are_shown_and_stay_right(
    serve: Servers, visit: Visits
) -> None:
    server = await serve(**SETTINGS)
    async with moderating(server) as bob:
        await pin(bob, 1, 2, 110)
        alice = await visit(server.url)
        await alice.enter("alice")
        said = await look(alice)
        await expect(said).to_have_text(["line 110", "line 2", "line 1"])
        await pin(bob, 2, 110, remove=True)
        await expect(said).to_have_text(["line 1"])
        await pin(bob, 5, 6, 119)
        await expect(said).to_have_text(["line 119", "line 6", "line 5", "line 1"])
        await bob.request("delete", room="lobby", offset=6)
        await bob.request("edit", room="lobby", offset=5, text="line five")
        await expect(said).to_have_text(["line 119", "line five", "line 1"])
        await expect(alice.page.locator("#pins-count")).to_have_text("3")
        last = pins(alice).get_by_role("button", name="line 1", exact=False).last
        await last.focus()
        await bob.publish("lobby", "Hello!")
        await alice.sees("Hello!")
        await expect(last).to_be_focused()

        await last.click()
        found = alice.page.locator("li.message").filter(has_text="line 1").first
        await expect(found).to_be_focused()
        await expect(found).to_be_in_viewport()
        said = await look(alice)
        await pin(bob, 1, remove=True)
        await expect(said).to_have_text(["line 119", "line five"])


async def test_many_pins_are_shown_page_by_page(serve: Servers, visit: Visits) -> None:
    server = await serve(**SETTINGS)
    async with moderating(server) as bob:
        await pin(bob, *range(1, 57))
        alice = await visit(server.url)
        await alice.enter("alice")
        said = await look(alice)
        await expect(said).to_have_count(50)
        await expect(said.last).to_have_text("line 7")
        await pins(alice).get_by_role("button", name="More pins").click()
        await expect(said).to_have_text([f"line {number}" for number in range(56, 0, -1)])
        await expect(pins(alice).get_by_role("button", name="More pins")).to_have_count(0)
        await pin(bob, 60)
        await expect(said).to_have_count(57)


async def test_pins_are_asked_for_again_where_that_failed(serve: Servers, visit: Visits) -> None:
    server, wire = await serve(**SETTINGS), Wire()
    async with moderating(server) as bob:
        await pin(bob, 1)
        alice = await behind(wire, visit, server)
        said = await look_in_vain(alice, wire)
        (asked,) = wire.held
        wire.send(action="error", id=asked["id"], code="unavailable", message="The disk is slow")
        await expect(pins(alice)).to_contain_text("The disk is slow")
        wire.hold.clear()
        await pins(alice).get_by_role("button", name="Try again").click()
        await expect(said).to_have_text(["line 1"])


async def test_pins_are_asked_for_again_over_another_connection(
    serve: Servers, visit: Visits
) -> None:
    server, wire = await serve(**SETTINGS), Wire()
    async with moderating(server) as bob:
        await pin(bob, 1)
        alice = await behind(wire, visit, server)
        said = await look_in_vain(alice, wire)
        wire.hold.clear()
        await wire.close(3001)
        await expect(said).to_have_text(["line 1"])


async def test_pins_of_a_history_that_is_gone_are_gone(serve: Servers, visit: Visits) -> None:
    server = await serve(**SETTINGS | {"rooms": [{**EVERYONE, "durability": "memory"}]})
    async with moderating(server) as bob:
        await pin(bob, 1)
        alice = await visit(server.url)
        alice.may_lose_connection = True
        await alice.enter("alice")
        said = await look(alice)
        await expect(said).to_have_text(["line 1"])
    await server.kill()
    await server.start()
    await expect(pins(alice)).to_contain_text("Nothing is pinned here.")


async def test_what_is_pinned_while_the_server_is_asked_is_not_missed(
    serve: Servers, visit: Visits
) -> None:
    server, wire = await serve(**SETTINGS), Wire()
    async with moderating(server) as bob:
        await pin(bob, 1, 110)
        alice = await behind(wire, visit, server)
        page = await bob.request("history", room="lobby", pinned=True)
        wire.hold.add("history")
        said = await look(alice)
        await expect(pins(alice)).to_contain_text("line 110")
        await pin(bob, 2)
        await pin(bob, 1, 110, remove=True)
        await expect(alice.page.locator("li.pinned")).to_have_count(0)
        (asked,) = wire.held
        wire.hold.clear()
        wire.send(**{**page.fields, "id": asked["id"]})
        await expect(said).to_have_text(["line 2"])


async def test_who_reacted_behind_many_takes_it_back(serve: Servers, visit: Visits) -> None:
    server = await serve(**SETTINGS)
    alice, bob = await visit(server.url), await visit(server.url)
    await alice.enter("alice")
    await bob.enter("bob")
    await alice.say("tea?")
    await bob.sees("tea?")
    for number in range(21):
        async with connect(server.url + "ws", username=f"user{number}") as user, user.join("lobby"):
            await user.request("react", room="lobby", offset=1, emoji="👍")
    await bob.act("tea?", "React")
    await bob.page.get_by_role("button", name="React with 👍").click()
    await expect(alice.page.get_by_role("button", name="👍 22")).to_be_visible()

    await bob.page.reload()
    await bob.page.get_by_role("button", name="👍 22").click()
    for person in (alice, bob):
        await expect(person.page.get_by_role("button", name="👍 21")).to_be_visible()
    await bob.page.get_by_role("button", name="👍 21").click()
    await expect(alice.page.get_by_role("button", name="👍 22")).to_be_visible()
    await expect(bob.page.get_by_role("button", name="👍 22", pressed=True)).to_be_visible()
    await alice.page.get_by_role("button", name="👍 22").click()
    await expect(bob.page.get_by_role("button", name="👍 23", pressed=True)).to_be_visible()
