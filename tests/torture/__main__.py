"""Torture the server: ``python -m tests.torture --minutes 5``."""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.torture.bugs import BUGS
from tests.torture.checker.violations import report
from tests.torture.nursery import Nursery
from tests.torture.outcome import ARTIFACTS, check_saved
from tests.torture.plan import SCENARIOS, make_plan, plan_for
from tests.torture.run import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the time is over or a promise is broken; return 1 in that case."""
    options = _parser().parse_args(arguments)
    # Clients of the library lose their servers all the time, and would tell.
    logging.getLogger("chatserver.client").setLevel(logging.ERROR)
    if options.check is not None:
        violations = check_saved(options.check)
        print(report(violations) or "no violations")
        return 1 if violations else 0
    until = time.monotonic() + 60 * options.minutes
    seed = options.seed
    with Nursery() as nursery:
        while True:
            scenario = options.scenario or list(SCENARIOS)[seed % len(SCENARIOS)]
            plan = plan_for(options.bug, seed) if options.bug else make_plan(scenario, seed)
            print(plan, flush=True)
            with TemporaryDirectory(prefix="torture-") as folder:
                outcome = asyncio.run(run(plan, nursery, Path(folder), options.artifacts))
            print(outcome, flush=True)
            if outcome.violations or outcome.overdue:
                return 1
            if time.monotonic() >= until:
                return 0
            seed += 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture",
        description="Kill servers while clients use them, and check what was promised.",
    )
    parser.add_argument("--scenario", choices=SCENARIOS, help="default: all of them in turn")
    parser.add_argument(
        "--seed",
        type=int,
        default=time.time_ns() % 10**6,
        help="decides all that is left to chance; each further run has 1 more",
    )
    parser.add_argument("--minutes", type=float, default=0, help="begin new runs for so long")
    parser.add_argument("--bug", choices=BUGS, help="see a bug of the server being caught")
    parser.add_argument(
        "--artifacts", type=Path, default=ARTIFACTS, help="where to keep logs of broken promises"
    )
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="judge kept logs again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
