"""Hold what came out of a run, tell it to people, and keep the evidence."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.torture.checker import check
from tests.torture.checker.journals import Journal, exchanges
from tests.torture.checker.streams import read_streams
from tests.torture.checker.violations import Violation, report
from tests.torture.plan import LENGTHS, MODERATORS, RELAXED, Plan

FILE: Final = "chat.db"
"""The server's file, in its data folder and among the evidence."""

KILLS: Final = "kills.txt"
"""How often the server did not end in order, among the evidence."""

ARTIFACTS: Final = Path(__file__).parents[2] / "artifacts" / "torture"
"""Where the evidence of broken promises is kept."""


@dataclass
class Outcome:
    """Hold what came out of a run.

    Attributes:
        plan: What was planned.
        journals: What the clients sent and got.
        killed: How many lives ended by SIGKILL, as planned.
        overdue: The lives that did not come to their planned end.
        stored: Messages that the file holds.
        violations: Promises that were broken.
    """

    plan: Plan
    journals: Sequence[Journal]
    killed: int = 0
    overdue: list[str] = field(default_factory=list)
    stored: int = 0
    violations: list[Violation] = field(default_factory=list)

    def judge(self, data: Path) -> None:
        """Check the journals against the server's file.

        Args:
            data: The server's data folder; the server has to be gone.
        """
        streams = read_streams(data / FILE, LENGTHS, RELAXED)
        self.stored = sum(len(stream.rows) for stream in streams.values())
        self.violations = check(self.journals, streams, MODERATORS, self.kills)

    @property
    def kills(self) -> int:
        """How many lives did not end in order, as planned or not."""
        return self.killed + len(self.overdue)

    @property
    def acknowledged(self) -> int:
        """How many acknowledgements the clients got, those of retries included."""
        return len(self._replies("sent"))

    @property
    def recovered(self) -> int:
        """How many joins brought all that was missed."""
        return sum(reply.get("recovered") is True for reply in self._replies("joined"))

    def _replies(self, action: str) -> list[dict[str, object]]:
        return [
            reply.frame
            for journal in self.journals
            for _, reply in exchanges(journal)
            if reply.frame.get("action") == action
        ]

    def __str__(self) -> str:
        frames = sum(len(journal.entries) for journal in self.journals)
        lines = [
            f"{self.killed} of {len(self.plan.ends)} lives killed, {self.stored} messages stored,"
            f" {self.acknowledged} acknowledgements, {len(self._replies('joined'))} joins of which"
            f" {self.recovered} recovered, {frames} frames checked:"
            f" {len(self.violations)} violations"
        ]
        lines += [f"did not come to its end: {life}" for life in self.overdue]
        if self.violations:
            lines.append(report(self.violations))
        return "\n".join(lines)

    def save(self, data: Path, artifacts: Path) -> Path:
        """Keep journals, report and file; return the folder that has them.

        Args:
            data: The server's data folder.
            artifacts: Where to make the folder; one of the same run is replaced.
        """
        folder = artifacts / f"{self.plan.bug or self.plan.name}-{self.plan.seed}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, journal in enumerate(self.journals, 1):
            journal.save(folder / f"{number:03}-{journal.client}.jsonl")
        for file in data.glob(f"{FILE}*"):
            shutil.copy(file, folder)
        (folder / KILLS).write_text(f"{self.kills}\n")
        (folder / "report.txt").write_text(f"{self.plan}\n{self}\n")
        return folder


def check_saved(folder: Path) -> list[Violation]:
    """Judge again what was kept."""
    journals = [Journal.load(file) for file in sorted(folder.glob("*.jsonl"))]
    streams = read_streams(folder / FILE, LENGTHS, RELAXED)
    return check(journals, streams, MODERATORS, int((folder / KILLS).read_text()))
