"""Ask the server for lists that come in pages."""

from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from chatserver.client import ChatClient, Page

PAGE: Final = 500
"""Messages asked for at once when reading back."""

MOST_MEMBERS: Final = 5000
"""Connections of a room that are asked for; beyond, the list is cut."""


class Unread(Struct, frozen=True):
    """Hold how much of a room the user has not read (docs/protocol.md, `read` and `rooms`)."""

    room: str
    offset: int | None = None
    unread: int = 0


class _RoomList(Struct, frozen=True):
    rooms: dict[str, int]
    after: str | None = None


class _Member(Struct, frozen=True):
    username: str
    sender: str


class _Members(Struct, frozen=True):
    members: list[_Member]
    after: int | None = None


class _Rooms(Struct, frozen=True):
    rooms: list[Unread]
    after: str | None = None


async def active_rooms(chat: ChatClient) -> dict[str, int]:
    """Return how many connections are in each room; raises as `ChatClient.request`."""
    page = (await chat.request("list_rooms")).to(_RoomList)
    rooms = dict(page.rooms)
    while page.after is not None:
        page = (await chat.request("list_rooms", after=page.after)).to(_RoomList)
        rooms.update(page.rooms)
    return rooms


async def members_of(chat: ChatClient, room: str) -> dict[str, str]:
    """Return the names of the users in a room by their ids; raises as `ChatClient.request`."""
    page = (await chat.request("members", room=room)).to(_Members)
    found = list(page.members)
    while page.after is not None and len(found) < MOST_MEMBERS:
        page = (await chat.request("members", room=room, after=page.after)).to(_Members)
        found += page.members
    return {member.sender: member.username for member in found}


async def unread_rooms(chat: ChatClient) -> list[Unread]:
    """Return the user's rooms, and what is unread in them; raises as `ChatClient.request`."""
    page = (await chat.request("rooms")).to(_Rooms)
    rooms = list(page.rooms)
    while page.after is not None:
        page = (await chat.request("rooms", after=page.after)).to(_Rooms)
        rooms += page.rooms
    return rooms


async def pages_back(
    chat: ChatClient, room: str, before: int | None, count: int
) -> AsyncIterator[Page]:
    """Read messages back from an offset, or the newest, page by page; raises as `history`."""
    while count > 0:
        page = await chat.history(room, before=before, limit=min(count, PAGE))
        yield page
        count -= len(page.events)
        before = page.next
        if not page.more or before is None:
            return
