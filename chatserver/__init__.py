"""A realtime chat and messaging server in one aiohttp application.

What is exported here is the public interface: extensions are written against it, applications embed
with it. Everything else may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from chatserver.context import Context, Handshake, Hub, Outcome
from chatserver.errors import (
    ActionError,
    ChatError,
    CloseCode,
    ConfigError,
    Disconnect,
    ErrorCode,
    Refused,
    StoreError,
)
from chatserver.extension import NoConfig, action
from chatserver.fold import Messages
from chatserver.guard import Guard
from chatserver.history import History
from chatserver.middleware import ConnectNext, MessageNext, Middleware
from chatserver.names import clean_name
from chatserver.pending import Pending
from chatserver.plugin import Plugin
from chatserver.positions import Position
from chatserver.publications import Found, Page, Publication, Published, RoomState, Unread
from chatserver.rights import EVERYWHERE, Grant, Right, Rights
from chatserver.session import Identity, Reply, Session, State, StateKey, User

if TYPE_CHECKING:
    from chatserver.app import CHAT, create_app, setup
    from chatserver.chat import Chat

__version__ = "0.1.0"

__all__ = [
    "CHAT",
    "EVERYWHERE",
    "ActionError",
    "Chat",
    "ChatError",
    "CloseCode",
    "ConfigError",
    "ConnectNext",
    "Context",
    "Disconnect",
    "ErrorCode",
    "Found",
    "Grant",
    "Guard",
    "Handshake",
    "History",
    "Hub",
    "Identity",
    "MessageNext",
    "Messages",
    "Middleware",
    "NoConfig",
    "Outcome",
    "Page",
    "Pending",
    "Plugin",
    "Position",
    "Publication",
    "Published",
    "Refused",
    "Reply",
    "Right",
    "Rights",
    "RoomState",
    "Session",
    "State",
    "StateKey",
    "StoreError",
    "Unread",
    "User",
    "__version__",
    "action",
    "clean_name",
    "create_app",
    "setup",
]

_LAZY = {
    "CHAT": "chatserver.app",
    "Chat": "chatserver.chat",
    "create_app": "chatserver.app",
    "setup": "chatserver.app",
}


def __getattr__(name: str) -> object:
    """Import what needs aiohttp only when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'chatserver' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
