"""Somebody's mapping put to the test, with apps in memory: crashes at every step, and random histories.

    subject = Subject(pair.spec, declared(...))
    for done in crash_everywhere(subject, jobs=2): ...       # a scenario with one kind of app at a time
    for done in play_histories(subject, range(1, 2001), jobs=2): ...

No account, no network, no state file: what is tried is the engine under this mapping, with people and faults that it
may meet. What is found is told as values; nothing is raised for what the engine does wrong.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from twoway.core.mapping import SideMapping
from twoway.core.spec import MappingSpec
from twoway.engine.accounts import needs_times
from twoway.ports import Capabilities, ConnectorContext
from twoway.sdk.registry import find_connector
from twoway.testing.clock import VirtualClock
from twoway.testing.crashes import CASES, Points, every_point, manners
from twoway.testing.scenarios import Subject, scenario
from twoway.testing.simulator import history
from twoway.testing.soak import chunks, smallest, spread


@dataclass(frozen=True, slots=True)
class Played:
    """What some histories came to: how many they were, what happened in them, and how those that failed did."""

    histories: int
    tally: Counter[str]
    failed: Mapping[int, list[str]]
    """By seed."""


@dataclass(frozen=True, slots=True)
class Smallest:
    """The least of a history that still fails in the same way: all that happens in it, and what is violated."""

    trace: list[str]
    violations: list[str]


def crash_everywhere(subject: Subject, jobs: int = 1) -> Iterator[Points]:
    """Every scenario with every kind of app, and a death at each fault point."""
    pairs = [(case, manner) for case in CASES for manner in manners(subject)]
    for _, found in spread(partial(_crash, subject), pairs, jobs):
        yield found


def _crash(subject: Subject, pair: tuple[str, str]) -> Points:
    return every_point(*pair, subject)


def play_histories(subject: Subject, seeds: range, jobs: int = 1) -> Iterator[Played]:
    """The histories of these seeds, some at a time."""
    for _, found in spread(partial(_play, subject), chunks(seeds), jobs):
        yield found


def _play(subject: Subject, seeds: range) -> Played:
    tally: Counter[str] = Counter()
    failed = {}
    for seed in seeds:
        found = history(seed, subject=subject)
        tally.update(found.tally)
        if found.violations:
            failed[seed] = found.violations
    return Played(len(seeds), tally, failed)


def shortest(seed: int, subject: Subject) -> Smallest:
    """A history that fails, without what it does not need for that."""
    without, violations = smallest(scenario(seed, subject), lambda some: history(seed, some, subject).violations)
    return Smallest(history(seed, without, subject).trace, violations)


def declared(app: str, settings: Mapping[str, Any], mapping: SideMapping, spec: MappingSpec) -> Capabilities | None:
    """What the connector of an app declares for one side of a pair; `None` where it does not say so without a login.

    The connector is made with words in place of its secrets, and with a client that cannot reach anything.
    """
    try:
        factory = find_connector(app)
        anywhere = {"base_url": "https://localhost/"} if "base_url" in factory.settings else {}
        context = ConnectorContext(
            account=mapping.account,
            settings={**anywhere, **settings},
            secrets=dict.fromkeys(factory.secrets, "selftest"),
            collection=mapping.collection,
            options=mapping.options,
            fields=mapping.reads,
            times=needs_times(spec),
            clock=VirtualClock(),
            open_http=lambda *_given, **_more: object(),
        )
        found: Capabilities = factory(context).capabilities
    except Exception:  # noqa: BLE001 - a connector of anybody's, made in a way that it need not foresee
        return None
    return found
