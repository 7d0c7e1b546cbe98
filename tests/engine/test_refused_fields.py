"""A field that an app refuses is set aside with the app's reason; the record's other fields go on."""

from collections.abc import Container
from dataclasses import replace
from typing import Final

import pytest

from tests.engine.worlds import ANN, cycle, cycles, linked, written
from twoway.core.model import Raw, Side
from twoway.core.reconcile import Edit
from twoway.engine import receipts
from twoway.testing.planted import violated
from twoway.testing.planted_ways import narrow
from twoway.testing.scenarios import scenario
from twoway.testing.world import World

_MINUTE = 60.0
_RETRY = 16 * _MINUTE


def _picky(name: str, value: Raw) -> bool:
    return name == "name" and value == "Ann!"


def _refusing() -> World:
    world = linked(World())
    world.right.manner = replace(world.right.manner, refuses=_picky)
    return world


def _aside(world: World) -> list[tuple[str, str | None]]:
    return [(row.code, row.field) for row in world.store.attention.parked()]


def test_the_other_fields_of_the_same_edit_arrive() -> None:
    world = _refusing()
    world.left.human_update("here-1", name="Ann!", phone="2")
    report = cycle(world, after=15)
    assert world.right.live()["there-1"] == {**ANN, "phone": "2"}
    assert (report.counts["failed"], report.counts["updated right"]) == (1, 1)
    assert _aside(world) == [("refused", "name")]
    assert world.left.live()["here-1"] == {**ANN, "name": "Ann!", "phone": "2"}


def test_it_is_not_tried_again_before_its_time() -> None:
    world = _refusing()
    world.left.human_update("here-1", name="Ann!", phone="2")
    cycle(world, after=15)
    done = len(written(world))
    assert [cycle(world, after=15).counts.get("failed", 0) for _ in range(3)] == [0] * 3
    assert len(written(world)) == done
    assert _aside(world) == [("refused", "name")]


def test_once_the_app_takes_it_it_arrives_and_nothing_is_set_aside_any_more() -> None:
    world = _refusing()
    world.left.human_update("here-1", name="Ann!", phone="2")
    cycle(world, after=15)
    world.right.manner = replace(world.right.manner, refuses=None)
    cycles(world, 2, after=_RETRY)
    assert world.right.live()["there-1"] == {**ANN, "name": "Ann!", "phone": "2"}
    assert _aside(world) == []


def test_a_later_edit_of_another_field_arrives_as_well() -> None:
    world = _refusing()
    world.left.human_update("here-1", name="Ann!")
    cycle(world, after=15)
    world.left.human_update("here-1", phone="3")
    cycles(world, 2)
    assert world.right.live()["there-1"] == {**ANN, "phone": "3"}
    assert _aside(world) == [("refused", "name")]


def test_an_edit_on_the_other_side_arrives_as_well() -> None:
    world = _refusing()
    world.left.human_update("here-1", name="Ann!", phone="2")
    cycle(world, after=15)
    world.right.human_update("there-1", email="ann@example.net")
    cycles(world, 3)
    assert world.left.live()["here-1"] == {"email": "ann@example.net", "name": "Ann!", "phone": "2"}
    assert _aside(world) == [("refused", "name")]


def test_the_history_tells_what_was_written_and_what_was_not() -> None:
    world = _refusing()
    world.left.human_update("here-1", name="Ann!", phone="2")
    cycle(world, after=15)
    told = {(row.field, row.old, row.new, row.state) for row in world.store.operations.history()}
    assert told == {("name", "Ann", "Ann!", "never"), ("phone", "1", "2", "never"), ("phone", "1", "2", "done")}


@pytest.mark.parametrize("where", ["before commit:sent", "after commit:sent", "before commit:receipts"])
def test_a_crash_on_the_way_loses_nothing(where: str) -> None:
    world = _refusing()
    world.left.human_update("here-1", name="Ann!", phone="2")
    passed = 0

    def die(name: str) -> None:
        nonlocal passed
        passed += name == where
        if passed == 2 and name == where:
            raise KeyboardInterrupt

    world.fault = die
    with pytest.raises(KeyboardInterrupt):
        cycle(world, after=15)
    world.fault = lambda _name: None
    world.start()
    cycles(world, 6, after=_RETRY)
    assert world.right.live()["there-1"] == {**ANN, "phone": "2"}
    assert [one for one in written(world) if one[0] is Side.RIGHT].count((Side.RIGHT, "update", "there-1")) == 1


HISTORIES: Final = 200


def _half(name: str, value: Raw) -> bool:
    return name != "email" and isinstance(value, str) and sum(map(ord, value)) % 2 == 0


def test_whatever_happens_while_apps_refuse_half_of_all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random histories with faults, crashes and people who edit several fields of a record between two cycles."""
    alone: list[Edit] = []

    def counted(edit: Edit, names: Container[str]) -> Edit:
        alone.append(edit)
        return narrowed(edit, names)

    narrowed = receipts.narrowed
    monkeypatch.setattr(receipts, "narrowed", counted)
    shape = narrow("name", "phone", manner_refuses=_half, edit_share=0.3, edits=60, cycles=14, addresses=30)
    bad = {seed: found for seed in range(HISTORIES) if (found := violated(shape(scenario(seed))))}
    assert bad == {}
    assert len(alone) > HISTORIES / 20, "in these histories hardly anything goes on without a field"
