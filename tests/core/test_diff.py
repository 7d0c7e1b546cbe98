import pytest

from twoway.core.diff import MISSING, Life, Missing, Seen, absorb_receipt
from twoway.core.model import Side, Value
from twoway.core.rules import Direction

VALUES: list[tuple[str, dict[str, Value], dict[str, Value], dict[str, str], Value | Missing]] = [
    ("what was read", {"f": "b"}, {"f": "a"}, {}, "b"),
    ("a blank that was read is a value", {"f": None}, {"f": "a"}, {}, None),
    ("absent: as it was last known", {}, {"f": "a"}, {}, "a"),
    ("absent, and last known as blank", {}, {"f": None}, {}, None),
    ("absent, and never known", {}, {}, {}, MISSING),
    ("unreadable: unknown, though it was known once", {}, {"f": "a"}, {"f": "not a number"}, MISSING),
    ("another field's trouble is its own", {"f": "b"}, {"f": "a"}, {"g": "not a number"}, "b"),
]


@pytest.mark.parametrize(("why", "values", "base", "problems", "expected"), VALUES, ids=[one[0] for one in VALUES])
def test_the_value_of_a_field(
    why: str, values: dict[str, Value], base: dict[str, Value], problems: dict[str, str], expected: Value | Missing
) -> None:
    assert Seen(values=values, base=base, problems=problems).value("f") == expected, why


@pytest.mark.parametrize(("why", "values", "base", "problems", "expected"), VALUES, ids=[one[0] for one in VALUES])
def test_all_that_is_known_is_the_value_of_each_field(
    why: str, values: dict[str, Value], base: dict[str, Value], problems: dict[str, str], expected: Value | Missing
) -> None:
    assert Seen(values=values, base=base, problems=problems).known().get("f", MISSING) == expected, why
    assert Seen(values=base, base=base, problems=problems).known() == Seen({}, base, problems=problems).known(), why


EDITED: list[tuple[str, dict[str, Value], dict[str, Value], bool]] = [
    ("as it was", {"f": "a"}, {"f": "a"}, False),
    ("another value", {"f": "b"}, {"f": "a"}, True),
    ("emptied", {"f": None}, {"f": "a"}, True),
    ("filled", {"f": "a"}, {"f": None}, True),
    ("absent is no edit", {}, {"f": "a"}, False),
    ("a field that was never known is no edit", {"f": "a", "g": "b"}, {"f": "a"}, False),
    ("one of two", {"f": "a", "g": "c"}, {"f": "a", "g": "b"}, True),
]


@pytest.mark.parametrize(("why", "values", "base", "edited"), EDITED, ids=[one[0] for one in EDITED])
def test_edited(why: str, values: dict[str, Value], base: dict[str, Value], edited: bool) -> None:
    assert Seen(values=values, base=base).edited() is edited, why


def test_the_time_of_a_field_is_its_own_where_the_app_keeps_one() -> None:
    side = Seen(values={}, base={}, modified=5, times={"f": 9})

    assert side.time("f") == 9
    assert side.time("g") == 5
    assert Seen(values={}, base={}).time("f") is None


RECEIPTS: list[tuple[str, str | None, tuple[str, tuple[str, ...]] | None, dict[str, Value]]] = [
    (
        "the very version of our write: the written field's form is the app's",
        "v2",
        ("v2", ("f",)),
        {"f": "A", "g": "b"},
    ),
    ("a later version may hold a person's edit", "v3", ("v2", ("f",)), {"f": "a", "g": "b"}),
    ("no write of ours", "v2", None, {"f": "a", "g": "b"}),
    ("an app without versions", None, ("v2", ("f",)), {"f": "a", "g": "b"}),
    ("a written field that is absent from this payload", "v2", ("v2", ("h",)), {"f": "a", "g": "b"}),
]


@pytest.mark.parametrize(("why", "version", "receipt", "base"), RECEIPTS, ids=[one[0] for one in RECEIPTS])
def test_a_read_at_the_version_of_our_write_moves_the_base_of_what_we_wrote(
    why: str, version: str | None, receipt: tuple[str, tuple[str, ...]] | None, base: dict[str, Value]
) -> None:
    side = Seen(
        values={"f": "A", "g": "x"},
        base={"f": "a", "g": "b"},
        life=Life.GONE,
        in_scope=False,
        modified=1,
        times={"f": 2},
        problems={"p": "unreadable"},
    )

    after = absorb_receipt(side, version, receipt)

    assert after.base == base, why
    assert after.life is Life.GONE
    assert (after.values, after.in_scope, after.modified, after.times, after.problems) == (
        side.values,
        False,
        1,
        {"f": 2},
        {"p": "unreadable"},
    )


WRITES: list[tuple[Direction, bool, bool]] = [
    (Direction.BOTH, True, True),
    (Direction.TO_LEFT, True, False),
    (Direction.TO_RIGHT, False, True),
    (Direction.ONE_SIDE, False, False),
]


@pytest.mark.parametrize(("direction", "left", "right"), WRITES)
def test_a_direction_says_which_side_is_written(direction: Direction, left: bool, right: bool) -> None:
    assert (direction.writes(Side.LEFT), direction.writes(Side.RIGHT)) == (left, right)
