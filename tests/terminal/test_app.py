"""The full screen, driven by Textual's pilot against a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, ProgressBar, Static

from chatserver.client import connect
from chatserver.terminal.app import ChatApp
from chatserver.terminal.asking import unread_rooms
from chatserver.terminal.widgets import Messages, Prompt
from chatserver.testing import ChatServer
from tests.e2e.flaky import FlakyLine

DEADLINE = 30.0


class Seat:
    """Sit before the screen."""

    def __init__(self, app: ChatApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def messages(self) -> str:
        return self.app.query_one(Messages).text

    @property
    def rooms(self) -> list[str]:
        listed = self.app.query_one("#rooms", OptionList)
        return [str(option.prompt) for option in listed.options]

    def bar(self, name: str) -> str:
        return str(self.app.query_one(name, Static).content)

    async def type(self, line: str) -> None:
        self.app.query_one(Prompt).value = line
        await self.pilot.press("enter")

    async def see(self, what: Callable[[], bool]) -> None:
        """Wait until something is true of the screen."""
        try:
            async with asyncio.timeout(DEADLINE):
                while not what():
                    await self.pilot.pause(0.02)
        except TimeoutError:
            pytest.fail(f"it is not seen; there is\n{self.bar('#state')}\n{self.messages}")

    async def read(self, text: str) -> None:
        await self.see(lambda: text in self.messages)


@asynccontextmanager
async def seated(url: str, *rooms: str, name: str = "alice") -> AsyncIterator[Seat]:
    app = ChatApp(connect(url, username=name), rooms)
    async with app.run_test(size=(100, 20)) as pilot:
        seat = Seat(app, pilot)
        await seat.see(lambda: len(app.talk.places) == len(rooms))
        await seat.see(lambda: all(place.room.position for place in app.talk.places.values()))
        yield seat


def kept(folder: Path) -> dict[str, object]:
    return {
        "broker": "embedded",
        "server": {"data_dir": str(folder)},
        "middlewares": ["size_limit"],
    }


async def test_a_conversation(tmp_path: Path) -> None:
    async with ChatServer(kept(tmp_path)) as server, seated(f"{server.url}/ws", "lobby") as seat:
        await seat.see(lambda: "● connected as alice · lobby" in seat.bar("#state"))
        bob = await server.connect("bob", "lobby")
        await seat.see(lambda: seat.bar("#members").split() == ["alice", "bob"])
        await seat.type("Hello, [bold]bob[/bold]!")
        await bob.expect("message", text="Hello, [bold]bob[/bold]!")
        await seat.read("#1 alice Hello, [bold]bob[/bold]!")
        await bob.send("message", text="\x1b[31mHi\u202e\nalice")
        await seat.read("#2 bob \\x1b[31mHi\\u202e\n  alice")
        await seat.type("/edit better")
        await seat.read("#1 alice better (edited)")
        await bob.send("react", offset=1, emoji="[red]")
        await seat.read("better (edited)\n  [red] 1")
        await seat.type("/delete #1")
        await seat.read("#1 deleted")
        assert "better" not in seat.messages
        await seat.type("/frob")
        await seat.read("Error: There is no /frob")


async def test_why_a_room_cannot_be_joined_is_told(tmp_path: Path) -> None:
    rules = [{"match": "staff", "join": ["boss"]}]
    async with (
        ChatServer({**kept(tmp_path), "rooms": rules}) as server,
        seated(f"{server.url}/ws") as seat,
    ):
        await seat.type("/join staff")
        await seat.read("Error: staff: You may not join that room")
        await seat.see(lambda: not seat.rooms)


async def test_what_is_unread_is_counted_until_it_is_seen(tmp_path: Path) -> None:
    async with (
        ChatServer(kept(tmp_path)) as server,
        seated(f"{server.url}/ws", "tea", "lobby") as seat,
    ):
        bob = await server.connect("bob", "tea")
        for text in ("one", "two"):
            await bob.request("message", text=text)
        await bob.request("direct", to=seat.app.talk.chat.user, text="Psst!")
        await seat.see(lambda: seat.rooms == [" tea (2)", "▸lobby", " dm:bob (1)"])
        await seat.pilot.press("ctrl+p")
        await seat.read("bob two")
        await seat.see(lambda: seat.rooms == ["▸tea", " lobby", " dm:bob (1)"])
        await seat.type("/msg bob What?")
        await bob.expect("message", text="What?")
        await seat.read("alice What?")
        await seat.see(lambda: seat.rooms == [" tea", " lobby", "▸dm:bob"])
        await seat.type("/join lobby")
        await seat.type("/leave")
        await seat.see(lambda: seat.rooms == [" tea", "▸dm:bob"])
        # The server comes to know what was read: nothing of it is unread for another device.
        async with asyncio.timeout(DEADLINE):
            while sum(each.unread for each in await unread_rooms(seat.app.talk.chat)):
                await seat.pilot.pause(0.05)


async def test_a_long_history_is_read_back(tmp_path: Path) -> None:
    async with ChatServer(kept(tmp_path)) as server:
        bob = await server.connect("bob", "lobby")
        for number in range(1, 301):
            await bob.send("message", text=f"number {number}.")
        await bob.request("message", text="the last one")
        async with (
            FlakyLine(int(server.url.rpartition(":")[2])) as line,
            seated(line.url, "lobby") as seat,
        ):
            await seat.read("the last one")
            assert "number 251." not in seat.messages
            await seat.pilot.press(*["pageup"] * 4)
            await seat.read("number 205.")
            loading = seat.app.query_one("#loading", ProgressBar)
            line.stall()
            await seat.type("/history 1000")
            await seat.see(lambda: loading.display and loading.total == 1000)
            line.heal()
            await seat.read("number 1.")
            await seat.read("That is all that is kept")
            await seat.see(lambda: not loading.display)
            lines = [line.split(" ", 3)[3] for line in seat.messages.splitlines() if "#" in line]
            assert lines == [*(f"number {n}." for n in range(1, 301)), "the last one"]


async def test_the_prompt_completes_and_remembers(tmp_path: Path) -> None:
    async with ChatServer(kept(tmp_path)) as server, seated(f"{server.url}/ws", "lobby") as seat:
        prompt = seat.app.query_one(Prompt)
        await seat.pilot.press("/", "w", "tab", "enter")
        await seat.read("lobby: 1 user(s): alice")
        await seat.pilot.press("/", "l", "tab", "l", "tab")
        assert prompt.value == "/leave lobby"
        await seat.pilot.press("up")
        assert prompt.value == "/who "
        await seat.pilot.press("down")
        assert prompt.value == "/leave lobby"
        # As fast as a terminal hands on what is pasted or typed ahead.
        await seat.type("")
        await seat.pilot.press(*"one", "enter", *"two", "enter")
        await seat.read("alice one")
        await seat.read("alice two")


async def test_quit_leaves(tmp_path: Path) -> None:
    async with ChatServer(kept(tmp_path)) as server, seated(f"{server.url}/ws", "lobby") as seat:
        await seat.type("/quit")
        await seat.see(lambda: seat.app.return_value == 0)


async def test_it_ends_when_the_server_has_closed_for_good(tmp_path: Path) -> None:
    async with ChatServer(kept(tmp_path)) as server, seated(f"{server.url}/ws", "lobby") as seat:
        user = seat.app.talk.chat.user
        assert user is not None
        assert server.chat.kick(user, reason="\x1benough") == 1
        await seat.see(lambda: seat.app.return_value == 1)
        assert seat.app.farewell == "The conversation is over: \\x1benough (3503)"


async def test_a_lost_connection_is_seen_and_what_is_typed_waits(tmp_path: Path) -> None:
    async with (
        ChatServer(kept(tmp_path)) as server,
        FlakyLine(int(server.url.rpartition(":")[2])) as line,
        seated(line.url, "lobby") as seat,
    ):
        line.dead = True
        line.reset()
        await seat.see(lambda: "○ trying again in " in seat.bar("#state"))
        await seat.type("meanwhile")
        await seat.see(lambda: " · 1 waiting" in seat.bar("#state"))
        line.heal()
        await seat.see(lambda: seat.bar("#state") == "● connected as alice · lobby")
        await seat.read("alice meanwhile")


async def test_nothing_is_drawn_while_the_screen_is_taken_down(tmp_path: Path) -> None:
    """The timer goes on while Textual removes one widget after the other."""
    async with ChatServer(kept(tmp_path)) as server:
        async with seated(f"{server.url}/ws", "lobby") as seat:
            pass
        seat.app.refresh_state()
        seat.app._draw()
