"""Random histories under somebody's own mapping: every type, joined names, paths into lists, one-way steps, scopes."""

import pickle
from pathlib import Path

import pytest

from twoway.config.load import load_pair
from twoway.core.model import Record, Side, Write
from twoway.core.types import TYPES
from twoway.engine import apply
from twoway.engine.run import Run
from twoway.state.rows import StagedOperation
from twoway.testing.memory import Change
from twoway.testing.scenarios import Subject
from twoway.testing.selftest import shortest
from twoway.testing.simulator import history

EVERYTHING = """\
pair: everything
left: { account: crm, collection: contacts }
right: { account: crm, collection: people }
start: newest
match: [ref, [last, phone]]
scope:
  left: 'revenue > 100.0 || vip || size(labels) > 1'
  right: 'email.endsWith("@acme.example") || email == null'
create: { on_left: true, on_right: true }
delete: { on_left: delete, on_right: archive }
conflict: newest
on_create:
  right: { kind: person }
fields:
  ref: { left: ref, right: 'ids[kind=crm].value', type: integer }
  last: { left: name.last, right: 'people[role=main].last', case: title }
  email: { left: 'mail[type=work].address', right: mail, type: email, blank: ignore }
  phone: { left: tel, right: 'tels[type=work].nr', type: phone, region: DE }
  full: { left: { join: [a, b, c], with: "-", split: first }, right: whole, trim: true }
  revenue: { left: revenue, right: revenue, type: number, decimals: 2, conflict: max }
  vip: { left: vip, right: vip, type: boolean }
  labels:
    left: { path: labels, delimiter: ";" }
    right: labels
    type: set
    choices: { gold: Gold, silver: Silver, tin: Tin }
  rank: { left: rank, right: level, type: choice, choices: { a: 1, b: 2 } }
  since: { left: { path: since, format: epoch_ms }, right: since, type: datetime, resolution: minute }
  born: { left: born, right: { path: born, format: "%d.%m.%Y" }, type: date, direction: to_left, drift: ignore }
  site: { left: site, right: site, type: url, direction: to_right }
  extra: { left: extra, right: extra, type: json }
  notes: { left: notes, right: notes, type: text, conflict: longest }
  code: { left: code, right: code, to_right: [upper, { prefix: "X-" }], to_left: [{ strip_prefix: "X-" }] }
  short: { left: short, right: short, to_right: [{ truncate: 6 }] }
  agreed:
    type: consent
    left: { path: agreed, opted_out: ["no"], opted_in: "yes" }
    right: { path: agreed, opted_out: [0] }
"""

SEEDS = range(1, 31)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    file: Path = tmp_path_factory.mktemp("pairs") / "everything.yaml"
    file.write_text(EVERYTHING)
    return Subject(load_pair(file).spec)


def test_the_mapping_has_every_type(subject: Subject) -> None:
    assert {one.type for one in subject.spec.fields} == set(TYPES)


def test_the_invariants_hold_under_it(subject: Subject) -> None:
    assert {seed: bad for seed in SEEDS if (bad := history(seed, subject=subject).violations)} == {}


def test_much_of_it_is_met(subject: Subject) -> None:
    """Each field is changed by people and written by the engine, in scope and out of it: else nothing is shown."""
    played = [history(seed, subject=subject) for seed in SEEDS]
    logs: dict[str, list[Change]] = {"human": [], "engine": []}
    for found in played:
        for app in found.world.apps.values():
            for change in app.log:
                logs[change.who].append(change)
    for side in Side:
        fields = set(subject.samples.names[side])
        assert {name for change in logs["human"] for name in change.fields} >= fields - {"kind"}
    written = {name for change in logs["engine"] for name in change.fields}
    assert written >= {
        "ids",
        "people",
        "mail",
        "whole",
        "a",
        "labels",
        "level",
        "since",
        "site",
        "extra",
        "code",
        "kind",
    }
    assert {change.kind for change in logs["engine"]} == {"create", "update", "delete"}


def test_a_history_replays_exactly_also_in_another_process(subject: Subject) -> None:
    again: Subject = pickle.loads(pickle.dumps(subject))
    assert history(7, subject=subject).trace == history(7, subject=again).trace


def test_what_a_mapping_does_not_read_of_a_list_is_watched(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    before = apply._write

    def from_nothing(run: Run, side: Side, operation: StagedOperation, target: Record | None) -> Write:
        return before(run, side, operation, None if target is None else target._replace(values={}))

    monkeypatch.setattr(apply, "_write", from_nothing)
    broken = {one.split(",")[-1] for seed in SEEDS for one in history(seed, subject=subject).violations}
    assert " of which only a part is mapped" in broken


def test_a_sound_history_is_told_as_it_is(subject: Subject) -> None:
    found = history(3, subject=subject)
    assert found.violations == []
    assert found.trace[-1].endswith("END")


def test_a_history_that_fails_is_shortened(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "_still_right", None)
    whole = next(found for seed in SEEDS if (found := history(seed, subject=subject)).violations)
    shorter = shortest(whole.scenario.seed, subject)
    assert {one.split(" in ")[0] for one in shorter.violations} == {"ended by an error: TypeError"}
    assert 0 < len(shorter.trace) < len(whole.trace)
