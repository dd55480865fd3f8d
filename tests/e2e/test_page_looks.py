"""How the chat page looks, and whether everybody can use it: pictures, and what axe-core finds."""

from typing import Final

import pytest
from playwright.async_api import Locator, expect

from tests.e2e.people import Person, Servers, Visits

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

WIDTHS: Final = (1280, 768, 390)
QUESTION: Final = "Good morning! Has anybody seen the plans for the new garden?"


@pytest.mark.timeout(150)
async def test_the_page_at_every_width(serve: Servers, visit: Visits) -> None:
    server = await serve(rooms=[{"match": "*", "moderate": "everyone"}])
    alice, bob = await visit(server.url), await visit(server.url)
    await alice.expect_state("Online")
    await fits(alice, "start")
    await alice.page.set_viewport_size({"width": WIDTHS[0], "height": 800})
    await converse(alice, bob)
    await alice.page.get_by_text("I have, why?").hover()
    await fits(alice, "chat")
    for button, panel in (("2 members", "members"), ("Pins 1", "pins"), ("Search", "search")):
        await alice.page.get_by_role("button", name=button, exact=True).click()
        if panel == "search":
            await alice.page.get_by_label("Words of a message").fill("the")
            await alice.page.keyboard.press("Enter")
            await expect(alice.page.locator("#search .outcome")).to_contain_text("messages")
        await fits(alice, panel)
        await alice.page.keyboard.press("Escape")
    await alice.page.get_by_role("button", name="Rooms").click()
    await fits(alice, "rooms", widths=WIDTHS[-1:])
    await alice.page.keyboard.press("Escape")
    alice.may_lose_connection = bob.may_lose_connection = True
    await server.kill()
    await alice.expect_state("Offline")
    await alice.say("Can you hear me?")
    await fits(alice, "offline")


@pytest.mark.timeout(60)
async def test_what_is_too_large_leaves_space_for_what_comes_next(
    serve: Servers, visit: Visits
) -> None:
    server = await serve()
    alice = await visit(server.url)
    await alice.enter("alice")
    await alice.say("too much " * 8_000)
    await expect(alice.page.locator(".failed .state")).to_contain_text("larger than 65536 bytes")
    await alice.say("Sorry, that was too much.")
    await alice.sees("Sorry, that was too much.")
    await expect(alice.page.locator(".sending")).to_have_count(0)
    await fits(alice, "too-large", widths=(WIDTHS[0], WIDTHS[-1]))
    refused = alice.page.get_by_role("group", name="What was not sent")
    for shown in (
        alice.page.get_by_text("Sorry, that was too much."),
        alice.page.get_by_role("button", name="Discard"),
        alice.page.locator("#text"),
    ):
        await expect(shown).to_be_in_viewport(ratio=1)
    await alice.page.get_by_role("button", name="Retry").focus()
    await alice.page.keyboard.press("Shift+Tab")
    await expect(refused).to_be_focused()
    assert await scroll(refused, "ArrowDown") > 0
    assert await scroll(refused, "ArrowUp") == 0
    assert await scroll(refused, "End") == await refused.evaluate(
        "box => box.scrollHeight - box.clientHeight"
    )
    await alice.page.get_by_role("button", name="Discard").click()
    await expect(alice.page.locator(".text")).to_have_text("Sorry, that was too much.")
    await (await alice.act("Sorry, that was too much.", "Edit")).say("too much " * 8_000)
    await expect(alice.page.get_by_role("button", name="Undo")).to_be_in_viewport(ratio=1)
    await expect(refused).to_be_in_viewport(ratio=1)


async def scroll(box: Locator, key: str) -> float:
    """Press a key in a box that can be scrolled; return where it comes to rest."""
    await box.evaluate(
        "box => { box.rest = new Promise((at) => box.addEventListener('scrollend', at)); }"
    )
    await box.press(key)
    await box.evaluate("box => box.rest.then(() => null)")
    top: float = await box.evaluate("box => box.scrollTop")
    return top


async def converse(alice: Person, bob: Person) -> None:
    """Fill the page with all that can be on it."""
    await alice.enter("alice")
    await bob.enter("bob")
    await bob.say(QUESTION)
    await alice.say("They are on the table, below the blue folder.\nTake them with you.")
    await bob.say("W" + "o" * 150 + "w, thank you: https://garden.example/plans?year=2026")
    await bob.say("שלום, מה שלומך היום?")
    await alice.sees("שלום, מה שלומך היום?")
    await (await alice.act(QUESTION, "Reply")).say("I have, why?")
    await alice.act(QUESTION, "React")
    await alice.page.get_by_role("button", name="React with ❤️").click()
    await expect(bob.page.locator(".reaction")).to_have_count(1)
    await alice.act(QUESTION, "Pin")
    await expect(bob.page.locator(".message.pinned")).to_have_count(1)
    await bob.page.get_by_label("Join or create a room").fill("garden")
    await bob.page.keyboard.press("Enter")
    await expect(bob.page.locator("#room-name")).to_have_text("garden")
    await bob.page.get_by_role("button", name="lobby 2 members").click()
    await expect(bob.page.locator("#room-name")).to_have_text("lobby")
    await bob.say("nothing")
    await alice.sees("nothing")
    await bob.act("nothing", "Delete")
    await bob.page.get_by_role("button", name="Really delete?").click()
    for person in (bob, alice):
        await person.sees("This message was deleted.")
    await alice.page.get_by_role("button", name="2 members", exact=True).click()
    await alice.page.locator("#people").get_by_role("button", name="bob").click()
    await expect(alice.page.locator("#room-name")).to_have_text("bob")
    await alice.say("psst")
    await bob.page.get_by_role("button", name="alice 1 unread").wait_for()
    await alice.page.get_by_role("button", name="lobby 2 members").click()
    await bob.page.locator("#text").press_sequentially("Be there soon", delay=200)
    await expect(alice.page.locator("#typing")).to_have_text("bob is typing…")


async def fits(person: Person, picture: str, widths: tuple[int, ...] = WIDTHS) -> None:
    """Take pictures at each width, and find nothing that hangs out or keeps anybody out.

    Ends with the narrowest, where axe-core looks: it is slow, and widths differ little to it.
    """
    for width in widths:
        await person.page.set_viewport_size({"width": width, "height": 800})
        await person.is_pictured(f"{picture}-{width}")
        sizes = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        assert await person.page.evaluate(sizes) == [width, 800]
    await person.keeps_nobody_out(picture)
