"""Fixtures for tests of the page: Chromium, servers, and people who visit them.

Test modules take it in by `pytest_plugins`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.e2e.people import ServerProcess, Servers, Visits
from tests.missing import missing

BROWSERS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
"""The shell comes first: it is the same engine and costs half of the CPU, having no windows."""

EXPECT_WITHIN = 40
"""Seconds: on a busy machine a page may take long for what it shows at once otherwise."""

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def find_chromium() -> Path:
    found = next(filter(Path.exists, BROWSERS), None)
    if found is None:
        missing(f"{BROWSERS[0]} is missing: install the system package chromium-headless-shell")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Give the system's Chromium, headless; without one, skip here and fail under CI=true."""
    found = find_chromium()
    expect.set_options(timeout=EXPECT_WITHIN * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def home(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """Give a running server that tests share; each uses rooms and names while it runs.

    It keeps no histories: no test is to see what another one said.
    """
    server = ServerProcess(tmp_path_factory.mktemp("home"), {"broker": "memory"})
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def serve(chromium: Browser, tmp_path: Path) -> AsyncIterator[Servers]:
    """Give a function that starts a server of the test's own."""
    servers = Servers(tmp_path)
    yield servers
    await servers.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser) -> AsyncIterator[Visits]:
    """Give a function that opens the page for one more person."""
    visits = Visits(chromium)
    yield visits
    await visits.end()
