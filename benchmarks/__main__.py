"""Compare chatserver with other servers: `python -m benchmarks`, or `make bench`.

Each run starts one server on one core, loads it from another, and ends it. For every load the
servers take turns, and a figure is the median of its repeats, since machines are noisy.

Exit status: 0 all targets reached, 1 a target missed or a run failed, 2 wrong usage.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.client import LoadError
from benchmarks.crowd import Crowd
from benchmarks.load import Figures, run_idle, run_traffic
from benchmarks.machine import Cores, claim_cores
from benchmarks.process import SERVERS, Process, Server, StartError
from benchmarks.report import Results
from benchmarks.scenarios import LOADS, Idle, Load

RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for, print the tables, write the JSON file."""
    options = _parse(arguments)
    loads = [load for load in LOADS if load.name in options.only] or list(LOADS)
    servers = [server for server in SERVERS if server.name in options.only] or list(SERVERS)
    try:
        cores = claim_cores()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"server on core {cores.server}, load on core {cores.load}", flush=True)
    results = Results(options.seconds)
    for load in loads:
        for turn in range(options.repeat):
            for server in servers:
                _progress(f"{load.name}: {server.name}, run {turn + 1} of {options.repeat}")
                try:
                    results.add(load, server.name, _run(server, load, cores, options.seconds))
                except (LoadError, StartError, OSError, ValueError) as error:
                    results.fail(load, server.name, str(error))
        _progress("")
        print(f"\n{results.table(load)}", flush=True)
    results.write(options.json)
    print(f"\nAll figures: {options.json}")
    return 1 if results.failed or any(map(results.missed, loads)) else 0


def _run(server: Server, load: Load, cores: Cores, seconds: float) -> Figures:
    with Process(server, cores) as process, Crowd(process) as crowd:
        try:
            if isinstance(load, Idle):
                return run_idle(crowd, load)
            return run_traffic(crowd, load, seconds)
        except (LoadError, OSError, ValueError) as error:
            raise LoadError(f"{error}\n{process.last_words()}".strip()) from error


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    names = [one.name for one in (*LOADS, *SERVERS)]
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
