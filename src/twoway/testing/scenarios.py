"""What a simulated history is made of: the mapping, how both apps behave, how many edits and faults.

The mapping is one of the simulator's own, drawn from the seed, or somebody's, as a `Subject` has it.
"""

import random
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial

from twoway.core.mapping import compile_mapping
from twoway.core.model import MARKER, Instant, Raw, Side, Value
from twoway.core.rules import Blank, Direction, Drift, GuardRules, OnDelete, OnEditedDelete, OnLeave, Policy, Start
from twoway.core.spec import FieldSpec, Location, MappingSpec
from twoway.ports import Capabilities, Consistency, ReceiptShape
from twoway.testing.memory import Manner
from twoway.testing.samples import Samples
from twoway.testing.world import World, plain_spec

TEXTS = ("email", "name", "phone")
TAGS = "tags"
CONSENT = "consent"
SEGMENT = "segment"
STAGE = "stage"
"""The fields of the simulator's own mappings. `segment` serves the scope alone."""

OUT = "out"
"""The segment that no scope takes."""


class Subject:
    """A mapping that is tried in place of the simulator's own.

    `capabilities` are what the connectors declare for its two collections, where that is known: the apps in memory
    are then mostly of that kind, but for durations, which stay those of the simulation.
    """

    def __init__(self, spec: MappingSpec, capabilities: Mapping[Side, Capabilities] | None = None) -> None:
        self.spec = spec
        self.capabilities = capabilities or {}
        self.mapping = compile_mapping(spec)
        self.samples = Samples(spec, self.mapping)

    def __reduce__(self) -> tuple[type["Subject"], tuple[MappingSpec, Mapping[Side, Capabilities]]]:
        """What travels to another process: a compiled mapping cannot."""
        return Subject, (self.spec, self.capabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a history is made of. `edits` and `faults` are how many there are at least, the shares how soon they come.

    `without` names edits (`e3`) and faults (`f1`) that are left out, to find the few that matter.
    """

    seed: int
    spec: MappingSpec
    manners: Mapping[Side, Manner]
    edits: int
    faults: int
    edit_share: float
    crash_share: float
    fault_share: float
    addresses: int
    deletes: bool
    merges: bool
    blanks: bool
    by_hand: bool
    settle: int = 0
    cycles: int = 6
    without: frozenset[str] = frozenset()
    subject: Subject | None = None


def scenario(seed: int, subject: Subject | None = None) -> Scenario:
    """The scenario of a seed."""
    rng = random.Random(seed * 7919 + 1)
    if subject is None:
        spec, manners = _spec(rng), {side: _manner(rng) for side in Side}
    else:
        # A guard that holds early is met in a history of a few records, too.
        floor = rng.choice((2, subject.spec.guard.floor, subject.spec.guard.floor))
        spec = replace(subject.spec, guard=replace(subject.spec.guard, floor=floor))
        manners = {side: _manner_of(rng, subject, side) for side in Side}
    # Drawn apart, so that the other histories are what they were before there was any of this.
    apart = random.Random(seed * 6151 + 5)
    manners = {
        side: replace(manner, by_version=manner.by_version or apart.random() < 0.2) for side, manner in manners.items()
    }
    if subject is None and apart.random() < 0.2:
        spec = replace(spec, fields=(*spec.fields, a_choice(apart.choice(("park", "ignore", "keep")))))
    return Scenario(
        seed=seed,
        subject=subject,
        spec=spec,
        manners=manners,
        edits=rng.randint(20, 26),
        faults=rng.randint(3, 6),
        edit_share=rng.choice((0.05, 0.1, 0.25)),
        crash_share=rng.choice((0.003, 0.01)),
        fault_share=rng.choice((1.0, 2.0, 4.0)),
        addresses=rng.choice((4, 30)),
        deletes=rng.random() < 0.6,
        merges=rng.random() < 0.4,
        blanks=rng.random() < 0.3,
        by_hand=rng.random() < 0.6,
        settle=rng.choice((0, 0, 0, 8_000)),
    )


def a_choice(unknown: str) -> FieldSpec:
    """A field in which people at times enter what the mapping does not name; `unknown` is what it says of that."""
    place, choices = Location(path=STAGE), {"lead": "Lead", "won": "Won"}
    return FieldSpec(name=STAGE, type="choice", choices=choices, unknown_choice=unknown, left=place, right=place)


def _spec(rng: random.Random) -> MappingSpec:
    plain = plain_spec(TEXTS, start=rng.choice(tuple(Start)))
    fields = list(plain.fields)
    if rng.random() < 0.25:
        fields[-1] = replace(
            fields[-1],
            direction=rng.choice((Direction.TO_RIGHT, Direction.TO_LEFT)),
            drift=rng.choice(tuple(Drift)),
        )
    if rng.random() < 0.2:
        fields[1] = replace(fields[1], conflict=rng.choice((Policy.LONGEST, Policy.LEFT)))
    if rng.random() < 0.4:
        fields.append(FieldSpec(name=TAGS, type="set", left=Location(path=TAGS), right=Location(path=TAGS)))
    if rng.random() < 0.3:
        where = Location(path=CONSENT, opted_out=("out",), opted_in="in")
        fields.append(FieldSpec(name=CONSENT, type="consent", left=where, right=where))
    scoped = {side: rng.random() < 0.2 for side in Side}
    fields += [
        FieldSpec(name=f"{SEGMENT}_{side}", **{side.value: Location(path=SEGMENT)})  # type: ignore[arg-type]  # by name
        for side in Side
        if scoped[side]
    ]
    sides = {
        side: replace(
            plain.side(side),
            delete=rng.choice(tuple(OnDelete)),
            create=rng.random() < 0.93,
            scope=f'{SEGMENT}_{side} != "{OUT}"' if scoped[side] else None,
        )
        for side in Side
    }
    return replace(
        plain,
        left=sides[Side.LEFT],
        right=sides[Side.RIGHT],
        fields=tuple(fields),
        conflict=rng.choice((Policy.LEFT, Policy.RIGHT, Policy.NEWEST, Policy.REVIEW)),
        blank=rng.choice((Blank.PROPAGATE, Blank.PROPAGATE, Blank.FILL, Blank.IGNORE)),
        edited_delete=rng.choice((OnEditedDelete.EDIT, OnEditedDelete.EDIT, *OnEditedDelete)),
        on_leave=rng.choice(tuple(OnLeave)),
        guard=GuardRules(floor=rng.choice((2, 20, 20))),
    )


def _manner(rng: random.Random) -> Manner:
    lossy, marker = rng.random() < 0.3, rng.random() < 0.4
    return Manner(
        resolution=rng.choice((1, 1000, 4000)),
        lag=rng.choice((0, 0, 6000)),
        conditional=rng.random() < 0.6,
        unique=frozenset({"email"}) if rng.random() < 0.4 else frozenset(),
        marker=marker,
        receipt=rng.choice(tuple(ReceiptShape)),
        feed=rng.random() < 0.9,
        feed_deletions=rng.random() < 0.7,
        feed_merges=rng.random() < 0.8,
        find=rng.choice(tuple(Consistency))
        if not marker
        else rng.choice((Consistency.CONSISTENT, Consistency.LAGGING)),
        find_fields=frozenset({"email"}) if rng.random() < 0.7 else frozenset(),
        created_times=rng.random() < 0.8,
        field_times=rng.random() < 0.4,
        stores=trimmed if lossy else None,
        declares_form=rng.random() < 0.6,
        skew=rng.choice((0, 0, 0, -45_000, 45_000, 3_000)),
        refuses=picky if rng.random() < 0.2 else None,
        drifts=rng.random() < 0.2,
        page=rng.choice((1, 2, 100)),
        batch=rng.choice((1, 2, 50)),
    )


def _manner_of(rng: random.Random, subject: Subject, side: Side) -> Manner:
    """How an app of somebody's pair behaves: mostly as its connector declares, at times in any other way."""
    keys, texts = subject.samples.key_fields(side), subject.samples.text_fields(side)
    drawn = _manner(rng)
    drawn = replace(
        drawn,
        unique=keys if drawn.unique else frozenset(),
        find_fields=keys if drawn.find_fields else frozenset(),
        stores=partial(_trims, texts) if drawn.stores else None,
        refuses=partial(_refuses, texts) if drawn.refuses else None,
    )
    known = subject.capabilities.get(side)
    return drawn if known is None or rng.random() < 0.25 else like(drawn, known, keys)


def like(drawn: Manner, known: Capabilities, keys: AbstractSet[str]) -> Manner:
    """What was drawn, as far as a connector's declaration leaves it open. Durations are those of the simulation."""
    lagging = Consistency.LAGGING in (known.feed, known.snapshot, known.find)
    return replace(
        drawn,
        lag=drawn.lag or 6_000 if lagging else 0,
        conditional=known.conditional,
        unique=frozenset(known.unique & keys),
        marker=MARKER in known.find_fields,
        receipt=known.receipt,
        feed=known.feed is not Consistency.NONE,
        feed_deletions=known.feed_deletions,
        feed_merges=known.feed_merges,
        merges=known.feed_merges or known.hides_merges,
        kinds=known.kinds,
        find=known.find,
        find_fields=frozenset(known.find_fields & keys),
        created_times=known.created_times,
        field_times=known.field_times,
        by_version=known.snapshot_feed,
    )


def _trims(fields: AbstractSet[str], name: str, value: Raw) -> Raw:
    return value.rstrip("+") if name in fields and isinstance(value, str) else value


def _refuses(fields: AbstractSet[str], name: str, value: Raw) -> bool:
    return name in fields and isinstance(value, str) and "!" in value


def trimmed(name: str, value: Raw) -> Raw:
    """What an app stores that drops a trailing "+" of every field but the e-mail address."""
    return value.rstrip("+") if isinstance(value, str) and name != "email" else value


def picky(name: str, value: Raw) -> bool:
    """What an app refuses that takes no "!" in a name."""
    return name == "name" and isinstance(value, str) and "!" in value


@dataclass(frozen=True, slots=True)
class Sent:
    """What was known of the target when a write left: how long its log was at the last read by id, and the instants
    of the write and of the start of its cycle."""

    read: int
    at: Instant
    began: Instant


@dataclass(slots=True)
class History:
    """A history that was played, with what its checks found.

    `hidden` are the records, by app, that a listing kept back which said that it was complete. `verdicts` are the
    values that people chose, `by_hand` how often they did something at twoway itself. `tally` counts what happened.
    """

    scenario: Scenario
    world: World
    samples: Samples
    trace: list[str] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)
    """How long the app's log was when a record was last read by id, since the last decision."""
    sent: dict[str, Sent] = field(default_factory=dict)
    hidden: dict[str, set[str]] = field(default_factory=dict)
    verdicts: list[tuple[str, Value]] = field(default_factory=list)
    freed: set[str] = field(default_factory=set)
    """Records of which a person said what they are linked to, or that they are new."""
    tally: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
