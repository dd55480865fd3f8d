"""Follow the chat, and do what the user types, one thing after another."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Final

from chatserver.client import (
    ActionError,
    ChatClient,
    ChatEvent,
    ClientError,
    Erased,
    Event,
    Joined,
    Message,
    Notification,
    Offline,
    Online,
    PlainText,
    Publication,
    RoomEvent,
)
from chatserver.pairs import PREFIX, is_direct
from chatserver.terminal.asking import members_of, unread_rooms
from chatserver.terminal.commands import Command, Quit, Say, UsageError, parse
from chatserver.terminal.cursors import Cursors
from chatserver.terminal.orders import Orders
from chatserver.terminal.place import Place
from chatserver.terminal.screen import Screen

PATIENCE: Final = 10.0
"""Seconds in which something that was typed has to get done, or `finish` gives up."""

MOST_WAITING: Final = 1000
"""Typed lines that may wait for their turn."""

TOGETHER: Final = 32
"""Messages that may wait for their acknowledgements."""

RECENT: Final = 10
"""Messages that a room of two begins with where others begin with none: some may have come while
it was being joined."""


class Talk:
    """Be in a chat on behalf of a user.

    Args:
        chat: The client, not entered yet.
        screen: Shows what happens.
        rooms: Rooms to join; the last of them becomes the present one.
        last: How many of the newest messages a room begins with; None for none.
        moves: Whether what is shown counts as read, also on the user's other devices.

    Attributes:
        chat: The client.
        places: The rooms we are in, by name.
        here: The present one.
        name: Our name.
        names: Names of users by their ids, as far as they were seen.
        online: Whether there is a connection.
        state: The same for people.
        waiting: How many lines are typed and not done.
    """

    def __init__(
        self,
        chat: ChatClient,
        screen: Screen,
        *,
        rooms: Sequence[str],
        last: int | None,
        moves: bool,
    ) -> None:
        self.chat = chat
        self.places: dict[str, Place] = {}
        self.here: Place | None = None
        self.name: str | None = None
        self.names: dict[str, str] = {}
        self.online = False
        self.state = "connecting"
        self.waiting = 0
        self._screen = screen
        self._rooms = rooms
        self._last = last
        self._cursors = Cursors(chat) if moves else None
        self._orders = Orders(self, screen)
        self._typed: deque[tuple[Command | UsageError, Place | None]] = deque()
        self._stirred = asyncio.Event()
        self._progress = asyncio.Event()
        self._lost = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Talk until this is cancelled.

        Raises:
            ChatError: The chat is over, or never began: why.
        """
        fault = self._fault = asyncio.get_running_loop().create_future()
        watching = asyncio.create_task(self._watch())
        try:
            async with self.chat:
                for room in self._rooms:
                    self.go(self.open(room))
                self._start(self._work())
                if self._cursors is not None:
                    self._start(self._cursors.run())
                await asyncio.wait({watching, fault}, return_when=asyncio.FIRST_COMPLETED)
                await (fault if fault.done() else watching)
        finally:
            tasks = {watching, *self._tasks}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def type(self, line: str, place: Place | None = None) -> bool:
        """Take a line that the user has typed; what it says is done when its turn comes.

        Returns False for ``/quit``, which is the caller's to do.

        Args:
            line: The line, a command or not.
            place: Where it is meant; None for where we are by then.
        """
        command: Command | UsageError | None
        try:
            command = parse(line)
        except UsageError as error:
            command = error
        if command is None or isinstance(command, Quit):
            return command is None
        self._typed.append((command, place))
        self.waiting += 1
        self._stirred.set()
        self._screen.refresh_state()
        return True

    async def ready(self) -> None:
        """Wait until there is room for another line."""
        while self.waiting >= MOST_WAITING:
            self._progress.clear()
            await self._progress.wait()

    async def finish(self) -> int:
        """Wait until what was typed is done, as long as that makes sense; return what is left."""
        with suppress(TimeoutError):
            while self.waiting and not self._lost:
                self._progress.clear()
                async with asyncio.timeout(PATIENCE):
                    await self._progress.wait()
        return self.waiting

    def open(self, room: str) -> Place:
        """Be in a room, if we are not yet.

        Raises:
            ActionError: ``bad_name``.
            ClientError: The chat is over.
            ValueError: We are, under the name as the server writes it.
        """
        return self.places.get(room) or self._join(room, self._last)

    def go(self, place: Place | None) -> None:
        """Make a room the present one."""
        self.here = place
        if place is not None:
            self.see(place)
        self._screen.refresh_state()

    def see(self, place: Place) -> None:
        """Note that the user sees the newest of a room."""
        place.unread = 0
        position = place.room.position
        if self._cursors is not None and position is not None and position.offset:
            self._cursors.move(place.name, position.offset)

    async def close(self, place: Place) -> None:
        """Leave a room; raises as `ChatClient.leave`."""
        self._forget(place)
        await place.room.leave()

    def find(self, name: str) -> Place | None:
        """Return the place of this name or title."""
        titled = (each for each in self.places.values() if self.title(each) == name)
        return self.places.get(name) or next(titled, None)

    def title(self, place: Place) -> str:
        """Return what a room is called: a room of two by the other's name, behind ``dm:``."""
        other = place.other(self.chat.user)
        return place.name if other is None else f"{PREFIX}{self.names.get(other, other)}"

    async def refresh_members(self, place: Place) -> dict[str, str]:
        """Return the names of the users in a room by their ids; raises as `ChatClient.request`."""
        members = await members_of(self.chat, place.name)
        self.names |= members
        place.members = sorted(members.values())
        self._screen.refresh_state()
        return members

    async def _watch(self) -> None:
        async for event in self.chat:
            self._take(event)
            self._progress.set()
            self._screen.refresh_state()

    def _take(self, event: ChatEvent) -> None:
        match event:
            case Online():
                self.online, self._lost, self.name = True, False, event.username
                self.state = "connected"
                self._stirred.set()
                self._start(self._count_unread())
            case Offline():
                self.online, self._lost = False, True
                self.state = f"trying again in {event.wait:.1f} s: {event.reason}"
            case PlainText():
                self._screen.answer(event.text)
            case Message() if is_direct(event.room):
                self._take_direct(event)
            case Event(action="read", room=str(room), offset=int(offset)):
                self._read_elsewhere(room, offset)
            case _:
                pass  # of plugins that this client knows nothing of

    def _take_direct(self, event: Message) -> None:
        place = self.places.get(event.room)
        if place is None:
            place = self._join(event.room, self._last or RECENT)
            place.begins = 0 if self._last else event.offset or 0
        self._show(place, event)

    def _read_elsewhere(self, room: str, offset: int) -> None:
        place = self.places.get(room)
        if place is not None and place is not self.here:
            place.count_from(offset, 0, self.chat.user)

    async def _count_unread(self) -> None:
        try:
            rooms = await unread_rooms(self.chat)
        except (ActionError, ClientError, TimeoutError):
            return  # then only what comes live is counted
        for told in rooms:
            place = self.open(told.room) if is_direct(told.room) else self.places.get(told.room)
            if place is not None and place is not self.here and told.offset is not None:
                place.count_from(told.offset, told.unread, self.chat.user)
        self._screen.refresh_state()

    def _join(self, room: str, last: int | None) -> Place:
        joined = self.chat.join(room, last=last)
        place = self.places[joined.name] = Place(joined)
        self._start(self._follow(place))
        return place

    async def _follow(self, place: Place) -> None:
        try:
            async for event in place.room:
                self._show(place, event)
        except ActionError as error:
            title = self.title(place)
            self._forget(place)
            # Only now, as what is told in a room goes with it.
            self._screen.answer(f"Error: {title}: {error.message}")
        except ClientError:
            pass  # `run` tells

    def _show(self, place: Place, event: RoomEvent) -> None:
        match event:
            case Joined(position=position) if position is not None:
                place.counted = max(place.counted, position.offset)
                self._screen.happened(place, event, None)
            case Message(offset=int(offset)) if offset < place.begins:
                pass  # said before the user was here
            case Message() | Notification() | Event() | Erased():
                entry = place.transcript.take(event)
                self._learn(event)
                if place is self.here:
                    self.see(place)
                elif entry is not None:
                    place.count(event, self.chat.user)
                self._screen.happened(place, event, entry)
            case _:
                self._screen.happened(place, event, None)
        self._screen.refresh_state()

    def _learn(self, event: Publication) -> None:
        if not isinstance(event, Message | Notification):
            return
        if event.sender is not None and event.username is not None:
            self.names[event.sender] = event.username
            if isinstance(event, Notification) and event.sender == self.chat.user:
                self.name = event.username

    def _forget(self, place: Place) -> None:
        self.places.pop(place.name, None)
        if self.here is place:
            self.go(next(reversed(self.places.values()), None))

    async def _work(self) -> None:
        orders: set[asyncio.Task[None]] = set()
        while True:
            while not self._typed or not self.online:
                self._stirred.clear()
                await self._stirred.wait()
            command, place = self._typed.popleft()
            # What is said may be on its way together, as it keeps its order; the rest may not.
            alone = not isinstance(command, Say)
            if orders and (alone or len(orders) == TOGETHER):
                await asyncio.wait(orders)
                orders.clear()
            orders.add(self._start(self._carry_out(command, place or self.here)))
            if alone:
                await asyncio.wait(orders)

    async def _carry_out(self, command: Command | UsageError, place: Place | None) -> None:
        await self._orders.carry_out(command, place)
        self.waiting -= 1
        self._progress.set()
        self._screen.refresh_state()

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Such as that nobody reads any more what a screen prints.
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._fault is not None and not self._fault.done():
            self._fault.set_exception(error)
