"""What people do and see on the chat page, in a real browser against a real server."""

import re
from typing import Final

import pytest
from playwright.async_api import expect

from chatserver.client import connect
from tests.e2e.people import Person, ServerProcess, Servers, Visits

INDENT: Final = """
(element) => {
    const text = document.createRange();
    text.selectNodeContents(element);
    return Math.round(text.getBoundingClientRect().left - element.getBoundingClientRect().left);
}
"""

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

NAME: Final = "document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()"
HOSTILE: Final = [
    "<img src=x onerror=window.broken=1>",
    "<script>window.broken=1</script>",
    "javascript:window.broken=1",
    "</li></ol><svg onload=window.broken=1>",
    "&lt;b&gt; {{ 7 * 7 }} ${7 * 7}",
    "\"><iframe srcdoc='<script>parent.broken=1</script>'>",
    "' autofocus onfocus=window.broken=1 x='",
    "<a href=javascript:window.broken=1>press</a>",
    "<style>@import 'data:text/css,*{display:none}'</style>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.broken=1>",
    "<template><b>not here</b></template><!-- gone -->",
    "<base href=//evil.example/><meta http-equiv=refresh content=0>",
    "data:text/html,<script>window.broken=1</script>",
    "[press](javascript:window.broken=1)",
    "<details open ontoggle=window.broken=1>",
    "__proto__",
]


async def test_two_people_converse(home: ServerProcess, visit: Visits) -> None:
    alice = await visit(home.url)
    await alice.expect_state("Online")
    await alice.enter("alice")
    await expect(alice.page.locator("#show-people")).to_have_text("1 member")

    bob = await visit(home.url)
    await bob.page.get_by_role("button", name="lobby 1 member").click()
    await bob.enter("bob")
    await expect(alice.page.locator("#show-people")).to_have_text("2 members")
    await expect(bob.page.locator("#show-people")).to_have_text("2 members")
    await expect(alice.page.get_by_role("log")).to_contain_text("bob joined lobby")

    await alice.say("hello bob")
    await bob.sees("hello bob")
    await bob.say("hello alice")
    await alice.sees("hello alice")
    await alice.sees("hello bob")
    # Screen readers are told of what others say.
    await expect(alice.page.locator("#announcer")).to_have_text("bob: hello alice")
    await expect(bob.page.locator("#announcer")).to_have_text("alice: hello bob")
    await expect(alice.page.locator(".own .text")).to_have_text(["hello bob"])
    await expect(bob.page.locator(".own .text")).to_have_text(["hello alice"])
    await expect(bob.page.locator(".message:not(.own) .author")).to_have_text(["alice"])
    await expect(alice.page.locator(".sending, .failed")).to_have_count(0)

    await bob.page.close()
    await expect(alice.page.get_by_role("log")).to_contain_text("bob left lobby")
    await expect(alice.page.locator("#show-people")).to_have_text("1 member")


async def test_text_is_never_markup(serve: Servers, visit: Visits) -> None:
    server = await serve(middlewares=["origin", "size_limit"])
    alice, bob = await visit(server.url), await visit(server.url)
    name, room = HOSTILE[:2]
    await alice.enter(name, room)
    await bob.enter("bob", room)
    elements = (
        "document.querySelectorAll('img, script, style, svg:not(.icon), a, iframe, base').length"
    )
    before = await bob.page.evaluate(elements)
    for text in HOSTILE:
        await alice.say(text)
    await expect(bob.page.locator(".text")).to_have_text(HOSTILE)
    await expect(bob.page.locator(".author")).to_have_text([name] * len(HOSTILE))
    await expect(bob.page.get_by_role("log")).to_contain_text(f"{name} ")
    await expect(bob.page.get_by_role("button", name=f"Leave {room}")).to_be_visible()
    await bob.search("onerror")
    await expect(bob.page.locator("#search .said")).to_have_text([HOSTILE[9], HOSTILE[0]])
    await bob.page.get_by_role("button", name="Close search").click()
    await bob.page.locator("#show-people").click()
    await expect(bob.page.locator("#people .name")).to_have_text([name, "bob"])
    await (await bob.act(HOSTILE[0], "Reply")).say(HOSTILE[1])
    await expect(alice.page.locator(".quote")).to_contain_text([HOSTILE[0]])
    assert await bob.page.evaluate(elements) == before
    for person in (alice, bob):
        assert await person.page.evaluate("window.broken") is None


async def test_addresses_are_links(home: ServerProcess, visit: Visits) -> None:
    alice = await visit(home.url)
    await alice.enter("alice")
    text = "See (https://chat.example/a_(b)?q=1&r=<b>), http://[::1]:80/. Not ftp://x or https://!"
    await alice.say(text)
    await alice.sees(text)
    links = alice.page.locator(".text a")
    await expect(links).to_have_text(["https://chat.example/a_(b)?q=1&r=", "http://[::1]:80/"])
    for link in await links.all():
        await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")


async def test_a_taken_name_leads_back_to_the_form(home: ServerProcess, visit: Visits) -> None:
    alice, bob = await visit(home.url), await visit(home.url)
    await alice.enter("alice")
    await bob.ask_to_enter("ALICE")
    await expect(bob.page.get_by_role("alert").filter(has_text="ALICE")).to_be_visible()
    await expect(bob.page.get_by_label("Your name")).to_be_focused()
    await bob.page.keyboard.type("bob")
    await bob.page.keyboard.press("Enter")
    await expect(bob.page.locator("#room-name")).to_have_text("lobby")
    await expect(bob.page.locator("#my-name")).to_have_text("bob")


async def test_several_rooms(home: ServerProcess, visit: Visits) -> None:
    alice, bob = await visit(home.url), await visit(home.url)
    await alice.enter("alice")
    await bob.enter("bob")
    await alice.page.locator("#text").fill("half a sentence")
    await alice.page.get_by_label("Join or create a room").fill("garden")
    await alice.page.keyboard.press("Enter")
    await expect(alice.page.locator("#room-name")).to_have_text("garden")
    await expect(alice.page.locator("#text")).to_have_value("")
    await expect(alice.page.locator("#text")).to_be_focused()

    await bob.say("are you still here?")
    lobby = alice.page.get_by_role("button", name="lobby 2 members 1 unread")
    await expect(lobby).to_be_visible()
    await expect(alice.page).to_have_title("(1) chatserver")
    await lobby.click()
    await alice.sees("are you still here?")
    await expect(alice.page.locator("#text")).to_have_value("half a sentence")
    await expect(alice.page).to_have_title("chatserver")

    await alice.page.get_by_role("button", name="Leave lobby").click()
    await expect(alice.page.locator("#room-name")).to_have_text("garden")
    await expect(alice.page.locator("#text")).to_have_value("")
    await expect(bob.page.get_by_role("log")).to_contain_text("alice left lobby")
    await alice.page.get_by_role("button", name="Leave garden").click()
    await expect(alice.page.get_by_text("You are in no room.")).to_be_visible()
    await alice.page.locator(".others").get_by_role("button", name="lobby").click()
    await expect(bob.page.locator("#show-people")).to_have_text("2 members")


async def test_one_room_at_a_time(serve: Servers, visit: Visits) -> None:
    server = await serve(broker="memory", chat={"single_room": True})
    alice, bob = await visit(server.url), await visit(server.url)
    await alice.enter("alice")
    await bob.enter("bob")
    await alice.page.get_by_label("Join or create a room").fill("garden")
    await alice.page.keyboard.press("Enter")
    joined = alice.page.locator(".joined .name")
    await expect(joined).to_have_text(["garden"])
    await expect(alice.page.locator("#room-name")).to_have_text("garden")
    await expect(bob.page.get_by_role("log")).to_contain_text("alice left lobby")
    await alice.page.reload()
    await expect(alice.page.locator("#room-name")).to_have_text("garden")
    await alice.say("alone")
    await alice.sees("alone")
    await expect(joined).to_have_text(["garden"])
    await expect(bob.page.locator("#show-people")).to_have_text("1 member")


async def test_names_from_right_to_left_begin_where_others_do(
    home: ServerProcess, visit: Visits
) -> None:
    ron = await visit(home.url)
    await ron.enter("רון", room="חדר")
    await ron.page.get_by_role("button", name="1 member", exact=True).click()
    for name in ("#room-name", ".joined .name", "#people .name"):
        shown = ron.page.locator(name)
        await expect(shown).to_have_text(re.compile("רון|חדר"))
        assert await shown.evaluate(INDENT) == 0, name
    notice = ron.page.get_by_role("log").get_by_text("רון joined")
    await expect(notice).to_have_css("direction", "ltr")


async def test_the_keyboard_is_enough(home: ServerProcess, visit: Visits) -> None:
    alice = await visit(home.url)
    keys = alice.page.keyboard
    await expect(alice.page.get_by_label("Your name")).to_be_focused()
    await keys.type("alice")
    await keys.press("Tab")
    await expect(alice.page.get_by_label("Room", exact=True)).to_be_focused()
    await keys.press("Enter")
    await expect(alice.page.get_by_label("Message to lobby")).to_be_focused()
    await keys.type("one")
    await keys.press("Shift+Enter")
    await keys.type("two")
    await keys.press("Enter")
    await expect(alice.page.locator(".text")).to_have_text(["one\ntwo"], use_inner_text=True)
    await keys.press("Shift+Tab")
    await expect(alice.page.get_by_role("log", name="Messages in lobby")).to_be_focused()
    order = []
    for _ in range(6):
        await keys.press("Shift+Tab")
        order.append(await alice.page.evaluate(NAME))
    assert order == ["Search", "Pins", "1 member", "Join", "", "Leave lobby"]


async def test_the_keyboard_reaches_each_message(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice = await visit(server.url)
    keys = alice.page.keyboard
    await alice.enter("alice")
    for text in ("one", "two"):
        await alice.say(text)
        await alice.sees(text)
    await keys.press("Shift+Tab")
    await expect(alice.page.get_by_role("log", name="Messages in lobby")).to_be_focused()
    await keys.press("ArrowUp")
    await keys.press("ArrowUp")
    await expect(alice.page.locator("li.message").first).to_be_focused()
    await keys.press("Tab")
    await expect(alice.page.get_by_role("button", name="React", exact=True)).to_be_focused()
    await keys.press("Tab")
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(alice.page.locator("#text")).to_have_value("one")
    await keys.type(" and a half")
    await keys.press("Enter")
    await alice.sees("one and a half")


async def test_the_log_follows_only_a_reader_at_its_end(home: ServerProcess, visit: Visits) -> None:
    alice = await visit(home.url, width=390, height=500)
    await alice.enter("alice")
    async with connect(home.url + "ws", username="bob") as bob, bob.join("lobby") as room:
        for number in range(12):
            await room.publish(f"line {number}")
        await expect(alice.page.get_by_text("line 11", exact=True)).to_be_in_viewport()
        log = alice.page.get_by_role("log")
        news = alice.page.get_by_role("button", name="New messages")
        top = await log.evaluate("log => (log.scrollTo(0, -log.scrollHeight), log.scrollTop)")
        await room.publish("one more")
        await expect(news).to_be_visible()
    await expect(alice.page.get_by_text("line 0", exact=True)).to_be_in_viewport()
    assert top < 0
    await news.click()
    await expect(alice.page.get_by_text("one more", exact=True)).to_be_in_viewport()
    await expect(news).to_be_hidden()


async def test_a_name_taken_in_another_tab_is_shown_in_this_one(
    home: ServerProcess, visit: Visits
) -> None:
    alice = await visit(home.url)
    await alice.enter("alice", "tabs")
    other = Person(await alice.page.context.new_page())
    await other.page.goto(home.url)
    await other.enter("alicia", "tabs")
    await expect(alice.page.locator("#my-name")).to_have_text("alicia")
