"""Torture the server: ``python -m tests.torture --scenario mixed --minutes 5``."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.torture.bugs import BUGS
from tests.torture.checker.violations import report
from tests.torture.nursery import Nursery
from tests.torture.outcome import check_saved
from tests.torture.plan import SCENARIOS, make_plan
from tests.torture.run import run

ARTIFACTS: Final = Path(__file__).parents[2] / "artifacts" / "torture"


def main() -> int:
    """Run until the time is over or a promise is broken; return 1 in that case."""
    options = _parser().parse_args()
    if options.check is not None:
        violations = check_saved(options.check)
        print(report(violations) or "no violations")
        return 1 if violations else 0
    until = time.monotonic() + 60 * options.minutes
    seed = options.seed
    with Nursery() as nursery:
        while True:
            bug = BUGS[options.bug] if options.bug else None
            points = (bug.point,) if bug and bug.point else None
            plan = make_plan(options.scenario, seed, points=points, bug=options.bug)
            print(plan, flush=True)
            with TemporaryDirectory(prefix="torture-") as folder:
                outcome = asyncio.run(run(plan, nursery, Path(folder), ARTIFACTS))
            print(outcome, flush=True)
            if outcome.violations or outcome.overdue:
                print(f"kept in {ARTIFACTS}")
                return 1
            if time.monotonic() >= until:
                return 0
            seed += 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture",
        description="Kill servers while clients use them, and check what was promised.",
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="mixed", help="default: mixed")
    parser.add_argument(
        "--seed",
        type=int,
        default=time.time_ns() % 10**6,
        help="of the first run; the next has 1 more",
    )
    parser.add_argument("--minutes", type=float, default=0, help="begin new runs for so long")
    parser.add_argument("--bug", choices=BUGS, help="give the server a bug, to see it caught")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="judge kept logs again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
