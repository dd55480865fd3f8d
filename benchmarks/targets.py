"""What each load is to reach, and whether it did."""

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.inserts import NAME as BARE
from benchmarks.load import Figures
from benchmarks.process import BASE, OURS
from benchmarks.scenarios import Acknowledged, Idle, Load, Storm

RATIO = "times_base"
CPU_RATIO = "times_base_by_cpu"


class Score(NamedTuple):
    """What chatserver reached under a load.

    Attributes:
        value: the number that the load's target is compared with.
        text: the same for people.
        reached: whether it is enough.
    """

    value: float
    text: str
    reached: bool


def base(load: Load) -> str | None:
    """Return whose figures are the 1 of the load's ratios, if it has any."""
    if isinstance(load, Acknowledged):
        return BARE
    return None if isinstance(load, Storm | Idle) else BASE.name


def aim(load: Load) -> str:
    """Say what is to be reached."""
    match load:
        case Idle():
            return f"at most {load.target:g} KB"
        case Storm():
            return f"at most {load.target:g} x the CPU of plain joins"
        case Acknowledged():
            return f"at least {load.target:,.0f} messages/s, or {load.share:g} x {BARE}"
        case _:
            return f"at least {load.target:g} x {BASE.name}"


def score(load: Load, medians: Mapping[str, Figures]) -> Score | None:
    """Compare chatserver's figures with the target; None where they were not all measured."""
    ours = medians.get(OURS.name, {})
    match load:
        case Idle() if ours:
            size = ours["bytes_per_connection"] / 1000
            return Score(size, f"{size:.2f}", size <= load.target)
        case Storm() if ours:
            times = ours["times_plain_joins"]
            return Score(times, f"{times:.2f}", times <= load.target)
        case Acknowledged() if RATIO in ours:
            rate, share = ours["deliveries_per_s"], ours[RATIO]
            reached = rate >= load.target or share >= load.share
            return Score(rate, f"{rate:,.0f}, {share:.2f} x", reached)
        case _ if RATIO in ours:
            times = ours[RATIO]
            return Score(times, f"{times:.2f}", times >= load.target)
    return None
