"""Get tokens when they are needed, and keep a guest's where the caller says."""

import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

TokenSource = str | Callable[[], str | Awaitable[str]]
"""A token, or a function or coroutine function that gets one, called whenever one is needed."""

SPENT: Final = 0.8
"""The part of a token's life after which a newer one is brought."""


async def fetch(source: TokenSource) -> str:
    """Return a token; what the source raises passes through."""
    if isinstance(source, str):
        return source
    token = source()
    return await token if inspect.isawaitable(token) else token


def refresh_in(life: float) -> float:
    """Return the seconds until a token that lives for `life` more should be refreshed."""
    return max(1.0, SPENT * life)


class GuestKeeper(Protocol):
    """Keep the token by which a guest stays the same user; treat it like a password."""

    def load(self) -> str | None:
        """Return the token kept last, or None."""

    def save(self, token: str) -> None:
        """Keep a token instead of the one before."""


class GuestFile:
    """Keep a guest's token in a file that only its owner can read.

    Args:
        path: The file; its folder has to be there.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def load(self) -> str | None:
        """Return the token, or None where there is no file."""
        try:
            return self._path.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def save(self, token: str) -> None:
        """Replace the file in one step, so that a crash leaves one or the other."""
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(f"{token}\n", encoding="utf-8")
        fresh.replace(self._path)


class GuestMemory:
    """Keep a guest's token as long as the client lives."""

    def __init__(self) -> None:
        self._token: str | None = None

    def load(self) -> str | None:
        """Return the token kept last, or None."""
        return self._token

    def save(self, token: str) -> None:
        """Keep a token instead of the one before."""
        self._token = token
