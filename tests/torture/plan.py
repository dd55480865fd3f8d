"""Plan a run: who takes part and how each life of the server ends, all of it from one seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from tests.torture.bugs import BUGS
from tests.torture.points import POINTS

LENGTHS: Final[Mapping[str, int]] = {"short": 30}
"""Publications kept of rooms that do not keep all."""

RELAXED: Final = frozenset({"loose-1", "loose-2"})
"""Rooms that do not wait for the disk."""

MODERATORS: Final = frozenset({"moderator-1", "moderator-2"})
"""Users who moderate all rooms, as far as a scenario has them."""

SETTLE_WITHIN: Final = 60.0
"""Seconds that clients have to settle; what is still open then is a violation."""


@dataclass(frozen=True)
class AtPoint:
    """The server kills itself at a point.

    Attributes:
        point: Which one.
        times: At the how manieth time there.
    """

    point: str
    times: int

    def __str__(self) -> str:
        return f"killed at {self.point} {self.times}"


@dataclass(frozen=True)
class AtTime:
    """The server is killed some seconds after the clients began to connect."""

    seconds: float

    def __str__(self) -> str:
        return f"killed after {self.seconds:.3f} s"


@dataclass(frozen=True)
class Stopped:
    """The server is stopped in order once so many messages of this life are acknowledged."""

    acknowledged: int

    def __str__(self) -> str:
        return f"stopped after {self.acknowledged} messages"


End = AtPoint | AtTime | Stopped


@dataclass(frozen=True)
class Scenario:
    """Say who takes part and what the server has to go through.

    Attributes:
        lives: How often the server is started, the quiet end not counted.
        ends: What can end a life; they take turns, in an order that the seed decides.
        rooms: The rooms that all are in; see `LENGTHS` and `RELAXED` for what they are like.
        writers, moderators, readers, slow, churners, latecomers, retriers, residents: How many
            clients of each kind.
    """

    lives: int
    ends: Sequence[str]
    rooms: Sequence[str] = ("room-1", "room-2", "loose-1", "short")
    writers: int = 3
    moderators: int = 1
    readers: int = 2
    slow: int = 1
    churners: int = 2
    latecomers: int = 1
    retriers: int = 1
    residents: int = 1


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "points": Scenario(12, tuple(POINTS)),
    "random": Scenario(12, ("time",)),
    "mixed": Scenario(20, (*POINTS, *["time"] * 6, *["stop"] * 2)),
    "crowd": Scenario(
        8,
        ("time", "stop", "mid_broadcast"),
        writers=4,
        readers=10,
        slow=3,
        churners=6,
        latecomers=6,
    ),
    "rooms": Scenario(
        12,
        (*POINTS, "time"),
        rooms=(*(f"room-{number}" for number in range(1, 9)), "loose-1", "short"),
        writers=5,
    ),
    "relaxed": Scenario(12, (*POINTS, "time", "stop"), rooms=tuple(sorted(RELAXED))),
    "steady": Scenario(1, ("early stop",), latecomers=4, retriers=2),
}
"""What can be asked for by name.

In `relaxed` only the first batches of a life wait for the disk. `steady` has no crash and shows
bugs that need none.
"""


@dataclass(frozen=True)
class Plan:
    """Hold everything about a run that chance decides before it begins.

    Attributes:
        name: The scenario's name.
        seed: Where it comes from; the clients draw from it as well.
        scenario: Who takes part.
        ends: How each life ends.
        bug: What the server has wrong, if it is to have something.
        patience: Seconds that clients have to settle.
    """

    name: str
    seed: int
    scenario: Scenario
    ends: tuple[End, ...]
    bug: str | None = None
    patience: float = SETTLE_WITHIN

    def chance(self, purpose: str) -> Random:
        """Return a source of chance of its own for a purpose."""
        return Random(f"{self.seed} {purpose}")

    def __str__(self) -> str:
        what = f"--bug {self.bug}" if self.bug else f"--scenario {self.name}"
        ends = "".join(f"\n  life {life}: {end}" for life, end in enumerate(self.ends, 1))
        return f"{what} --seed {self.seed}{ends}"


def make_plan(
    name: str,
    seed: int,
    *,
    lives: int | None = None,
    ends: Sequence[str] | None = None,
) -> Plan:
    """Make the plan of a scenario; the same arguments make the same plan.

    Args:
        name: The scenario.
        seed: Decides what is left to chance.
        lives: How many lives instead of the scenario's.
        ends: What ends them instead.
    """
    scenario = SCENARIOS[name]
    lives = lives or scenario.lives
    ends = ends or scenario.ends
    chance = Random(f"{seed} plan")
    turns: list[str] = []
    while len(turns) < lives:
        turns += chance.sample(ends, len(ends))
    return Plan(name, seed, scenario, tuple(_end(each, chance) for each in turns[:lives]))


def plan_for(bug: str, seed: int) -> Plan:
    """Make a plan in which a bug of the server shows.

    Args:
        bug: Its name in `BUGS`.
        seed: Decides what is left to chance.
    """
    _, _, end, scenario, patience = BUGS[bug]
    plan = make_plan(scenario, seed, lives=4, ends=[end]) if end else make_plan("steady", seed)
    return replace(plan, bug=bug, patience=patience or plan.patience)


def _end(kind: str, chance: Random) -> End:
    if kind == "time":
        return AtTime(chance.uniform(0.02, 0.5))
    if kind == "stop":
        return Stopped(chance.randint(300, 500))
    if kind == "early stop":
        return Stopped(chance.randint(100, 200))
    return AtPoint(kind, chance.randint(1, 20))
