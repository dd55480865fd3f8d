"""The developers' console, in a real browser against a real server."""

import json
import re
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Locator, Page, expect

from chatserver import CloseCode
from tests.e2e.people import ServerProcess, Servers, Visits

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

CODE: Final = '''
from typing import Annotated, Literal

from msgspec import Meta, Struct

from chatserver import ActionError, Context, NoConfig, Plugin, Reply, action


class Paint(Struct):
    text: str
    times: Annotated[int, Meta(ge=1, le=9)] = 1
    width: float = 1.5
    bold: bool = False
    colour: Literal["red", "blue"] = "red"
    note: str | None = "?"
    tags: dict[str, list[int]] = {}


class PaintPlugin(Plugin[NoConfig]):
    @action("paint.all")
    async def paint(self, ctx: Context, msg: Paint) -> Reply:
        """Give back what is to be <b>painted</b>.

        This line is not shown.
        """
        return Reply("painted", got=msg)

    @action("paint.nothing")
    async def nothing(self, ctx: Context) -> Reply:
        raise ActionError("dry", "<i>There is no paint</i>")
'''

HOSTILE: Final = "</pre></li><img src=x onerror=window.broken=1><script>window.broken=1</script>"
TOKEN: Final = "a-token/with+all=of~it"


@pytest.fixture
def paint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Plugins for the configuration: one that stands in a module beside it."""
    (tmp_path / "paint.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return {"paint": {"use": "paint:PaintPlugin"}}


def frames(page: Page, direction: str) -> Locator:
    return page.locator(f"#list .{direction} summary code")


async def frame(page: Page) -> object:
    return json.loads(await page.get_by_label("Frame to send").input_value())


async def sends(page: Page, frame: str) -> None:
    await page.get_by_label("Frame to send").fill(frame)
    await page.get_by_role("button", name="Send").click()


async def test_any_frame_is_sent_and_what_comes_back_is_shown(
    home: ServerProcess, visit: Visits
) -> None:
    page = (await visit(f"{home.url}console")).page
    send = page.get_by_role("button", name="Send")
    await expect(send).to_be_disabled()
    await page.get_by_role("button", name="Connect").click()
    await expect(page.locator("#status")).to_have_text(re.compile("^Connected to ws://"))
    await expect(page.locator("#check")).to_have_text("0 bytes.")

    await sends(page, '{"action": "ping", "id": "ä"}')
    await expect(frames(page, "received")).to_have_text([re.compile(r'"action":"pong","id":"ä"')])
    await expect(frames(page, "sent")).to_have_text(['{"action": "ping", "id": "ä"}'])
    await expect(page.locator(".sent .size")).to_have_text("30 B")
    await expect(page.locator(".received .latency")).to_have_text(re.compile(r"^\d+\.\d ms$"))
    await expect(page.locator(".sent .latency")).to_have_count(0)

    await sends(page, "dance!")
    await expect(page.locator("#check")).to_have_text(re.compile("^6 bytes. Not JSON"))
    await expect(frames(page, "received").nth(1)).to_contain_text("bad_json")
    await page.locator(".received summary").nth(1).click()
    await expect(page.locator(".received pre")).to_contain_text('  "code": "bad_json",')

    await page.get_by_label("Filter by text").fill("PONG")
    await expect(page.locator("#list li")).to_have_count(1)
    await page.get_by_label("Filter by text").fill("")
    await page.get_by_label("Direction").select_option("Sent")
    await expect(page.locator("#list li")).to_have_count(2)
    await page.get_by_label("Direction").select_option("Sent and received")

    await page.get_by_role("button", name="Pause").click()
    await sends(page, '{"action": "ping", "id": 7}')
    await expect(page.get_by_role("button", name="Pause (2 new)")).to_be_visible()
    await page.get_by_label("Filter by text").fill("p")
    await page.get_by_label("Filter by text").fill("")
    await expect(frames(page, "received")).to_have_count(2)
    await page.get_by_role("button", name="Pause (2 new)").click()
    await expect(frames(page, "received")).to_have_count(3)

    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy").click()
    await expect(page.locator("#copied")).to_have_text("8 copied")
    copied = str(await page.evaluate("navigator.clipboard.readText()")).splitlines()
    assert re.fullmatch(r'[-\d]+T[:.\d]+Z 30 B > \{"action": "ping", "id": "ä"\}', copied[2])
    assert re.fullmatch(r'[-\d]+T[:.\d]+Z \d+ B [.\d]+ ms < \{.*"id":"ä".*\}', copied[3])

    await page.get_by_role("button", name="Clear").click()
    await expect(page.locator("#list li")).to_have_count(0)
    await page.get_by_role("button", name="Disconnect").click()
    await expect(page.locator("#status")).to_have_text(
        "Closed with 1000 OK: the conversation is over. A client does not connect again."
    )
    await expect(send).to_be_disabled()


async def test_an_action_of_somebody_elses_plugin_is_a_form(
    serve: Servers, visit: Visits, paint: dict[str, object]
) -> None:
    server = await serve(broker="memory", plugins=paint)
    page = (await visit(f"{server.url}console")).page
    await page.get_by_role("button", name="Connect").click()
    await page.get_by_label("Action").select_option("paint.all")
    await expect(page.locator("#choice optgroup[label=paint] option")).to_have_count(2)
    await expect(page.locator("#summary")).to_have_text("Give back what is to be <b>painted</b>.")
    await expect(page.get_by_label("times", exact=True)).to_have_accessible_description(
        "integer, from 1, to 9, default 1"
    )
    assert await frame(page) == {"action": "paint.all", "id": 1, "text": ""}

    await expect(page.get_by_label("colour", exact=True)).to_have_value('"red"')
    await page.get_by_label("text", exact=True).fill('He said "ä"')
    await page.get_by_label("times", exact=True).fill("3")
    await page.get_by_label("width", exact=True).fill("0.25")
    await page.get_by_label("bold", exact=True).select_option("true")
    await page.get_by_label("colour", exact=True).select_option("blue")
    await page.get_by_label("How to send note").select_option("null")
    await page.get_by_label("tags", exact=True).fill('{"a": [1,')
    await expect(page.get_by_text("This is not JSON")).to_be_visible()
    await page.get_by_label("tags", exact=True).fill('{"a": [1, 2]}')
    await expect(page.get_by_text("This is not JSON")).not_to_be_visible()
    painted = {
        "text": 'He said "ä"',
        "times": 3,
        "width": 0.25,
        "bold": True,
        "colour": "blue",
        "note": None,
        "tags": {"a": [1, 2]},
    }
    assert await frame(page) == {"action": "paint.all", "id": 1, **painted}
    await page.get_by_label("text", exact=True).press("Enter")
    await expect(frames(page, "received")).to_have_count(1)
    reply = json.loads(await frames(page, "received").inner_text())
    assert reply == {"action": "painted", "id": 1, "got": painted}

    await page.get_by_label("How to send times").select_option("left out")
    left = {name: value for name, value in painted.items() if name != "times"}
    assert await frame(page) == {"action": "paint.all", "id": 2, **left}
    await page.get_by_label("times", exact=True).fill("10")
    await page.get_by_role("button", name="Send").click()
    await expect(frames(page, "received").nth(1)).to_contain_text('"field":"$.times"')

    await page.get_by_label("Action").select_option("paint.nothing")
    assert await frame(page) == {"action": "paint.nothing", "id": 3}
    await page.get_by_label("Frame to send").press("Control+Enter")
    await expect(frames(page, "received").nth(2)).to_contain_text("<i>There is no paint</i>")
    await expect(page.locator("#log i, #compose b")).to_have_count(0)


async def test_a_token_is_sent_and_stored_only_if_asked_for(serve: Servers, visit: Visits) -> None:
    auth = {"anonymous": False, "tokens": [{"token": TOKEN, "user": "alice"}]}
    server = await serve(broker="memory", middlewares=["origin", {"auth": auth}])
    alice = await visit.prepare()
    alice.may_lose_connection = True
    page = alice.page
    await page.goto(f"{server.url}console")
    await expect(page.locator("#summary")).to_contain_text("those who may connect (401: ")
    await expect(page.get_by_label("Action")).to_be_disabled()
    connect, status = page.get_by_role("button", name="Connect"), page.locator("#status")
    await page.get_by_label("Token", exact=True).fill("wrong")
    await connect.click()
    await expect(status).to_have_text(re.compile("^Refused with 401: "))

    await page.get_by_label("Token", exact=True).fill(TOKEN)
    await connect.click()
    await page.get_by_label("Action").select_option("hello")
    await page.get_by_role("button", name="Send").click()
    await expect(frames(page, "received")).to_contain_text('"user":"alice"')
    assert TOKEN not in await stored(page)

    await page.reload()
    await expect(page.get_by_label("Token", exact=True)).to_have_value("")
    await page.get_by_label("Token", exact=True).fill(TOKEN)
    await page.get_by_label("Keep the token until this tab is closed").check()
    await page.reload()
    await expect(page.get_by_label("Token", exact=True)).to_have_value(TOKEN)
    await expect(page.get_by_label("Action")).to_be_enabled()
    await page.get_by_label("Keep the token until this tab is closed").uncheck()
    assert TOKEN not in await stored(page)


async def stored(page: Page) -> str:
    """All that the page has stored in the browser."""
    everything = "JSON.stringify([sessionStorage, localStorage, document.cookie])"
    return str(await page.evaluate(everything))


async def test_why_the_server_closed_is_told(home: ServerProcess, visit: Visits) -> None:
    page = (await visit(f"{home.url}console")).page
    await page.get_by_role("button", name="Connect").click()
    for _ in range(20):
        await sends(page, "dance!")
    await expect(page.locator("#status")).to_have_text(
        re.compile("^Closed with 3501 BAD_MESSAGES: .* A client does not connect again.$")
    )
    modules = f"import({json.dumps(home.url + 'static/console/closes.js')})"
    for code in CloseCode:
        text = await page.evaluate(
            f"{modules}.then(({{explainClose}}) => explainClose({code}, 'why'))"
        )
        assert f"{code.value} {code.name}: " in text
        assert "(“why”)" in text
        stays_away = code in (1000, 1002, 1007) or code >= 3500
        assert text.endswith("A client does not connect again.") is stays_away, text


async def test_an_address_that_cannot_be_used_is_told(home: ServerProcess, visit: Visits) -> None:
    alice = await visit(f"{home.url}console")
    alice.may_lose_connection = True
    status = alice.page.locator("#status")
    for address, text in (
        ("ftp://127.0.0.1/", "This address cannot be used"),
        ("ws://127.0.0.1:1/ws", "No connection; the browser does not say why"),
        (home.url.replace("http", "ws") + "nowhere", "Refused with 404"),
    ):
        await alice.page.get_by_label("Address").fill(address)
        await alice.page.get_by_role("button", name="Connect").click()
        await expect(status).to_contain_text(text)


async def test_a_frame_is_never_markup(home: ServerProcess, visit: Visits) -> None:
    page = (await visit(f"{home.url}console")).page
    await page.get_by_role("button", name="Connect").click()
    elements = "document.querySelectorAll('img, script, svg, a, iframe').length"
    before = await page.evaluate(elements)
    await sends(page, json.dumps({"action": HOSTILE[:60]}))
    await sends(page, json.dumps({"action": "echo", "text": HOSTILE}))
    await sends(page, HOSTILE)
    await expect(frames(page, "received")).to_have_count(3)
    for summary in await page.locator("#list summary").all():
        await summary.click()
    await expect(page.locator(".received pre").nth(1)).to_contain_text(HOSTILE)
    await expect(page.locator(".sent pre").nth(2)).to_have_text(HOSTILE)
    assert await page.evaluate(elements) == before
    assert await page.evaluate("window.broken") is None


async def test_the_log_is_bounded(home: ServerProcess, visit: Visits) -> None:
    page = (await visit(f"{home.url}console")).page
    shown = await page.evaluate(
        """async (address) => {
            const { Entries, MAX_CHARACTERS, MAX_ENTRIES } = await import(address);
            const entries = new Entries();
            for (let number = 0; number < MAX_ENTRIES + 5; number++) {
                entries.add("sent", `${number}`);
            }
            const texts = entries.select("", "").map(({ text }) => text);
            entries.add("received", "x".repeat(MAX_CHARACTERS - 3));
            const after = entries.select("", "").map(({ text }) => text.length);
            return [texts.length, texts[0], texts.at(-1), after.length];
        }""",
        f"{home.url}static/console/entries.js",
    )
    assert shown == [1000, "5", "1004", 1]


async def test_the_console_fits_every_width(
    serve: Servers, visit: Visits, paint: dict[str, object]
) -> None:
    server = await serve(broker="memory", plugins=paint)
    developer = await visit(f"{server.url}console")
    page = developer.page
    await page.get_by_role("button", name="Connect").click()
    await page.get_by_label("Action").select_option("paint.all")
    await page.get_by_label("text", exact=True).fill("Wo" + "w" * 150)
    await page.get_by_label("tags", exact=True).fill("{")
    await page.get_by_role("button", name="Send").click()
    await sends(page, "dance!")
    await expect(frames(page, "received")).to_have_count(2)
    await page.locator(".received summary").first.click()
    for width in (1280, 768, 390):
        await page.set_viewport_size({"width": width, "height": 800})
        await developer.is_pictured(f"console-{width}", full=True)
        assert await page.evaluate("document.documentElement.scrollWidth") == width
    await developer.keeps_nobody_out("console")


async def test_the_keyboard_is_enough(home: ServerProcess, visit: Visits) -> None:
    page = (await visit(f"{home.url}console")).page
    await expect(page.get_by_label("Action")).to_be_enabled()
    await page.get_by_label("Address").press("Enter")
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()
    order = []
    for _ in range(13):
        order.append(await page.evaluate("document.activeElement.id"))
        await page.keyboard.press("Tab")
    assert order == [
        *("address", "token", "connect-button", "keep", "choice", "frame", "send-button"),
        *("filter", "direction", "pause", "clear", "copy", "view"),
    ]
