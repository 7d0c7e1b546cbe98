"""The last look before a write, and what it does not look at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from tests.engine.found import ANN, cycles, linked, undo
from twoway.core.model import Absence, Fetched, Presence, Side
from twoway.core.rules import OnLeave
from twoway.core.spec import FieldSpec, Location, MappingSpec
from twoway.engine import observe
from twoway.engine.cycle import Kind
from twoway.engine.run import Run, Tuning
from twoway.ports import Consistency
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec

FIELDS = ("email", "name", "phone", "segment")
LAGGING = {Side.LEFT: Manner(), Side.RIGHT: Manner(resolution=1, lag=6_000)}


class Mute(MemoryConnector):
    """A connector whose app cannot say what single records of its are, while it is mute."""

    mute = ""
    asked = 0

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        if self.app.name != self.mute:
            return await super().fetch(ids)
        type(self).asked += 1
        assert self.asked < 50, "asked for ever"
        return {one: Absence(one, Presence.UNKNOWN) for one in ids}


@pytest.fixture(autouse=True)
def talkative() -> None:
    Mute.mute, Mute.asked = "", 0


def _scoped(side: Side) -> MappingSpec:
    """Records of the segment "out" are out of scope on this side; the counterpart of one that leaves is archived."""
    plain = plain_spec()
    segment = FieldSpec(name="segment", **{side.value: Location(path="segment")})  # type: ignore[arg-type]  # by name
    sides = {side.value: replace(plain.side(side), scope='segment != "out"')}
    return replace(plain, fields=(*plain.fields, segment), on_leave=OnLeave.ARCHIVE, **sides)  # type: ignore[arg-type]  # by name


def _once_decided(world: World, act: object) -> None:
    """Do this as soon as the next plan is made."""
    left = [act]

    def fault(name: str) -> None:
        if name == "after commit:decide" and left:
            left.pop()()  # type: ignore[operator]  # what is given can be called

    world.fault = fault


def test_who_was_merged_since_is_not_taken_for_one_that_is_gone() -> None:
    world = World(_scoped(Side.LEFT), fields=FIELDS)
    linked(world)
    world.left.human_update("here-1", segment="out")

    def merge() -> None:
        world.left.human_create(**ANN)
        world.left.human_merge("here-1", "here-2")

    _once_decided(world, merge)
    cycles(world, 4)
    assert list(world.right.live()) == ["there-1"], "the link leads to the survivor, and nothing is archived"


def test_what_the_app_cannot_tell_is_not_taken_for_gone() -> None:
    world = World(_scoped(Side.LEFT), fields=FIELDS, connect=Mute)
    linked(world)
    world.left.human_update("here-1", segment="out")

    def back() -> None:
        Mute.mute = "here"
        world.left.human_update("here-1", segment=None)

    _once_decided(world, back)
    cycles(world, 1)
    assert "there-1" in world.right.live()


@pytest.mark.parametrize("kind", [Kind.RECORD, Kind.INCREMENTAL])
def test_what_the_app_cannot_tell_is_not_asked_for_without_end(kind: Kind) -> None:
    world = World(manners={Side.LEFT: Manner(lag=1_000)}, connect=Mute)
    linked(world)
    cycles(world, 2)
    Mute.mute = "here"
    world.left.human_update("here-1", name="Anna")
    world.right.human_update("there-1", phone="2")
    cycles(world, 2, kind=kind)
    assert Mute.asked < 20
    Mute.mute = ""
    cycles(world, 3, after=100)
    assert (world.right.live()["there-1"]["name"], world.left.live()["here-1"]["phone"]) == ("Anna", "2")


def test_who_never_was_in_scope_has_not_left_it() -> None:
    """The app has such a person, out of scope, since the plan was made: the new one is not archived for that."""
    unique = Manner(unique=frozenset({"email"}), find=Consistency.NONE)
    world = World(_scoped(Side.RIGHT), fields=FIELDS, manners={Side.RIGHT: unique})
    cycles(world, 1)
    world.left.human_create(**ANN)
    left = [lambda: world.right.human_create(**ANN, segment="out")]

    def fault(name: str) -> None:
        if name == "after commit:match" and left:
            left.pop()()

    world.fault = fault
    cycles(world, 3)
    assert list(world.left.live()) == ["here-1"]


def _conflicts(world: World) -> list[tuple[str, object, object]]:
    return [(one.field, one.left, one.right) for one in world.store.attention.conflicts()]


def test_the_version_that_an_undo_made_does_not_stand_for_what_a_person_changed_besides() -> None:
    """The write that follows would be accepted at that version, over an edit that nobody has seen."""
    world, late = World(manners=LAGGING), [0]
    world.right.lateness = lambda: late[0]
    linked(world)
    cycles(world, 2)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 1)
    number = world.store.pairs.cycles(world.pair.id, limit=1)[0].id
    cycles(world, 3)
    world.right.human_create(email="bob@example.org", name="Bob", phone="2")
    cycles(world, 3)
    world.right.human_update("there-1", phone="9")
    undo(world, number)
    assert world.right.live()["there-1"]["name"] == "Ann"
    world.left.human_update("here-1", phone="3")
    late[0] = 6_000
    cycles(world, 1, after=2)
    late[0] = 0
    cycles(world, 3)
    assert _conflicts(world) == [("phone", "3", "9")]


def test_the_version_that_a_write_into_a_list_made_does_not_stand_for_what_a_person_changed_besides() -> None:
    """An element of a list is written over the list as it is read just before; the other fields are not looked at."""
    plain = plain_spec(("email", "name"))
    phone = FieldSpec(name="phone", left=Location(path="phone"), right=Location(path="phones[type=work].value"))
    fields = {Side.LEFT: ("email", "name", "phone"), Side.RIGHT: ("email", "name", "phones")}
    world = World(replace(plain, fields=(*plain.fields, phone)), fields=fields, manners=LAGGING)
    late = [0]
    world.right.lateness = lambda: late[0]
    world.left.human_create(**ANN)
    cycles(world, 4)
    world.right.human_create(email="bob@example.org", name="Bob")
    cycles(world, 4)
    world.left.human_update("here-1", phone="2")
    left = [lambda: world.right.human_update("there-1", name="Annie")]

    def fault(name: str) -> None:
        if name == "before there.fetch" and left:
            left.pop()()

    world.fault = fault
    cycles(world, 1)
    assert world.right.live()["there-1"]["phones"] == [{"type": "work", "value": "2"}]
    world.left.human_update("here-1", name="Anna")
    late[0] = 6_000
    cycles(world, 1, after=2)
    late[0] = 0
    cycles(world, 3)
    assert _conflicts(world) == [("name", "Anna", "Annie")]


@pytest.mark.parametrize("manner", [Manner(conditional=True), Manner(conditional=False)])
def test_a_choice_that_is_overlooked_is_no_blank(manner: Manner) -> None:
    """A person enters it just before our write."""
    plain = plain_spec()
    stage = FieldSpec(
        name="stage",
        type="choice",
        choices={"a": "a", "b": "b"},
        unknown_choice="ignore",
        left=Location(path="segment"),
        right=Location(path="segment"),
    )
    world = World(replace(plain, fields=(*plain.fields, stage)), fields=FIELDS, manners=dict.fromkeys(Side, manner))
    linked(world)
    world.left.human_update("here-1", segment="a")
    _once_decided(world, lambda: world.right.human_update("there-1", segment="vip"))
    cycles(world, 3)
    assert world.right.live()["there-1"]["segment"] == "vip"


def test_hints_are_read_a_window_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    window, lagging = 10, Manner(lag=1_000, page=10, batch=10)
    world = World(manners=dict.fromkeys(Side, lagging), tuning=Tuning(window=window, skew=0))
    asked: list[int] = []
    refresh = observe.refresh

    async def counted(run: Run, side: Side, ids: Iterable[str]) -> dict[str, Fetched]:
        known = list(ids)
        asked.append(len(known))
        return await refresh(run, side, known)

    monkeypatch.setattr(observe, "refresh", counted)
    for number in range(12 * window):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 1, after=10)
    assert asked[:12] == [window] * 12
