"""Run the torture from the command line, and judge again what it kept."""

from pathlib import Path

import pytest

from tests.torture.__main__ import main

pytestmark = pytest.mark.timeout(240)


def test_a_broken_promise_is_told_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--bug", "retry_moved", "--seed", "3", "--artifacts", str(tmp_path)]
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert "--bug retry_moved --seed 3\n  life 1: stopped after " in told
    assert "MOVED, " in told
    kept = tmp_path / "retry_moved-3"
    assert told in (kept / "report.txt").read_text()
    assert main(["--check", str(kept)]) == 1
    again = capsys.readouterr().out
    assert again in told


def test_nothing_is_kept_when_all_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scenario", "steady", "--seed", "3", "--artifacts", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "--scenario steady --seed 3\n" in told
    assert " 0 violations" in told
    assert not list(tmp_path.iterdir())
