"""docs/terminal.md tells all of the terminal client."""

import argparse
import re

import pytest

from chatserver.terminal.commands import FORMS
from chatserver.terminal.options import TOKEN, add_client
from tests.docs.pages import page

DOCS = page("docs/terminal.md")


@pytest.mark.parametrize("name", FORMS)
def test_commands(name: str) -> None:
    written = f"/{name} {FORMS[name].arguments}".strip()
    assert re.search(rf"^\| `{re.escape(written)}` \|", DOCS.text, re.MULTILINE)


def test_options() -> None:
    subparsers = argparse.ArgumentParser().add_subparsers()
    add_client(subparsers)
    given = subparsers.choices["client"].format_help()
    for option in set(re.findall(r"--[a-z-]+", given)) - {"--help"}:
        assert re.search(rf"^\| `{option}\b", DOCS.text, re.MULTILINE), option
    assert TOKEN in DOCS.text
