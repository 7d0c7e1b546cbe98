"""The process dies at each fault point in turn, before and after every remote call and every commit.

What it had begun is carried on by the process that starts next on the same state: nothing is doubled, lost or left.
"""

from dataclasses import replace

import pytest

from twoway.core.model import Side
from twoway.core.rules import Direction, OnDelete, Start
from twoway.core.spec import FieldSpec, Location
from twoway.engine import recover
from twoway.testing.clock import VirtualClock
from twoway.testing.crashes import CASES, DECLARED, MANNERS, died_at, every_point, manners
from twoway.testing.memory import MemoryApp, MemoryConnector
from twoway.testing.planted import faults, planted
from twoway.testing.scenarios import Subject
from twoway.testing.world import plain_spec

PLAIN = plain_spec(start=Start.LEFT)
SPEC = replace(PLAIN, right=replace(PLAIN.right, delete=OnDelete.DELETE))


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("case", CASES)
def test_dying_at_any_fault_point_breaks_nothing(manner: str, case: str) -> None:
    found = every_point(case, manner, Subject(SPEC))
    assert found.points > 10
    assert found.broken == {}


def test_every_point_is_reached_and_none_beyond_the_last() -> None:
    last = every_point("delete", "an app with a unique key", Subject(SPEC)).points
    assert died_at(last, "delete", "an app with a unique key", Subject(SPEC)) == (True, [])
    assert died_at(last + 1, "delete", "an app with a unique key", Subject(SPEC)) == (False, [])


def test_a_mapping_of_one_field_that_only_goes_one_way_is_tried_as_well() -> None:
    here = Location(path="email")
    field = FieldSpec(name="email", type="email", left=here, right=here, direction=Direction.TO_RIGHT)
    narrow = replace(PLAIN, fields=(field,))
    for case in CASES:
        assert every_point(case, "an app that keeps our marker", Subject(narrow)).broken == {}, case


def test_what_the_connectors_declare_is_one_more_kind_of_app() -> None:
    app = MemoryConnector(MemoryApp("crm", ("email", "name", "phone"), VirtualClock()))
    assert DECLARED not in manners(Subject(SPEC, {Side.LEFT: app.capabilities}))
    subject = Subject(SPEC, dict.fromkeys(Side, app.capabilities))
    assert manners(subject) == [*MANNERS, DECLARED]
    assert every_point("conflict", DECLARED, subject).broken == {}


def test_an_engine_that_never_looks_after_a_crash_is_found_out() -> None:
    fault = next(one for one in faults() if one.name == "a crash leaves a write in flight for ever")
    with planted(fault):
        found = every_point("create", "an app that only tells when a record was made", Subject(SPEC))
    assert 0 < len(found.broken) < found.points
    assert {one.split(":")[0] for violations in found.broken.values() for one in violations} == {"left alone"}


def test_an_error_of_the_engine_is_told_as_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(recover, "interrupted", breaks)
    reached, violations = died_at(1, "create", "an app with a unique key", Subject(SPEC))
    assert reached
    assert [one.split(" in ")[0] for one in violations] == ["ended by an error: ZeroDivisionError"]
