"""The process dies at each fault point in turn, before and after every remote call and every commit.

What it had begun is carried on by the process that starts next on the same state: nothing is doubled, lost or left.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from twoway.core.model import Side
from twoway.core.rules import OnDelete, Start
from twoway.engine.cycle import Kind
from twoway.ports import Consistency, ReceiptShape
from twoway.testing.memory import Manner
from twoway.testing.scenarios import Scenario, scenario
from twoway.testing.simulator import Simulator
from twoway.testing.world import World, plain_spec

PLAIN = plain_spec(start=Start.LEFT)
SPEC = replace(PLAIN, right=replace(PLAIN.right, delete=OnDelete.DELETE))

MANNERS = {
    "an app that keeps our marker": Manner(marker=True, receipt=ReceiptShape.VERSION),
    "an app with a unique key": Manner(unique=frozenset({"email"}), find=Consistency.NONE),
    "an app that only tells when a record was made": Manner(
        conditional=False, find=Consistency.NONE, receipt=ReceiptShape.NOTHING
    ),
    "an app whose listings lag": Manner(lag=6_000, find=Consistency.LAGGING, find_fields=frozenset({"email"})),
}


def ann(world: World) -> None:
    world.left.human_create(email="ann@example.org", name="Ann", phone="1")


def linked(world: World) -> None:
    ann(world)
    world.right.human_create(email="ann@example.org", name="Ann", phone="1")


def two_linked(world: World) -> None:
    linked(world)
    world.left.human_create(email="bob@example.org", name="Bob", phone="2")
    world.right.human_create(email="bob@example.org", name="Bob", phone="2")


def nobody(_world: World) -> None:
    pass


def edit(world: World) -> None:
    world.left.human_update("here-1", name="Anna")
    world.right.human_update("there-1", phone="9")


def delete(world: World) -> None:
    world.left.human_delete("here-1")


def delete_and_edit(world: World) -> None:
    world.left.human_delete("here-1")
    world.right.human_update("there-1", name="Anna")


def merge(world: World) -> None:
    world.left.human_merge("here-1", "here-2")
    world.left.human_update("here-2", name="Bob Ann")


def conflict(world: World) -> None:
    world.left.human_update("here-1", name="Anna", phone="7")
    world.right.human_update("there-1", name="Annie")


def batch(world: World) -> None:
    for number in range(3):
        world.left.human_create(email=f"{number}@example.org", name=f"L{number}", phone="1")
        world.right.human_create(email=f"{number}@example.org", name=f"R{number}", phone="1")


Step = Callable[[World], None]
CASES: dict[str, tuple[Step, Step]] = {
    "create": (nobody, ann),
    "update on both sides": (linked, edit),
    "delete": (two_linked, delete),
    "delete against edit": (linked, delete_and_edit),
    "merge": (two_linked, merge),
    "conflict": (linked, conflict),
    "first link of a batch": (nobody, batch),
}


def _scenario(manner: Manner) -> Scenario:
    nothing = {"edits": 0, "faults": 0, "fault_share": 0.0, "crash_share": 0.0, "edit_share": 0.0, "settle": 0}
    return replace(scenario(1), spec=SPEC, manners=dict.fromkeys(Side, manner), by_hand=False, **nothing)  # type: ignore[arg-type]  # by name


async def _crashed_at(number: int, manner: Manner, before: Step, act: Step) -> tuple[bool, list[str]]:
    """Whether there was a fault point of this number, and what the invariants say of the history."""
    simulator = Simulator(_scenario(manner))
    before(simulator.world)
    for snapshot in (True, False):
        await simulator.cycle(Kind.SNAPSHOT if snapshot else Kind.INCREMENTAL, after=20)
    act(simulator.world)
    simulator.crash_at = simulator.points + number
    for _ in range(2):
        await simulator.cycle(after=20)
    reached = simulator.points >= simulator.crash_at
    return reached, (await simulator.judged(rest=4)).violations


@pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS.keys())
@pytest.mark.parametrize(("before", "act"), CASES.values(), ids=CASES.keys())
def test_dying_at_any_fault_point_breaks_nothing(manner: Manner, before: Step, act: Step) -> None:
    number, bad = 0, {}
    reached = True
    while reached:
        number += 1
        reached, violations = asyncio.run(_crashed_at(number, manner, before, act))
        if violations:
            bad[number] = violations
    assert number > 10
    assert bad == {}
