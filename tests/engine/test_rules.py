"""The rules that the executable model taught, each by the history that breaks an engine without it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.engine.worlds import ANN, cycle, cycles, deleting, linked, written
from twoway.core.model import Outcome, Receipt, Side, Write
from twoway.core.rules import OnDelete, Policy, Start
from twoway.engine.cycle import Kind
from twoway.engine.run import Tuning
from twoway.ports import Consistency, ReceiptShape
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec


class Loses(MemoryConnector):
    """Carries out what it is asked to, and never says so."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        await super().apply(writes)
        return [Receipt.unknown("no answer")] * len(writes)


class Moves(MemoryConnector):
    """Says of every write that the record has moved."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        return [Receipt(Outcome.MOVED)] * len(writes)


def through(world: World, connector: type[MemoryConnector], side: Side = Side.RIGHT) -> None:
    """From now on this side's app is reached by that connector."""
    world._connect = lambda app: connector(app) if app is world.apps[side] else MemoryConnector(app)
    world.start()


@pytest.mark.parametrize(
    ("start", "left", "right", "open_fields"),
    [
        (Start.REVIEW, "Ann", "Anna", ["name"]),
        (Start.LEFT, "Ann", "Ann", []),
        (Start.RIGHT, "Anna", "Anna", []),
    ],
)
def test_rule_1_records_that_were_there_before_are_linked_without_a_base(
    start: Start, left: str, right: str, open_fields: list[str]
) -> None:
    world = World(plain_spec(start=start))
    world.left.human_create(**ANN)
    world.right.human_create(**{**ANN, "name": "Anna"})
    cycles(world, 3)
    assert world.left.live()["here-1"]["name"] == left
    assert world.right.live()["there-1"]["name"] == right
    assert [row.field for row in world.store.attention.conflicts()] == open_fields


@pytest.mark.parametrize("receipt", ReceiptShape)
def test_rule_2_an_edit_right_after_our_write_is_an_edit_and_never_a_base(receipt: ReceiptShape) -> None:
    world = linked(World(manners={Side.RIGHT: Manner(receipt=receipt)}))
    world.left.human_update("here-1", name="Anna")

    def edit(name: str) -> None:
        if name == "after there.apply:update" and world.right.records["there-1"].values["name"] == "Anna":
            world.right.human_update("there-1", name="Annie")

    world.fault = edit
    cycles(world, 3)
    assert world.left.live()["here-1"]["name"] == "Annie"


def test_rule_5_what_comes_to_nothing_again_and_again_is_set_aside() -> None:
    world = linked(World(tuning=Tuning(retry=600_000, tries=3)))
    through(world, Moves)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 4)
    (row,) = world.store.attention.parked()
    assert (row.code, row.record_id) == ("unsettled", "here-1")
    through(world, MemoryConnector)
    cycles(world, 2, after=400)
    assert world.right.live()["there-1"]["name"] == "Anna"
    assert world.store.attention.parked() == []


def test_rules_6_and_8_a_write_in_doubt_is_left_alone_until_it_can_no_longer_land() -> None:
    world = linked(World(manners={Side.RIGHT: Manner(request_lifetime=60_000)}))
    through(world, Loses)
    world.left.human_update("here-1", name="Anna")
    cycle(world)
    through(world, MemoryConnector)
    world.left.human_update("here-1", name="Annie")
    cycles(world, 3, after=15)
    assert world.right.live()["there-1"]["name"] == "Anna"
    cycles(world, 3, after=30)
    assert world.right.live()["there-1"]["name"] == "Annie"


def test_rule_9_a_listing_that_shows_the_past_undoes_no_edit() -> None:
    world = linked(World(manners=dict.fromkeys(Side, Manner(lag=30_000))))
    world.left.human_update("here-1", name="Anna")
    cycles(world, 4)
    for app in world.apps.values():
        app.lateness = lambda: 30_000
    cycle(world, Kind.SNAPSHOT, after=1)
    assert world.left.live()["here-1"]["name"] == "Anna"
    assert written(world) == [(Side.RIGHT, "update", "there-1")]


def test_rule_10_a_source_that_was_read_too_long_ago_is_read_again() -> None:
    world = linked(World(tuning=Tuning(source_age=0), manners={Side.RIGHT: Manner(conditional=False)}))
    world.left.human_update("here-1", name="Anna")

    def edit(name: str) -> None:
        if name == "after commit:decide":
            world.clock.advance(1)
            if world.left.records["here-1"].values["name"] == "Anna":
                world.left.human_update("here-1", name="Annie")

    world.fault = edit
    cycle(world)
    assert [change.fields["name"] for change in world.right.written()] == [("Ann", "Annie")]


def test_rule_10_before_a_create_the_app_is_asked_whether_it_has_the_record_by_now() -> None:
    manner = Manner(find=Consistency.CONSISTENT, find_fields=frozenset({"email"}))
    world = World(manners={Side.RIGHT: manner})
    world.left.human_create(**ANN)

    def enter(name: str) -> None:
        if name == "after commit:match" and not world.right.records:
            world.right.human_create(**ANN)

    world.fault = enter
    cycles(world, 2)
    assert list(world.right.live()) == ["there-1"]
    assert world.store.links.count(world.pair.id) == 1


@pytest.mark.parametrize(("lost", "state"), [(False, "done"), (True, "sent")])
def test_rule_11_what_is_replaced_is_in_the_history_before_the_request_leaves(lost: bool, state: str) -> None:
    world = linked(World())
    if lost:
        through(world, Loses)
    world.left.human_update("here-1", name="Anna")
    cycle(world)
    (row,) = world.store.operations.history()
    assert (row.old, row.new, row.state) == ("Ann", "Anna", state)


def test_rule_12_no_deletion_is_founded_on_an_app_that_hides_its_merges() -> None:
    world = linked(World(deleting(), manners={Side.LEFT: Manner(feed_merges=False)}))
    world.left.human_delete("here-1")
    cycles(world, 3)
    assert list(world.right.live()) == ["there-1"]
    assert {row.code for row in world.store.attention.parked()} == {"review"}


@pytest.mark.parametrize("happens", ["the record is restored", "the other one is edited"])
def test_rule_13_a_deletion_is_checked_again_at_the_instant(happens: str) -> None:
    world = linked(World(deleting(OnDelete.DELETE)))
    world.left.human_delete("here-1")

    def intrude(name: str) -> None:
        if name != "after commit:decide" or world.left.records["here-1"].alive:
            return
        if happens == "the record is restored":
            world.left.human_restore("here-1")
        elif world.right.records["there-1"].values["name"] == "Ann":
            world.right.human_update("there-1", name="Anna")

    world.fault = intrude
    cycles(world, 3)
    assert list(world.right.live()) == ["there-1"]
    assert len(world.left.live()) == 1


@pytest.mark.parametrize("receipt", ReceiptShape)
def test_rule_14_the_time_of_our_own_write_wins_no_conflict(receipt: ReceiptShape) -> None:
    """While a phone is on its way to the right, a name is edited there, and then on the left. Our write makes the right
    record the one that was modified last; its name is not the newest for that. Where the app does not tell the version
    of our write, a person decides."""
    manner = Manner(conditional=False, receipt=receipt)
    world = linked(World(replace(plain_spec(), conflict=Policy.NEWEST), manners={Side.RIGHT: manner}))

    def edit(name: str) -> None:
        if name == "before there.apply:update" and world.right.records["there-1"].values["name"] == "Ann":
            world.right.human_update("there-1", name="Annie")
            world.clock.advance(20)
            world.left.human_update("here-1", name="Anna")
            world.clock.advance(20)

    world.fault = edit
    world.left.human_update("here-1", phone="9")
    cycles(world, 3)
    assert world.right.live()["there-1"]["phone"] == "9"
    assert world.left.live()["here-1"]["name"] == "Anna"
