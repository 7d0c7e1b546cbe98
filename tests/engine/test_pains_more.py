"""More of what users of two-way sync suffer from, and what the documents say that cannot be cured."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.engine.worlds import ANN, BOB, cycle, cycles, deleting, linked, written
from twoway.core.model import Page, Side
from twoway.core.rules import OnDelete, Policy
from twoway.core.spec import FieldSpec, Location, MappingSpec
from twoway.engine.cycle import Ending, Kind
from twoway.ports import Consistency
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import FIELDS, World, plain_spec

DAY = 86_400_000
MANY = 10_100


def through(world: World, connector: type[MemoryConnector], side: Side) -> None:
    """From now on this side's app is reached by that connector."""
    name = world.apps[side].name
    world._connect = lambda app: connector(app) if app.name == name else MemoryConnector(app)
    world.start()


def crowd(world: World, count: int, sides: Sequence[Side] = tuple(Side)) -> None:
    """So many people on each of these sides, alike."""
    for number in range(count):
        for side in sides:
            world.apps[side].human_create(email=f"{number}@example.org", name="N", phone="1")


def scoped(scope: str) -> MappingSpec:
    """A mapping of the records on the left that this condition takes."""
    plain = plain_spec()
    segment = FieldSpec(name="segment", left=Location(path="segment"))
    return replace(plain, left=replace(plain.left, scope=scope), fields=(*plain.fields, segment))


def test_a_first_run_can_begin_with_a_few_and_go_on_with_all() -> None:
    few, all_of_them = scoped('segment == "pilot"'), scoped('segment != ""')
    world = World(few, fields=(*FIELDS, "segment"))
    world.left.human_create(**ANN, segment="pilot")
    world.left.human_create(**BOB, segment="rest")
    cycles(world, 2)
    assert [record["name"] for record in world.right.live().values()] == ["Ann"]
    world.start(all_of_them)
    cycle(world, Kind.SNAPSHOT)
    cycles(world, 2)
    assert [record["name"] for record in world.right.live().values()] == ["Ann", "Bob"]


def test_a_mass_deletion_that_is_taken_back_in_the_app_deletes_nobody() -> None:
    world = World(deleting())
    crowd(world, 40)
    cycles(world, 2)
    lost = list(world.left.live())[:30]
    for record in lost:
        world.left.human_delete(record)
    assert cycle(world).ending is Ending.HELD
    for record in lost:
        world.left.human_restore(record)
    world.approve()
    cycles(world, 2)
    cycle(world, Kind.SNAPSHOT)
    assert written(world) == []
    assert world.store.links.count(world.pair.id) == 40


def test_an_edit_of_what_a_deletion_left_behind_brings_nobody_back() -> None:
    world = linked(World(deleting(OnDelete.IGNORE)))
    world.left.human_delete("here-1")
    cycles(world, 2)
    world.right.human_update("there-1", name="Anna")
    cycles(world, 2)
    cycle(world, Kind.SNAPSHOT)
    assert world.left.live() == {}


@pytest.mark.parametrize("skew", [-DAY, DAY], ids=["a day behind", "a day ahead"])
@pytest.mark.parametrize("edited", Side)
def test_a_clock_that_is_wrong_decides_nothing_that_one_side_alone_changed(skew: int, edited: Side) -> None:
    manner = Manner(skew=skew, field_times=True)
    world = linked(World(replace(plain_spec(), conflict=Policy.NEWEST), manners={Side.LEFT: manner}))
    record = "here-1" if edited is Side.LEFT else "there-1"
    world.apps[edited].human_update(record, name="Anna")
    cycles(world, 3)
    assert [app.live()[one]["name"] for app, one in ((world.left, "here-1"), (world.right, "there-1"))] == ["Anna"] * 2
    assert world.store.attention.conflicts() == []


@pytest.mark.parametrize(
    ("seconds", "answer"),
    [pytest.param(1, "a person's", id="within the tolerance"), pytest.param(60, "the later one", id="beyond it")],
)
def test_clocks_that_may_be_a_little_wrong_decide_nothing_that_is_close(seconds: int, answer: str) -> None:
    manner = Manner(field_times=True)
    world = linked(World(replace(plain_spec(), conflict=Policy.NEWEST), manners=dict.fromkeys(Side, manner)))
    world.clock.advance(20)
    world.left.human_update("here-1", name="Anna")
    world.clock.advance(seconds)
    world.right.human_update("there-1", name="Annie")
    cycles(world, 3)
    asked = [(row.left, row.right) for row in world.store.attention.conflicts()]
    assert asked == ([("Anna", "Annie")] if answer == "a person's" else [])
    assert world.left.live()["here-1"]["name"] == ("Anna" if answer == "a person's" else "Annie")


def test_what_the_list_of_changes_never_told_is_found_by_the_next_complete_listing() -> None:
    class Forgetful(MemoryConnector):
        async def changes(self, cursor: str | None) -> Page:
            page = await super().changes(cursor)
            return page._replace(records=[record for record in page.records if record.id != "here-1"])

    world = linked(World())
    through(world, Forgetful, Side.LEFT)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 4)
    assert written(world) == [], "this app really does not tell it"
    cycle(world, Kind.SNAPSHOT)
    assert world.right.live()["there-1"]["name"] == "Anna"


def test_ten_thousand_records_that_one_import_stamped_alike_are_read_once_and_to_the_end() -> None:
    """Each page is a tenth of what has the same time, and the only edit that matters is behind them all."""
    world = World(fields=(*FIELDS, "note"), spec=plain_spec(), manners={Side.LEFT: Manner(page=1000, resolution=DAY)})
    crowd(world, MANY)
    cycle(world)
    assert world.store.links.count(world.pair.id) == MANY
    world.clock.advance(DAY // 1000)
    for record in world.left.live():
        world.left.human_update(record, note="imported")
    last = f"here-{MANY}"
    world.left.human_update(last, name="Anna")
    assert len({record.modified for record in world.left.records.values()}) == 1
    report = cycle(world)
    assert report.ending is Ending.DONE
    assert written(world) == [(Side.RIGHT, "update", f"there-{MANY}")]
    assert report.requests[Side.LEFT] < 2 * MANY / 1000


# -- what the documents say that is not promised


@pytest.mark.parametrize(
    ("conditional", "kept"),
    [pytest.param(True, "Annie", id="refused by the app"), pytest.param(False, "Anna", id="overwritten unseen")],
)
def test_an_edit_while_our_write_is_on_its_way_is_safe_only_where_the_app_refuses_the_write(
    conditional: bool, kept: str
) -> None:
    world = linked(World(manners={Side.RIGHT: Manner(conditional=conditional)}))

    def intrude(name: str) -> None:
        if name == "before there.apply:update" and world.right.records["there-1"].values["name"] == "Ann":
            world.right.human_update("there-1", name="Annie", phone="9")

    world.fault = intrude
    world.left.human_update("here-1", name="Anna")
    cycles(world, 3)
    assert world.right.live()["there-1"]["name"] == kept
    assert world.right.live()["there-1"]["phone"] == world.left.live()["here-1"]["phone"] == "9"
    assert len(world.store.attention.conflicts()) == (1 if conditional else 0)
    told = [row.old for row in world.store.operations.history() if row.field == "name" and row.state == "done"]
    assert "Annie" not in told


def test_a_person_whom_both_sides_gain_within_the_lag_is_doubled_once_and_told() -> None:
    manner = Manner(lag=30_000, find=Consistency.LAGGING, find_fields=frozenset({"email"}))
    world = World(manners={Side.RIGHT: manner})
    cycle(world)
    world.right.human_create(**ANN)
    world.left.human_create(**ANN)
    cycle(world, after=1)
    cycles(world, 6)
    cycle(world, Kind.SNAPSHOT)
    assert (len(world.left.live()), len(world.right.live())) == (1, 2)
    assert ("there-1", "duplicate") in {(row.record_id, row.code) for row in world.store.attention.parked()}
