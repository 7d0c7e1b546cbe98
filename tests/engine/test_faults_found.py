"""Small histories that once went wrong: each is the shortest of its kind that the simulator found."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.engine.found import ANN, Busy, Down, Loses, cycles, dying, linked
from twoway.core.model import Fetched, Page, Receipt, Side, Write
from twoway.core.rules import Direction, Drift, OnDelete, OnLeave, Policy, Start
from twoway.core.spec import FieldSpec, Location
from twoway.engine import byhand
from twoway.engine.cycle import Ending, Kind
from twoway.engine.run import Tuning
from twoway.ports import Consistency, ReceiptShape
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec


@pytest.fixture(autouse=True)
def reset() -> None:
    Loses.lost = Busy.refused = 0


def test_a_write_that_fails_beside_one_that_is_done_loses_nothing() -> None:
    """Both sides of a link were edited. The left write is refused for now, the right one is done: the right edit must
    not be forgotten with it, and be overwritten by the next left one."""
    world = World(connect=Busy)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    world.right.human_update("there-1", phone="2")
    Busy.refused = 1
    cycles(world, 1)
    world.left.human_update("here-1", phone="3")
    cycles(world, 3)
    conflicts = world.store.attention.conflicts()
    assert [(row.field, row.left, row.right) for row in conflicts] == [("phone", "3", "2")]
    assert world.right.live()["there-1"] == {"email": "ann@example.org", "name": "Anna", "phone": "2"}


def test_an_edit_during_a_write_is_carried_over_though_another_field_is_in_conflict() -> None:
    world = World(connect=Loses)
    linked(world)
    world.left.human_update("here-1", name="Anna", phone="2")
    world.right.human_update("there-1", phone="3")
    Loses.lost = 1
    cycles(world, 1)
    world.left.human_update("here-1", name="Annie")
    cycles(world, 4, after=15)
    assert world.right.live()["there-1"]["name"] == "Annie"
    assert [row.field for row in world.store.attention.conflicts()] == ["phone"]


def test_a_refusal_with_an_id_does_not_link_a_record_whose_counterpart_is_being_made() -> None:
    """Both sides have a record that the other lacks; then one's address becomes that of the other. The app's "there is
    one already" would give the first a second counterpart."""
    manner = Manner(unique=frozenset({"email"}), find=Consistency.NONE)
    world = World(manners=dict.fromkeys(Side, manner))
    world.left.human_create(**ANN)
    world.right.human_create(email="bob@example.org", name="Bob", phone="2")

    def rename(name: str) -> None:
        if name == "after commit:sent" and world.right.records["there-1"].values["email"] != ANN["email"]:
            world.right.human_update("there-1", email=ANN["email"])

    world.fault = rename
    cycles(world, 3)
    held = [record["email"] for record in world.right.live().values()]
    assert sorted(held) == ["ann@example.org"]
    rows = world.store.db.run("SELECT left_id, right_id FROM link").fetchall()
    assert len(rows) == len({row[0] for row in rows}) == len({row[1] for row in rows})


def test_a_merge_into_a_record_whose_create_is_in_doubt_waits_for_the_answer() -> None:
    world = World(manners={Side.RIGHT: Manner(marker=True)}, connect=Loses)
    linked(world)
    world.left.human_create(email="bob@example.org", name="Bob", phone="2")
    Loses.lost = 1
    cycles(world, 1)
    world.left.human_merge("here-1", "here-2")
    cycles(world, 6, after=15)
    assert len(world.right.live()) == 2
    assert world.store.links.count(world.pair.id) == 1
    assert [row.record_id for row in world.store.attention.parked()] == ["there-1"]


def test_a_record_that_came_back_under_another_id_is_linked_and_not_doubled() -> None:
    """Deleted on the right, edited on the left: but the person on the right had entered it anew."""
    world = World(plain_spec(start=Start.LEFT))
    linked(world)
    world.right.human_delete("there-1")
    world.right.human_create(**ANN)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 3)
    assert world.right.live() == {"there-2": {"email": "ann@example.org", "name": "Anna", "phone": "1"}}


@pytest.mark.parametrize("out", Side)
def test_a_record_is_not_linked_to_one_that_is_out_of_scope(out: Side) -> None:
    fields = ("email", "name", "phone", "segment")
    plain = plain_spec()
    scope = 'segment != "out"'
    spec = replace(
        plain,
        left=replace(plain.left, scope=scope if out is Side.LEFT else None),
        right=replace(plain.right, scope=scope if out is Side.RIGHT else None),
        fields=(
            *plain.fields,
            FieldSpec(
                name="segment",
                left=Location(path="segment") if out is Side.LEFT else None,
                right=Location(path="segment") if out is Side.RIGHT else None,
            ),
        ),
    )
    world = World(spec, fields=fields)
    world.apps[out].human_create(**ANN, segment="out")
    world.apps[out.other].human_create(**ANN)
    cycles(world, 3)
    assert world.store.links.count(world.pair.id) == 0
    assert [(row.side, row.code) for row in world.store.attention.parked()] == [(out.other, "out of scope")]
    world.apps[out].human_update(f"{world.apps[out].name}-1", segment=None)
    cycles(world, 3)
    assert world.store.links.count(world.pair.id) == 1
    assert world.store.attention.parked() == []


def test_a_record_that_was_deleted_before_it_was_linked_holds_nobody_back() -> None:
    world = World(manners={Side.RIGHT: Manner(feed_deletions=False)})
    world.right.human_create(**ANN)
    world._connect = lambda app: Down(app) if app is world.left else MemoryConnector(app)
    world.start()
    assert cycles(world, 1) == [Ending.FAILED]
    world._connect = MemoryConnector
    world.start()
    world.right.human_delete("there-1")
    world.left.human_create(**ANN)
    cycles(world, 3, kind=Kind.SNAPSHOT)
    assert [record["email"] for record in world.right.live().values()] == ["ann@example.org"]


def test_an_approved_short_listing_is_listed_again_by_whatever_cycle_comes_next() -> None:
    plain = plain_spec()
    spec = replace(plain, right=replace(plain.right, delete=OnDelete.DELETE))
    world = World(spec, manners={Side.LEFT: Manner(feed_deletions=False)})
    linked(world)
    world.left.human_delete("here-1")
    assert cycles(world, 1, kind=Kind.SNAPSHOT) == [Ending.HELD]
    assert list(world.right.live()) == ["there-1"]
    world.approve()
    assert cycles(world, 1, kind=Kind.INCREMENTAL) == [Ending.DONE]
    assert world.right.live() == {}


def test_a_one_way_field_that_the_app_rewrites_without_a_word_is_put_back_once() -> None:
    plain = plain_spec()
    phone = replace(plain.fields[-1], direction=Direction.TO_RIGHT, drift=Drift.REVERT)
    manner = Manner(
        receipt=ReceiptShape.NOTHING, stores=lambda _name, value: str(value).rstrip("+"), declares_form=False
    )
    world = World(replace(plain, fields=(*plain.fields[:-1], phone)), manners={Side.RIGHT: manner})
    world.left.human_create(email="ann@example.org", name="Ann", phone="1+")
    cycles(world, 6)
    assert [change.kind for change in world.right.written()] == ["create", "update"]
    world.right.human_update("there-1", phone="9")
    cycles(world, 4)
    assert world.right.live()["there-1"]["phone"] == "1"


def test_our_own_record_is_recognised_though_a_person_moved_it_out_of_scope() -> None:
    plain = plain_spec()
    spec = replace(
        plain,
        right=replace(plain.right, scope='segment != "out"'),
        fields=(*plain.fields, FieldSpec(name="segment", right=Location(path="segment"))),
    )
    world = World(spec, fields=("email", "name", "phone", "segment"), connect=Loses)
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    world.right.human_update("there-1", segment="out")
    cycles(world, 6, after=15)
    assert list(world.right.live()) == ["there-1"]
    assert world.store.links.count(world.pair.id) == 1


def test_an_app_whose_clock_is_ahead_does_not_hold_its_records_back() -> None:
    world = World(settle=10_000)
    cycles(world, 1)
    world.left.human_create(**ANN)
    world.left.records["here-1"].modified += 3_600_000
    world.left._past["here-1"][-1][1].modified += 3_600_000
    cycles(world, 4, after=8)
    assert len(world.right.live()) == 1


def test_two_creates_in_doubt_are_told_apart_before_anything_is_set_aside() -> None:
    """Both answers were lost; a person edited one of the two records since. The other one is certain."""
    world = World(connect=Loses)
    world.left.human_create(**ANN)
    world.left.human_create(email="bob@example.org", name="Bob", phone="2")
    Loses.lost = 1
    cycles(world, 1)
    world.right.human_update("there-1", name="Anna")
    cycles(world, 6, after=15)
    assert len(world.right.live()) == 2
    (link,) = world.store.db.run("SELECT left_id, right_id FROM link").fetchall()
    assert tuple(link) == ("here-2", "there-2")
    assert {row.record_id for row in world.store.attention.parked()} == {"here-1", "there-1"}


def test_a_merge_into_what_we_may_have_made_ourselves_waits_for_the_answer() -> None:
    """The answer to a create was lost, and another record of the link's was merged into what it made."""
    world = World(connect=Loses)
    linked(world)
    world.left.human_create(email="bob@example.org", name="Bob", phone="2")
    Loses.lost = 1
    cycles(world, 1)
    world.right.human_merge("there-1", "there-2")
    cycles(world, 6, after=15)
    assert list(world.right.live()) == ["there-2"]
    assert world.store.links.of(world.pair.id, Side.RIGHT, "there-2") is not None


@pytest.mark.parametrize("busy", Side)
def test_two_sets_that_were_never_agreed_on_are_joined_though_one_write_fails(busy: Side) -> None:
    plain = plain_spec(("email", "name"))
    tags = FieldSpec(name="tags", type="set", left=Location(path="tags"), right=Location(path="tags"))

    class BusyThere(MemoryConnector):
        refused = 1

        async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
            if self.refused and self.app is world.apps[busy]:
                self.refused -= 1
                return [Receipt.later("busy")] * len(writes)
            return await super().apply(writes)

    world = World(replace(plain, fields=(*plain.fields, tags)), fields=("email", "name", "tags"), connect=BusyThere)
    world.left.human_create(email="ann@example.org", name="Ann", tags=["a", "b"])
    world.right.human_create(email="ann@example.org", name="Ann", tags=["b", "c"])
    cycles(world, 4)
    for app in world.apps.values():
        assert [record["tags"] for record in app.live().values()] == [["a", "b", "c"]]


def test_who_was_taken_out_of_the_scope_still_holds_their_address() -> None:
    """The counterpart was archived; the record itself is there, and a second one with its address is a duplicate."""
    plain = plain_spec()
    spec = replace(
        plain,
        left=replace(plain.left, scope='segment != "out"'),
        fields=(*plain.fields, FieldSpec(name="segment", left=Location(path="segment"))),
        on_leave=OnLeave.ARCHIVE,
    )
    world = World(spec, fields=("email", "name", "phone", "segment"))
    linked(world)
    world.left.human_update("here-1", segment="out")
    cycles(world, 2)
    assert world.right.live() == {}
    world.right.human_create(**ANN)
    cycles(world, 2)
    assert list(world.left.live()) == ["here-1"]


def test_a_value_that_a_person_puts_back_after_our_write_is_seen_though_another_field_is_in_conflict() -> None:
    """The record reads as it did before our write: that is an edit all the same."""
    world = World(
        replace(plain_spec(), conflict=Policy.REVIEW),
        manners={Side.LEFT: Manner(receipt=ReceiptShape.NOTHING, lag=3_000), Side.RIGHT: Manner()},
    )
    linked(world)
    world.left.human_update("here-1", phone="2")
    world.right.human_update("there-1", phone="3")
    cycles(world, 1)
    world.right.human_update("there-1", name="Anna")
    cycles(world, 1)
    assert world.left.live()["here-1"]["name"] == "Anna"
    world.left.human_update("here-1", name="Ann")
    cycles(world, 3)
    assert world.right.live()["there-1"]["name"] == "Ann"
    assert [row.field for row in world.store.attention.conflicts(world.pair.id)] == ["phone"]


def test_a_create_in_doubt_is_not_sent_again_while_what_it_may_have_made_is_only_heard_of() -> None:
    """The listing shows our own record, edited since; it rests for a while before it is read by id."""
    lagging = Manner(resolution=1, lag=3_000, find=Consistency.NONE)
    world = World(manners={Side.LEFT: Manner(), Side.RIGHT: lagging}, connect=Loses, settle=20_000)
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    world.clock.advance(14)
    world.right.human_update("there-1", email="anna@example.org")
    cycles(world, 4, after=4)
    assert list(world.right.live()) == ["there-1"]


def test_who_is_back_in_scope_while_the_answer_to_our_archiving_is_awaited_gets_a_new_counterpart() -> None:
    plain = plain_spec()
    spec = replace(
        plain,
        left=replace(plain.left, scope='segment != "out"'),
        fields=(*plain.fields, FieldSpec(name="segment", left=Location(path="segment"))),
        on_leave=OnLeave.ARCHIVE,
    )
    world = World(spec, fields=("email", "name", "phone", "segment"), connect=Loses)
    linked(world)
    world.left.human_update("here-1", segment="out")
    Loses.lost = 1
    cycles(world, 1)
    assert world.right.live() == {}
    world.left.human_update("here-1", segment=None)
    cycles(world, 1)
    world.left.human_create(email="bob@example.org", name="Bob", phone="2")
    cycles(world, 6)
    assert {record["name"] for record in world.right.live().values()} == {"Ann", "Bob"}


def test_who_is_out_of_scope_and_taken_back_out_of_the_bin_still_holds_their_address() -> None:
    plain = plain_spec()
    spec = replace(
        plain,
        left=replace(plain.left, scope='segment != "out"'),
        fields=(*plain.fields, FieldSpec(name="segment", left=Location(path="segment"))),
    )
    world = World(spec, fields=("email", "name", "phone", "segment"))
    world.left.human_create(**ANN, segment="out")
    cycles(world, 2)
    world.left.human_delete("here-1")
    cycles(world, 2)
    world.left.human_restore("here-1")
    cycles(world, 2)
    world.right.human_create(**ANN)
    cycles(world, 2)
    assert list(world.left.live()) == ["here-1"]


def test_what_we_may_have_made_for_one_is_not_linked_to_another_who_now_has_the_same_address() -> None:
    """The answer was lost, a person gave our record the address of somebody else, and no listing shows it yet."""
    lagging = Manner(resolution=1, lag=10_000, unique=frozenset({"email"}), find=Consistency.NONE)
    world = World(manners={Side.LEFT: Manner(), Side.RIGHT: lagging}, connect=Loses)
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    world.clock.advance(1)
    world.right.human_update("there-1", email="bob@example.org")
    world.left.human_create(email="bob@example.org", name="Bob", phone="2")
    cycles(world, 8)
    assert list(world.right.live()) == ["there-1"]
    assert {row.code for row in world.store.attention.parked(world.pair.id)} >= {"in doubt"}


def test_a_create_in_doubt_that_was_merged_away_before_it_was_looked_up_was_made_all_the_same() -> None:
    marking = Manner(marker=True, find_fields=frozenset())
    world = World(manners={Side.LEFT: Manner(), Side.RIGHT: marking}, connect=Loses)
    world.right.human_create(email="bob@example.org", name="Bob", phone="2")
    cycles(world, 2)
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 2)
    made = next(record.id for record in world.right.records.values() if record.marker)
    world.clock.advance(1)
    world.right.human_update(made, email="anna@example.org")
    merged: list[str] = []

    def merge(name: str) -> None:
        if name == "before there.find" and not merged:
            merged.append(made)
            world.right.human_merge(made, "there-1")

    world.fault = merge
    cycles(world, 4)
    assert merged
    assert list(world.right.live()) == ["there-1"]
    assert len(world.left.live()) == 2


def test_news_of_one_record_wakes_its_counterpart_that_was_set_aside_for_long() -> None:
    """Both were edited, and the app refused what was written to the left one. The right one is then put right."""
    picky = Manner(refuses=lambda name, value: name == "name" and value == "!")
    world = World(manners={Side.LEFT: picky, Side.RIGHT: Manner()}, tuning=Tuning(retry=86_400_000))
    linked(world)
    world.left.human_update("here-1", phone="2")
    world.right.human_update("there-1", name="!")
    cycles(world, 2)
    assert [row.code for row in world.store.attention.parked(world.pair.id)] == ["refused"]
    world.right.human_update("there-1", name="Anna")
    cycles(world, 1)
    assert world.left.live()["here-1"]["name"] == "Anna"
    assert world.store.attention.parked(world.pair.id) == []


def test_a_choice_that_the_mapping_overlooks_takes_the_record_out_of_the_scope_all_the_same() -> None:
    plain = plain_spec()
    stage = FieldSpec(
        name="stage", type="choice", choices={"a": "A"}, unknown_choice="ignore", left=Location(path="segment")
    )
    spec = replace(plain, left=replace(plain.left, scope='stage == "a"'), fields=(*plain.fields, stage))
    world = World(spec, fields=("email", "name", "phone", "segment"))
    world.left.human_create(**ANN, segment="a")
    cycles(world, 2)
    assert len(world.right.live()) == 1
    world.left.human_update("here-1", segment="z")
    world.right.human_update("there-1", phone="2")
    cycles(world, 2)
    assert world.left.written() == []
    world.left.human_update("here-1", segment="a")
    cycles(world, 2)
    assert world.left.live()["here-1"]["phone"] == "2"


def test_a_deletion_that_is_told_again_wakes_nothing() -> None:
    """The edit survives the deletion, and the app refuses to take the record again: the feed goes on telling of it."""
    picky = Manner(resolution=10_000, refuses=lambda name, value: name == "name" and value == "!")
    world = World(manners={Side.LEFT: picky, Side.RIGHT: Manner()}, tuning=Tuning(retry=86_400_000))
    linked(world)
    world.right.human_update("there-1", name="!")
    world.left.human_delete("here-1")
    cycles(world, 5)
    sent = world.store.db.run("SELECT count(*) FROM operation WHERE kind = 'create' AND sent_at IS NOT NULL").fetchone()
    assert sent[0] == 1
    assert [row.code for row in world.store.attention.parked(world.pair.id)] == ["refused"]


def test_somebody_deleted_is_nobodys_double_whichever_side_they_were_on() -> None:
    for side in Side:
        world = World()
        app, other = world.apps[side], world.apps[side.other]
        cycles(world, 1)
        first = app.human_create(**ANN)
        app.human_create(**ANN)
        cycles(world, 1)
        app.human_delete(first)
        other.human_create(**ANN)
        cycles(world, 1)
        assert world.store.links.count(world.pair.id) == 1, side


def test_a_create_in_doubt_is_looked_for_twice_where_the_feed_comes_in_pages_and_lags() -> None:
    """Between two pages the index goes back in time, and our record, edited just then, behind what was read."""

    class Overlooks(Loses):
        blind = 0

        async def changes(self, cursor: str | None) -> Page:
            page = await super().changes(cursor)
            if self.app.name == "there" and type(self).blind:
                type(self).blind -= 1
                return Page(cursor=page.cursor, last=not type(self).blind)
            return page

    lagging = Manner(resolution=1, lag=1_000, find=Consistency.NONE)
    world = World(manners={Side.LEFT: Manner(), Side.RIGHT: lagging}, connect=Overlooks)
    cycles(world, 1)
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    world.clock.advance(20)
    world.right.human_update("there-1", email="anna@example.org")
    Overlooks.blind = 2
    cycles(world, 1)
    assert Overlooks.blind == 0
    cycles(world, 3)
    assert list(world.right.live()) == ["there-1"]


def test_what_was_read_while_our_own_write_was_on_its_way_is_no_edit() -> None:
    """Both records of a link are written at once. What the one write has read of the other's target is from before."""

    class Slow(MemoryConnector):
        slow = 0

        async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
            found = await super().fetch(ids)
            if self.app.name == "there" and type(self).slow:
                type(self).slow -= 1
                for _ in range(200):
                    await asyncio.sleep(0)
            return found

    manner = Manner(conditional=False, receipt=ReceiptShape.NOTHING)
    world = World(manners=dict.fromkeys(Side, manner), connect=Slow)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    world.right.human_update("there-1", phone="2")
    dying(world, "before commit:decide")
    byhand.look_at(world.store, world.pair.id, [(Side.LEFT, "here-9")], world.clock.now())
    Slow.slow = 1

    def edit(name: str) -> None:
        if name == "after commit:sent":
            world.left.human_update("here-1", phone="3")

    world.fault = edit
    cycles(world, 1, kind=Kind.RECORD)
    world.fault = lambda _name: None
    cycles(world, 2)
    assert Slow.slow == 0
    assert not any("name" in change.fields for change in world.left.written())
