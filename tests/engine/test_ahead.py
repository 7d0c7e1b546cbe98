"""What is plain is decided while the rest is still being read; what the rest shows otherwise takes it back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from tests.engine.found import cycles
from twoway.core.diff import Seen
from twoway.core.model import Page, Raw, Side
from twoway.core.reconcile import Decision
from twoway.core.rules import OnDelete, Policy
from twoway.engine import ahead
from twoway.engine.cycle import Ending
from twoway.engine.decide import Decided, carry_out
from twoway.engine.run import Run
from twoway.sdk.errors import TryLater
from twoway.state.observations import Pending
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.planted import violated
from twoway.testing.planted_ways import lively
from twoway.testing.scenarios import scenario
from twoway.testing.world import FIELDS, World, plain_spec

PEOPLE = 4
HISTORIES = 300
AHEAD = "before commit:decide ahead"


class Breaks(MemoryConnector):
    """A connector whose app is out of reach after the first page of its feed, once it is told so."""

    broken = False

    async def changes(self, cursor: str | None) -> Page:
        if type(self).broken and cursor is not None and '""' not in cursor and self.app.name == "here":
            raise TryLater("out of reach")
        return await super().changes(cursor)


def paged(fields: Sequence[str] = FIELDS, refuses: Callable[[str, Raw], bool] | None = None) -> World:
    """People who are linked, in apps that tell of one change a page."""
    plain = plain_spec()
    spec = replace(plain, conflict=Policy.REVIEW, right=replace(plain.right, delete=OnDelete.DELETE))
    manners = {Side.LEFT: Manner(page=1), Side.RIGHT: Manner(page=1, refuses=refuses)}
    world = World(spec, manners=manners, fields=fields, connect=Breaks)
    for number in range(1, PEOPLE + 1):
        world.left.human_create(email=f"{number}@example.org", name=f"N{number}", phone="1")
    cycles(world, 4)
    assert len(world.right.live()) == PEOPLE
    return world


@pytest.fixture(autouse=True)
def mended() -> None:
    Breaks.broken = False


def renamed(world: World) -> None:
    for number in range(1, PEOPLE + 1):
        world.left.human_update(f"here-{number}", name=f"New {number}")
        world.clock.advance(1)


def watched(world: World, first: Callable[[], object] = lambda: None) -> list[str]:
    """The fault points of one cycle, in order; `first` happens when something is decided ahead for the first time."""
    passed: list[str] = []

    def note(point: str) -> None:
        if point == AHEAD and point not in passed:
            first()
        passed.append(point)

    world.fault = note
    assert cycles(world, 1) == [Ending.DONE]
    world.fault = lambda _point: None
    return passed


def taken_back(world: World) -> int:
    reason = "SELECT count(*) FROM operation WHERE sent_at IS NULL AND reason = 'decided anew'"
    return int(world.store.db.one(reason))


def writes_to(world: World, record_id: str) -> list[object]:
    """The names that twoway wrote to a record of the right side."""
    return [
        change.fields["name"][1]
        for change in world.right.log
        if change.id == record_id and change.who == "engine" and change.kind == "update"
    ]


def test_what_a_page_shows_is_decided_while_the_next_one_is_on_its_way() -> None:
    world = paged()
    renamed(world)
    passed = watched(world)
    asked_for = [at for at, point in enumerate(passed) if point == "before here.changes"]
    assert passed.count(AHEAD) == PEOPLE - 1
    assert asked_for[1] < passed.index("before commit:observe:here"), "the second page is asked for first"
    assert passed.index(AHEAD) < asked_for[-1]
    assert taken_back(world) == 0
    assert [writes_to(world, f"there-{number}") for number in range(1, PEOPLE + 1)] == [
        [f"New {number}"] for number in range(1, PEOPLE + 1)
    ]


def test_nothing_leaves_before_all_is_read() -> None:
    world = paged()
    renamed(world)
    world.right.human_update("there-1", phone="2")
    passed = watched(world)
    last_read = max(at for at, point in enumerate(passed) if point.endswith(".changes"))
    assert last_read < passed.index("before there.apply:update")
    assert last_read < passed.index("before here.apply:update")


def test_what_the_other_side_shows_on_a_later_page_is_a_conflict_all_the_same() -> None:
    world = paged()
    for number in (2, 3, 4, 1):
        world.right.human_update(f"there-{number}", **({"name": "Annie"} if number == 1 else {"phone": "2"}))
        world.clock.advance(1)
    world.left.human_update("here-1", name="Anna")
    world.left.human_update("here-2", name="Bob")
    passed = watched(world)
    assert AHEAD in passed
    assert taken_back(world) >= 1
    assert [row.field for row in world.store.attention.conflicts()] == ["name"]
    assert writes_to(world, "there-1") == []
    assert world.right.live()["there-1"]["name"] == "Annie"
    assert world.right.live()["there-2"]["name"] == "Bob"


def test_what_is_edited_again_while_the_rest_is_read_is_written_once() -> None:
    world = paged()
    renamed(world)
    watched(world, lambda: world.left.human_update("here-1", name="Newest"))
    assert taken_back(world) == 1
    assert writes_to(world, "there-1") == ["Newest"]


def test_what_is_deleted_while_the_rest_is_read_is_not_written_first() -> None:
    world = paged()
    renamed(world)
    watched(world, lambda: world.left.human_delete("here-1"))
    assert writes_to(world, "there-1") == []
    assert "there-1" not in world.right.live()


def test_a_record_that_is_shown_at_another_version_is_written_at_that_one() -> None:
    """Somebody edits what is not mapped: no news, and yet the app would refuse a write to the version before."""
    world = paged(fields=("email", "name", "phone", "note"))
    renamed(world)
    for number in (2, 3, 4, 1):
        world.right.human_update(f"there-{number}", note="seen")
        world.clock.advance(1)
    watched(world)
    assert taken_back(world) >= 1
    assert writes_to(world, "there-1") == ["New 1"]
    assert world.store.db.one("SELECT count(*) FROM operation WHERE kind = 'update' AND sent_at IS NOT NULL") == PEOPLE


def test_a_merge_is_dealt_with_although_its_survivor_was_decided_ahead() -> None:
    world = paged()
    world.left.human_update("here-3", phone="9")
    world.clock.advance(1)
    world.left.human_merge("here-1", "here-3")
    world.clock.advance(1)
    world.left.human_update("here-2", phone="8")
    assert AHEAD in watched(world)
    assert [(row.record_id, row.code) for row in world.store.attention.parked()] == [("there-1", "merged")]


def test_what_is_set_aside_stays_so_until_all_is_read() -> None:
    world = paged(refuses=lambda field, value: field == "name" and value == "New 1")
    renamed(world)
    watched(world)
    before = world.store.attention.parked()
    assert [(row.record_id, row.code) for row in before] == [("here-1", "refused")]
    for number in range(1, PEOPLE + 1):
        world.left.human_update(f"here-{number}", phone="2")
        world.clock.advance(1)
    Breaks.broken = True
    assert cycles(world, 1) == [Ending.FAILED]
    assert world.store.attention.parked() == before
    Breaks.broken = False
    cycles(world, 2)
    assert [row.since for row in world.store.attention.parked()] != [row.since for row in before]


def test_what_has_not_rested_yet_is_not_decided_ahead() -> None:
    world = paged()
    world.settle = 60_000
    world.start()
    renamed(world)
    watched(world)
    assert world.store.db.one("SELECT count(*) FROM operation WHERE kind = 'update'") == 0


def test_what_was_decided_ahead_of_a_listing_that_breaks_off_is_decided_anew() -> None:
    world = paged()
    renamed(world)
    Breaks.broken = True
    assert cycles(world, 1) == [Ending.FAILED]
    assert [writes_to(world, f"there-{number}") for number in range(1, PEOPLE + 1)] == [[]] * PEOPLE
    Breaks.broken = False
    assert cycles(world, 2) == [Ending.DONE] * 2
    assert [writes_to(world, f"there-{number}") for number in range(1, PEOPLE + 1)] == [
        [f"New {number}"] for number in range(1, PEOPLE + 1)
    ]


def test_whatever_happens_while_much_is_decided_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random histories of apps that tell of one change a page, with faults, crashes and people at any instant."""
    staged: list[Decision] = []

    def counted(run: Run, pending: Pending, seen: Mapping[Side, Seen], decision: Decision, decided: Decided) -> None:
        staged.append(decision)
        carry_out(run, pending, seen, decision, decided)

    monkeypatch.setattr(ahead, "carry_out", counted)
    shape = lively("name", "phone", manner_page=1, manner_feed=True, manner_lag=0)
    bad = {seed: found for seed in range(HISTORIES) if (found := violated(shape(scenario(seed))))}
    assert bad == {}
    assert len(staged) > HISTORIES, "in these histories hardly anything is decided ahead"
