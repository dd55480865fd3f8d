"""Run the server from the command line: ``python -m chatserver``."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from chatserver import __version__
from chatserver.app import CHAT, create_app
from chatserver.commands import add_commands, run_command
from chatserver.config.load import Settings
from chatserver.errors import ConfigError, StoreError
from chatserver.extension import AnyExtension
from chatserver.logs import escape, set_up
from chatserver.registry import configured_middlewares, configured_plugins, find
from chatserver.server import Server, hosts
from chatserver.terminal.options import add_client
from chatserver.terminal.run import INTERRUPTED, run_client
from chatserver.tls import load as load_tls
from chatserver.upkeep import UpkeepError

OK: Final = 0
FAILED: Final = 1
BAD_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h; wrong usage is argparse's 2."""

FLAGS: Final = {"host": "server.host", "port": "server.port", "log_level": "log.level"}
"""Flags that override a value of the configuration."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code.

    That is 0 ok, 1 failed, 2 usage, 78 bad configuration, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    if options.command == "client":
        return run_client(options)
    flags = {
        key: getattr(options, flag)
        for flag, key in FLAGS.items()
        if getattr(options, flag) is not None
    }

    def load() -> Settings:
        return Settings.load(options.config, os.environ, flags)

    try:
        settings = load()
        if options.command == "plugins":
            return _list_extensions(settings)
        if options.upkeep is not None:
            run_command(settings, options)
            return OK
        if options.check_config:
            return _check(settings)
        set_up(settings.config.log)
        return _serve(settings, load)
    except ConfigError as error:
        print(f"chatserver: {escape(str(error))}", file=sys.stderr)
        return BAD_CONFIG
    except (StoreError, UpkeepError) as error:
        print(f"chatserver: {escape(str(error))}", file=sys.stderr)
        return FAILED
    except OSError as error:
        reason = error.strerror or str(error)
        where = f"{error.filename}: " if error.filename else ""
        print(f"chatserver: {escape(where + reason)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        # A server that listens ends in order instead.
        print("chatserver: interrupted; give the command again", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    # Options may stand before the command or behind it; who is silent behind it changes nothing.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    _add_common(common)
    serving = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    _add_serving(serving)
    parser = argparse.ArgumentParser(
        prog="python -m chatserver",
        description="A realtime chat and messaging server.",
        epilog="Every option of the file can also be given as an environment variable, such as"
        " CHATSERVER_SERVER__PORT=9000. `COMMAND --help` tells more.",
    )
    parser.set_defaults(upkeep=None)
    _add_common(parser)
    _add_serving(parser)
    parser.add_argument("--version", action="version", version=f"chatserver {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    both = [common, serving]
    commands.add_parser("serve", parents=both, help="serve, as without a command")
    commands.add_parser(
        "plugins", parents=both, help="list the plugins and middlewares that are installed"
    )
    add_commands(commands, common)
    add_client(commands)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file; see config.yaml")


def _add_serving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on instead of the file's")
    parser.add_argument("--port", type=int, help="port to listen on instead of the file's")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser.add_argument(
        "--check-config", action="store_true", help="check everything without listening, and exit"
    )


def _serve(settings: Settings, load: Callable[[], Settings]) -> int:
    async def run() -> int:
        server = Server(settings, load)
        await server.run()
        return OK if server.chat.broker.failure is None else FAILED

    try:
        with asyncio.Runner(loop_factory=_loop_factory(settings)) as runner:
            return runner.run(run())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)  # `Server` watches over its ending by it.


def _loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop]:
    choice = settings.config.server.loop
    if choice != "asyncio":
        try:
            import uvloop
        except ImportError:
            if choice == "uvloop":
                raise ConfigError(
                    "server.loop is uvloop, which is not installed; run `pip install uvloop`",
                    settings.where(("server", "loop")),
                ) from None
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop


def _check(settings: Settings) -> int:
    app = create_app(settings)
    hosts(settings)
    load_tls(settings)
    _loop_factory(settings)
    chat = app[CHAT]
    plugins = ", ".join(plugin.name for plugin in chat.plugins)
    middlewares = ", ".join(middleware.name for middleware in chat.middlewares)
    print(f"The configuration is good. Middlewares: {middlewares}. Plugins: {plugins}.")
    return OK


def _list_extensions(settings: Settings) -> int:
    on = {
        "plugin": [name for _, name in configured_plugins(settings)],
        "middleware": [name for _, name in configured_middlewares(settings)],
    }
    chat = create_app(settings)[CHAT]
    loaded: dict[str, dict[str, AnyExtension]] = {
        "plugin": {plugin.name: plugin for plugin in chat.plugins},
        "middleware": {middleware.name: middleware for middleware in chat.middlewares},
    }
    rows = [("KIND", "NAME", "DISTRIBUTION", "STATE", "ACTIONS")]
    for kind, names in on.items():
        installed = find(f"chatserver.{kind}s")
        for name in [*names, *sorted(set(installed) - set(names))]:
            distribution = installed[name][0].distribution if name in installed else "(by `use`)"
            extension = loaded[kind].get(name)
            actions = " ".join(sorted(extension.actions())) if extension else ""
            rows.append((kind, name, distribution, "on" if extension else "off", actions or "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return OK
