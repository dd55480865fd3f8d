"""Be the server under torture: one that dies at a point, and perhaps has a bug.

Run as ``python -m tests.torture.victim``. Each line on stdin is an order to serve, as JSON; a
process of its own is forked for it, which spares every life the second that imports take. Stdout
says the process's number, what the server says, and how the process ended.
"""

import json
import os
import signal
import sys
from importlib import import_module
from typing import Final

from chatserver.cli import main
from chatserver.store import checkpoints
from tests.torture.bugs import BUGS
from tests.torture.planting import plant
from tests.torture.points import arm

LIFE: Final = 120
"""Seconds that a server lives at most, should nobody be left to end it."""


def serve(config: str, point: str | None, times: int, bug: str | None) -> None:
    """Be one server, in this process."""
    signal.alarm(LIFE)
    # A life is short: for each part that is copied otherwise, fifty are.
    plant(checkpoints, "PART", 20)
    plant(checkpoints, "LONGEST", 200)
    if bug is not None:
        BUGS[bug].plant()
    if point is not None:
        arm(point, times)
    sys.exit(main(["--config", config]))


if __name__ == "__main__":
    import_module("tests.warm")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            # It says so itself: its parent might say it behind the address that comes next.
            print(f"server {os.getpid()}", flush=True)
            serve(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)
