"""What users of two-way sync suffer from: each is a scenario that must come to a good end."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.engine.worlds import ANN, BOB, cycle, cycles, deleting, linked, written
from twoway.core.model import Page, Receipt, Side, Write
from twoway.core.rules import Blank, OnDelete, OnLeave
from twoway.core.spec import FieldSpec, Location
from twoway.engine.cycle import Ending, Kind
from twoway.ports import Consistency, ReceiptShape
from twoway.sdk.errors import TryLater
from twoway.testing.memory import Manner, MemoryApp, MemoryConnector
from twoway.testing.world import World, plain_spec


class Loses(MemoryConnector):
    """Carries out what it is asked to, and never says so."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        await super().apply(writes)
        return [Receipt.unknown("no answer")] * len(writes)


class Empty(MemoryConnector):
    """Lists nothing at all, and says that this was everything."""

    async def changes(self, cursor: str | None) -> Page:
        return Page(cursor=cursor or "0", last=True)

    async def snapshot(self, cursor: str | None) -> Page:  # noqa: ARG002 - the contract's name
        return Page(last=True)


class Down(MemoryConnector):
    """Out of reach."""

    async def changes(self, cursor: str | None) -> Page:  # noqa: ARG002 - the contract's name
        raise TryLater("out of reach")


def through(world: World, connector: type[MemoryConnector], side: Side) -> None:
    """From now on this side's app is reached by that connector."""
    name = world.apps[side].name
    world._connect = lambda app: connector(app) if app.name == name else MemoryConnector(app)
    world.start()


@pytest.mark.parametrize(
    "manner",
    [
        pytest.param(Manner(marker=True), id="found by our marker"),
        pytest.param(Manner(unique=frozenset({"email"})), id="refused by the app's unique key"),
        pytest.param(Manner(), id="found among the records born since"),
    ],
)
def test_a_create_of_which_the_answer_was_lost_makes_no_second_record(manner: Manner) -> None:
    world = World(manners={Side.RIGHT: manner})
    world.left.human_create(**ANN)
    through(world, Loses, Side.RIGHT)
    cycle(world)
    through(world, MemoryConnector, Side.RIGHT)
    cycles(world, 4)
    assert list(world.right.live()) == ["there-1"]
    assert world.store.links.count(world.pair.id) == 1


def test_the_record_that_we_made_a_moment_ago_is_not_taken_for_new() -> None:
    """The process dies after the app made the record, before its id is known."""
    world = World()
    world.left.human_create(**ANN)
    through(world, Loses, Side.RIGHT)
    cycle(world)
    through(world, MemoryConnector, Side.RIGHT)
    cycle(world, after=1)
    assert len(world.left.live()) == len(world.right.live()) == 1


def test_a_record_that_the_index_does_not_show_yet_is_linked_by_the_id_in_the_refusal() -> None:
    manner = Manner(unique=frozenset({"email"}), lag=30_000, find=Consistency.LAGGING)
    world = World(manners={Side.RIGHT: manner})
    cycle(world)
    world.right.human_create(**ANN)
    world.left.human_create(**ANN)
    cycle(world, after=1)
    cycles(world, 3)
    assert len(world.right.live()) == 1
    assert world.store.links.count(world.pair.id) == 1


def test_a_changed_address_makes_no_second_record() -> None:
    world = linked(World())
    world.left.human_update("here-1", email="anna@example.org")
    cycles(world, 2)
    assert [record["email"] for record in world.right.live().values()] == ["anna@example.org"]


def test_two_records_with_one_address_are_set_aside_and_never_overwrite_one_another() -> None:
    world = World()
    world.left.human_create(**ANN)
    world.left.human_create(**{**ANN, "name": "Ann too"})
    world.right.human_create(**ANN)
    cycles(world, 4)
    assert written(world) == []
    assert {row.code for row in world.store.attention.parked()} == {"duplicate"}


@pytest.mark.parametrize("kind", Kind)
def test_an_empty_listing_neither_deletes_nor_creates_again(kind: Kind) -> None:
    world = linked(World(deleting()))
    through(world, Empty, Side.LEFT)
    cycle(world, kind)
    through(world, Empty, Side.RIGHT)
    cycle(world, kind)
    assert written(world) == []


def test_a_listing_that_lacks_too_many_records_stops_the_pair_and_says_so() -> None:
    world = linked(World(deleting()))
    through(world, Empty, Side.LEFT)
    report = cycle(world, Kind.SNAPSHOT)
    assert report.ending is Ending.HELD
    assert "here listed 0 of the 1 linked records: not believed" in report.reasons[0]


def test_a_first_run_that_would_create_too_many_waits_for_a_person() -> None:
    world = World()
    for number in range(25):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")
    assert cycle(world).ending is Ending.HELD
    assert written(world) == []


def test_a_mass_deletion_waits_for_a_person() -> None:
    world = World(deleting())
    for number in range(40):
        for app in world.apps.values():
            app.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 2)
    for record in list(world.left.live())[:30]:
        world.left.human_delete(record)
    assert cycle(world).ending is Ending.HELD
    assert len(world.right.live()) == 40


def test_a_record_that_a_listing_lacks_is_not_deleted_while_the_app_has_it_by_id() -> None:
    class Forgets(MemoryConnector):
        async def snapshot(self, cursor: str | None) -> Page:
            page = await super().snapshot(cursor)
            return page._replace(records=[record for record in page.records if record.id != "here-1"])

    world = World(deleting())
    for number in range(3):
        for app in world.apps.values():
            app.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 2)
    through(world, Forgets, Side.LEFT)
    assert cycle(world, Kind.SNAPSHOT).ending is Ending.DONE
    assert written(world) == []


def test_an_outage_is_no_deletion() -> None:
    world = linked(World(deleting()))
    through(world, Down, Side.LEFT)
    assert cycle(world).ending is Ending.FAILED
    assert written(world) == []


def test_an_edit_survives_the_deletion_opposite() -> None:
    world = linked(World(deleting()))
    world.left.human_delete("here-1")
    world.right.human_update("there-1", name="Anna")
    cycles(world, 3)
    assert world.left.live() == {"here-2": {**ANN, "name": "Anna"}}


@pytest.mark.parametrize("delete", [OnDelete.IGNORE, OnDelete.DELETE, OnDelete.ARCHIVE])
def test_a_deleted_record_does_not_come_back(delete: OnDelete) -> None:
    world = linked(World(deleting(delete)))
    world.left.human_delete("here-1")
    cycles(world, 3)
    cycle(world, Kind.SNAPSHOT)
    assert world.left.live() == {}
    assert len(world.right.live()) == (1 if delete is OnDelete.IGNORE else 0)


def test_a_record_that_leaves_the_scope_is_still_linked_and_merges_on_when_it_is_back() -> None:
    plain = plain_spec()
    spec = replace(
        plain,
        on_leave=OnLeave.KEEP,
        left=replace(plain.left, scope='segment != "out"'),
        right=replace(plain.right, delete=OnDelete.DELETE),
        fields=(*plain.fields, FieldSpec(name="segment", left=Location(path="segment"))),
    )
    world = linked(World(spec, fields=("email", "name", "phone", "segment")))
    world.left.human_update("here-1", segment="out", name="Anna")
    world.right.human_update("there-1", phone="9")
    cycles(world, 2)
    assert written(world) == []
    world.left.human_update("here-1", segment=None)
    cycles(world, 2)
    assert world.right.live()["there-1"]["name"] == "Anna"
    assert world.left.live()["here-1"]["phone"] == "9"


@pytest.mark.parametrize("survivor_is_linked", [True, False])
def test_a_merge_is_never_read_as_a_deletion(survivor_is_linked: bool) -> None:
    world = linked(World(deleting()))
    survivor = world.left.human_create(**BOB)
    if survivor_is_linked:
        cycles(world, 1)
    world.left.human_merge("here-1", survivor)
    cycles(world, 3)
    assert "there-1" in world.right.live()
    assert all(kind != "delete" for _, kind, _ in written(world))


def test_our_own_writes_start_no_loop() -> None:
    world = linked(World())
    world.left.human_update("here-1", name="Anna")
    cycles(world, 5)
    assert written(world) == [(Side.RIGHT, "update", "there-1")]


def test_an_app_that_rewrites_what_it_is_given_starts_no_loop() -> None:
    manner = Manner(stores=lambda _name, value: str(value).upper(), receipt=ReceiptShape.VERSION)
    world = World(manners={Side.RIGHT: manner})
    world.left.human_create(**ANN)
    cycles(world, 5)
    assert written(world) == [(Side.RIGHT, "create", "there-1")]
    assert world.left.live()["here-1"]["name"] == "Ann"


def test_a_record_that_was_only_touched_is_left_alone() -> None:
    world = linked(World(fields=("email", "name", "phone", "note"), spec=plain_spec()))
    world.left.human_update("here-1", note="called")
    cycles(world, 2)
    assert written(world) == []


def test_a_conflict_that_was_decided_does_not_open_again() -> None:
    world = linked(World())
    world.left.human_update("here-1", name="Anna")
    world.right.human_update("there-1", name="Annie")
    cycles(world, 2)
    (row,) = world.store.attention.conflicts()
    world.decide(row.id, "Annie")
    cycles(world, 3)
    cycle(world, Kind.SNAPSHOT)
    assert world.left.live()["here-1"]["name"] == "Annie"
    assert world.store.attention.conflicts() == []


def test_a_value_that_is_being_typed_is_not_carried_over() -> None:
    world = linked(World(settle=60_000))
    world.left.human_update("here-1", name="An")
    cycle(world)
    world.left.human_update("here-1", name="Anna")
    cycle(world)
    assert written(world) == []
    cycles(world, 6)
    assert [change.fields["name"] for change in world.right.written()] == [("Ann", "Anna")]


@pytest.mark.parametrize("conditional", [True, False])
def test_an_edit_between_our_read_and_our_write_is_not_overwritten(conditional: bool) -> None:
    world = linked(World(manners={Side.RIGHT: Manner(conditional=conditional)}))
    world.left.human_update("here-1", name="Anna")

    def intrude(name: str) -> None:
        if name == "after commit:decide" and world.right.records["there-1"].values["name"] == "Ann":
            world.right.human_update("there-1", name="Annie")

    world.fault = intrude
    cycles(world, 3)
    assert world.right.live()["there-1"]["name"] == "Annie"
    assert [(row.left, row.right) for row in world.store.attention.conflicts()] == [("Anna", "Annie")]


@pytest.mark.parametrize(
    ("blank", "left", "right"),
    [(Blank.PROPAGATE, None, None), (Blank.IGNORE, None, "1"), (Blank.FILL, "1", "1")],
    ids=["it travels", "it stays where it is", "it is filled again"],
)
def test_a_field_that_was_emptied(blank: Blank, left: str | None, right: str | None) -> None:
    world = linked(World(replace(plain_spec(), blank=blank)))
    world.left.human_update("here-1", phone=None)
    cycles(world, 3)
    assert world.left.live()["here-1"]["phone"] == left
    assert world.right.live()["there-1"]["phone"] == right


def test_more_records_than_a_page_with_one_modified_time_are_all_read() -> None:
    world = World(manners={Side.LEFT: Manner(page=2, resolution=60_000)})
    cycle(world)
    for number in range(7):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 2)
    assert len(world.right.live()) == 7


def test_a_feed_that_does_not_get_on_is_found_out() -> None:
    class Stuck(MemoryConnector):
        async def changes(self, cursor: str | None) -> Page:
            return Page(cursor=cursor, last=cursor is None)

    world = linked(World())
    through(world, Stuck, Side.LEFT)
    report = cycle(world)
    assert report.ending is Ending.FAILED
    assert "does not get on" in str(report.error)


def test_a_field_that_the_app_refuses_sets_its_record_aside_with_the_apps_reason() -> None:
    class Strict(MemoryConnector):
        async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
            return [Receipt.refused("no such choice", "name") for _ in writes]

    world = linked(World())
    through(world, Strict, Side.RIGHT)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 2)
    (row,) = world.store.attention.parked()
    assert (row.code, row.field, row.reason) == ("refused", "name", "there refused it: no such choice")


def test_a_killed_cycle_blocks_nobody() -> None:
    class Killed(BaseException):
        pass

    def kill(name: str) -> None:
        if name == "after commit:sent":
            raise Killed

    world = linked(World())
    world.left.human_update("here-1", name="Anna")
    world.fault = kill
    with pytest.raises(Killed):
        cycle(world)
    world.fault = lambda _name: None
    world.start()
    cycles(world, 3)
    assert world.right.live()["there-1"]["name"] == "Anna"


def test_what_was_overwritten_is_in_the_history_with_the_rule() -> None:
    world = linked(World())
    world.left.human_update("here-1", name="Anna")
    cycles(world, 2)
    (row,) = world.store.operations.history()
    assert (row.side, row.record_id, row.field, row.old, row.new, row.rule, row.state) == (
        Side.RIGHT,
        "there-1",
        "name",
        "Ann",
        "Anna",
        "changed",
        "done",
    )


def test_an_app_in_memory_is_what_the_scenarios_think_it_is() -> None:
    app = MemoryApp("here", ("email",), World().clock)
    first = app.human_create(email="ann@example.org")
    app.human_merge(first, app.human_create(email="bob@example.org"))
    assert list(app.live()) == ["here-2"]
