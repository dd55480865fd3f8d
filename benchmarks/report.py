"""The figures of all runs: their medians, the tables, the JSON file."""

import json
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import machine
from benchmarks.inserts import ROWS
from benchmarks.load import Figures
from benchmarks.process import OURS
from benchmarks.scenarios import Acknowledged, Idle, Load, Storm, Traffic
from benchmarks.targets import CPU_RATIO, RATIO, aim, base, score

BUSY = 0.85
"""The share of its core above which the generator may be what is measured."""

DISTURBED = 0.15
"""The share of a core taken by other work above which a run is not to be trusted."""

PACKAGES = ("chatserver", "aiohttp", "uvloop", "msgspec", "websockets", "python-socketio")


class Column(NamedTuple):
    """How a figure is shown."""

    title: str
    figure: str
    factor: float
    form: str


TRAFFIC = (
    Column("deliveries/s", "deliveries_per_s", 1, ",.0f"),
    Column("x websockets", RATIO, 1, ".2f"),
    Column("x by CPU", CPU_RATIO, 1, ".2f"),
    Column("CPU/delivery us", "server_cpu_per_delivery", 1e6, ".2f"),
    Column("own copy p50 ms", "own_copy_p50", 1e3, ".2f"),
    Column("p99 ms", "own_copy_p99", 1e3, ".2f"),
    Column("server CPU %", "server_share", 100, ".0f"),
    Column("generator CPU %", "generator_share", 100, ".0f"),
)
COLUMNS: dict[type[Load], tuple[Column, ...]] = {
    Traffic: TRAFFIC,
    Acknowledged: (
        Column("messages/s", "deliveries_per_s", 1, ",.0f"),
        Column("x bare", RATIO, 1, ".2f"),
        Column("x by CPU", CPU_RATIO, 1, ".2f"),
        Column("CPU/message us", "server_cpu_per_delivery", 1e6, ".2f"),
        Column("rows/commit", ROWS, 1, ".0f"),
        Column("acknowledged p50 ms", "own_copy_p50", 1e3, ".1f"),
        *TRAFFIC[5:],
    ),
    Storm: (
        Column("joins s", "join_seconds", 1, ".2f"),
        Column("CPU s", "join_cpu_seconds", 1, ".2f"),
        Column("returns s", "return_seconds", 1, ".2f"),
        Column("CPU s", "return_cpu_seconds", 1, ".2f"),
        Column("x joins by CPU", "times_plain_joins", 1, ".2f"),
    ),
    Idle: (
        Column("KB/connection", "bytes_per_connection", 1e-3, ".1f"),
        Column("before MB", "bytes_before", 1e-6, ".1f"),
        Column("after MB", "bytes_after", 1e-6, ".1f"),
    ),
}


class Results:
    """All runs of one benchmark, by load and server, in the order they were made.

    Args:
        seconds: how long each run measured.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started = datetime.now(UTC)
        self._runs: dict[Load, dict[str, list[Figures]]] = {}
        self._errors: dict[Load, dict[str, str]] = {}

    @property
    def failed(self) -> bool:
        """Whether a run did not end."""
        return bool(self._errors)

    def add(self, load: Load, server: str, figures: Figures) -> None:
        """Keep one run."""
        self._runs.setdefault(load, {}).setdefault(server, []).append(figures)

    def fail(self, load: Load, server: str, error: str) -> None:
        """Keep why a run did not end; the figures of its server go without it."""
        self._errors.setdefault(load, {})[server] = error

    def last(self, load: Load, server: str) -> Figures | None:
        """Return the latest run of a server under a load."""
        runs = self._runs.get(load, {}).get(server)
        return runs[-1] if runs else None

    def missed(self, load: Load) -> bool:
        """Return whether a load was measured and its target was not reached."""
        reached = score(load, self._medians(load))
        return reached is not None and not reached.reached

    def table(self, load: Load) -> str:
        """Write the table of one load: a row for each server, the verdict, the warnings."""
        columns = COLUMNS[type(load)]
        medians = self._medians(load)
        rows = [["", *(column.title for column in columns)]]
        rows += [[name, *(_cell(of, column) for column in columns)] for name, of in medians.items()]
        warnings = [f"! {name}: {text}" for name, of in medians.items() for text in _doubts(of)]
        warnings += [f"! {name}: {error}" for name, error in self._errors.get(load, {}).items()]
        return "\n".join([load.title, *_aligned(rows), self._verdict(load), *warnings])

    def write(self, path: Path) -> None:
        """Write all that was measured as JSON: seconds, bytes, shares of one core."""
        document = {
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": self._seconds,
            "machine": machine.describe(),
            "versions": {package: _version(package) for package in PACKAGES},
            "loads": {
                load.name: {
                    "title": load.title,
                    "target": aim(load),
                    "score": score(load, self._medians(load)),
                    "median": self._medians(load),
                    "runs": self._runs.get(load, {}),
                    "errors": self._errors.get(load, {}),
                }
                for load in {**self._runs, **self._errors}
            },
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n")

    def _medians(self, load: Load) -> dict[str, Figures]:
        medians = {
            server: {figure: median(run[figure] for run in runs) for figure in runs[0]}
            for server, runs in self._runs.get(load, {}).items()
        }
        one = medians.get(base(load) or "")
        if one is not None:
            rate, cpu = one["deliveries_per_s"], one["server_cpu_per_delivery"]
            for figures in medians.values():
                figures[RATIO] = figures["deliveries_per_s"] / rate
                figures[CPU_RATIO] = cpu / figures["server_cpu_per_delivery"]
        return medians

    def _verdict(self, load: Load) -> str:
        medians = self._medians(load)
        reached = score(load, medians)
        if reached is None:
            return f"target: {aim(load)}; not measured"
        doubtful = any(_doubts(medians.get(name, {})) for name in (OURS.name, base(load) or ""))
        verdict = "reached" if reached.reached else "MISSED"
        return (
            f"target: {aim(load)}; {reached.text}: {verdict}{', but see below' if doubtful else ''}"
        )


def _cell(figures: Figures, column: Column) -> str:
    value = figures.get(column.figure)
    return "-" if value is None else format(value * column.factor, column.form)


def _doubts(figures: Figures) -> list[str]:
    doubts: list[str] = []
    if figures.get("generator_share", 0) > BUSY:
        doubts.append(f"the generator used over {BUSY:.0%} of its core and may be the bottleneck")
    taken = max(figures.get("server_core_others", 0), figures.get("load_core_others", 0))
    if taken > DISTURBED:
        doubts.append(f"other work took {taken:.0%} of a core; repeat it on a quiet machine")
    return doubts


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
