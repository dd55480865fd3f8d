"""Know what `python -m chatserver client` is given."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct

from chatserver.client import ChatClient, GuestFile, connect

URL: Final = "ws://localhost:8765/ws"
"""Where the chat is if nothing else is said."""

ROOM: Final = "lobby"
"""The room that is joined if nothing else is said."""

TOKEN: Final = "CHATSERVER_TOKEN"  # noqa: S105 - the variable's name
"""The environment variable with the token: arguments are seen by every user of the machine."""

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Options(Struct, frozen=True, kw_only=True):
    """Hold what was given.

    Attributes:
        url: Where the chat is.
        name: The name to take; None for that of the token.
        rooms: Rooms to join.
        token: A token, or None for a guest.
        guest_file: Where a guest's token is kept, if anywhere.
        plain: Whether to print lines also on a terminal.
    """

    url: str
    name: str | None
    rooms: list[str]
    token: str | None
    guest_file: Path | None
    plain: bool

    @property
    def needs_name(self) -> bool:
        """Whether the user has to say a name."""
        return self.name is None and self.token is None

    def client(self) -> ChatClient:
        """Return a client, to be entered.

        Raises:
            ValueError: The URL is none of a chat.
        """
        guest = GuestFile(self.guest_file) if self.guest_file else None
        return connect(self.url, token=self.token, username=self.name, guest=guest)


def add_client(subparsers: Subparsers) -> None:
    """Describe the command to argparse."""
    what = "chat in the terminal"
    parser = subparsers.add_parser(
        "client", help=what, description="Chat in the terminal; docs/terminal.md tells more."
    )
    parser.add_argument("url", nargs="?", default=URL, metavar="URL", help=f"by default {URL}")
    parser.add_argument("--name", help="your name; else you are asked")
    parser.add_argument(
        "--room",
        action="append",
        default=[],
        metavar="ROOM",
        help=f"a room to join; may be given several times; by default {ROOM}",
    )
    parser.add_argument("--token", help=f"better in the environment variable {TOKEN}")
    parser.add_argument(
        "--guest-file", type=Path, metavar="FILE", help="keep here who you are without a token"
    )
    parser.add_argument(
        "--plain", action="store_true", help="print lines, as without a terminal, for scripts"
    )


def read_options(given: argparse.Namespace, env: Mapping[str, str] = os.environ) -> Options:
    """Return the options from arguments and environment."""
    return Options(
        url=given.url,
        name=given.name,
        rooms=list(dict.fromkeys(given.room or [ROOM])),
        token=given.token or env.get(TOKEN) or None,
        guest_file=given.guest_file,
        plain=given.plain,
    )
