"""Taking a cycle back amid trouble: lost answers, later edits, and a mapping that has changed since."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.engine.found import ANN, Loses, cycles, dying, linked, undo
from twoway.core.model import Receipt, Side, Write
from twoway.core.rules import Direction, Drift
from twoway.engine import byhand
from twoway.engine.cycle import Kind
from twoway.engine.undo import plan_undo
from twoway.ports import ReceiptShape
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec


@pytest.fixture(autouse=True)
def reset() -> None:
    Loses.lost = 0


def _last(world: World) -> int:
    """The number of the latest cycle."""
    return world.store.pairs.cycles(world.pair.id, limit=1)[0].id


def _two_fields_written(world: World) -> int:
    """A cycle that carried a name and a phone over to there-1; its number."""
    linked(world)
    world.left.human_update("here-1", name="Anna", phone="2")
    cycles(world, 1)
    return _last(world)


def test_the_fields_that_nobody_has_edited_since_are_put_back_though_another_was() -> None:
    world = World()
    number = _two_fields_written(world)
    world.right.human_update("there-1", name="Mended")
    undo(world, number)
    assert world.right.live()["there-1"] == {**ANN, "name": "Mended", "phone": "1"}
    cycles(world, 3)
    assert world.left.live()["here-1"] == {**ANN, "name": "Mended", "phone": "2"}
    told = world.store.operations.history(side=Side.RIGHT, record_id="there-1")
    assert (told[0].field, told[0].old, told[0].new) == ("phone", "2", "1")


@pytest.mark.parametrize("how", ["the answer is lost", "the process dies"])
def test_an_undo_that_landed_unheard_is_no_edit_though_another_field_was_edited_since(how: str) -> None:
    world = World(connect=Loses)
    number = _two_fields_written(world)
    if how == "the answer is lost":
        Loses.lost = 1
        undo(world, number)
    else:
        dying(world, "before commit:receipts", lambda: undo(world, number))
    assert world.right.live()["there-1"] == ANN
    world.right.human_update("there-1", phone="9")
    cycles(world, 6, after=15)
    assert world.left.live()["here-1"] == {**ANN, "name": "Anna", "phone": "9"}
    assert world.right.live()["there-1"] == {**ANN, "phone": "9"}


@pytest.mark.parametrize("direction", [Direction.BOTH, Direction.TO_RIGHT])
def test_a_record_that_was_made_stays_when_a_person_has_edited_it_and_the_edit_was_carried_on(
    direction: Direction,
) -> None:
    plain = plain_spec()
    phone = replace(plain.fields[-1], direction=direction, drift=Drift.IGNORE)
    world = World(replace(plain, fields=(*plain.fields[:-1], phone)))
    world.left.human_create(**ANN)
    cycles(world, 1)
    number = _last(world)
    world.right.human_update("there-1", phone="9")
    cycles(world, 2)
    (told,) = plan_undo(world.pair, world.store, number).left_alone
    assert told == "there:there-1 was created, and is not as it was: phone"
    undo(world, number)
    assert "there-1" in world.right.live()


def test_a_record_that_was_made_and_that_only_we_have_written_since_is_taken_away() -> None:
    """Also where the app stored it in a form of its own."""
    world = World(manners={Side.RIGHT: Manner(stores=lambda _, value: str(value).rstrip("+"), declares_form=False)})
    world.left.human_create(**{**ANN, "name": "Ann+"})
    cycles(world, 1)
    number = _last(world)
    cycles(world, 2)
    world.left.human_update("here-1", phone="2")
    cycles(world, 2)
    assert world.right.live()["there-1"] == {**ANN, "phone": "2"}
    assert plan_undo(world.pair, world.store, number).left_alone == ()
    undo(world, number)
    assert world.right.live() == {}


def test_a_field_that_the_mapping_no_longer_writes_there_is_left_alone() -> None:
    world = World()
    linked(world)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 1)
    number = _last(world)
    plain = plain_spec()
    name = replace(plain.fields[1], direction=Direction.TO_LEFT)
    world.start(replace(plain, fields=(plain.fields[0], name, plain.fields[2])))
    cycles(world, 1, kind=Kind.SNAPSHOT)
    (told,) = plan_undo(world.pair, world.store, number).left_alone
    assert told == "there:there-1 name: no longer written to there by the mapping"
    undo(world, number)
    assert world.right.live()["there-1"]["name"] == "Anna"


@pytest.mark.parametrize("withdrawn", [True, False])
def test_an_undo_that_did_not_land_is_sent_again_unless_it_was_withdrawn_meanwhile(withdrawn: bool) -> None:
    class Drops(MemoryConnector):
        """Loses the next batch on its way."""

        drops = False

        async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
            if type(self).drops:
                type(self).drops = False
                return [Receipt.unknown("no answer")] * len(writes)
            return await super().apply(writes)

    world = World(connect=Drops)
    number = _two_fields_written(world)
    Drops.drops = True
    undo(world, number)
    if withdrawn:
        with world.store.commit("withdraw"):
            assert world.store.operations.withdraw_undo(number, world.clock.now()) == 0, "nothing was left to be sent"
    cycles(world, 4, after=15)
    assert world.right.live()["there-1"]["name"] == ("Anna" if withdrawn else "Ann")


def test_what_a_person_put_back_themselves_is_their_edit_and_travels() -> None:
    """Since the undo was shown: it finds the old value there, and did not write it."""
    world = World()
    number = _two_fields_written(world)
    shown = plan_undo(world.pair, world.store, number)
    world.right.human_update("there-1", phone="1")
    undo(world, number, shown)
    told = world.store.operations.history(cycle=_last(world))
    assert [(row.field, row.old, row.new) for row in told] == [("name", "Anna", "Ann")]
    cycles(world, 3)
    assert world.left.live()["here-1"] == {**ANN, "name": "Anna", "phone": "1"}


@pytest.mark.parametrize("receipt", ReceiptShape)
@pytest.mark.parametrize("more", [0, 2])
def test_neither_what_on_create_says_nor_the_apps_own_form_is_a_persons_edit(receipt: ReceiptShape, more: int) -> None:
    plain = plain_spec(("email", "name", "phone", "stage"))
    manner = Manner(
        receipt=receipt, stores=lambda name, value: str(value).upper() if name == "name" else value, declares_form=False
    )
    spec = replace(plain, right=replace(plain.right, on_create={"stage": "lead"}))
    world = World(spec, fields=("email", "name", "phone", "stage"), manners={Side.RIGHT: manner})
    world.left.human_create(**ANN)
    cycles(world, 1)
    number = _last(world)
    cycles(world, more)
    assert plan_undo(world.pair, world.store, number).left_alone == ()
    undo(world, number)
    cycles(world, 3)
    assert more == 0 or world.right.live() == {}


@pytest.mark.parametrize("kind", ["update", "create"])
def test_what_the_cycle_sent_and_has_no_answer_to_is_named(kind: str) -> None:
    """It may have taken effect, and whoever reads that there is nothing to undo would not ask again."""
    world = World(connect=Loses)
    if kind == "update":
        linked(world)
        world.left.human_update("here-1", name="Anna")
        wanted = "there:there-1 was sent an update, and the answer is awaited: undo it when that is known"
    else:
        world.left.human_create(**ANN)
        wanted = "here:here-1 was sent to there, and the answer is awaited: undo it when that is known"
    Loses.lost = 1
    cycles(world, 1)
    plan = plan_undo(world.pair, world.store, _last(world))
    assert (plan.staging, plan.left_alone) == ((), (wanted,))


def test_what_the_cycle_sent_is_named_no_longer_once_its_answer_is_known() -> None:
    world = World(connect=Loses)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    Loses.lost = 1
    cycles(world, 1)
    number = _last(world)
    cycles(world, 3, after=15)
    plan = plan_undo(world.pair, world.store, number)
    assert ([one.edit.changed for one in plan.staging], plan.left_alone) == ([{"name": "Ann"}], ())


@pytest.mark.parametrize("receipt", [ReceiptShape.RECORD, ReceiptShape.VERSION])
@pytest.mark.parametrize("edited", [False, True])
def test_the_apps_own_form_of_a_value_that_it_was_sent_is_no_persons_edit(receipt: ReceiptShape, edited: bool) -> None:
    """Also where the app tells it only when the record is read again."""
    shaped = Manner(
        stores=lambda _, value: value.rstrip("+") if isinstance(value, str) else value,
        declares_form=False,
        receipt=receipt,
    )
    world = World(manners={Side.RIGHT: shaped})
    linked(world)
    world.left.human_update("here-1", name="Anna+")
    cycles(world, 1)
    number = _last(world)
    cycles(world, 2)
    (told,) = world.store.operations.history(side=Side.RIGHT, field="name")
    assert (told.old, told.new) == ("Ann", "Anna")
    if edited:
        world.right.human_update("there-1", name="Mended")
        cycles(world, 1)
    plan = plan_undo(world.pair, world.store, number)
    assert plan.left_alone == (("there:there-1 name: changed since",) if edited else ())
    undo(world, number)
    cycles(world, 3)
    assert world.right.live()["there-1"]["name"] == ("Mended" if edited else "Ann")
    assert world.left.live()["here-1"]["name"] == ("Mended" if edited else "Anna+")


@pytest.mark.parametrize("again", [False, True])
def test_of_a_record_that_was_linked_anew_nobody_is_told_that_it_is_not_linked(again: bool) -> None:
    world = World()
    number = _two_fields_written(world)
    byhand.unlink(world.store, world.pair.id, Side.LEFT, "here-1", world.clock.now())
    if again:
        ids = {Side.LEFT: "here-1", Side.RIGHT: "there-1"}
        byhand.link(world.store, world.pair.id, ids, world.clock.now())
        cycles(world, 1)
    plan = plan_undo(world.pair, world.store, number)
    why = "was linked anew since" if again else "is no longer linked"
    assert (plan.staging, plan.left_alone) == ((), (f"there:there-1 {why}",))


@pytest.mark.parametrize("again", [False, True])
def test_a_field_that_the_mapping_has_dropped_was_edited_by_nobody(again: bool) -> None:
    world = World()
    number = _two_fields_written(world)
    whole = world.spec
    world.start(replace(whole, fields=tuple(field for field in whole.fields if field.name != "name")))
    cycles(world, 2)
    if again:
        world.start(whole)
        world.right.human_update("there-1", name="Annie")
        cycles(world, 2)
    plan = plan_undo(world.pair, world.store, number)
    assert [one.edit.changed for one in plan.staging] == [{"phone": "1"}]
    why = "the mapping reads it otherwise by now" if again else "no longer written to there by the mapping"
    assert plan.left_alone == (f"there:there-1 name: {why}",)
