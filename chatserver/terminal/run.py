"""Run the client: full screen where there is a terminal, by lines elsewhere."""

import argparse
import asyncio
import io
import logging
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from msgspec.structs import replace

from chatserver.client import ChatClient
from chatserver.terminal.options import read_options
from chatserver.terminal.plain import FAILED, Plain

USAGE: Final = 2
"""As argparse has it."""

INTERRUPTED: Final = 130
"""128 and the number of SIGINT, as shells have it."""

HINT: Final = (
    "-- Textual is not installed, so this is the plain client; for the full screen run"
    " `pip install 'chatserver[tui]'`"
)


def run_client(given: argparse.Namespace) -> int:
    """Chat until the user leaves; return the exit code.

    0 where the user has left, 1 where the chat has ended otherwise, 2 for wrong usage, 130 after
    Ctrl-C.
    """
    options = read_options(given)
    # The screen tells of the connection; lines in between would destroy it.
    logging.getLogger("chatserver.client").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        if options.needs_name:
            if not sys.stdin.isatty():
                print("chatserver: say who you are with --name NAME", file=sys.stderr)
                return USAGE
            options = replace(options, name=_ask("Enter your username: "))
        try:
            chat = options.client()
        except ValueError as error:
            print(f"chatserver: {error}", file=sys.stderr)
            return USAGE
        if not options.plain and _on_a_terminal():
            return _run_app(chat, options.rooms)
        return asyncio.run(Plain(chat, options.rooms).run())
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read this is gone. Python would complain once more when it flushes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run_app(chat: ChatClient, rooms: Sequence[str]) -> int:
    if find_spec("textual") is None:
        print(HINT, file=sys.stderr)
        return asyncio.run(Plain(chat, rooms).run())
    # Only here, as it is an extra.
    from chatserver.terminal.app import ChatApp

    app = ChatApp(chat, rooms)
    code = app.run()
    if app.farewell:
        print(f"chatserver: {app.farewell}", file=sys.stderr)
    return FAILED if code is None else code


def _on_a_terminal() -> bool:
    # Textual draws on the standard error stream.
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _ask(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
