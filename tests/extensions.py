"""Name the modules of all extensions: who forks servers loads them once, before the first fork."""

from importlib.metadata import entry_points


def extension_modules() -> list[str]:
    return [
        entry.module
        for group in ("brokers", "middlewares", "plugins")
        for entry in entry_points(group=f"chatserver.{group}")
    ]
