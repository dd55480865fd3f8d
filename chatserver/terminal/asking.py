"""Ask the server for lists that come in pages."""

from collections.abc import AsyncIterator
from typing import Final, TypeVar

from msgspec import Struct

from chatserver.client import ChatClient, Page

P = TypeVar("P", bound="_Page")

PAGE: Final = 500
"""Messages asked for at once when reading back."""

MOST_MEMBERS: Final = 5000
"""Connections of a room that are asked for; beyond, the list is cut."""


class Unread(Struct, frozen=True):
    """Hold how much of a room the user has not read (docs/protocol.md, `read` and `rooms`)."""

    room: str
    offset: int | None = None
    unread: int = 0


class _Page(Struct, frozen=True, kw_only=True):
    after: int | str | None = None


class _RoomList(_Page, frozen=True):
    rooms: dict[str, int]


class _Member(Struct, frozen=True):
    username: str
    sender: str


class _Members(_Page, frozen=True):
    members: list[_Member]


class _Rooms(_Page, frozen=True):
    rooms: list[Unread]


async def active_rooms(chat: ChatClient) -> dict[str, int]:
    """Return how many connections are in each room; raises as `ChatClient.request`."""
    rooms: dict[str, int] = {}
    async for page in _pages(chat, "list_rooms", _RoomList):
        rooms |= page.rooms
    return rooms


async def members_of(chat: ChatClient, room: str) -> dict[str, str]:
    """Return the names of the users in a room by their ids; raises as `ChatClient.request`."""
    found: list[_Member] = []
    async for page in _pages(chat, "members", _Members, room=room):
        found += page.members
        if len(found) >= MOST_MEMBERS:
            break
    return {member.sender: member.username for member in found}


async def unread_rooms(chat: ChatClient) -> list[Unread]:
    """Return the user's rooms, and what is unread in them; raises as `ChatClient.request`."""
    return [room async for page in _pages(chat, "rooms", _Rooms) for room in page.rooms]


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


async def _pages(
    chat: ChatClient, action: str, kind: type[P], **fields: object
) -> AsyncIterator[P]:
    page: P | None = None
    while page is None or page.after is not None:
        more = {} if page is None else {"after": page.after}
        page = (await chat.request(action, **fields, **more)).to(kind)
        yield page
