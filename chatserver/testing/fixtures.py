"""Offer pytest fixtures; needs pytest-asyncio or pytest-aiohttp in the test environment."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chatserver.testing.kit import ChatServer


@pytest_asyncio.fixture
async def chat(tmp_path: Path, chat_config: dict[str, object]) -> AsyncIterator[ChatServer]:
    """Serve a chat with the configuration of the `chat_config` fixture."""
    server = chat_config.get("server")
    settings = dict(server) if isinstance(server, dict) else {}
    settings.setdefault("data_dir", str(tmp_path / "data"))
    async with ChatServer({**chat_config, "server": settings}) as running:
        yield running


@pytest.fixture
def chat_config() -> dict[str, object]:
    """Return the configuration of the `chat` fixture; override it in a test module."""
    return {}
