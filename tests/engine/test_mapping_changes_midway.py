"""A mapping file that is edited while something is under way: writes in doubt, plans, undos, crashes, further edits."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.found import ANN, Loses, cycles, dying, linked, undo
from tests.engine.remapped import LEFT, MORE, PHONE_MOVED, RIGHT, NoListing, at, bases, reads, told
from twoway.core.model import Kind as Write
from twoway.core.model import Side, Value
from twoway.core.plan import State
from twoway.core.reconcile import Edit
from twoway.core.rules import OnDelete
from twoway.core.spec import MappingSpec
from twoway.engine import remap
from twoway.engine.cycle import Ending, Kind
from twoway.engine.plans import Plan, dry_run
from twoway.engine.undo import plan_undo
from twoway.ports import Consistency
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec


@pytest.fixture(autouse=True)
def _anew() -> None:
    Loses.lost = 0


# -- several changes, and crashes


@pytest.mark.parametrize("seen", [True, False], ids=["after a cycle", "after one that came to nothing"])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param([PHONE_MOVED, plain_spec()], id="there and back"),
        pytest.param([at(plain_spec(), "phone", right=None), plain_spec()], id="out and in"),
        pytest.param([at(plain_spec(), "phone", left="mobile"), PHONE_MOVED], id="one side, then the other"),
        pytest.param([PHONE_MOVED, at(plain_spec(), "phone", left="mobile")], id="the other side, then the one"),
    ],
)
def test_two_changes_leave_a_difference_to_a_person_and_no_value_overwritten(
    path: Sequence[MappingSpec], seen: bool
) -> None:
    world = World(plain_spec(), fields=MORE)
    here, there = {**ANN, "phone": "1", "mobile": "5"}, {**ANN, "phone": "1", "mobile": "7"}
    world.left.human_create(**here)
    world.right.human_create(**there)
    cycles(world, 2)
    for spec in path[:-1]:
        if not seen:
            reads(world, NoListing, world.right)
        world.start(spec)
        cycles(world, 1)
        reads(world, MemoryConnector)
    # An edit that the last mapping reads as one of a field without a base.
    last = next(one for one in path[-1].fields if one.name == "phone")
    assert last.left is not None
    world.left.human_update("here-1", **{str(last.left.path): "6"})
    world.start(path[-1])
    cycles(world, 3)
    assert last.right is not None
    assert told(world)[2] == [("phone", "6", there[str(last.right.path)])]
    assert world.right.live() == {"there-1": there}


@pytest.mark.parametrize("where", ["before commit:begin", "after commit:begin", "after commit:observe:here"])
def test_a_crash_about_the_change_changes_nothing_of_the_outcome(where: str) -> None:
    world = World(plain_spec(), fields=MORE)
    linked(world)
    world.right.human_update("there-1", mobile="7")
    world.left.human_update("here-1", name="Anna")
    world.start(PHONE_MOVED)
    dying(world, where)
    world.start()
    cycles(world, 2)
    assert told(world) == (
        {"here-1": {**ANN, "name": "Anna"}},
        {"there-1": {**ANN, "name": "Anna", "mobile": "7"}},
        [("phone", "1", "7")],
    )


def test_there_and_back_before_anything_was_read_leaves_no_field_without_a_base() -> None:
    world = World(plain_spec(), fields=MORE)
    linked(world)
    cycles(world, 2, kind=Kind.SNAPSHOT)
    reads(world, NoListing)
    world.start(PHONE_MOVED)
    assert cycles(world, 1) == [Ending.FAILED]
    reads(world, MemoryConnector)
    world.start(plain_spec())
    cycles(world, 1)
    assert bases(world) == {LEFT: ANN, RIGHT: ANN}
    world.left.human_update("here-1", phone="2")
    cycles(world, 1)
    assert world.right.live()["there-1"] == {**ANN, "phone": "2"}


# -- plans and undo


def _plan(world: World) -> Plan:
    return asyncio.run(dry_run(world.pair, world.store, world.clock, Kind.INCREMENTAL))


def test_a_plan_shows_what_the_new_mapping_would_do_and_changes_nothing(tmp_path: Path) -> None:
    world = World(plain_spec(), fields=MORE, path=f"{tmp_path}/state.db")
    linked(world)
    before = world.store.db.run("SELECT * FROM link").fetchall(), world.store.pairs.get(world.pair.name)
    world.start(PHONE_MOVED)
    (line,) = _plan(world).lines
    assert (line.side, line.changes) == (RIGHT, {"phone": (None, "1")})
    assert (world.store.db.run("SELECT * FROM link").fetchall(), world.store.pairs.get(world.pair.name)) == before
    cycles(world, 1)
    assert world.right.live()["there-1"]["mobile"] == "1"


@pytest.mark.parametrize("where", ["before commit:sent", "after commit:sent"], ids=["waits", "is in doubt"])
@pytest.mark.parametrize("field", ["phone", "name"], ids=["of that field", "of another"])
def test_an_undo_that_is_not_done_is_not_written_under_another_mapping(where: str, field: str) -> None:
    world = World(plain_spec(), fields=MORE)
    linked(world)
    world.left.human_update("here-1", **{field: "2"})
    cycles(world, 1)
    done = world.store.pairs.cycles(world.pair.id, limit=1)[0].id
    dying(world, where, lambda: undo(world, done))
    world.right.human_update("there-1", mobile="2")
    world.start(PHONE_MOVED)
    world.left.human_update("here-1", phone="2")
    cycles(world, 5, after=15)
    live = [State.PLANNED, State.HELD, State.SENT, State.UNKNOWN]
    assert world.store.operations.in_state(world.pair.id, *live) == []
    assert world.right.live()["there-1"] == {**ANN, field: "2", "mobile": "2"}


# -- writes of which the answer was lost


def _in_doubt(**ann: str) -> World:
    """Ann was created on the right, and the answer was lost."""
    blind = Manner(resolution=1, find=Consistency.NONE)
    world = World(plain_spec(), connect=Loses, manners={RIGHT: blind}, fields=MORE)
    cycles(world, 1)
    world.left.human_create(**ann)
    Loses.lost = 1
    cycles(world, 1)
    assert len(world.right.live()) == 1
    return world


def test_a_create_in_doubt_is_recognised_without_a_field_that_is_mapped_no_longer() -> None:
    world = _in_doubt(name="Ann", phone="1")
    plain = plain_spec()
    world.start(replace(plain, fields=plain.fields[:-1]))
    cycles(world, 4, after=15)
    assert len(world.right.live()) == world.store.links.count(world.pair.id) == 1


def test_a_create_in_doubt_is_recognised_without_a_field_that_has_another_place() -> None:
    world = _in_doubt(name="Ann", phone="1")
    world.start(PHONE_MOVED)
    cycles(world, 5, after=15)
    assert list(world.right.live().values()) == [{"name": "Ann", "phone": "1", "mobile": "1"}]


def test_an_update_in_doubt_is_told_by_the_fields_that_mean_the_same() -> None:
    world = World(plain_spec(), connect=Loses, fields=MORE)
    linked(world)
    world.left.human_update("here-1", name="Anna", phone="2")
    Loses.lost = 1
    cycles(world, 1)
    world.right.human_update("there-1", mobile="7")
    world.start(PHONE_MOVED)
    cycles(world, 5, after=15)
    assert told(world)[2] == [("phone", "2", "7")]
    assert world.right.live()["there-1"] == {**ANN, "name": "Anna", "phone": "2", "mobile": "7"}
    assert {row.state for row in world.store.operations.history(pair=world.pair.id, field="name")} == {"done"}


def test_an_update_in_doubt_gives_no_base_to_a_side_on_which_the_field_has_another_place() -> None:
    world = World(plain_spec(), connect=Loses, fields=MORE)
    world.left.human_create(**ANN, mobile="5")
    world.right.human_create(**ANN)
    cycles(world, 2)
    world.left.human_update("here-1", name="Anna", phone="2")
    Loses.lost = 1
    cycles(world, 1)
    world.start(at(plain_spec(), "phone", left="mobile"))
    cycles(world, 5, after=15)
    assert told(world)[2] == [("phone", "5", "2")]
    assert world.right.live()["there-1"] == {**ANN, "name": "Anna", "phone": "2"}


def test_a_removal_in_doubt_is_looked_up_as_ever() -> None:
    plain = plain_spec()
    world = World(replace(plain, right=replace(plain.right, delete=OnDelete.DELETE)), connect=Loses, fields=MORE)
    linked(world)
    world.left.human_delete("here-1")
    Loses.lost = 1
    cycles(world, 1)
    assert world.right.live() == {}
    world.start(replace(PHONE_MOVED, right=replace(plain.right, delete=OnDelete.DELETE)))
    # The record that nobody lists any more is all that was linked: a person lets it pass.
    cycles(world, 1, after=15)
    world.approve()
    cycles(world, 3, after=15)
    assert world.store.operations.in_state(world.pair.id, State.SENT, State.UNKNOWN) == []
    assert world.store.links.count(world.pair.id) == 0


_SENT: dict[str, Value] = {"email": "e", "name": "n", "phone": "p"}
_SETS: dict[str, tuple[list[str], list[str]]] = {"name": (["n"], []), "phone": (["p"], [])}


@pytest.mark.parametrize(
    ("kind", "fields", "changed", "given"),
    [
        pytest.param(Write.UPDATE, ((), ()), "email name phone", "email name phone", id="nothing is altered"),
        pytest.param(Write.UPDATE, ((), ("phone",)), "email name", "email name", id="where it was written"),
        pytest.param(Write.UPDATE, (("phone",), ()), "email name phone", "email name", id="where it came from"),
        pytest.param(
            Write.UPDATE, ((), ("email",)), "name phone", "name phone", id="the key of a record that is known"
        ),
        pytest.param(Write.CREATE, ((), ("phone",)), "email name", "email name", id="of a new record"),
        pytest.param(Write.CREATE, ((), ("email",)), "", "name phone", id="the key of a new record"),
        pytest.param(Write.CREATE, (("email",), ()), "email name phone", "name phone", id="the key where it came from"),
        pytest.param(Write.DELETE, (("name",), ("email",)), "email name phone", "email name phone", id="a removal"),
        pytest.param(Write.ARCHIVE, (("name",), ("email",)), "email name phone", "email name phone", id="an archiving"),
    ],
)
def test_what_can_still_be_told_of_a_write_in_doubt(
    kind: Write, fields: tuple[tuple[str, ...], tuple[str, ...]], changed: str, given: str
) -> None:
    rules = dict.fromkeys([*_SENT, "*"], "changed")
    edit = Edit(RIGHT, kind, _SENT, {**_SENT, "email": None}, _SENT, _SETS, rules)
    still = remap._still(edit, dict(zip(Side, fields, strict=True)), frozenset({"email"}))
    assert (still.side, still.kind) == (edit.side, edit.kind)
    assert set(still.changed) == set(still.expect) == set(changed.split())
    assert set(still.rules) == {*changed.split(), "*"}
    assert set(still.given) == set(given.split())
    assert set(still.deltas) == _SETS.keys() & set(given.split())
    assert all(still.changed[name] == edit.changed[name] for name in still.changed)


def test_a_create_in_doubt_whose_key_has_another_place_is_a_persons_to_find() -> None:
    """What looks the same by what is left may be somebody else."""
    world = _in_doubt(email="ann@example.org", name="Ann")
    world.right.human_create(name="Ann", mobile="else@example.org")
    world.right.human_delete("there-1")
    world.start(at(plain_spec(), "email", right="mobile"))
    cycles(world, 5, after=15)
    assert world.store.links.count(world.pair.id) == 0
    assert {one.code for one in world.store.attention.parked()} == {"in doubt"}
    assert len(world.left.live()) == 1


def test_an_update_in_doubt_of_which_nothing_means_the_same_is_decided_again() -> None:
    world = World(plain_spec(), connect=Loses, fields=MORE)
    linked(world)
    world.left.human_update("here-1", phone="2")
    Loses.lost = 1
    cycles(world, 1)
    world.start(PHONE_MOVED)
    cycles(world, 5, after=15)
    assert world.right.live()["there-1"] == {**ANN, "phone": "2", "mobile": "2"}
    history = world.store.operations.history(pair=world.pair.id, field="phone")
    assert [(row.old, row.new, row.state) for row in history] == [(None, "2", "done"), ("1", "2", "unknown")]


def test_an_undo_spares_a_field_that_meant_something_else() -> None:
    world = World(plain_spec(), fields=MORE)
    linked(world)
    world.left.human_update("here-1", name="Anna", phone="2")
    cycles(world, 1)
    done = world.store.pairs.cycles(world.pair.id, limit=1)[0].id
    world.start(PHONE_MOVED)
    cycles(world, 2)
    assert world.right.live()["there-1"]["mobile"] == "2"
    plan = plan_undo(world.pair, world.store, done)
    assert plan.left_alone == ("there:there-1 phone: the mapping reads it otherwise by now",)
    undo(world, done, plan)
    assert world.right.live()["there-1"] == {**ANN, "phone": "2", "mobile": "2"}


def test_an_undo_takes_no_record_away_of_which_a_field_is_read_otherwise() -> None:
    world = World(plain_spec(), fields=MORE)
    world.left.human_create(**ANN)
    cycles(world, 1)
    (made,) = world.store.pairs.cycles(world.pair.id)
    world.start(PHONE_MOVED)
    world.right.human_update("there-1", phone="9", mobile="1")
    cycles(world, 2)
    plan = plan_undo(world.pair, world.store, made.id)
    assert plan.left_alone == ("there:there-1 was created; phone: the mapping reads it otherwise by now",)
    undo(world, made.id, plan)
    assert "there-1" in world.right.live()
