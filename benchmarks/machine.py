"""The machine the benchmark runs on: two cores of it, and what else they are busy with."""

import os
import platform
import resource
import sys
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")


class Cores(NamedTuple):
    """Which core each side runs on."""

    server: int
    load: int


def claim_cores() -> Cores:
    """Choose two cores, pin this process to the second, and allow it as many open files as it can.

    Raises:
        RuntimeError: fewer than two cores, or no Linux.
    """
    if sys.platform != "linux":
        raise RuntimeError("the benchmark needs Linux: it pins processes and reads /proc")
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise RuntimeError("the benchmark needs two cores: one for the server, one for the load")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cores = Cores(allowed[0], allowed[-1])
    os.sched_setaffinity(0, {cores.load})
    return cores


def busy_seconds(core: int) -> float:
    """Return how long a core has been busy, or taken away by the hypervisor, since the boot.

    The kernel samples this at its clock tick: over seconds it is right to some percent.
    """
    for line in Path("/proc/stat").read_text().splitlines():
        name, *columns = line.split()
        if name == f"cpu{core}":
            # See proc(5); guests' time is in user time already.
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, columns[:8])
            return (user + nice + system + irq + softirq + steal) / _TICK
    raise RuntimeError(f"/proc/stat does not list core {core}")


def describe() -> dict[str, str | int | None]:
    """Describe what figures depend on, for the JSON file."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "system": platform.platform(),
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
