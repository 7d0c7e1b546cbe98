"""The cases, the bars that each is held against, and one run of all contenders through them, with its outcomes."""

from collections.abc import Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from tests.acceptance import cards
from tests.acceptance.shelf import Shelf, Stored
from tests.acceptance.test_addressbooks import EDITS, seen

from benchmarks.vs_vdirsyncer.contenders import CONTENDERS, Contender, Cost, Running, Step, Vdirsyncer

EDITED = 100
"""Cards that somebody edits, or half of them all where there are fewer than twice as many."""
IDLE_CYCLES = 20
"""Cycles of which a running twoway's one without news is the mean: one alone is too short for a clock of CPU."""


class Case(NamedTuple):
    """One row of the table: what is run, and how much of vdirsyncer's cost twoway's may be."""

    name: str
    what: str
    step: Step
    edits: bool = False
    cpu: Fraction | None = None
    requests: Fraction | None = Fraction(1)
    contender: str = "running"
    """Which way of running twoway is held against the bars."""
    writes: bool = False


CASES = (
    Case("first", "first sync, right empty", Step(), cpu=Fraction(1), contender="process", writes=True),
    Case("first, again", "- the run after it", Step(), requests=None),
    Case("listing", "no change, by complete listing", Step(snapshot=True), cpu=Fraction(1, 3)),
    Case("token", "no change, by sync token", Step(times=IDLE_CYCLES), cpu=Fraction(1, 50)),
    Case("changed", "{edited} changed on the left", Step(), edits=True, cpu=Fraction(1, 3), writes=True),
    Case("changed, again", "- the run after it", Step(), requests=None),
)
"""In the order in which they follow upon one another. In the run after one that wrote, whoever reads a feed or gets no
ETag for what it wrote sees its own writes again: that is told, so that nobody pays for it unawares."""


def edited(count: int) -> int:
    """How many of so many cards are edited."""
    return min(EDITED, count // 2)


class Told(NamedTuple):
    """What was measured in one run."""

    prepared: dict[str, Cost]
    costs: dict[str, dict[str, Cost]]
    """By case and contender."""
    start_cpu: float
    """Until a running twoway is ready."""


class WrongOutcome(Exception):
    """Both sides do not hold the same, or not what they should."""


def run(folder: Path, server: str, count: int) -> Told:
    """All contenders, turn by turn, through all the cases, each on a fresh set-up. Raises `WrongOutcome`."""
    people = {f"card-{number}.vcf": cards.card(cards.person(number)) for number in range(count)}
    with ExitStack() as stack:
        contenders = [stack.enter_context(kind(folder / name, server)) for name, kind in CONTENDERS.items()]
        for one in contenders:
            office = one.shelves["office"]
            office.server.put_many(office.url, people)
        prepared = {one.name: one.prepare() for one in contenders}
        costs = {case.name: {one.name: go(one, case, count) for one in contenders} for case in CASES}
        return Told(prepared, costs, next(one.start_cpu for one in contenders if isinstance(one, Running)))


def go(one: Contender, case: Case, count: int) -> Cost:
    """One contender's turn at a case, and what came of it."""
    if case.edits:
        edit(one.shelves["office"], count)
    before = {side: shelf.position() for side, shelf in one.shelves.items()}
    expected = one.shelves["office"].cards() if case.writes else {}
    cost = one.run(case.step)
    if case.writes:
        judge(one, case, expected, count)
    elif before != {side: shelf.position() for side, shelf in one.shelves.items()}:
        raise WrongOutcome(f"{one.name}, {case.name}: it wrote, though nothing had changed")
    return cost


def edit(shelf: Shelf, count: int) -> None:
    """Somebody gives cards, spread evenly over all, another value in a property that is mapped."""
    edits = edited(count)
    for at in range(edits):
        name = f"card-{at * count // edits}.vcf"
        old = shelf.get(name)
        name_of, parameter, value, _ = EDITS[at % len(EDITS)]
        new = cards.with_value(old, name_of, value.format(at % 10), parameter)
        if seen(new) == seen(old.decode()):
            raise WrongOutcome(f"{name} has this value already: nothing would be measured")
        shelf.put(name, new)


def judge(one: Contender, case: Case, expected: Mapping[str, Stored], count: int) -> None:
    """The left book is as it was, and the right one holds the same people with the same values, each once.

    Of vdirsyncer all of every card must be the same, of twoway what is mapped.
    """
    left, right = (one.shelves[side].cards() for side in ("office", "home"))
    if left != expected:
        raise WrongOutcome(f"{one.name}, {case.name}: the left book is not as it was")
    if not len(left) == len(right) == count:
        raise WrongOutcome(f"{one.name}, {case.name}: {len(left)} cards left and {len(right)} right, of {count}")
    there = {cards.mail(stored.text): stored.text for stored in right.values()}
    for name, stored in left.items():
        other = there.get(cards.mail(stored.text))
        if other is None or seen(other) != seen(stored.text):
            raise WrongOutcome(f"{one.name}, {case.name}: the right book does not hold what {name} does")
        if isinstance(one, Vdirsyncer) and cards.changed(stored.text, other):
            raise WrongOutcome(f"{one.name}, {case.name}: {name} is not whole in the right book")
