"""What people found who read the engine line by line: clocks, approvals, pauses, and merges that are told once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.engine.found import ANN, Loses, cycles, linked
from tests.engine.remapped import LEFT, PHONE_MOVED, RIGHT
from twoway.core.model import Absence, Fetched, Page, Presence
from twoway.core.plan import State, Totals
from twoway.core.rules import OnDelete
from twoway.engine import byhand
from twoway.engine.cycle import Ending, Kind, run_cycle
from twoway.sdk.errors import TryLater
from twoway.state.pairs import PairRow, Status
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec

YEAR = 365 * 86_400_000


def _row(world: World) -> PairRow:
    row = world.store.pairs.get("here-there")
    assert row is not None
    return row


# -- what a person unlinked


def _unlinked_while_set_aside() -> World:
    world = World(manners={RIGHT: Manner(refuses=lambda _name, value: value == "bad")})
    linked(world)
    world.left.human_update("here-1", name="bad")
    cycles(world, 1)
    assert [one.code for one in world.store.attention.parked()] == ["refused"]
    byhand.unlink(world.store, world.pair.id, LEFT, "here-1", world.clock.now())
    cycles(world, 1, after=100_000)
    cycles(world, 1, kind=Kind.SNAPSHOT)
    return world


def test_what_a_person_unlinked_is_set_aside_no_longer() -> None:
    assert _unlinked_while_set_aside().store.attention.parked() == []


def test_another_try_of_what_a_person_unlinked_makes_no_double() -> None:
    world = _unlinked_while_set_aside()
    world.left.human_update("here-1", name="Ann", email="ann2@example.org")
    cycles(world, 1)
    byhand.retry(world.store, world.pair.id, world.clock.now(), LEFT, "here-1")
    cycles(world, 2)
    assert list(world.right.live()) == ["there-1"]


# -- a clock of ours that was ahead, and is put right


class _Ahead:
    """Our own clock, which is a year ahead of everybody else's until `by` is taken back."""

    def __init__(self, world: World) -> None:
        self.world, self.by = world, YEAR

    def now(self) -> int:
        return self.world.clock.now() + self.by

    async def sleep(self, seconds: float) -> None:
        await self.world.clock.sleep(seconds)

    def cycle(self, kind: Kind = Kind.INCREMENTAL) -> None:
        world = self.world
        world.clock.advance(900)
        lease = world.store.pairs.take(world.pair.id, "world", self.now())
        asyncio.run(run_cycle(world.pair, world.store, self, lease, kind))


@pytest.mark.parametrize("how", ["in doubt", "refused"])
def test_a_clock_that_was_ahead_and_is_put_right_holds_nothing_back(how: str) -> None:
    Loses.lost = 0
    world = World(connect=Loses)
    linked(world)
    clock = _Ahead(world)
    world.left.human_update("here-1", name="Anna")
    if how == "in doubt":
        Loses.lost = 1
    else:
        world.right.manner = Manner(refuses=lambda _name, value: value == "Anna")
    clock.cycle()
    world.right.manner = Manner()
    clock.by = 0
    for _ in range(4):
        clock.cycle()
    assert world.store.operations.in_state(world.pair.id, State.UNKNOWN) == []
    assert world.store.attention.parked() == []
    assert world.right.live()["there-1"]["name"] == "Anna"
    assert (_row(world).succeeded_at or 0) <= world.clock.now()


def test_a_create_that_was_lost_by_a_clock_that_was_ahead_is_found_again() -> None:
    Loses.lost = 0
    world = World(connect=Loses, manners={RIGHT: Manner(unique=frozenset())})
    linked(world)
    clock = _Ahead(world)
    world.left.human_create(email="b@example.org", name="Bob", phone="2")
    Loses.lost = 1
    clock.cycle()
    clock.by = 0
    for _ in range(6):
        clock.cycle()
    clock.cycle(Kind.SNAPSHOT)
    assert sorted(one["name"] for one in world.right.live().values()) == ["Ann", "Bob"]
    assert world.store.links.count(world.pair.id) == 2


def test_what_was_linked_by_a_clock_that_was_ahead_is_missed_by_a_snapshot() -> None:
    plain = plain_spec()
    spec = replace(plain, right=replace(plain.right, delete=OnDelete.DELETE))
    world = World(spec, manners={LEFT: Manner(feed_deletions=False)})
    clock = _Ahead(world)
    world.left.human_create(**ANN)
    for number in range(10):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")
    clock.cycle()
    assert world.store.links.count(world.pair.id) == 11
    clock.by = 0
    world.left.human_delete("here-1")
    for kind in (Kind.INCREMENTAL, Kind.SNAPSHOT, Kind.INCREMENTAL):
        clock.cycle(kind)
    assert ANN["email"] not in {one["email"] for one in world.right.live().values()}
    assert len(world.right.live()) == 10


# -- approvals and pauses


class _Short(MemoryConnector):
    short = False

    async def snapshot(self, cursor: str | None) -> Page:
        page = await super().snapshot(cursor)
        return page._replace(records=page.records[:5]) if self.short and self.app.name == "here" else page


def _short_and_approved(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(connect=_Short)
    for number in range(40):
        for app in world.apps.values():
            app.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 2)
    monkeypatch.setattr(_Short, "short", True)
    assert cycles(world, 1, kind=Kind.SNAPSHOT) == [Ending.HELD]
    world.approve()
    byhand.look_at(world.store, world.pair.id, [(RIGHT, "there-1")], world.clock.now())
    return world


def test_an_approval_is_not_spent_by_a_cycle_that_lists_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _short_and_approved(monkeypatch)
    cycles(world, 1, kind=Kind.RECORD)
    assert cycles(world, 1) == [Ending.DONE]


def test_a_cycle_that_lists_nothing_is_no_success_of_the_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _short_and_approved(monkeypatch)
    before = _row(world).succeeded_at
    cycles(world, 1, kind=Kind.RECORD)
    assert _row(world).succeeded_at == before
    cycles(world, 1)
    assert (_row(world).succeeded_at or 0) > (before or 0)


def test_an_approval_does_not_end_a_pause() -> None:
    world = World()
    linked(world)
    world.store.pairs.set_status(world.pair.id, Status.PAUSED, "paused by a person")
    world.store.pairs.show_plan(world.pair.id, world.pair.mapping.hash, Totals())
    world.store.pairs.approve(world.pair.id)
    assert (_row(world).status, _row(world).reason) == (Status.PAUSED, "paused by a person")
    assert _row(world).approved_hash == world.pair.mapping.hash


def test_a_cycle_that_is_held_does_not_end_the_pause_that_came_meanwhile() -> None:
    world = World()
    for number in range(25):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")

    def pauses(point: str) -> None:
        if point == "before here.snapshot":
            world.store.pairs.set_status(world.pair.id, Status.PAUSED, "paused by a person")

    world.fault = pauses
    assert cycles(world, 1) == [Ending.HELD]
    assert (_row(world).status, _row(world).reason) == (Status.PAUSED, "paused by a person")


# -- a merge that only the change feed tells, and an outage opposite


class _ToldOnce(MemoryConnector):
    down = False

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = await super().fetch(ids)
        gone = {one: Absence(one, Presence.GONE) for one, answer in found.items() if isinstance(answer, Absence)}
        return {**found, **gone}

    async def changes(self, cursor: str | None) -> Page:
        if self.down and self.app.name == "there":
            raise TryLater("out of reach")
        return await super().changes(cursor)


@pytest.mark.parametrize("then", ["incremental", "snapshot", "remap"])
def test_a_merge_that_was_told_once_is_not_read_as_a_deletion_later(then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = plain_spec()
    spec = replace(plain, right=replace(plain.right, delete=OnDelete.DELETE))
    world = World(spec, connect=_ToldOnce, fields=("email", "name", "phone", "mobile"))
    linked(world)
    world.left.human_create(email="b@example.org", name="Bob", phone="2")
    cycles(world, 2)
    world.left.human_create(**{**ANN, "email": "ann2@example.org"})
    world.left.human_merge("here-1", "here-3")
    monkeypatch.setattr(_ToldOnce, "down", True)
    assert cycles(world, 1) == [Ending.FAILED]
    monkeypatch.setattr(_ToldOnce, "down", False)
    if then == "remap":
        world.start(replace(PHONE_MOVED, right=spec.right))
    cycles(world, 1, kind=Kind.SNAPSHOT if then == "snapshot" else Kind.INCREMENTAL)
    cycles(world, 2)
    assert "there-1" in world.right.live()


# -- a record that is asked for by another of its names


class _Answers(MemoryConnector):
    """Knows records by their addresses, too, and answers with their ids."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        by_name = {row["email"]: one for one, row in self.app.live().items()}
        found = await super().fetch([by_name.get(one, one) for one in ids])
        return {one: found[by_name.get(one, one)] for one in ids}


def test_a_record_that_is_asked_for_by_another_of_its_names_holds_up_nothing() -> None:
    world = World(connect=_Answers)
    linked(world)
    byhand.look_at(world.store, world.pair.id, [(RIGHT, ANN["email"])], world.clock.now())
    world.left.human_update("here-1", name="Anna")
    cycles(world, 2)
    assert world.right.live()["there-1"]["name"] == "Anna"
    assert world.store.observations.get(world.pair.id, RIGHT, ANN["email"]) is None


class _Renamed(MemoryConnector):
    to = "here-1"

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = await super().fetch([self.to if one == "here-1" else one for one in ids])
        return {one: found[self.to if one == "here-1" else one] for one in ids}


def test_a_linked_record_that_answers_by_another_id_has_become_that_one() -> None:
    """Nothing says that it was deleted, so nothing is."""
    plain = plain_spec()
    spec = replace(plain, right=replace(plain.right, delete=OnDelete.DELETE))
    world = World(spec, connect=_Renamed)
    linked(world)
    for number in range(10):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 1)
    _Renamed.to = world.left.human_create(email="ann@example.com", name="Ann", phone="2")
    world.left.human_delete("here-1")
    cycles(world, 3, kind=Kind.SNAPSHOT)
    assert "there-1" in world.right.live()
    link = world.store.links.of(world.pair.id, RIGHT, "there-1")
    assert link is not None
    assert link.ids[LEFT] == _Renamed.to
