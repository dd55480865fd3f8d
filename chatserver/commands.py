"""Offer the store's upkeep on the command line; docs/deploy.md describes each command."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import TypeAlias

from chatserver.broker.embedded import store_file
from chatserver.clock import Stamper
from chatserver.config.load import Settings
from chatserver.upkeep.export import export, size
from chatserver.upkeep.files import appearing
from chatserver.upkeep.load import load
from chatserver.upkeep.progress import Progress
from chatserver.upkeep.tidy import backup, erase, pages, reset_epochs, vacuum

Command = Callable[[Path, argparse.Namespace], None]
"""Carry out a command on the store's file; raises where it cannot."""

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(subparsers: Subparsers, common: argparse.ArgumentParser) -> None:
    """Describe the commands to argparse.

    Args:
        subparsers: Where they are added.
        common: Options that every command has.
    """

    def add(name: str, command: Command, help: str) -> argparse.ArgumentParser:
        parser = subparsers.add_parser(name, parents=[common], help=help, description=help)
        parser.set_defaults(upkeep=command)
        return parser

    out = add("export", _export, "write rooms and messages as JSON lines; a server may be running")
    out.add_argument("--room", default="*", metavar="PATTERN", help="only these; * is anything")
    out.add_argument("--output", type=Path, metavar="FILE", help="a new file; else to the screen")
    into = add("import", _import, "add the rooms of an export, all or none")
    into.add_argument("file", type=Path, metavar="FILE", help="an export; - is standard input")
    gone = add("erase", _erase, "erase all that one user has written")
    gone.add_argument("--user", required=True, metavar="ID", help="the user id (`sender`)")
    add("vacuum", _vacuum, "give the space of removed messages back to the disk")
    add("reset-epoch", _reset_epoch, "tell clients to ask anew, after a file was copied back")
    copy = add("backup", _backup, "copy the database; a server may be running")
    copy.add_argument("file", type=Path, metavar="FILE", help="the new file")


def run_command(settings: Settings, options: argparse.Namespace) -> None:
    """Carry out one of the commands.

    Raises:
        StoreError: The file is another program's or a newer version's.
        UpkeepError: It cannot be done; the file is as it was.
        OSError: A file cannot be read or written.
    """
    command: Command = options.upkeep
    command(store_file(settings.path(settings.config.server.data_dir)), options)


def _export(path: Path, options: argparse.Namespace) -> None:
    progress = Progress("Exporting", size(path), sys.stderr)
    now = Stamper(time).stamp()
    try:
        if options.output is None:
            count = export(path, sys.stdout.buffer, options.room, now, progress)
        else:
            with appearing(options.output) as part, part.open("wb") as out:
                count = export(path, out, options.room, now, progress)
    finally:
        progress.clear()
    _say(f"Exported {count:,} messages")


def _import(path: Path, options: argparse.Namespace) -> None:
    if str(options.file) == "-":
        progress = Progress("Importing, bytes:", 0, sys.stderr)
        lines = sys.stdin.buffer
    else:
        progress = Progress("Importing", options.file.stat().st_size, sys.stderr)
        lines = options.file.open("rb")
    with lines:
        try:
            loaded = load(path, lines, progress)
        finally:
            progress.clear()
    _say(f"Imported {loaded.publications:,} messages in {loaded.rooms:,} rooms")


def _erase(path: Path, options: argparse.Namespace) -> None:
    _say(f"Erased {erase(path, options.user):,} messages of {options.user}")


def _vacuum(path: Path, options: argparse.Namespace) -> None:
    before, after = vacuum(path)
    _say(f"{path} had {before:,} bytes and has {after:,} now")


def _reset_epoch(path: Path, options: argparse.Namespace) -> None:
    _say(f"{reset_epochs(path):,} rooms have a new epoch")


def _backup(path: Path, options: argparse.Namespace) -> None:
    progress = Progress("Copying", pages(path), sys.stderr)
    try:
        size = backup(path, options.file, progress)
    finally:
        progress.clear()
    _say(f"Copied {size:,} bytes to {options.file}")


def _say(text: str) -> None:
    # Not to the standard output, which may be the export itself.
    print(f"{text}.", file=sys.stderr)
