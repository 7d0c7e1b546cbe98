"""What is listed just as it was last seen is recognised by its raw values, undecoded; whatever else is read."""

from dataclasses import replace

import pytest

from tests.engine.found import cycles, linked
from twoway.core.mapping import Decoded, SideMapping
from twoway.core.model import RawValues, Side
from twoway.engine.cycle import Kind
from twoway.testing.world import World, plain_spec


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[RawValues]:
    """The raw values that were decoded."""
    found: list[RawValues] = []
    before = SideMapping.decode

    def decode(self: SideMapping, values: RawValues) -> Decoded:
        found.append(values)
        return before(self, values)

    monkeypatch.setattr(SideMapping, "decode", decode)
    return found


def test_a_listing_in_which_nothing_is_new_decodes_nothing_once_all_was_seen(decoded: list[RawValues]) -> None:
    world = World()
    linked(world)
    cycles(world, 2, kind=Kind.SNAPSHOT)
    decoded.clear()
    cycles(world, 2, kind=Kind.SNAPSHOT)
    assert decoded == []


def test_values_that_json_cannot_tell_are_decoded_each_time_and_cost_no_write(decoded: list[RawValues]) -> None:
    plain = plain_spec(("email", "name", "phone", "note"))
    note = replace(plain.fields[-1], type="json")
    world = World(replace(plain, fields=(*plain.fields[:-1], note)), fields=("email", "name", "phone", "note"))
    linked(world)
    for app in world.apps.values():
        (record_id,) = app.live()
        app.human_update(record_id, note={1: "a key that is no text"})
    cycles(world, 2, kind=Kind.SNAPSHOT)
    decoded.clear()
    cycles(world, 1, kind=Kind.SNAPSHOT)
    assert len(decoded) == 2
    assert [tuple(row) for row in world.store.db.run("SELECT left_raw, right_raw FROM link")] == [(None, None)]


@pytest.mark.parametrize("side", Side)
def test_who_goes_back_to_what_was_there_before_our_write_has_edited_it(side: Side) -> None:
    """The hash of what was there before would say that nothing is new."""
    world = World()
    linked(world)
    cycles(world, 2, kind=Kind.SNAPSHOT)
    mine, theirs = world.apps[side.other], world.apps[side]
    (mine_id,), (theirs_id,) = mine.live(), theirs.live()
    mine.human_update(mine_id, name="Anna")
    cycles(world, 1)
    assert theirs.live()[theirs_id]["name"] == "Anna"
    theirs.human_update(theirs_id, name="Ann")
    cycles(world, 2, kind=Kind.SNAPSHOT)
    assert mine.live()[mine_id]["name"] == "Ann"


def test_what_is_only_touched_keeps_its_hash_and_tells_its_new_version() -> None:
    world = World(plain_spec(), fields=("email", "name", "phone", "note"))
    linked(world)
    cycles(world, 2, kind=Kind.SNAPSHOT)
    before = [tuple(row) for row in world.store.db.run("SELECT left_raw, left_version FROM link")]
    world.left.human_update("here-1", note="not mapped")
    cycles(world, 1, kind=Kind.SNAPSHOT)
    after = [tuple(row) for row in world.store.db.run("SELECT left_raw, left_version FROM link")]
    assert after != before
    assert None not in (*before[0], *after[0])
    world.right.human_update("there-1", name="Anna")
    cycles(world, 2)
    assert world.left.live()["here-1"]["name"] == "Anna"
