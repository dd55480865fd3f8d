"""Compare chatserver with other servers: `python -m benchmarks`, or `make bench`.

Each run starts one server on one core, loads it from another, and ends it. For every load the
servers take turns, and a figure is the median of its repeats, since machines are noisy.

Exit status: 0 all targets reached, 1 a target missed or a run failed, 2 wrong usage.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.client import Client, LoadError, Publisher
from benchmarks.crowd import Crowd
from benchmarks.inserts import NAME as BARE
from benchmarks.inserts import ROWS, run_inserts
from benchmarks.load import Figures, run_idle, run_traffic
from benchmarks.machine import Cores, claim_cores
from benchmarks.process import BASE, DURABLE, OURS, RESULTS, SERVERS, Process, Server, StartError
from benchmarks.report import Results
from benchmarks.scenarios import LOADS, Acknowledged, Idle, Load, Storm, Traffic
from benchmarks.storm import run_storm

NAMES = [*(server.name for server in SERVERS), BARE]

Run = Callable[[], Figures]


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for, print the tables, write the JSON file."""
    options = _parse(arguments)
    loads = [load for load in LOADS if load.name in options.only] or list(LOADS)
    names = [name for name in NAMES if name in options.only] or NAMES
    try:
        cores = claim_cores()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"server on core {cores.server}, load on core {cores.load}", flush=True)
    results = Results(options.seconds)
    for load in loads:
        for turn in range(options.repeat):
            for name, run in _runs(load, cores, options.seconds, results):
                if name in names:
                    _progress(f"{load.name}: {name}, run {turn + 1} of {options.repeat}")
                    try:
                        results.add(load, name, run())
                    except (LoadError, StartError, OSError, ValueError) as error:
                        results.fail(load, name, str(error))
        _progress("")
        print(f"\n{results.table(load)}", flush=True)
    results.write(options.json)
    print(f"\nAll figures: {options.json}")
    return 1 if results.failed or any(map(results.missed, loads)) else 0


def _runs(load: Load, cores: Cores, seconds: float, results: Results) -> Iterator[tuple[str, Run]]:
    servers: tuple[Server, ...] = SERVERS
    if isinstance(load, Acknowledged | Storm):
        servers = (DURABLE,)
    elif isinstance(load, Traffic) and load.durable:
        servers = (DURABLE, BASE)
    for server in servers:
        yield server.name, partial(_run, server, load, cores, seconds)
    if isinstance(load, Acknowledged) and (ours := results.last(load, OURS.name)) is not None:
        yield BARE, partial(run_inserts, cores, load, seconds, round(ours[ROWS]))


def _run(server: Server, load: Load, cores: Cores, seconds: float) -> Figures:
    with Process(server, cores) as process:
        try:
            if isinstance(load, Storm):
                return run_storm(process, load)
            kind = Publisher if isinstance(load, Acknowledged) else Client
            with Crowd(process, kind) as crowd:
                if isinstance(load, Idle):
                    return run_idle(crowd, load)
                figures = run_traffic(crowd, load, seconds)
            if isinstance(load, Acknowledged):
                figures[ROWS] = process.metric("chatserver_stored_total") / process.metric(
                    "chatserver_store_commit_seconds_count"
                )
            return figures
        except (LoadError, OSError, ValueError) as error:
            raise LoadError(f"{error}\n{process.last_words()}".strip()) from error


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    names = [*(load.name for load in LOADS), *NAMES]
    default = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare chatserver with other servers."
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="measured per run (default 3)")
    parser.add_argument("--repeat", type=int, default=3, help="runs per figure (default 3)")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        choices=names,
        metavar="NAME",
        help=f"these loads or servers, of: {', '.join(names)}",
    )
    parser.add_argument(
        "--json", type=Path, default=default, help="where the figures go (default: a new file)"
    )
    options = parser.parse_args(arguments)
    if options.seconds < 0.5 or options.repeat < 1:
        parser.error("--seconds must be at least 0.5 and --repeat at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
