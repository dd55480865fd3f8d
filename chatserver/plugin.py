"""Define what a plugin is: a set of actions, with hooks into the life of connections and rooms."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from chatserver.extension import Extension
from chatserver.session import Session, User

if TYPE_CHECKING:
    from aiohttp.web import AbstractRouteDef

C = TypeVar("C")


class Plugin(Extension[C]):
    """Add actions to the server; subclass, mark methods with `action`, and name an entry point.

    The hooks below are plain functions: they run in the middle of a change and must neither wait
    nor block. One that raises is logged and does not disturb the others.
    """

    def on_connect(self, session: Session) -> None:
        """Be told of a new connection, before its first message."""

    def on_disconnect(self, session: Session) -> None:
        """Be told that a connection has ended, after it left its rooms."""

    def on_join(self, session: Session, room: str) -> None:
        """Be told that a session has become a member of a room."""

    def on_leave(self, session: Session, room: str) -> None:
        """Be told that a session has left a room, whatever the way: leave, switch, drop or kick."""

    def on_rename(self, user: User, old: str) -> None:
        """Be told that a user who had a name has got another one."""

    def routes(self) -> "Iterable[AbstractRouteDef]":
        """Return HTTP routes to serve beside the chat; paths are below the chat's prefix."""
        return ()


AnyPlugin = Plugin[Any]
"""A plugin, whatever its configuration."""
