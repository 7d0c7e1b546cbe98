"""Writes of which the answer was lost, or is not that of the write: told from what people did meanwhile."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.engine.found import ANN, Loses, cycles, linked, undo
from twoway.core.model import Fetched, Kind, Receipt, Side, Write
from twoway.core.rules import OnDelete, OnLeave
from twoway.core.spec import FieldSpec, Location
from twoway.engine.app import App
from twoway.engine.run import Tuning
from twoway.sdk.errors import TryLater
from twoway.testing.memory import Manner, MemoryApp, MemoryConnector
from twoway.testing.world import World, plain_spec

BOB = {"email": "bob@example.org", "name": "Bob", "phone": "2"}


class LosesOnce(MemoryConnector):
    """Loses the answer to its first batch; with `lands`, what was asked for is done all the same."""

    def __init__(self, app: MemoryApp, *, lands: bool) -> None:
        super().__init__(app)
        self.lost = False
        self.lands = lands

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if self.lost:
            return await super().apply(writes)
        self.lost = True
        if self.lands:
            await super().apply(writes)
        return [Receipt.unknown("no answer")] * len(writes)


async def _lost(*, lands: bool) -> World:
    """A world in which the first create on the right was sent, and nobody knows what became of it."""
    world = World(manners={Side.RIGHT: Manner(marker=False, resolution=1)})
    await world.cycle()
    losing = LosesOnce(world.right, lands=lands)
    app = App(losing, "there", Side.RIGHT, world.clock, lambda _: None)
    world.pair = replace(world.pair, apps={**world.pair.apps, Side.RIGHT: app})
    world.left.human_create(**ANN)
    await world.cycle()
    assert losing.lost
    return world


async def _settle(world: World) -> None:
    for _ in range(4):
        await world.cycle(after=30.0)


def test_somebody_elses_new_record_is_no_reason_to_set_ours_aside() -> None:
    async def story() -> None:
        world = await _lost(lands=False)
        world.right.human_create(**BOB)
        await _settle(world)
        assert world.store.attention.parked() == []
        names = sorted(record["name"] for record in world.right.live().values())
        assert names == ["Ann", "Bob"], "ours did not land, and was sent again"
        assert sorted(record["name"] for record in world.left.live().values()) == ["Ann", "Bob"]

    asyncio.run(story())


def test_ours_is_found_among_others() -> None:
    async def story() -> None:
        world = await _lost(lands=True)
        world.right.human_create(**BOB)
        await _settle(world)
        assert sorted(record["name"] for record in world.right.live().values()) == ["Ann", "Bob"]
        assert world.store.attention.parked() == []

    asyncio.run(story())


def test_one_that_was_edited_since_may_be_ours_and_is_left_to_a_person() -> None:
    async def story() -> None:
        world = await _lost(lands=True)
        (ours,) = world.right.live()
        world.clock.advance(5)
        world.right.human_update(ours, email="anna@example.org")
        await _settle(world)
        assert len(world.right.live()) == 1, "it was not sent again"
        assert {row.code for row in world.store.attention.parked()} == {"in doubt"}

    asyncio.run(story())


MARKED = Manner(marker=True, find_fields=frozenset())
PLAIN = Manner(resolution=1)


@pytest.mark.parametrize("manner", [MARKED, PLAIN], ids=["with a marker", "without"])
@pytest.mark.parametrize("end", ["merged", "deleted"])
def test_what_was_made_unheard_and_seen_is_not_made_again_when_it_is_gone_before_it_is_looked_for(
    manner: Manner, end: str
) -> None:
    Loses.lost = 0
    world = World(manners={Side.LEFT: PLAIN, Side.RIGHT: manner}, connect=Loses)
    world.right.human_create(**BOB)
    cycles(world, 2)
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    cycles(world, 1, after=2)
    world.clock.advance(1)
    if end == "merged":
        world.right.human_merge("there-2", "there-1")
    else:
        world.right.human_delete("there-2")
    cycles(world, 1, after=2)
    cycles(world, 6)
    assert list(world.right.live()) == ["there-1"]


class Twice(MemoryConnector):
    """Something on the way sends each removal twice, and gives the second answer."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        receipts = await super().apply(writes)
        if self.app.name == "there" and writes[0].kind in (Kind.DELETE, Kind.ARCHIVE):
            return await super().apply(writes)
        return receipts


def test_our_own_undo_of_a_create_that_is_sent_twice_is_no_deletion_by_a_person() -> None:
    plain = plain_spec()
    world = World(replace(plain, left=replace(plain.left, delete=OnDelete.DELETE)), connect=Twice)
    world.left.human_create(**ANN)
    cycles(world, 1)
    undo(world, world.store.pairs.cycles(world.pair.id)[0].id)
    assert world.right.live() == {}
    cycles(world, 4)
    assert list(world.left.live()) == ["here-1"]


class RefusesOnce(MemoryConnector):
    """Refuses the first update of a name, as of a version that is past: since something on the way had sent it before,
    or since somebody has edited another field just then. Then the app may read nothing by id for a while."""

    def __init__(self, app: MemoryApp, *, edited: bool, reads: bool) -> None:
        super().__init__(app)
        self._edited, self._reads, self._refused = edited, reads, False

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if self._refused:
            return await super().apply(writes)
        self._refused = True
        if self._edited:
            self.app.human_update("there-1", phone="9")
        else:
            await super().apply(writes)
        return await super().apply(writes)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        if self._refused and not self._reads:
            self._reads = True
            raise TryLater("out of reach")
        return await super().fetch(ids)


@pytest.mark.parametrize(
    ("edited", "reads", "told", "outcome"),
    [
        pytest.param(False, False, True, "unknown", id="it landed, and nothing is read"),
        pytest.param(False, True, False, "unknown", id="it landed, in a form that nobody foretold"),
        pytest.param(False, True, True, "done", id="it landed"),
        pytest.param(True, True, True, "never", id="somebody edited"),
    ],
)
def test_of_a_write_that_may_have_landed_the_history_does_not_say_that_it_never_did(
    edited: bool, reads: bool, told: bool, outcome: str
) -> None:
    shaped = Manner(stores=lambda _, value: value.rstrip("+") if isinstance(value, str) else value, declares_form=told)
    world = World(manners={Side.RIGHT: shaped})
    linked(world)
    app = App(RefusesOnce(world.right, edited=edited, reads=reads), "there", Side.RIGHT, world.clock, lambda _: None)
    world.pair = replace(world.pair, apps={**world.pair.apps, Side.RIGHT: app})
    world.left.human_update("here-1", name="Anna+")
    cycles(world, 1)
    first = world.store.operations.history(side=Side.RIGHT, field="name")[-1]
    assert (first.old, first.state) == ("Ann", outcome)


@pytest.mark.parametrize("policy", [OnDelete.DELETE, OnDelete.IGNORE])
def test_our_own_archiving_that_is_sent_twice_is_no_deletion_by_a_person(policy: OnDelete) -> None:
    plain = plain_spec()
    spec = replace(
        plain,
        left=replace(plain.left, scope='segment != "out"', delete=policy),
        fields=(*plain.fields, FieldSpec(name="segment", left=Location(path="segment"))),
        on_leave=OnLeave.ARCHIVE,
    )
    world = World(spec, fields=("email", "name", "phone", "segment"), connect=Twice)
    linked(world)
    world.left.human_update("here-1", segment="out")
    cycles(world, 2)
    assert world.right.live() == {}
    world.left.human_update("here-1", segment=None)
    cycles(world, 4)
    assert list(world.left.live()) == ["here-1"]
    assert len(world.right.live()) == 1, "it is in scope again, and has a counterpart again"


@pytest.mark.parametrize("policy", OnDelete)
def test_a_lookalike_that_somebody_took_away_again_is_no_reason_to_delete_what_ours_was_made_from(
    policy: OnDelete,
) -> None:
    """Nor is it made once more: whether it was ours cannot be told."""
    plain = plain_spec()
    spec = replace(plain, left=replace(plain.left, delete=policy))
    world = World(spec, manners={Side.RIGHT: PLAIN})
    losing = LosesOnce(world.right, lands=False)
    app = App(losing, "there", Side.RIGHT, world.clock, lambda _: None)
    world.pair = replace(world.pair, apps={**world.pair.apps, Side.RIGHT: app})
    cycles(world, 1)
    world.left.human_create(**ANN)
    cycles(world, 1)
    world.clock.advance(1)
    hers = world.right.human_create(**ANN)
    cycles(world, 1, after=2)
    world.right.human_delete(hers)
    cycles(world, 8)
    assert list(world.left.live()) == ["here-1"]
    assert world.right.live() == {}
    assert {row.code for row in world.store.attention.parked()} == {"in doubt"}


def test_the_key_of_a_record_that_is_gone_holds_up_nobody() -> None:
    world = World(manners={Side.RIGHT: Manner(resolution=1, request_lifetime=600_000)}, connect=Loses)
    cycles(world, 1)
    world.left.human_create(**BOB)
    Loses.lost = 1
    cycles(world, 1)
    world.clock.advance(1)
    hers = world.right.human_create(**ANN)
    cycles(world, 1)
    world.right.human_delete(hers)
    cycles(world, 1)
    world.left.human_create(**ANN)
    cycles(world, 2)
    assert ANN in world.right.live().values(), "though Bob is still in doubt"


class Refuses(MemoryConnector):
    """An app that answers each removal with this."""

    answer = Receipt.moved()
    asked = 0

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if self.app.name == "there" and writes[0].kind in (Kind.DELETE, Kind.ARCHIVE):
            type(self).asked += 1
            return [self.answer] * len(writes)
        return await super().apply(writes)


@pytest.mark.parametrize("leaves", [True, False], ids=["left the scope", "deleted opposite"])
def test_a_removal_that_is_refused_each_time_is_not_tried_for_ever(leaves: bool) -> None:
    plain = plain_spec()
    spec = replace(
        plain,
        left=replace(plain.left, scope='segment != "out"'),
        right=replace(plain.right, delete=OnDelete.DELETE),
        fields=(*plain.fields, FieldSpec(name="segment", left=Location(path="segment"))),
        on_leave=OnLeave.ARCHIVE,
    )
    world = World(spec, fields=("email", "name", "phone", "segment"), connect=Refuses, tuning=Tuning(retry=86_400_000))
    linked(world)
    Refuses.asked = 0
    if leaves:
        world.left.human_update("here-1", segment="out")
    else:
        world.left.human_delete("here-1")
    cycles(world, 30, after=300)
    assert 0 < Refuses.asked < 10
    assert {row.code for row in world.store.attention.parked()} == {"unsettled"}


def test_a_record_that_was_deleted_on_both_sides_and_is_taken_out_of_the_bin_is_not_deleted_again() -> None:
    plain = plain_spec()
    world = World(replace(plain, right=replace(plain.right, delete=OnDelete.DELETE)))
    linked(world)
    world.left.human_delete("here-1")
    left = [lambda: world.right.human_delete("there-1")]

    def fault(point: str) -> None:
        if point == "before there.apply:delete" and left:
            left.pop()()

    world.fault = fault
    cycles(world, 1)
    cycles(world, 1, after=2)
    world.right.human_restore("there-1")
    cycles(world, 4, after=30)
    assert list(world.right.live()) == ["there-1"]


class TwiceUpdated(MemoryConnector):
    """Something on the way sends each update twice, and gives the second answer."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        receipts = await super().apply(writes)
        return await super().apply(writes) if writes[0].kind is Kind.UPDATE else receipts


def test_an_update_that_is_sent_twice_is_known_to_have_landed_though_the_second_came_too_late() -> None:
    world = World(connect=TwiceUpdated)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    report = asyncio.run(world.cycle())
    assert [change.fields["name"] for change in world.right.written()] == [("Ann", "Anna")]
    (told,) = world.store.operations.history(side=Side.RIGHT, record_id="there-1")
    assert (told.old, told.new, told.state) == ("Ann", "Anna", "done")
    assert report.counts.get("superseded", 0) == 0
    undo(world, report.cycle)
    cycles(world, 3)
    assert (world.left.live()["here-1"]["name"], world.right.live()["there-1"]["name"]) == ("Anna", "Ann")
