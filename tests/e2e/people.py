"""People in front of the page, the servers they visit, and the wire between."""

import json
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from playwright.async_api import Browser, Page, WebSocketRoute, expect

from tests.e2e import process
from tests.ports import kept_port
from tests.web.node import axe

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
SCHEMES: Final[Sequence[Literal["light", "dark"]]] = ("light", "dark")
VIOLATIONS = """
(options) => axe.run(options).then(({ violations }) => violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`))
"""
COLOURS: Final[Mapping[str, Sequence[str]]] = {"runOnly": ["color-contrast", "link-in-text-block"]}
"""The rules of axe-core's default that look at colours; no other sees a scheme."""

REPORT_CSP = """
addEventListener("securitypolicyviolation", ({violatedDirective, blockedURI}) =>
    console.error("CSP", violatedDirective, blockedURI));
"""


@dataclass
class ServerProcess:
    """`python -m chatserver` on a port of its own, which it keeps over a restart."""

    folder: Path
    settings: Mapping[str, object]
    port: int = 0
    running: process.ServerProcess | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def start(self) -> None:
        """Start it, and wait until it says where it listens."""
        where = {"host": "127.0.0.1", "port": self.port, "data_dir": str(self.folder / "data")}
        config = self.folder / "config.yaml"
        config.write_text(json.dumps({"server": where, **self.settings}))
        server = process.ServerProcess(config, env={"CHATSERVER_SERVER__DATA_DIR": None})
        self.running = await server.__aenter__()
        self.port = server.port

    async def stop(self) -> None:
        """Stop it as an operator would, and wait until it is gone."""
        if self.running is not None:
            await self.running.__aexit__(None, None, None)
            self.running = None

    async def kill(self) -> None:
        """Kill it, as a crash would, and wait until it is gone."""
        assert self.running is not None
        self.running.signal(signal.SIGKILL)
        await self.running.ended()
        await self.stop()


class Servers:
    """Starts servers and stops them all in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[ServerProcess] = []
        self._ports = ExitStack()

    async def __call__(self, **settings: object) -> ServerProcess:
        """Start a server with these sections in its configuration."""
        folder = self._folder / str(len(self._running))
        folder.mkdir()
        server = ServerProcess(folder, settings, self._ports.enter_context(kept_port()))
        self._running.append(server)
        await server.start()
        return server

    async def stop(self) -> None:
        with self._ports:
            for server in self._running:
                await server.stop()


@dataclass
class Person:
    """Somebody in front of the page, in a browser context of their own."""

    page: Page
    problems: list[str] = field(default_factory=list)
    may_lose_connection: bool = False

    async def enter(self, name: str, room: str = "lobby") -> None:
        """Fill in the first form and wait to be in the room."""
        await self.ask_to_enter(name, room)
        await expect(self.page.locator("#room-name")).to_have_text(room)

    async def ask_to_enter(self, name: str, room: str = "lobby") -> None:
        await self.page.get_by_label("Your name").fill(name)
        await self.page.get_by_label("Room", exact=True).fill(room)
        await self.page.locator("#enter-button").click()

    async def say(self, text: str) -> None:
        await self.page.locator("#text").fill(text)
        await self.page.keyboard.press("Enter")

    async def sees(self, text: str, times: int = 1) -> None:
        """Expect a message of exactly this text in view."""
        shown = self.page.locator(".text:visible").get_by_text(text, exact=True)
        await expect(shown).to_have_count(times)

    async def act(self, text: str, action: str) -> "Person":
        """Point at the message of this text, and press a button of its toolbar."""
        shown = self.page.locator(".text:visible").get_by_text(text, exact=True)
        await shown.hover()
        await self.page.get_by_role("toolbar").get_by_role("button", name=action).click()
        return self

    async def search(self, text: str) -> None:
        """Look for messages in all rooms."""
        await self.page.get_by_role("button", name="Search").click()
        await self.page.get_by_label("Words of a message").fill(text)
        await self.page.keyboard.press("Enter")

    async def expect_state(self, word: str, within: float = process.START_WITHIN) -> None:
        await expect(self.page.get_by_role("status").first).to_have_text(
            word, timeout=within * 1000
        )

    async def is_pictured(self, name: str, *, full: bool = False) -> None:
        """Take a picture in each colour scheme of what is in view, or of the full page."""
        ARTIFACTS.mkdir(exist_ok=True)
        for scheme in SCHEMES:
            await self.page.emulate_media(color_scheme=scheme)
            await self.page.screenshot(path=ARTIFACTS / f"{name}-{scheme}.png", full_page=full)

    async def keeps_nobody_out(self, where: str) -> None:
        """Expect that axe-core finds nothing that keeps anybody out, in either colour scheme.

        All rules are asked in the first one only: the second differs in nothing but colours.
        """
        await self.page.evaluate(axe().read_text())
        for scheme, options in zip(SCHEMES, ({}, COLOURS), strict=True):
            await self.page.emulate_media(color_scheme=scheme)
            violations = await self.page.evaluate(VIOLATIONS, options)
            assert not violations, f"{where}, {scheme}: {violations}"

    def listen(self) -> None:
        """Note what the page should not do: log errors, break its own policy, raise."""
        self.page.on("pageerror", lambda error: self.problems.append(f"raised: {error}"))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.on("console", lambda message: self._console(message.type, message.text))

    def _console(self, kind: str, text: str) -> None:
        network = text.startswith(("WebSocket connection to", "Failed to load resource"))
        if kind in ("error", "warning") and not (network and self.may_lose_connection):
            self.problems.append(f"{kind}: {text}")


class Wire:
    """Stands between a page and the real server, and holds back or puts in frames.

    Attributes:
        hold: Actions of the page that do not reach the server.
        held: The frames that did not, in their order.
    """

    def __init__(self) -> None:
        self.hold: set[str] = set()
        self.held: list[dict[str, object]] = []
        self._page: WebSocketRoute | None = None

    async def cut_into(self, person: Person) -> None:
        """Take this place for all sockets the page opens from now on."""
        await person.page.route_web_socket(re.compile("^ws"), self._opened)

    def send(self, **frame: object) -> None:
        """Send a frame to the page as if the server had."""
        self.send_text(json.dumps(frame))

    def send_text(self, text: str) -> None:
        assert self._page is not None
        self._page.send(text)

    async def close(self, code: int, reason: str = "") -> None:
        """Close the page's socket as if the server had."""
        assert self._page is not None
        await self._page.close(code=code, reason=reason)

    def _opened(self, route: WebSocketRoute) -> None:
        self._page = route
        server = route.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            frame = json.loads(message)
            if frame["action"] in self.hold:
                self.held.append(frame)
            else:
                server.send(message)

        route.on_message(pass_on)


class Visits:
    """Opens pages for people, and holds the pages to account when they go."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._people: list[Person] = []

    async def __call__(self, url: str, *, width: int = 1280, height: int = 800) -> Person:
        """Open the page in a fresh context."""
        person = await self.prepare(width=width, height=height)
        await person.page.goto(url)
        return person

    async def prepare(self, *, width: int = 1280, height: int = 800, touch: bool = False) -> Person:
        """Make a fresh context with an empty page, for tests that arrange something first."""
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-GB",
            has_touch=touch,
            is_mobile=touch,
        )
        await context.add_init_script(REPORT_CSP)
        person = Person(await context.new_page())
        person.listen()
        self._people.append(person)
        return person

    async def end(self) -> None:
        problems = [problem for person in self._people for problem in person.problems]
        for person in self._people:
            await person.page.context.close()
        assert not problems, problems
