"""Share fixtures with all tests, and put these in order."""

import gc
import signal
from collections.abc import Generator, Iterator, Sequence
from typing import Final

import pytest
from hypothesis import settings

from tests.ports import kept_port

# On a busy machine a deadline of property tests measures the machine.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

pytest_plugins = ["chatserver.testing.fixtures"]

FIRST: Final[Sequence[str]] = ("torture", "web", "e2e")
"""The folders whose files take long: at the end every worker is to have something left to do."""


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """Give a port that stays unused, unlike the one of pytest-asyncio's fixture."""
    with kept_port() as port:
        yield port


def pytest_configure() -> None:
    # A shell starts what runs in its background so that Ctrl-C is ignored; programs inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # What is collected stays to the end: to look for garbage in it costs a third of collecting.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return FIRST.index(folder) if folder in FIRST else len(FIRST)

    items.sort(key=turn)
