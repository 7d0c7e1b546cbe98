"""What a simulated history is made of: the mapping, how both apps behave, how many edits and faults."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twoway.core.model import Instant, Raw, Side
from twoway.core.rules import Blank, Direction, Drift, OnDelete, OnEditedDelete, Policy, Start
from twoway.core.spec import FieldSpec, Location, MappingSpec
from twoway.ports import Consistency, ReceiptShape
from twoway.testing.memory import Manner
from twoway.testing.world import World, plain_spec

MAPPED = ("email", "name", "phone")
UNMAPPED = "note"
FIELDS = (*MAPPED, "segment", UNMAPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a history is made of. `edits` and `faults` are how many there are at most, the shares how soon they come."""

    seed: int
    spec: MappingSpec
    manners: Mapping[Side, Manner]
    edits: int
    faults: int
    edit_share: float
    crash_share: float
    addresses: int
    deletes: bool
    merges: bool
    blanks: bool
    cycles: int = 10


def scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    rng = random.Random(seed * 7919 + 1)
    scoped = rng.random() < 0.25
    return Scenario(
        seed=seed,
        spec=_spec(rng, scoped=scoped),
        manners={side: _manner(rng) for side in Side},
        edits=rng.randint(1, 14),
        faults=rng.choice((0, 1, 2, 4)),
        edit_share=rng.choice((0.03, 0.1, 0.25)),
        crash_share=rng.choice((0.01, 0.05)),
        addresses=rng.choice((3, 30)),
        deletes=rng.random() < 0.6,
        merges=rng.random() < 0.4,
        blanks=rng.random() < 0.3,
    )


def _spec(rng: random.Random, *, scoped: bool) -> MappingSpec:
    plain = plain_spec(MAPPED, start=rng.choice(tuple(Start)))
    fields = list(plain.fields)
    if rng.random() < 0.25:
        fields[-1] = replace(fields[-1], direction=Direction.TO_RIGHT, drift=rng.choice(tuple(Drift)))
    if scoped:
        fields.append(FieldSpec(name="segment", left=Location(path="segment")))
    left = replace(plain.left, delete=rng.choice(tuple(OnDelete)), scope='segment != "out"' if scoped else None)
    return replace(
        plain,
        left=left,
        right=replace(plain.right, delete=rng.choice(tuple(OnDelete))),
        fields=tuple(fields),
        conflict=rng.choice((Policy.LEFT, Policy.RIGHT, Policy.NEWEST, Policy.REVIEW)),
        blank=rng.choice((Blank.PROPAGATE, Blank.PROPAGATE, Blank.FILL, Blank.IGNORE)),
        edited_delete=rng.choice((OnEditedDelete.EDIT, OnEditedDelete.EDIT, OnEditedDelete.REVIEW)),
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
        feed_deletions=rng.random() < 0.7,
        feed_merges=rng.random() < 0.8,
        find=rng.choice((Consistency.CONSISTENT, Consistency.LAGGING)),
        find_fields=frozenset({"email"}) if rng.random() < 0.7 else frozenset(),
        created_times=rng.random() < 0.8,
        field_times=rng.random() < 0.4,
        stores=trimmed if lossy else None,
        declares_form=rng.random() < 0.6,
        page=rng.choice((1, 2, 100)),
        batch=rng.choice((1, 2, 50)),
    )


def trimmed(name: str, value: Raw) -> Raw:
    """What an app stores that drops a trailing "+" of every field but the e-mail address."""
    return value.rstrip("+") if isinstance(value, str) and name != "email" else value


@dataclass(frozen=True, slots=True)
class Sent:
    """What was known of the target when a write left: how long its log was at the last read by id, and the instants
    of the write and of the start of its cycle."""

    read: int
    at: Instant
    began: Instant


@dataclass(slots=True)
class History:
    """A history that was played, with what its checks found."""

    scenario: Scenario
    world: World
    trace: list[str]
    sent: Mapping[str, Sent]
    violations: list[str] = field(default_factory=list)
