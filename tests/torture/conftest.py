"""Share one nursery among the tests of a file: its imports cost a second."""

from collections.abc import Iterator

import pytest

from tests.torture.nursery import Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started
