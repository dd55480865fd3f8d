"""chatserver.js under Node, against servers that are killed, restarted and full."""

from pathlib import Path
from typing import Final

import pytest

from tests.web.node import run, tsc

HERE: Final = Path(__file__).parent
RUN_WITHIN: Final = 280
"""Seconds: each of the tests starts servers of its own."""


@pytest.mark.timeout(RUN_WITHIN + 10)
@pytest.mark.parametrize("file", sorted(HERE.glob("*.test.mjs")), ids=lambda file: file.name)
def test_under_node(file: Path) -> None:
    run("--test", "--test-reporter=spec", file, within=RUN_WITHIN)


@pytest.mark.timeout(RUN_WITHIN + 10)
def test_the_types() -> None:
    strict = ["--strict", "--noPropertyAccessFromIndexSignature", "--exactOptionalPropertyTypes"]
    target = ["--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom"]
    run(tsc(), "--noEmit", *strict, *target, HERE / "use.ts", within=RUN_WITHIN)
