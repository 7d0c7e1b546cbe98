"""Deliberate faults, to show that the simulator would see them: `python -m twoway.testing.planted`.

Each replaces a part of the engine from outside, one at a time, and names the invariant that must catch it. A fault is
caught when a history violates just this invariant; the same histories without any fault violate none.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from twoway.testing.scenarios import Scenario, scenario
from twoway.testing.simulator import Simulator

MOST = 2_000
"""Histories within which a fault must be caught."""

Shape = Callable[[Scenario], Scenario]
"""Turns the scenario of a seed into one of the kind that provokes a fault."""


@dataclass(slots=True)
class Plant:
    """What is replaced while a fault is planted."""

    undo: list[Callable[[], None]] = field(default_factory=list)

    def put(self, where: Any, name: str, what: Any) -> Any:
        """Replace an attribute of a module or a class; what was there before."""
        before = where.__dict__[name]
        setattr(where, name, what)
        self.undo.append(lambda: setattr(where, name, before))
        return before

    def pull(self) -> None:
        """Put everything back."""
        while self.undo:
            self.undo.pop()()


class Fault(NamedTuple):
    """One deliberate fault. `caught_by` is the invariant that must see it.

    `against` is what it breaks, by the numbers in docs/reliability.md: rules, promises, and complaints.
    """

    name: str
    against: str
    caught_by: str
    plant: Callable[[Plant], None]
    shape: Shape


class Catch(NamedTuple):
    """After how many histories a fault was caught; `None` if it was not. `others` are what else was violated."""

    fault: str
    histories: int | None
    others: tuple[str, ...]


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """The engine with this fault in it."""
    plant = Plant()
    fault.plant(plant)
    try:
        yield
    finally:
        plant.pull()


def violated(chosen: Scenario) -> set[str]:
    """The invariants that a history violates; an error that ends it counts as one."""
    try:
        found = asyncio.run(Simulator(chosen).play())
    except Exception as error:  # noqa: BLE001 - a planted fault may break anything
        return {f"ended by {type(error).__name__}"}
    return {one.split(":")[0] for one in found.violations}


def catch(name: str, most: int = MOST) -> Catch:
    """Play histories with a fault in them until it is caught."""
    fault = next(fault for fault in faults() if fault.name == name)
    others: set[str] = set()
    with planted(fault):
        for seed in range(most):
            bad = violated(fault.shape(scenario(seed)))
            if fault.caught_by in bad:
                return Catch(name, seed + 1, tuple(sorted(others)))
            others |= bad
    return Catch(name, None, tuple(sorted(others)))


def sound(name: str, histories: int) -> set[str]:
    """What these histories violate with no fault in them: nothing."""
    fault = next(fault for fault in faults() if fault.name == name)
    return {one for seed in range(histories) for one in violated(fault.shape(scenario(seed)))}


def faults() -> Sequence[Fault]:
    """All of them."""
    from twoway.testing.planted_faults import FAULTS  # noqa: PLC0415 - they are made of what is above

    return FAULTS


def main() -> int:
    """Print the list; 1 if one is not caught."""
    parser = argparse.ArgumentParser(prog="python -m twoway.testing.planted", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="a part of a fault's name")
    parser.add_argument("--markdown", action="store_true", help="as rows of the table in docs/reliability.md")
    chosen = parser.parse_args()
    wanted = [fault for fault in faults() if chosen.only in fault.name]
    missed = 0
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for fault, caught in zip(wanted, pool.map(catch, [fault.name for fault in wanted]), strict=True):
            missed += caught.histories is None
            told = "MISSED" if caught.histories is None else f"{caught.histories:6}"
            cells = (told, f"{fault.caught_by:22}", f"{fault.name}  [{fault.against}]")
            row = f"| {fault.name} | {fault.against} | {fault.caught_by} | {told.strip()} |"
            print(row if chosen.markdown else "  ".join(cells), flush=True)  # noqa: T201 - the command's own output
    print(f"{len(wanted)} faults, {missed} missed")  # noqa: T201 - the command's own output
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
