"""What goes out of the state once another mapping is in force, row by row; and what stays."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.servers.postgres_server import PostgresServer
from twoway.core.model import Kind, Side, Values
from twoway.core.plan import State
from twoway.core.reconcile import Edit, FieldConflict
from twoway.state import changed_mapping
from twoway.state.links import Mark, NewLink
from twoway.state.operations import Staging
from twoway.state.rows import Link, Observation, receipt_text
from twoway.state.store import Store

LEFT, RIGHT = Side.LEFT, Side.RIGHT
NONE: Mapping[Side, list[str]] = {LEFT: [], RIGHT: []}
NOW = 1_700_000_000_000
ODD: Values = {
    "name": 'Ä"\\n\u0000\\u0000\\uE001\\',
    "note": None,
    "size": -(2**63),
    "all": {"name": None, "at": [1, None, "é"]},
}


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def store(monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Two pairs, whose links are worked off one by one."""
    monkeypatch.setattr(changed_mapping, "_WINDOW", 1)
    store = Store(":memory:" if request.param == "SQLite" else postgres.state(), "uid")
    for name in ("one", "two"):
        store.pairs.ensure(name)
    yield store
    store.close()


def link(store: Store, pair: int, left: Values, right: Values, **parts: Any) -> int:
    number = store.links.count(1) + store.links.count(2) + 1
    ids = {LEFT: f"l{number}", RIGHT: f"r{number}"}
    fps, versions = {LEFT: 11, RIGHT: 12}, {LEFT: "v1", RIGHT: "v2"}
    receipts = {side: receipt_text("\0v", parts.get("wrote", ("name", "note"))) for side in Side}
    made = store.links.add(pair, NewLink(ids, {LEFT: left, RIGHT: right}, fps, versions, receipts), NOW)
    store.links.touched(LEFT, [(made, None, 21)])
    store.links.touched(RIGHT, [(made, None, 22)])
    store.links.hold(made, parts.get("held", {}))
    return made


def known(store: Store, number: int) -> Link:
    found = store.links.get(number)
    assert found is not None
    return found


def seen(store: Store, pair: int, side: Side, record_id: str, **parts: Any) -> None:
    row = Observation(side, record_id, 5, "live", values=ODD, version="v", due_at=NOW + 99, seen_at=NOW, rev=3, **parts)
    store.observations.put(pair, [row])


def waits(store: Store, pair: int, side: Side, record_id: str) -> Observation:
    found = store.observations.get(pair, side, record_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("fields", "left", "right"),
    [
        pytest.param({LEFT: ["name"], RIGHT: ["name"]}, ["name"], ["name"], id="both sides"),
        pytest.param({LEFT: ["name", "note"], RIGHT: []}, ["name", "note"], [], id="the left side"),
        pytest.param({LEFT: [], RIGHT: ["note", "size"]}, [], ["note", "size"], id="the right side"),
        pytest.param({LEFT: ["all"], RIGHT: ["note"]}, ["all"], ["note"], id="each side its own"),
        pytest.param({LEFT: ["else"], RIGHT: ["new"]}, [], [], id="fields of which nothing was known"),
        pytest.param({LEFT: [], RIGHT: []}, [], [], id="none"),
    ],
)
@pytest.mark.parametrize("right_side", [ODD, {**ODD, "note": "apart"}, {}], ids=["alike", "apart", "without a base"])
def test_values_go_out_of_that_sides_bases(
    store: Store, fields: Mapping[Side, list[str]], left: list[str], right: list[str], right_side: Values
) -> None:
    held = {"name": ["a", "b"], "size": [1, 2]}
    number, other = link(store, 1, ODD, right_side, held=held), link(store, 2, ODD, right_side, held=held)
    untouched = known(store, other)
    seen(store, 1, LEFT, "x")
    seen(store, 2, LEFT, "x")
    conflicts = [FieldConflict(name, 1, 2, "r") for name in ODD]
    for pair, one in ((1, number), (2, other)):
        store.attention.set_conflicts(pair, one, conflicts, keep=(), now=NOW)
    changed_mapping.forget_values(store.db, 1, fields)
    changed_mapping.read_anew(store.db, 1, fields, 9, NOW)
    found = known(store, number)
    assert found.bases[LEFT] == {name: value for name, value in ODD.items() if name not in left}
    assert found.bases[RIGHT] == {name: value for name, value in right_side.items() if name not in right}
    (alike,) = store.db.run("SELECT right_base IS NULL FROM link WHERE id = ?", (number,)).fetchone()
    assert bool(alike) is (found.bases[LEFT] == found.bases[RIGHT])
    wrote = {LEFT: {"name", "note"} - {*left}, RIGHT: {"name", "note"} - {*right}}
    assert dict(found.receipts) == {side: receipt_text("\0v", wrote[side]) for side in Side}
    either = {*fields[LEFT], *fields[RIGHT]}
    assert found.held == {name: values for name, values in held.items() if name not in either}
    assert waits(store, 1, LEFT, "x").values == {name: value for name, value in ODD.items() if name not in left}
    assert {one.field for one in store.attention.conflicts(1)} == ODD.keys() - either
    assert known(store, other) == untouched
    assert waits(store, 2, LEFT, "x").values == ODD
    assert {one.field for one in store.attention.conflicts(2)} == ODD.keys()


def test_a_link_of_which_nothing_is_held_apart_any_more_says_so(store: Store) -> None:
    number = link(store, 1, ODD, ODD, held={"name": ["a", "b"]})
    changed_mapping.forget_values(store.db, 1, {LEFT: ["name"], RIGHT: []})
    assert store.db.one("SELECT held IS NULL FROM link WHERE id = ?", (number,))


def test_nothing_counts_as_read(store: Store) -> None:
    number, other = link(store, 1, ODD, ODD), link(store, 2, ODD, ODD)
    untouched = known(store, other)
    for pair in (1, 2):
        seen(store, pair, RIGHT, "x", marker="m", created=7)
        store.observations.tried(pair, RIGHT, "x")
    before = waits(store, 2, RIGHT, "x")
    changed_mapping.forget_values(store.db, 1, NONE)
    changed_mapping.read_anew(store.db, 1, NONE, 9, NOW)
    nothing = dict.fromkeys(Side)
    assert known(store, number) == untouched._replace(
        id=number, ids={LEFT: "l1", RIGHT: "r1"}, fps=nothing, versions=nothing
    )
    assert store.db.run("SELECT left_raw, right_raw FROM link ORDER BY id").fetchall() == [(None, None), (21, 22)]
    assert waits(store, 1, RIGHT, "x") == before._replace(fp=None, version=None, hint=True, tries=0, due_at=NOW, rev=9)
    assert known(store, other) == untouched
    assert waits(store, 2, RIGHT, "x") == before


def test_what_is_linked_to_nothing_is_read_for_its_key(store: Store) -> None:
    link(store, 1, ODD, ODD)
    seen(store, 1, LEFT, "seen")
    before = waits(store, 1, LEFT, "seen")
    for pair, side, record_id in ((1, LEFT, "l1"), (1, LEFT, "r1"), (1, LEFT, "seen"), (1, RIGHT, "y"), (2, LEFT, "z")):
        store.links.set_keys(pair, side, [(record_id, (1, 2))])
    store.links.mark(1, [Mark(LEFT, "keyless", "tombstone", "gone")], NOW)
    changed_mapping.renew_keys(store.db, 1, 9, NOW)
    rows = store.db.run("SELECT pair, side, record_id FROM observation ORDER BY side, record_id").fetchall()
    assert rows == [(1, "left", "r1"), (1, "left", "seen"), (1, "right", "y")]
    assert waits(store, 1, LEFT, "seen") == before
    new = waits(store, 1, RIGHT, "y")
    assert (new.hint, new.due_at, new.rev, new.life, new.seen_at) == (True, NOW, 9, "live", 0)


def test_an_undo_that_was_not_sent_is_not_sent_any_more(store: Store) -> None:
    def staged(pair: int, state: State, undoes: int | None) -> int:
        edit = Edit(LEFT, Kind.UPDATE, {"name": "x"})
        rows = [Staging(edit, None, "l1", "r1", None, dict.fromkeys(Side), dict.fromkeys(Side), undoes)]
        store.operations.stage(pair, 1, rows, state)
        return int(store.db.one("SELECT max(id) FROM operation"))

    dropped = [staged(1, State.PLANNED, 7), staged(1, State.HELD, 7)]
    stay = [staged(1, State.SENT, 7), staged(1, State.UNKNOWN, 7), staged(1, State.PLANNED, None)]
    stay.append(staged(2, State.PLANNED, 7))
    assert store.operations.outdate_undos(1, NOW) == 2
    live = store.db.run("SELECT id FROM operation WHERE closed_at IS NULL ORDER BY id").fetchall()
    assert [number for (number,) in live] == stay
    closed = store.db.run(
        "SELECT id, state, closed_at, reason FROM operation WHERE closed_at IS NOT NULL ORDER BY id"
    ).fetchall()
    assert closed == [(one, "superseded", NOW, "the mapping has changed since") for one in dropped]
    assert [one for one in (*dropped, *stay) if store.operations.is_withdrawn(one)] == [*dropped, *stay[:2]]
