"""Carry out what the user types."""

from typing import Protocol, assert_never

from msgspec import Struct, ValidationError

from chatserver.client import ActionError, ChatClient, ClientError, ErrorCode, Message
from chatserver.names import fold
from chatserver.terminal import commands
from chatserver.terminal.asking import active_rooms
from chatserver.terminal.commands import Command, UsageError
from chatserver.terminal.place import Place
from chatserver.terminal.screen import Screen

NOT_HERE = "Join a room first: /join ROOM"


class Owner(Protocol):
    """What orders need of the talk."""

    chat: ChatClient
    name: str | None
    names: dict[str, str]

    def open(self, room: str) -> Place:
        """Be in a room."""

    def go(self, place: Place | None) -> None:
        """Make a room the present one."""

    async def close(self, place: Place) -> None:
        """Leave a room."""

    def find(self, name: str) -> Place | None:
        """Return the place of this name or title."""

    def title(self, place: Place) -> str:
        """Return what a room is called."""

    async def refresh_members(self, place: Place) -> dict[str, str]:
        """Ask who is in a room."""


class SentTo(Struct, frozen=True):
    """Read where a message to a user went."""

    room: str


class RefusedError(Exception):
    """Report that an order cannot be carried out; its text is for the user."""


class Orders:
    """Carry out orders one at a time, and show what became of them.

    Args:
        talk: Where we are.
        screen: Shows the answers.
    """

    def __init__(self, talk: Owner, screen: Screen) -> None:
        self._talk = talk
        self._screen = screen

    async def carry_out(self, command: Command | UsageError, place: Place | None) -> None:
        """Do what a command says; whatever fails is told in one line.

        Args:
            command: What; what is no command is told as it is.
            place: Where, if we are somewhere.
        """
        if isinstance(command, UsageError):
            self._screen.answer(f"Error: {command}")
            return
        try:
            await self._carry_out(command, place)
        except ActionError as error:
            unknown = error.code == ErrorCode.UNKNOWN_ACTION
            what = f"This server has no /{type(command).__name__.lower()}"
            self._screen.answer(f"Error: {what if unknown else error.message}")
        except TimeoutError:
            self._screen.answer("Error: The server did not answer in time")
        except ValidationError:
            self._screen.answer("Error: The server's answer is not understood")
        except (RefusedError, ClientError, ValueError) as error:
            self._screen.answer(f"Error: {error}")

    async def _carry_out(self, command: Command, place: Place | None) -> None:
        match command:
            case commands.Join(room):
                self._talk.go(self._talk.find(room) or self._talk.open(room))
            case commands.Leave(room):
                await self._leave(place if room is None else self._talk.find(room))
            case commands.Rooms():
                await self._list_rooms()
            case commands.Direct(to, text):
                await self._direct(to, text, place)
            case commands.Nick(name):
                self._talk.name = await self._talk.chat.register(name)
                self._screen.answer(f"Registered as {self._talk.name}")
            case commands.Search(text):
                await self._search(text)
            case commands.Help():
                self._screen.answer(*commands.help_lines())
            case commands.Quit():
                pass  # whoever typed it has left by now
            case _:
                if place is None:
                    raise RefusedError(NOT_HERE)
                await self._carry_out_in(command, place)

    async def _carry_out_in(
        self,
        command: commands.Say
        | commands.Who
        | commands.Edit
        | commands.Delete
        | commands.React
        | commands.History,
        place: Place,
    ) -> None:
        request = self._talk.chat.request
        match command:
            case commands.Say(text):
                sent = await place.room.publish(text)
                place.said = sent.position.offset if sent.position else 0
            case commands.Who():
                members = await self._talk.refresh_members(place)
                count, names = len(members), ", ".join(sorted(members.values()))
                self._screen.answer(f"{self._talk.title(place)}: {count} user(s): {names}")
            case commands.Edit(offset, text):
                offset = offset or self._last(place, self._talk.chat.user)
                await request("edit", room=place.name, offset=offset, text=text)
            case commands.Delete(offset):
                offset = offset or self._last(place, self._talk.chat.user)
                await request("delete", room=place.name, offset=offset)
                place.said = 0
            case commands.React(offset, emoji, remove):
                offset = offset or self._last(place)
                fields = {"offset": offset, "emoji": emoji, "remove": remove}
                await request("react", room=place.name, **fields)
            case commands.History(count):
                await self._screen.history(place, count)
            case _:
                assert_never(command)

    async def _leave(self, place: Place | None) -> None:
        if place is None:
            raise RefusedError("You are not in that room")
        if place.is_direct:
            raise RefusedError("A direct room cannot be left")
        await self._talk.close(place)

    async def _list_rooms(self) -> None:
        rooms = await active_rooms(self._talk.chat)
        lines = [f" {name}: {count} user(s)" for name, count in rooms.items()]
        self._screen.answer("Active rooms:", *lines)

    async def _search(self, text: str) -> None:
        found = await self._talk.chat.search(text)
        messages = [event for event in found.results if isinstance(event, Message)]
        if not messages:
            self._screen.answer("Nothing found")
        for message in reversed(messages):
            self._screen.found(message)
        if found.more:
            self._screen.answer(f"There is more than these {len(messages)}; add a word")

    async def _direct(self, to: str, text: str, place: Place | None) -> None:
        user = to.removeprefix("id:") if to.startswith("id:") else await self._user(to, place)
        reply = await self._talk.chat.request("direct", to=user, text=text)
        self._screen.opened(self._talk.open(reply.to(SentTo).room))

    async def _user(self, name: str, place: Place | None) -> str:
        # Who is here goes first: somebody seen before may have had the name of somebody else.
        here = await self._talk.refresh_members(place) if place is not None else {}
        for names in (here, self._talk.names):
            found = [user for user, each in names.items() if fold(each) == fold(name)]
            if len(found) == 1:
                return found[0]
            if found:
                listed = ", ".join(f"id:{user}" for user in found)
                raise RefusedError(f"Several are or were called {name}: {listed}")
        raise RefusedError(f"Nobody called {name} was seen; /msg id:ID writes to a user id")

    def _last(self, place: Place, user: str | None = None) -> int:
        offset = place.last_message(user)
        if offset is None:
            raise RefusedError("Say which message: #NUMBER")
        return offset
