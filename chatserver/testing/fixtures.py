"""Offer pytest fixtures; needs pytest-asyncio or pytest-aiohttp in the test environment."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chatserver.testing.kit import ChatServer


@pytest_asyncio.fixture
async def chat(chat_config: dict[str, object]) -> AsyncIterator[ChatServer]:
    """Serve a chat with the configuration of the `chat_config` fixture."""
    async with ChatServer(chat_config) as running:
        yield running


@pytest.fixture
def chat_config() -> dict[str, object]:
    """Return the configuration of the `chat` fixture; override it in a test module."""
    return {}
