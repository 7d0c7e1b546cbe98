"""What people do by hand is done to what they were shown, and not while its outcome would be nobody's."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.engine.found import ANN, Busy, Loses, cycles, linked, undo
from twoway.core.model import Raw, Side
from twoway.core.plan import State
from twoway.core.rules import Policy
from twoway.engine import byhand
from twoway.engine.app import App
from twoway.ports import Consistency
from twoway.state import queries
from twoway.state.attention import ConflictRow
from twoway.testing.memory import Manner, MemoryApp, MemoryConnector
from twoway.testing.world import World, plain_spec


@pytest.fixture(autouse=True)
def _reset() -> None:
    Loses.lost = Busy.refused = 0


def in_review(connect: Callable[[MemoryApp], MemoryConnector] = MemoryConnector) -> World:
    """Ann is linked; somebody calls her Anna here, and somebody else Annie there."""
    world = World(replace(plain_spec(), conflict=Policy.REVIEW), connect=connect)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    world.right.human_update("there-1", name="Annie")
    cycles(world, 1)
    return world


def only(world: World) -> ConflictRow:
    (row,) = world.store.attention.conflicts(world.pair.id)
    return row


def names(world: World) -> tuple[Raw, Raw]:
    return world.left.live()["here-1"]["name"], world.right.live()["there-1"]["name"]


# -- verdicts


def test_the_number_of_a_conflict_that_is_settled_is_not_used_again() -> None:
    world = in_review()
    world.left.human_create(email="bob@example.org", name="Bob", phone="2")
    cycles(world, 2)
    first = only(world)
    world.left.human_update("here-1", name="Annie")
    world.left.human_update("here-2", name="Bobby")
    world.right.human_update("there-2", name="Bobbie")
    cycles(world, 2)
    assert only(world).link != first.link
    assert only(world).id > first.id


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("wanted", ["left", "right", "Third"])
def test_a_verdict_on_what_has_changed_since_decides_nothing(side: Side, wanted: str) -> None:
    world = in_review()
    shown = only(world)
    world.apps[side].human_update("here-1" if side is Side.LEFT else "there-1", name="Zoe")
    cycles(world, 1)
    held, now = names(world), only(world)
    value = {"left": shown.left, "right": shown.right}.get(wanted, wanted)
    with pytest.raises(byhand.NotAsShown, match=f"conflict {shown.id} is not what it was.* {now.id} now") as raised:
        byhand.resolve(world.store, shown, value, world.clock.now())
    assert raised.value.number == now.id == world.store.attention.renumbered(shown.id)
    cycles(world, 3)
    assert names(world) == held
    assert only(world) == now, "it still waits for a person"
    byhand.resolve(world.store, now, value, world.clock.now())
    cycles(world, 3)
    assert names(world) == (value, value)


def test_a_number_stands_for_its_values_only_while_they_stay() -> None:
    world = in_review()
    numbers = [only(world).id]
    for name in ("Zoe", "Anna"):
        world.left.human_update("here-1", name=name)
        cycles(world, 1)
        numbers.append(only(world).id)
    assert numbers == sorted(set(numbers)), "back at the first values it is a third one"
    assert [world.store.attention.renumbered(number) for number in numbers] == [numbers[-1], numbers[-1], None]


def test_whatever_else_happens_a_conflict_keeps_its_number() -> None:
    world = in_review()
    shown = only(world)
    world.left.human_update("here-1", phone="2")
    cycles(world, 2)
    world.right.human_update("there-1", name="Annie")
    cycles(world, 2)
    assert only(world) == shown
    assert world.right.live()["there-1"]["phone"] == "2"


def test_a_verdict_on_a_conflict_that_is_settled_decides_nothing() -> None:
    world = in_review()
    shown = only(world)
    world.left.human_update("here-1", name="Annie")
    cycles(world, 2)
    with pytest.raises(byhand.NotAsShown, match="is settled by now") as raised:
        byhand.resolve(world.store, shown, "Anna", world.clock.now())
    assert raised.value.number is None


def test_between_the_look_and_the_verdict_the_values_are_compared_once_more() -> None:
    world = in_review()
    shown = only(world)
    for stale in (shown._replace(left="Other"), shown._replace(right="Other"), shown._replace(id=shown.id + 1)):
        assert not world.store.attention.decide(stale, "Third", world.clock.now())
    assert only(world).state == "open"
    assert world.store.attention.decide(shown, "Third", world.clock.now())


def test_one_may_change_ones_mind_until_the_verdict_is_being_written() -> None:
    world = in_review(Loses)
    byhand.resolve(world.store, only(world), "Third", world.clock.now())
    byhand.resolve(world.store, only(world), "Fourth", world.clock.now())
    Loses.lost = 1
    cycles(world, 1)
    assert names(world) == ("Fourth", "Fourth")
    with pytest.raises(byhand.CannotBeDone, match="was decided before, and that is being written"):
        byhand.resolve(world.store, only(world), "Fifth", world.clock.now())
    cycles(world, 5)
    assert names(world) == ("Fourth", "Fourth")
    assert world.store.attention.conflicts() == []


def test_who_was_shown_a_conflict_before_its_verdict_was_half_written_decides_nothing() -> None:
    world = in_review(Busy)
    shown = only(world)
    byhand.resolve(world.store, shown, "Third", world.clock.now())
    Busy.refused = 2
    cycles(world, 1)
    assert names(world) == ("Anna", "Third")
    with pytest.raises(byhand.NotAsShown, match="one of the two sides has taken that value"):
        byhand.resolve(world.store, shown, "Fourth", world.clock.now())
    cycles(world, 4)
    assert names(world) == ("Third", "Third")


# -- links


def test_a_link_is_not_removed_while_its_record_may_be_made_anew() -> None:
    world = World(connect=Loses)
    world.left.human_create(name="Ann", phone="1")
    cycles(world, 2)
    world.right.human_delete("there-1")
    world.left.human_update("here-1", phone="2")
    Loses.lost = 1
    cycles(world, 1)
    with pytest.raises(byhand.CannotBeDone, match=r"the answer is awaited.*`request_lifetime`.*Try again then"):
        byhand.unlink(world.store, world.pair.id, Side.LEFT, "here-1", world.clock.now())
    cycles(world, 6, after=15)
    assert len(world.left.live()) == len(world.right.live()) == 1
    byhand.unlink(world.store, world.pair.id, Side.LEFT, "here-1", world.clock.now())
    cycles(world, 3)
    assert len(world.left.live()) == len(world.right.live()) == 1


def test_who_may_be_what_was_created_for_another_is_linked_by_nobody_else() -> None:
    """Once the record that it was made from was created a second time."""
    world = World(connect=Loses, manners={Side.RIGHT: Manner(find=Consistency.NONE)})
    bob = world.left.human_create(email="bob@example.org", name="Bob", phone="2")
    cycles(world, 2)
    byhand.unlink(world.store, world.pair.id, Side.LEFT, bob, world.clock.now())
    before = set(world.right.live())
    ann = world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    (made,) = set(world.right.live()) - before
    with pytest.raises(byhand.CannotBeDone, match=f"{made} may be what was made of it"):
        byhand.link(world.store, world.pair.id, {Side.LEFT: bob, Side.RIGHT: made}, world.clock.now())
    (known,) = before
    byhand.link(world.store, world.pair.id, {Side.LEFT: bob, Side.RIGHT: known}, world.clock.now())
    cycles(world, 6, after=15)
    assert len(world.right.live()) == 2
    link = world.store.links.of(world.pair.id, Side.LEFT, ann)
    assert link is not None
    assert link.ids[Side.RIGHT] == made


# -- what was set aside


def test_how_often_a_record_was_tried_is_told() -> None:
    world = World(manners={Side.RIGHT: Manner(refuses=lambda field, value: (field, value) == ("name", "Nobody"))})
    linked(world)
    world.left.human_update("here-1", name="Nobody")
    told = []
    for _ in range(4):
        cycles(world, 1, after=3600)
        (row,) = world.store.attention.parked(world.pair.id)
        told.append(row.tries)
    assert told == [1, 2, 3, 4]
    world.left.human_update("here-1", phone="2", name="Nobody")
    world.left.human_update("here-1", email="anne@example.org")
    cycles(world, 1, after=3600)
    (row,) = world.store.attention.parked(world.pair.id)
    assert row.tries == 1, "what it holds now was not tried before"
    world.left.human_update("here-1", name="Anna")
    cycles(world, 2, after=3600)
    assert world.store.attention.parked(world.pair.id) == []


# -- undos that wait


def begun(world: World, *, sent: bool) -> int:
    """The undo of the cycle that called Ann Anna, begun and not done; the cycle's number."""
    linked(world)
    world.right.human_update("there-1", name="Anna")
    cycles(world, 1)
    cycle = world.store.pairs.cycles(world.pair.id, limit=1)[0].id
    if sent:
        Busy.refused = 1
        undo(world, cycle)
        return cycle

    def dies(name: str) -> None:
        if name == "before here.fetch":
            raise KeyboardInterrupt

    world.fault = dies
    with pytest.raises(KeyboardInterrupt):
        undo(world, cycle)
    world.fault = lambda _name: None
    return cycle


@pytest.mark.parametrize(("sent", "waiting"), [(False, (1, 0)), (True, (0, 1))], ids=["not sent", "in doubt"])
def test_an_undo_that_waits_is_told(sent: bool, waiting: tuple[int, int]) -> None:
    world = World(connect=Busy)
    cycle = begun(world, sent=sent)
    assert queries.waiting_undos(world.store.db, world.pair.id) == [(cycle, *waiting)]
    cycles(world, 4, after=15)
    assert world.left.live()["here-1"]["name"] == "Ann"
    assert queries.waiting_undos(world.store.db, world.pair.id) == []


def test_an_undo_that_was_not_sent_can_be_withdrawn_and_asked_for_again() -> None:
    world = World(connect=Busy)
    cycle = begun(world, sent=False)
    with world.store.commit("withdraw"):
        assert world.store.operations.withdraw_undo(cycle + 1, world.clock.now()) == 0
        assert world.store.operations.withdraw_undo(cycle, world.clock.now()) == 1
    assert queries.waiting_undos(world.store.db, world.pair.id) == []
    world.left.human_update("here-1", phone="2")
    cycles(world, 3)
    assert names(world) == ("Anna", "Anna")
    assert world.right.live()["there-1"]["phone"] == "2"
    undo(world, cycle)
    assert names(world) == ("Ann", "Anna")


def test_an_undo_in_doubt_is_over_once_its_account_may_only_be_read() -> None:
    """It was sent again by every cycle, each of which failed."""
    world = World(connect=Busy)
    begun(world, sent=True)
    closed = App(Busy(world.left), "here", Side.LEFT, world.clock, lambda _: None, read_only=True)
    world.pair = replace(world.pair, apps={**world.pair.apps, Side.LEFT: closed})
    assert {ending.value for ending in cycles(world, 4, after=15)} == {"done"}
    assert world.left.live()["here-1"]["name"] == "Anna"
    assert world.store.operations.in_state(world.pair.id, State.PLANNED, State.SENT, State.UNKNOWN) == []
    (row,) = world.store.attention.parked(world.pair.id)
    assert "here refused it: the account is `access: read`" in row.reason
    assert "undo" in row.reason


def test_an_account_that_may_only_be_read_is_sent_nothing() -> None:
    world = World()
    linked(world)
    closed = App(MemoryConnector(world.right), "there", Side.RIGHT, world.clock, lambda _: None, read_only=True)
    world.pair = replace(world.pair, apps={**world.pair.apps, Side.RIGHT: closed})
    world.left.human_update("here-1", name="Anna")
    asyncio.run(world.cycle())
    assert names(world) == ("Anna", "Ann")
    assert [row.code for row in world.store.attention.parked(world.pair.id)] == ["refused"]
