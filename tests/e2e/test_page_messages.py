"""What people do with messages on the chat page: change them, answer, find, say in private."""

import re
from typing import Final

import pytest
from playwright.async_api import expect

from chatserver.client import connect
from tests.e2e.people import Person, Servers, Visits, Wire

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]


GONE: Final = "This message was deleted."
MODERATED: Final = {"rooms": [{"match": "*", "moderate": "everyone"}]}


async def two(serve: Servers, visit: Visits, **settings: object) -> tuple[Person, Person]:
    """Bring alice and bob into the lobby of a server that keeps histories."""
    server = await serve(**settings)
    alice, bob = await visit(server.url), await visit(server.url)
    await alice.enter("alice")
    await bob.enter("bob")
    return alice, bob


async def test_a_message_is_edited_and_deleted(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    await alice.say("helo")
    await bob.sees("helo")
    await alice.act("helo", "Edit")
    await expect(alice.page.locator("#text")).to_have_value("helo")
    await alice.say("hello")
    await bob.sees("hello")
    await expect(bob.page.locator(".message .head")).to_contain_text(["edited"])

    await alice.page.keyboard.press("ArrowUp")
    await expect(alice.page.locator("#text")).to_have_value("hello")
    await alice.page.keyboard.press("Escape")
    await expect(alice.page.locator("#text")).to_have_value("")
    await expect(alice.page.locator("#text")).to_be_focused()

    await alice.act("hello", "Delete")
    await alice.page.get_by_role("button", name="Really delete?").click()
    for person in (alice, bob):
        await person.sees(GONE)
        await expect(person.page.get_by_role("log")).not_to_contain_text("hello")

    await bob.say("mine")
    await alice.sees("mine")
    await alice.page.get_by_text("mine", exact=True).hover()
    toolbar = alice.page.get_by_role("toolbar")
    await expect(toolbar.get_by_role("button", name="Reply")).to_be_visible()
    await expect(toolbar.get_by_role("button", name=re.compile("Edit|Delete|Pin"))).to_have_count(0)


async def test_moderators_pin_and_delete(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit, **MODERATED)
    for text in ("the rules", "off topic"):
        await bob.say(text)
        await alice.sees(text)
    await alice.act("the rules", "Pin")
    pinned = bob.page.locator("li.pinned")
    await expect(pinned.locator(".text")).to_have_text("the rules")
    await expect(pinned.locator(".head")).to_contain_text("pinned")
    await bob.page.get_by_role("button", name="Pins 1").click()
    pins = bob.page.get_by_role("complementary", name="Pinned messages")
    await pins.get_by_role("button", name="the rules").click()
    await expect(pinned).to_be_focused()

    await bob.page.reload()
    await bob.page.get_by_role("button", name="Pins 1").click()
    await expect(pins.locator(".said")).to_have_text(["the rules"])
    await alice.act("the rules", "Unpin")
    await expect(pins).to_contain_text("Nothing is pinned here.")
    await expect(pinned).to_have_count(0)

    await alice.act("off topic", "Delete")
    await alice.page.get_by_role("button", name="Really delete?").click()
    await bob.sees(GONE)


async def test_what_is_deleted_looks_the_same_to_all(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    for text in ("first", "second"):
        await bob.say(text)
        await alice.sees(text)
    for text in ("first", "second"):
        await bob.act(text, "Delete")
        await bob.page.get_by_role("button", name="Really delete?").click()
        await expect(alice.page.get_by_text(text, exact=True)).to_have_count(0)
    await alice.sees(GONE, 2)
    gone = "all => all.map((one) => one.querySelector('.text').outerHTML + one.className)"
    seen = [await each.page.locator("li.deleted").evaluate_all(gone) for each in (alice, bob)]
    for person in (alice, bob):
        await person.page.reload()
        await person.sees(GONE, 2)
        seen.append(await person.page.locator("li.deleted").evaluate_all(gone))
    assert seen == [seen[0]] * 4


async def test_changes_are_shown_before_they_are_stored(serve: Servers, visit: Visits) -> None:
    server, wire = await serve(), Wire()
    alice, bob = await visit.prepare(), await visit(server.url)
    await wire.cut_into(alice)
    await alice.page.goto(server.url)
    await alice.enter("alice")
    await bob.enter("bob")
    await alice.say("helo")
    await bob.sees("helo")
    wire.hold |= {"edit", "react", "delete"}
    await (await alice.act("helo", "Edit")).say("hello")
    await alice.sees("hello")
    await alice.act("hello", "React")
    await alice.page.get_by_role("button", name="React with 🎉").click()
    await expect(alice.page.get_by_role("button", name="🎉 1", pressed=True)).to_be_visible()
    await expect(alice.page.locator("li.message .state")).to_have_text(["Saving…"])
    await bob.sees("helo")

    for frame in wire.held:
        wire.send(action="error", id=frame["id"], code="forbidden", message="Not now.")
    refused = alice.page.locator(".refused")
    await expect(refused).to_contain_text(
        ["Not changed. Not now.", "The reaction was not sent. Not now."]
    )
    await expect(alice.page.locator(".reaction")).to_have_count(0)
    await refused.last.get_by_role("button", name="Undo").click()
    await expect(refused).to_have_count(1)
    wire.hold.clear()
    await refused.get_by_role("button", name="Retry").click()
    await bob.sees("hello")
    await expect(alice.page.locator("li.message .state")).to_have_count(0)

    wire.hold.add("delete")
    await alice.act("hello", "Delete")
    await alice.page.get_by_role("button", name="Really delete?").click()
    await expect(alice.page.locator("li.message .state")).to_have_text(["Deleting…"])
    wire.hold.clear()
    await wire.close(3012)
    await bob.sees(GONE)
    await alice.sees(GONE)


async def test_the_toolbar_stays_at_a_message_that_changes(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    await bob.say("Tea?")
    await alice.sees("Tea?")
    await alice.page.get_by_text("Tea?", exact=True).hover()
    toolbar = alice.page.get_by_role("toolbar")
    await expect(toolbar).to_be_visible()
    await bob.act("Tea?", "React")
    await bob.page.get_by_role("button", name="React with 🎉").click()
    await expect(alice.page.locator(".reaction")).to_have_count(1)
    await expect(toolbar).to_be_visible()


async def test_fingers_do_all_that_a_mouse_does(serve: Servers, visit: Visits) -> None:
    server = await serve(**MODERATED)
    alice, bob = await visit(server.url), await visit.prepare(width=320, height=568, touch=True)
    await bob.page.goto(server.url)
    await alice.enter("alice")
    await bob.enter("bob")
    await bob.say("tea?")
    await bob.page.get_by_text("tea?", exact=True).tap()
    toolbar = bob.page.get_by_role("toolbar")
    await toolbar.get_by_role("button", name="React", exact=True).tap()
    await toolbar.get_by_role("button", name="React with 👍").tap()
    await expect(alice.page.locator(".reaction")).to_have_text("👍 1")
    await toolbar.get_by_role("button", name="Reply").tap()
    await bob.page.locator("#text").fill("yes")
    await bob.page.get_by_role("button", name="Send").tap()
    await alice.sees("yes")
    await bob.page.get_by_text("yes", exact=True).tap()
    await toolbar.get_by_role("button", name="Delete").tap()
    await toolbar.get_by_role("button", name="Really delete?").tap()
    for person in (alice, bob):
        await person.sees(GONE)


async def test_reactions_add_up(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    await alice.say("cake?")
    for person in (alice, bob):
        await person.act("cake?", "React")
        await person.page.get_by_role("button", name="React with 🎉").click()
    for person in (alice, bob):
        mine = person.page.get_by_role("button", name="🎉 2", pressed=True)
        await expect(mine).to_be_visible()
    await bob.page.get_by_role("button", name="🎉 2").click()
    await expect(alice.page.get_by_role("button", name="🎉 1", pressed=True)).to_be_visible()
    await expect(bob.page.get_by_role("button", name="🎉 1", pressed=False)).to_be_visible()
    await alice.page.get_by_role("button", name="🎉 1").click()
    await expect(bob.page.locator(".reaction")).to_have_count(0)


async def test_nobody_takes_the_reactions_of_others_back(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice = await visit(server.url)
    await alice.enter("alice")
    await alice.say("cake?")
    await alice.act("cake?", "React")
    await alice.page.get_by_role("button", name="React with 🎉").click()
    mine = alice.page.get_by_role("button", name="🎉 1", pressed=True)
    await expect(mine).to_be_visible()
    async with connect(server.url + "ws", username="mallory") as chat, chat.join("lobby") as room:
        await chat.request("react", room="lobby", offset=1, emoji="🎉", remove=True)
        await room.publish("no cake")
        await alice.sees("no cake")
        await expect(mine).to_be_visible()


async def test_an_answer_leads_to_its_question(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    await alice.say("tea or coffee?")
    await bob.act("tea or coffee?", "Reply")
    await expect(bob.page.locator(".context")).to_contain_text("Answering alice tea or coffee?")
    await bob.say("tea")
    quote = alice.page.get_by_role("button", name="In reply to alice tea or coffee?")
    await quote.click()
    question = alice.page.locator("li.message").filter(has_text="tea or coffee?").first
    await expect(question).to_be_focused()


async def test_typing_is_shown_until_the_message_comes(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    await bob.page.locator("#text").press_sequentially("hm")
    await expect(alice.page.locator("#typing")).to_have_text("bob is typing…")
    await expect(bob.page.locator("#typing")).to_have_text("")
    await bob.page.keyboard.press("Enter")
    await alice.sees("hm")
    await expect(alice.page.locator("#typing")).to_have_text("")
    await bob.page.locator("#text").press_sequentially("and")
    await expect(alice.page.locator("#typing")).to_have_text("bob is typing…")


async def test_what_was_said_is_found(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    await alice.say("the key is below the mat")
    await bob.page.get_by_label("Join or create a room").fill("garden")
    await bob.page.keyboard.press("Enter")
    await expect(bob.page.locator("#room-name")).to_have_text("garden")
    await bob.say("no mat here")
    await bob.sees("no mat here")
    await bob.search("mat")
    await expect(bob.page.locator("#search .outcome")).to_have_text("2 messages")
    await bob.page.get_by_label("Only in this room").check()
    await bob.page.get_by_role("button", name="Find").click()
    await expect(bob.page.locator("#search .outcome")).to_have_text("1 message")
    await bob.page.get_by_label("Only in this room").uncheck()
    await bob.page.get_by_role("button", name="Find").click()
    await bob.page.locator("#search").get_by_role("button", name="alice in lobby").click()
    await expect(bob.page.locator("#room-name")).to_have_text("lobby")
    found = bob.page.locator("li.message:visible").filter(has_text="below the mat")
    await expect(found).to_be_focused()
    await bob.search("unsaid")
    await expect(bob.page.locator("#search .outcome")).to_have_text("Nothing was found.")


async def test_two_talk_in_private(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    await alice.page.get_by_role("button", name="2 members", exact=True).click()
    people = alice.page.get_by_role("complementary", name="Members")
    await expect(people.locator(".name")).to_have_text(["alice", "bob"])
    await people.get_by_role("button", name="bob").click()
    await expect(alice.page.locator("#room-name")).to_have_text("bob")
    await alice.say("psst")
    await alice.sees("psst")
    await bob.page.get_by_role("button", name="alice 1 unread").click()
    await bob.sees("psst")
    await bob.say("what?")
    await alice.sees("what?")
    await expect(alice.page.locator(".direct .name")).to_have_text(["bob"])

    await alice.page.reload()
    await expect(alice.page.locator("#room-name")).to_have_text("bob")
    await alice.sees("what?")
    await alice.page.get_by_role("button", name=re.compile("^lobby 2")).click()
    await expect(alice.page.locator("#room-name")).to_have_text("lobby")


async def test_who_comes_and_goes_is_told_in_one_line(serve: Servers, visit: Visits) -> None:
    alice, bob = await two(serve, visit)
    await alice.page.get_by_role("button", name="2 members", exact=True).click()
    await bob.page.get_by_role("button", name="Leave lobby").click()
    log = alice.page.get_by_role("log")
    summary = log.locator("summary")
    await expect(summary).to_have_text("alice joined; bob came and went")
    people = alice.page.get_by_role("complementary", name="Members")
    await expect(people.get_by_role("button", name="bob away")).to_be_visible()
    await summary.click()
    await expect(log.locator("details li")).to_contain_text(
        ["alice joined lobby", "bob joined lobby", "bob left lobby"]
    )
    await alice.say("alone")
    await bob.page.locator(".others").get_by_role("button", name="lobby").click()
    await expect(log.locator(".notice")).to_have_count(2)
    await expect(people.get_by_role("button", name="bob away")).to_have_count(0)


async def test_unread_messages_wait_behind_a_line(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice = await visit(server.url)
    await alice.enter("alice")
    async with connect(server.url + "ws", username="bob") as bob, bob.join("lobby") as room:
        await room.publish("first")
        await alice.sees("first")
        await alice.page.get_by_label("Join or create a room").fill("garden")
        await alice.page.keyboard.press("Enter")
        await expect(alice.page.locator("#room-name")).to_have_text("garden")
        await room.publish("second")
        await room.publish("third")
        lobby = alice.page.get_by_role("button", name=re.compile(r"^lobby 2 members 2 unread"))
        await expect(lobby).to_be_visible()
        await expect(alice.page).to_have_title("(2) chatserver")
        await lobby.click()
        await expect(alice.page).to_have_title("chatserver")
        divided = alice.page.locator("li:visible").filter(has_text="New messages")
        await expect(divided.locator(".text")).to_have_text(["second"])
