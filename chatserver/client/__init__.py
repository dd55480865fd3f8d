"""A client for chatserver that comes back after every interruption, without loss or duplicate.

What is exported here is documented in docs/client.md. It needs aiohttp's client and msgspec, and
nothing of the server.
"""

from chatserver.client.backoff import Backoff
from chatserver.client.client import ChatClient
from chatserver.client.connect import connect
from chatserver.client.errors import (
    ClientError,
    ClosedError,
    HandshakeError,
    LostError,
    OutboxFullError,
)
from chatserver.client.events import (
    ChatEvent,
    Erased,
    Event,
    Gap,
    GapReason,
    Joined,
    Message,
    Notification,
    Offline,
    Online,
    PlainText,
    Publication,
    Reaction,
    Recovered,
    RoomEvent,
)
from chatserver.client.replies import Found, Page, Reply, Sent
from chatserver.client.room import Room
from chatserver.client.tokens import GuestFile, GuestKeeper, TokenSource
from chatserver.errors import ActionError, ChatError, CloseCode, ErrorCode
from chatserver.positions import Position

__all__ = [
    "ActionError",
    "Backoff",
    "ChatClient",
    "ChatError",
    "ChatEvent",
    "ClientError",
    "CloseCode",
    "ClosedError",
    "Erased",
    "ErrorCode",
    "Event",
    "Found",
    "Gap",
    "GapReason",
    "GuestFile",
    "GuestKeeper",
    "HandshakeError",
    "Joined",
    "LostError",
    "Message",
    "Notification",
    "Offline",
    "Online",
    "OutboxFullError",
    "Page",
    "PlainText",
    "Position",
    "Publication",
    "Reaction",
    "Recovered",
    "Reply",
    "Room",
    "RoomEvent",
    "Sent",
    "TokenSource",
    "connect",
]
