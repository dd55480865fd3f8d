"""How the chat page lives with a connection that ends, lies, or is not let in."""

import asyncio
import re
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

import chatserver
from chatserver.client import connect
from tests.e2e.people import Person, ServerProcess, Servers, Visits, Wire

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

BACK_WITHIN: Final = 40
"""Seconds: longer than the longest back-off."""


GONE: Final = "This message was deleted."


async def wired(home: ServerProcess, visit: Visits) -> tuple[Person, Wire]:
    """Bring alice, whose wire is in our hands, into the lobby."""
    wire = Wire()
    alice = await visit.prepare()
    await alice.page.clock.install()
    await wire.cut_into(alice)
    await alice.page.goto(home.url)
    await alice.enter("alice")
    return alice, wire


async def watched(home: ServerProcess, visit: Visits) -> tuple[Person, Person, Wire]:
    """Bring alice into the lobby as `wired` does, and bob, whose wire is left alone."""
    alice, wire = await wired(home, visit)
    bob = await visit(home.url)
    await bob.enter("bob")
    return alice, bob, wire


async def test_a_killed_server_finds_everybody_again(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice, bob = await visit.prepare(), await visit.prepare()
    for person, name in ((alice, "alice"), (bob, "bob")):
        # The back-off is random; bad luck would only cost time.
        await person.page.add_init_script("Math.random = () => 0.2")
        await person.page.goto(server.url)
        await person.enter(name)
        await person.say(f"{name} was here")
        await person.sees(f"{name} was here")
        await expect(person.page.locator(".sending")).to_have_count(0)
    alice.may_lose_connection = bob.may_lose_connection = True
    await server.kill()
    await alice.expect_state("Offline")
    await expect(alice.page.locator("#trouble")).to_contain_text("Reconnecting")
    for text in ("can you hear me?", "hello?"):
        await alice.say(text)
    await expect(alice.page.locator(".sending .text")).to_have_text(["can you hear me?", "hello?"])

    await server.start()
    await alice.expect_state("Online", BACK_WITHIN)
    await bob.expect_state("Online", BACK_WITHIN)
    await bob.sees("hello?")
    await expect(alice.page.locator("#trouble, #complaint").filter(visible=True)).to_have_count(0)
    await expect(alice.page.locator(".sending, .failed")).to_have_count(0)
    await bob.say("loud and clear")
    await alice.sees("loud and clear")
    said = ["alice was here", "bob was here", "can you hear me?", "hello?", "loud and clear"]
    for person in (alice, bob):
        await expect(person.page.locator(".text")).to_have_text(said)


async def test_a_reload_in_the_middle_of_sending(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice, bob, wire = await visit.prepare(), await visit(server.url), Wire()
    await wire.cut_into(alice)
    await alice.page.goto(server.url)
    await alice.enter("alice")
    await bob.enter("bob")
    wire.hold.add("message")
    for text in ("one", "two"):
        await alice.say(text)
    await expect(alice.page.locator(".sending")).to_have_count(2)
    wire.hold.clear()
    await alice.page.reload()
    await bob.sees("two")
    for person in (alice, bob):
        await expect(person.page.locator(".text")).to_have_text(["one", "two"])
    await expect(alice.page.locator(".sending, .failed")).to_have_count(0)
    await expect(alice.page.locator(".own .text")).to_have_text(["one", "two"])


async def test_a_browser_that_goes_offline_and_back(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice, bob = await visit(server.url), await visit(server.url)
    await alice.enter("alice")
    await bob.enter("bob")
    await bob.say("before")
    await alice.sees("before")
    alice.may_lose_connection = bob.may_lose_connection = True
    # Chromium's switch does not reach open sockets.
    await alice.page.context.set_offline(True)
    await server.kill()
    await alice.expect_state("Offline")
    await server.start()
    await bob.expect_state("Online", BACK_WITHIN)
    for text in ("one", "two", "three"):
        await bob.say(text)
        await bob.sees(text)
    await bob.say("never mind")
    for number, text in enumerate(("before", "never mind"), 1):
        await bob.act(text, "Delete")
        await bob.page.get_by_role("button", name="Really delete?").click()
        await bob.sees(GONE, number)
    await alice.page.context.set_offline(False)
    await alice.expect_state("Online")
    log = alice.page.get_by_role("log")
    await expect(log).to_contain_text("You are connected again. 3 messages were sent meanwhile:")
    await expect(alice.page.locator(".text")).to_have_text([GONE, "one", "two", "three", GONE])


async def test_what_is_too_much_to_bring_is_led_to(serve: Servers, visit: Visits) -> None:
    server = await serve(
        middlewares=["origin", "size_limit"], limits={"recovery_limit": 5}, rooms=[{"match": "*"}]
    )
    alice, wire = await wired(server, visit)
    async with connect(server.url + "ws", username="bob") as bob, bob.join("lobby") as room:
        await room.publish("before")
        await alice.sees("before")
        wire.send(action="reconnect", after_ms=60_000, reason="Maintenance")
        await wire.close(3001)
        await alice.expect_state("Offline")
        await asyncio.gather(*(room.publish(f"line {number}") for number in range(80)))
    await alice.page.clock.fast_forward(61_000)
    await alice.expect_state("Online")
    log = alice.page.get_by_role("log")
    await expect(log).to_contain_text("You are connected again. Much was said meanwhile.")
    await log.get_by_role("button", name="Read it from the beginning").click()
    first = alice.page.locator("li.message").filter(has_text=re.compile(r"line 0\b"))
    await expect(first).to_be_focused()
    said = ["before", *(f"line {number}" for number in range(80))]
    await expect(alice.page.locator(".text")).to_have_text(said)


async def test_what_was_said_meanwhile_is_shown_once(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice, bob, wire = await watched(server, visit)
    await alice.say("before")
    await bob.sees("before")
    wire.send(action="reconnect", after_ms=60_000, reason="Maintenance")
    await wire.close(3001)
    await alice.expect_state("Offline")
    await bob.say("meanwhile")
    await bob.sees("meanwhile")
    await alice.page.clock.fast_forward(61_000)
    await alice.expect_state("Online")
    await alice.sees("meanwhile")
    await expect(alice.page.locator(".joined .unread")).to_be_hidden()
    await expect(alice.page).to_have_title("chatserver")

    await bob.say("after")
    await alice.sees("after")
    await expect(alice.page.locator(".text")).to_have_text(["before", "meanwhile", "after"])
    await expect(alice.page.get_by_role("log")).not_to_contain_text("not shown here")

    carol = await visit(server.url)
    await carol.enter("carol")
    await expect(carol.page.locator(".text")).to_have_text(["before", "meanwhile", "after"])
    await carol.say("I have read it all")
    await alice.sees("I have read it all")


async def test_refused_messages_go_again_in_their_order(home: ServerProcess, visit: Visits) -> None:
    alice, bob, wire = await watched(home, visit)
    wire.hold.add("message")
    for text in ("first", "second"):
        await alice.say(text)
    await expect(alice.page.locator(".sending")).to_have_count(2)
    wire.hold.clear()
    for frame in wire.held:
        refusal = {"code": "rate_limited", "message": "Too fast.", "retry_after": 1}
        wire.send(action="error", id=frame["id"], **refusal)
    await expect(bob.page.locator(".text")).to_have_text(["first", "second"])
    await expect(alice.page.locator(".text")).to_have_text(["first", "second"])
    await expect(alice.page.locator(".failed, .sending")).to_have_count(0)


async def test_what_is_refused_can_be_sent_again_or_discarded(
    home: ServerProcess, visit: Visits
) -> None:
    alice, bob, wire = await watched(home, visit)
    wire.hold.add("message")
    for text in ("first", "second"):
        await alice.say(text)
    await expect(alice.page.locator(".sending")).to_have_count(2)
    for frame in wire.held:
        wire.send(action="error", id=frame["id"], code="forbidden", message="Not now.")
    await expect(alice.page.locator(".failed .state")).to_contain_text(["Not now."] * 2)
    wire.hold.clear()
    await alice.page.get_by_role("button", name="Discard").first.click()
    await alice.page.get_by_role("button", name="Retry").click()
    for person in (alice, bob):
        await expect(person.page.locator(".text")).to_have_text(["second"])
    await expect(alice.page.locator(".failed, .sending")).to_have_count(0)


async def test_an_unconfirmed_message_goes_again(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice, bob, wire = await watched(server, visit)
    wire.hold.add("message")
    await alice.say("is anybody there?")
    await expect(alice.page.locator(".sending")).to_have_count(1)
    wire.hold.clear()
    await wire.close(3012)
    await bob.sees("is anybody there?")
    await alice.sees("is anybody there?")
    await expect(alice.page.locator(".failed, .sending")).to_have_count(0)


async def test_a_final_close_is_obeyed(home: ServerProcess, visit: Visits) -> None:
    alice, wire = await wired(home, visit)
    for code, reason, text in (
        (3503, "", "A moderator has removed you."),
        (3507, "", "You are banned from this server."),
        (4500, "closed for today", "closed for today"),
    ):
        await wire.close(code, reason)
        await expect(alice.page.locator("#trouble")).to_contain_text(text)
        await alice.page.clock.fast_forward(120_000)
        await expect(alice.page.locator(".countdown")).to_have_text("")
        await alice.expect_state("Offline")
        await alice.page.get_by_role("button", name="Try now").click()
        await alice.expect_state("Online")
        await alice.say(f"back after {code}")
        await alice.sees(f"back after {code}")


async def test_an_announced_close_is_waited_for(home: ServerProcess, visit: Visits) -> None:
    alice, bob, wire = await watched(home, visit)
    wire.send(action="reconnect", after_ms=60_000, reason="Maintenance")
    await wire.close(3001)
    await expect(alice.page.locator(".countdown")).to_have_text(re.compile(r"in (60|5\d) s"))
    await alice.page.clock.fast_forward(40_000)
    await alice.expect_state("Offline")
    await alice.page.clock.fast_forward(21_000)
    await alice.expect_state("Online")
    await alice.say("back again")
    await bob.sees("back again")


async def test_nobody_is_seen_typing_or_present_without_a_connection(
    serve: Servers, visit: Visits
) -> None:
    alice, bob, wire = await watched(await serve(), visit)
    await alice.page.get_by_role("button", name="2 members", exact=True).click()
    people = alice.page.locator("#people")
    await bob.page.locator("#text").press_sequentially("hm")
    await expect(alice.page.locator("#typing")).to_have_text("bob is typing…")
    # By itself that ends with time, which stands still here.
    await alice.page.clock.pause_at(await alice.page.evaluate("Date.now() / 1000 + 2"))
    wire.send(action="reconnect", after_ms=60_000, reason="Maintenance")
    await wire.close(3001)
    await alice.expect_state("Offline")
    await alice.page.clock.run_for(100)
    await expect(alice.page.locator("#typing")).to_have_text("")
    await expect(people).to_contain_text("before the connection was lost")
    await expect(people.locator(".dot.away")).to_have_count(2)
    await alice.page.clock.resume()
    await alice.page.clock.fast_forward(61_000)
    await alice.expect_state("Online")
    await expect(people).not_to_contain_text("before the connection was lost", use_inner_text=True)
    await expect(people.locator(".dot:not(.away)")).to_have_count(2)


async def test_silence_is_noticed(home: ServerProcess, visit: Visits) -> None:
    alice, wire = await wired(home, visit)
    await alice.page.clock.fast_forward(26_000)
    await alice.page.clock.fast_forward(11_000)
    await alice.say("hm")
    await alice.sees("hm")  # so the answer to the ping is there, too
    wire.hold.add("ping")
    await alice.page.clock.fast_forward(26_000)
    await alice.page.clock.fast_forward(11_000)
    await expect(alice.page.locator("#trouble .reason")).to_have_text("The server does not answer.")
    assert [frame["action"] for frame in wire.held] == ["ping"]
    wire.hold.clear()
    await alice.page.clock.fast_forward(2_000)
    await alice.expect_state("Online")


async def test_unknown_frames_are_passed_over(home: ServerProcess, visit: Visits) -> None:
    alice, wire = await wired(home, visit)
    wire.send(action="poll.opened", room="lobby", question="?")
    wire.send(action="read", room="lobby", offset=77, sender="x", username="x")
    wire.send(action="message", room="elsewhere", text="not here", username="x", sender="x")
    for text in ("nonsense", "[1]", "null"):
        wire.send_text(text)
    async with connect(home.url + "ws", username="bob") as bob, bob.join("lobby") as room:
        await room.publish("still there?")
        await expect(alice.page.locator(".text")).to_have_text(["still there?"])
    wire.send(action="error", code="internal_error", message="Something broke.")
    await expect(
        alice.page.get_by_role("alert").filter(has_text="Something broke.")
    ).to_be_visible()


async def test_a_name_lost_meanwhile_is_asked_for_again(home: ServerProcess, visit: Visits) -> None:
    alice, bob, wire = await visit.prepare(), await visit(home.url), Wire()
    await wire.cut_into(alice)
    await alice.page.goto(home.url)
    await alice.enter("alice", room="garden")
    await wire.close(3503)
    await alice.expect_state("Offline")
    await bob.enter("alice", room="garden")
    await alice.page.get_by_role("button", name="Try now").click()
    await expect(alice.page.locator("#enter-error")).to_contain_text("alice")
    await alice.enter("alice again", room="garden")
    await alice.say("it is me")
    await bob.sees("it is me")


async def test_a_token_in_the_address_signs_in(serve: Servers, visit: Visits) -> None:
    token = {"token": "s3cret+token", "user": "u1", "name": "Ada"}
    server = await serve(middlewares=["origin", {"auth": {"tokens": [token]}}])
    ada = await visit(f"{server.url}#token=s3cret+token")
    await ada.expect_state("Online")
    await expect(ada.page).to_have_url(server.url)
    await expect(ada.page.get_by_label("Your name")).to_have_value("Ada")
    await ada.page.get_by_role("button", name="Join").click()
    await ada.say("hello")
    await ada.sees("hello")

    for fragment, who in (("#token=wrong", "a wrong token"), ("", "no token")):
        stranger = await visit.prepare()
        stranger.may_lose_connection = True
        await stranger.page.goto(server.url + fragment)
        shown = stranger.page.locator("#trouble .reason")
        await expect(shown, who).to_have_text(
            "The token is missing, wrong or expired (Invalid token)."
        )
        await expect(stranger.page.locator(".countdown")).to_have_text("")
        await expect(stranger.page.locator(".kept")).to_be_hidden()
        async with stranger.page.expect_response("**/ws") as again:
            await stranger.ask_to_enter("stranger")
        assert (await again.value).status == 401
        await expect(stranger.page.locator("#enter-button"), who).to_have_text("Join")


async def test_a_busy_server_says_when_to_come_back(serve: Servers, visit: Visits) -> None:
    server = await serve()
    alice = await visit(server.url)
    await alice.expect_state("Online")
    alice.may_lose_connection = True
    answer = {"Retry-After": "50", "Content-Type": "text/plain"}
    await alice.page.route(
        "**/ws", lambda route: route.fulfill(status=503, headers=answer, body="Full house\n")
    )
    await server.stop()
    trouble = alice.page.locator("#trouble")
    await expect(trouble).to_contain_text("(Full house)", timeout=BACK_WITHIN * 1000)
    await expect(trouble).to_contain_text(re.compile(r"in (50|4\d) s"))


async def test_a_browser_without_storage_can_chat(home: ServerProcess, visit: Visits) -> None:
    alice = await visit.prepare()
    await alice.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('forbidden'); }})"
    )
    await alice.page.goto(home.url)
    await alice.enter("alice")
    await alice.say("hello")
    await alice.sees("hello")


async def test_the_page_works_below_a_prefix(visit: Visits, tmp_path: Path) -> None:
    app = web.Application()
    config = {"server": {"data_dir": str(tmp_path)}}
    chatserver.setup(app, config, prefix="/talk", pages=True)
    async with TestServer(app, host="127.0.0.1") as server:
        for path in ("/talk", "/talk/"):
            alice = await visit(str(server.make_url(path)))
            await alice.enter("alice" + path)
            await alice.say(f"hello from {path}")
            await alice.sees(f"hello from {path}")
            await alice.page.close()
