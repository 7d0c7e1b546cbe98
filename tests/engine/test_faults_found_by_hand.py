"""Small histories that went wrong when people did something at twoway itself: approve, decide, undo, name records."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.engine.found import ANN, Busy, Loses, cycles, dying, linked, undo, written_by_one_cycle
from twoway.core.model import Fetched, Page, Receipt, Side, Write
from twoway.core.rules import Direction, GuardRules, OnLeave, Policy, Start
from twoway.core.spec import FieldSpec, Location
from twoway.engine import byhand
from twoway.engine.cycle import Ending, Kind
from twoway.engine.plans import dry_run
from twoway.engine.run import Tuning
from twoway.engine.undo import plan_undo
from twoway.ports import Consistency, ReceiptShape
from twoway.sdk.errors import TryLater
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec


@pytest.fixture(autouse=True)
def reset() -> None:
    Loses.lost = Busy.refused = 0
    Sulks.sulking = False


def test_a_plan_that_the_guard_holds_is_kept_for_people_to_approve() -> None:
    world = World()
    for number in range(21):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")
    assert cycles(world, 1) == [Ending.HELD]
    assert world.right.live() == {}
    row = world.store.pairs.get("here-there")
    assert row is not None
    assert row.shown is not None
    assert row.shown.creates == {Side.LEFT: 0, Side.RIGHT: 21}
    world.approve()
    assert cycles(world, 1) == [Ending.DONE]
    assert len(world.right.live()) == 21


@pytest.mark.parametrize("mistake", ["out of the scope", "deleted"])
def test_a_plan_that_the_guard_holds_ends_no_link(mistake: str) -> None:
    """Whoever is told that nothing was done, and takes the mistake back in the app, finds all as it was."""
    plain = plain_spec(("email", "name", "phone"))
    left = replace(plain.left, scope='name != "out"')
    world = World(replace(plain, left=left, on_leave=OnLeave.UNLINK, guard=GuardRules(floor=2)))
    for number in range(3):
        for app in world.apps.values():
            app.human_create(email=f"{number}@example.org", name="in", phone="1")
    cycles(world, 2)
    if mistake == "deleted":
        world.left.human_delete("here-1")
    else:
        world.left.human_update("here-1", name="out")
    for number in range(3, 9):
        world.right.human_create(email=f"{number}@example.org", name="in", phone="1")
    shown = asyncio.run(dry_run(world.pair, world.store, world.clock, Kind.INCREMENTAL))
    assert (shown.ending, shown.pending) == (1, True)
    assert cycles(world, 1) == [Ending.HELD]
    assert world.store.links.count(world.pair.id) == 3
    if mistake == "deleted":
        world.left.human_restore("here-1")
    else:
        world.left.human_update("here-1", name="in")
    world.approve()
    cycles(world, 2)
    world.left.human_update("here-1", phone="2")
    cycles(world, 1)
    assert world.right.live()["there-1"]["phone"] == "2"
    assert (len(world.left.live()), len(world.right.live())) == (9, 9)


def test_policy_review_waits_for_a_person_and_their_decision_is_carried_out() -> None:
    world = World(replace(plain_spec(), conflict=Policy.REVIEW))
    linked(world)
    world.left.human_update("here-1", name="Anna")
    world.right.human_update("there-1", name="Annie")
    cycles(world, 2)
    (row,) = world.store.attention.conflicts()
    world.decide(row.id, "Annie")
    cycles(world, 2)
    assert world.left.live()["here-1"]["name"] == "Annie"
    assert world.store.attention.conflicts() == []


def test_an_undo_takes_away_what_it_made_and_not_what_that_was_merged_into() -> None:
    world = World()
    world.left.human_create(**ANN)
    cycles(world, 1)
    (row,) = world.store.pairs.cycles(world.pair.id)
    world.right.human_create(email="bob@example.org", name="Bob", phone="2")
    world.right.human_merge("there-1", "there-2")
    cycles(world, 2)
    plan = plan_undo(world.pair, world.store, row.id)
    assert plan.staging == ()
    assert plan.left_alone


def test_an_undo_takes_nothing_away_that_a_person_filled_in() -> None:
    """A field that we never wrote has no base: what it holds is a person's."""
    plain = plain_spec()
    phone = replace(plain.fields[-1], direction=Direction.TO_LEFT)
    world = World(replace(plain, fields=(*plain.fields[:-1], phone)))
    world.left.human_create(**ANN)
    cycles(world, 1)
    (row,) = world.store.pairs.cycles(world.pair.id)
    world.right.human_update("there-1", phone="9")

    undo(world, row.id)
    assert list(world.right.live()) == ["there-1"]


def test_a_named_record_is_not_created_beside_one_that_came_since_the_last_poll() -> None:
    world = World(manners=dict.fromkeys(Side, Manner(find=Consistency.NONE)))
    cycles(world, 1)
    world.right.human_create(**ANN)
    here = world.left.human_create(**ANN)
    byhand.look_at(world.store, world.pair.id, [(Side.LEFT, here)], world.clock.now())
    cycles(world, 1, kind=Kind.RECORD)
    assert list(world.right.live()) == ["there-1"]
    assert world.store.links.count(world.pair.id) == 1


def test_another_try_for_all_makes_nothing_new_of_what_may_have_a_counterpart() -> None:
    """Both answers were lost and both records edited: which is whose a person must say, one by one."""
    world = World(connect=Loses)
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    world.right.human_update("there-1", name="Anna", email="anna@example.org")
    cycles(world, 4, after=15)
    assert {row.code for row in world.store.attention.parked()} == {"in doubt"}
    assert byhand.retry(world.store, world.pair.id, world.clock.now()) == 0
    cycles(world, 2)
    assert len(world.right.live()) == 1


@pytest.mark.parametrize("side", Side)
def test_a_cycle_that_lists_nothing_trusts_nothing_that_was_read_before_it(side: Side) -> None:
    """A cycle that failed left what it had read. Before the next one, of named records, either record leaves the
    scope: nothing is carried over."""

    class DownThere(MemoryConnector):
        down = False

        async def changes(self, cursor: str | None) -> Page:
            if self.down and self.app.name == "there":
                raise TryLater("out of reach")
            return await super().changes(cursor)

    plain = plain_spec()
    spec = replace(
        plain,
        **{side.value: replace(plain.side(side), scope='segment != "out"')},  # type: ignore[arg-type]  # by name
        fields=(*plain.fields, FieldSpec(name="segment", **{side.value: Location(path="segment")})),  # type: ignore[arg-type]  # by name
    )
    fields = ("email", "name", "phone", "segment")
    world = World(spec, manners={of: Manner(conditional=False) for of in Side}, fields=fields, connect=DownThere)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    DownThere.down = True
    assert cycles(world, 1) == [Ending.FAILED]
    world.apps[side].human_update("here-1" if side is Side.LEFT else "there-1", segment="out")
    byhand.look_at(world.store, world.pair.id, [(Side.RIGHT, "there-9")], world.clock.now())
    cycles(world, 1, kind=Kind.RECORD)
    assert world.right.written() == []


def test_an_undo_sends_nothing_that_a_dead_cycle_had_planned() -> None:
    world = World(connect=Busy)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 1)
    row = world.store.pairs.cycles(world.pair.id, limit=1)[0]
    world.right.human_update("there-1", phone="2")

    dying(world, "before commit:sent")
    world.right.human_update("there-1", phone="3")

    undo(world, row.id)
    assert world.right.live()["there-1"]["name"] == "Ann"
    assert world.left.live()["here-1"]["phone"] == "1"


def test_what_was_read_before_an_undo_is_no_edit_of_what_it_put_back() -> None:
    world = World(manners={Side.LEFT: Manner(), Side.RIGHT: Manner(receipt=ReceiptShape.NOTHING)})
    linked(world)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 1)
    row = world.store.pairs.cycles(world.pair.id, limit=1)[0]
    world.right.human_update("there-1", phone="2")
    dying(world, "before commit:decide")
    undo(world, row.id)
    byhand.look_at(world.store, world.pair.id, [(Side.LEFT, "here-9")], world.clock.now())
    cycles(world, 1, kind=Kind.RECORD)
    cycles(world, 2)
    assert world.left.live()["here-1"] == {**world.left.live()["here-1"], "name": "Anna", "phone": "2"}
    assert world.right.live()["there-1"] == {**world.right.live()["there-1"], "name": "Ann", "phone": "2"}


def test_what_the_app_will_not_take_is_tried_ever_more_rarely_and_never_stops_the_pair() -> None:
    """A person approved these creates once; that the app refuses them is no reason to ask again at each new try."""
    picky = Manner(refuses=lambda name, value: name == "name" and value == "!")
    world = World(manners={Side.LEFT: Manner(), Side.RIGHT: picky}, tuning=Tuning(retry=600_000))
    for number in range(25):
        world.left.human_create(email=f"{number}@example.org", name="!", phone="1")
    assert cycles(world, 1) == [Ending.HELD]
    world.approve()
    pauses = []
    for _ in range(4):
        assert cycles(world, 1) == [Ending.DONE]
        rows = world.store.attention.parked(world.pair.id)
        assert {row.code for row in rows} == {"refused"}
        due = max(row.retry_at or 0 for row in rows)
        pauses.append((due - world.clock.now()) // 60_000)
        world.clock.advance((due - world.clock.now()) / 1000)
    assert pauses == [10, 20, 40, 80]


def test_an_undo_that_could_not_be_sent_is_held_up_by_no_guard() -> None:
    """A person asked for it: it goes out with the next cycle, however many records it takes away."""
    world = World(replace(plain_spec(), guard=GuardRules(floor=2)))
    for number in range(3):
        world.right.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 1)
    world.approve()
    cycles(world, 1)
    assert len(world.left.live()) == 3
    row = world.store.pairs.cycles(world.pair.id, limit=1)[0]
    dying(world, "before commit:sent", lambda: undo(world, row.id))
    assert cycles(world, 2) == [Ending.DONE] * 2
    assert world.left.live() == {}


def test_an_undo_that_was_sent_twice_on_the_way_stands() -> None:
    """The second answer says that the record has changed: by the first of the two requests."""

    class Twice(MemoryConnector):
        twice = False

        async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
            receipts = await super().apply(writes)
            return await super().apply(writes) if self.twice else receipts

    world = World(connect=Twice)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 1)
    Twice.twice = True
    undo(world, world.store.pairs.cycles(world.pair.id, limit=1)[0].id)
    cycles(world, 5)
    assert [record["name"] for app in world.apps.values() for record in app.live().values()] == ["Anna", "Ann"]


@pytest.mark.parametrize("fault", [Loses, Busy], ids=["lost on the way", "refused for now"])
def test_an_undo_that_did_not_land_is_sent_again(fault: type[MemoryConnector]) -> None:
    class LostThere(Loses):
        async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
            if Loses.lost > 0:
                Loses.lost -= 1
                return [Receipt.unknown("no answer")] * len(writes)
            return await super().apply(writes)

    world = World(connect=LostThere if fault is Loses else fault)
    linked(world)
    world.right.human_update("there-1", name="Anna")
    cycles(world, 1)
    Loses.lost, Busy.refused = 1, 1
    undo(world, world.store.pairs.cycles(world.pair.id, limit=1)[0].id)
    assert world.left.live()["here-1"]["name"] == "Anna"
    cycles(world, 5)
    assert [record["name"] for app in world.apps.values() for record in app.live().values()] == ["Ann", "Anna"]
    assert [(row.old, row.new, row.state) for row in world.store.operations.history(pair=world.pair.id)] == [
        ("Anna", "Ann", "done"),
        ("Anna", "Ann", "unknown"),
        ("Ann", "Anna", "done"),
    ]


def test_who_may_have_been_created_opposite_is_linked_by_nobody_else() -> None:
    world = World(connect=Loses)
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    bob = world.right.human_create(email="bob@example.org", name="Bob", phone="2")
    with pytest.raises(byhand.CannotBeDone, match="the answer is awaited"):
        byhand.link(world.store, world.pair.id, {Side.LEFT: "here-1", Side.RIGHT: bob}, world.clock.now())
    cycles(world, 5)
    assert len(world.left.live()) == len(world.right.live()) == 2


def test_who_goes_back_to_the_first_value_while_a_verdict_is_carried_out_has_edited_it() -> None:
    world = World(replace(plain_spec(), conflict=Policy.REVIEW))
    linked(world)
    world.left.human_update("here-1", phone="2")
    world.right.human_update("there-1", phone="3")
    cycles(world, 1)
    world.decide(world.store.attention.conflicts()[0].id, "9")
    gone_back: list[str] = []

    def go_back(name: str) -> None:
        if name == "before here.apply:update" and not gone_back:
            gone_back.append(name)
            world.left.human_update("here-1", phone=ANN["phone"])

    world.fault = go_back
    cycles(world, 4)
    assert gone_back
    assert [record["phone"] for app in world.apps.values() for record in app.live().values()] == [ANN["phone"]] * 2


def test_two_creates_in_doubt_of_which_one_is_set_aside_hold_up_nobody_for_ever() -> None:
    """Whoever is set aside is read again only when something happens: the other create does not wait for that."""
    rough = Manner(resolution=1_000, find=Consistency.NONE)
    lagging = Manner(resolution=1, lag=1_000, find=Consistency.NONE)

    class LosesAll(MemoryConnector):
        async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
            if Loses.lost:
                Loses.lost -= 1
                if self.app.name == "there":
                    return [Receipt.unknown("no answer")] * len(writes)
                await super().apply(writes)
                return [Receipt.unknown("no answer")] * len(writes)
            return await super().apply(writes)

    manners = {Side.LEFT: rough, Side.RIGHT: lagging}
    world = World(manners=manners, connect=LosesAll, settle=8_000, tuning=Tuning())
    world.left.human_create(**ANN)
    world.right.human_create(email="bob@example.org", name="Bob", phone="2")
    Loses.lost = 2
    cycles(world, 1)
    made = next(record for record in world.left.records if record != "here-1")
    world.left.human_update(made, name="Robert")
    world.clock.advance(14)
    world.right.human_update("there-1", phone="3")
    cycles(world, 4, after=4)
    world.right.human_create(email="cid@example.org", name="Cid", phone="4")
    cycles(world, 6, after=15)
    assert "Cid" in {record["name"] for record in world.left.live().values()}


@pytest.mark.parametrize(
    ("second", "back"),
    [
        pytest.param("Anne", {"name": "Ann"}, id="our own value in between is passed over"),
        pytest.param("Ann", None, id="what was written to and fro is left as it is"),
    ],
)
def test_the_undo_of_a_cycle_that_wrote_a_field_twice_leads_back_to_before_it(
    second: str, back: dict[str, str] | None
) -> None:
    """Once two writes in one batch, the later of which restored the value in between."""
    world = World()
    linked(world)
    cycle = written_by_one_cycle(world, "Anna", second)
    assert [c.fields["name"][1] for c in world.right.log if c.who == "engine"] == ["Anna", second]

    plan = plan_undo(world.pair, world.store, cycle)
    assert [one.edit.changed for one in plan.staging if one.edit.side is Side.RIGHT] == ([back] if back else [])
    undo(world, cycle)
    cycles(world, 3)
    assert world.right.live()["there-1"]["name"] == "Ann"


def test_the_undo_of_a_cycle_that_wrote_a_field_twice_stops_at_what_a_person_wrote_between() -> None:
    world = World(replace(plain_spec(), conflict=Policy.LEFT))
    linked(world)
    cycle = written_by_one_cycle(world, "Anna", "Anne", lambda: world.right.human_update("there-1", name="A"))
    undo(world, cycle)
    assert world.right.live()["there-1"]["name"] == "A"


class Drops(MemoryConnector):
    """A connector of which the creates get lost on the way."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if self.app.name == "there" and writes[0].kind == "create":
            return [Receipt.unknown("no answer")] * len(writes)
        return await super().apply(writes)


def test_an_undo_takes_nothing_away_of_which_it_is_only_believed_that_we_made_it() -> None:
    """What looks just like what we sent may be somebody else's, where the answer was lost and the app has no marker."""
    world = World(manners={Side.RIGHT: Manner(created_times=False)}, connect=Drops)
    world.left.human_create(**ANN)
    cycles(world, 1)
    (row,) = world.store.pairs.cycles(world.pair.id)
    world.right.human_create(**ANN)
    cycles(world, 5, after=30)
    assert world.store.links.count(world.pair.id) == 1

    plan = plan_undo(world.pair, world.store, row.id)
    assert plan.staging == ()
    assert "there:there-1 was found when the answer to its creation was lost" in plan.left_alone[0]
    undo(world, row.id)
    assert list(world.right.live()) == ["there-1"]


class Sulks(MemoryConnector):
    """A connector that reads nothing by id for now, as long as it is told to."""

    sulking = False

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        if self.sulking:
            raise TryLater("out of reach")
        return await super().fetch(ids)


def test_two_cycles_that_wrote_one_record_are_undone_one_after_the_other() -> None:
    """Once both undos waited for an app that was out of reach, and were then sent together, one over the other."""
    plain = plain_spec()
    name = replace(plain.fields[1], direction=Direction.TO_RIGHT)
    world = World(replace(plain, fields=(plain.fields[0], name, *plain.fields[2:])), connect=Sulks)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 1)
    world.right.human_update("there-1", name="Zoe")
    cycles(world, 1)
    second, first = [row.id for row in world.store.pairs.cycles(world.pair.id)][:2]
    earlier = plan_undo(world.pair, world.store, first)
    assert [one.edit.changed for one in earlier.staging] == [{"name": "Ann"}]
    Sulks.sulking = True
    undo(world, second)
    (reason,) = plan_undo(world.pair, world.store, first).left_alone
    assert reason == "there:there-1 has the undo of another cycle under way: undo it when that is done"
    undo(world, first, earlier)
    Sulks.sulking = False
    cycles(world, 2)
    assert world.right.live()["there-1"]["name"] == "Zoe"


def test_what_is_made_anew_takes_nobody_elses_record_by_a_later_key() -> None:
    """It goes through match by the rules of match: the first key of that record gives it to another."""
    plain = plain_spec(start=Start.LEFT)
    world = World(replace(plain, match=(("email",), ("phone",))))
    linked(world)
    world.right.human_delete("there-1")
    world.left.human_update("here-1", name="Anna")
    eve = {"email": "eve@example.org", "name": "Eve", "phone": "5"}
    world.left.human_create(**eve)
    world.right.human_create(**{**eve, "name": "Eva", "phone": "1"})
    cycles(world, 4)
    link = world.store.links.of(world.pair.id, Side.LEFT, "here-2")
    assert link is not None
    assert link.ids[Side.RIGHT] == "there-2"
    assert world.right.live()["there-2"] == eve
