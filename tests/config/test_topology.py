from pathlib import Path

import pytest

from tests.config.conftest import PAIR, Told
from twoway.config import ConfigError, load_pair
from twoway.config.topology import demands

ACCOUNTS = """\
accounts:
  a: { app: x }
  b: { app: x }
  c: { app: x }
  d: { app: x }
"""


def pair(
    name: str, left: str, right: str, *, scope: str = "", field: str = "stage: { left: stage, right: stage }"
) -> str:
    """A mapping file; `left` and `right` are `account` or `account/audience`."""
    sides = []
    for one in (left, right):
        account, _, audience = one.partition("/")
        sides.append(f"{{ account: {account}, collection: people, options: {{ audience: '{audience}' }} }}")
    return f"pair: {name}\nleft: {sides[0]}\nright: {sides[1]}\nstart: review\n{scope}\nfields:\n  {field}\n"


def write(folder: Path, *pairs: str) -> None:
    (folder / "config.yaml").write_text(ACCOUNTS)
    (folder / "pairs" / "crm-news.yaml").unlink()
    for text in pairs:
        name = text.split()[1]
        (folder / "pairs" / f"{name}.yaml").write_text(text)


@pytest.mark.parametrize(
    ("why", "pairs"),
    [
        ("a star", [("p1", "a", "b"), ("p2", "a", "c"), ("p3", "a", "d")]),
        ("a chain", [("p1", "a", "b"), ("p2", "b", "c"), ("p3", "c", "d")]),
        ("two audiences of one account", [("p1", "a", "b/x"), ("p2", "a", "b/y")]),
    ],
)
def test_trees_are_fine(why: str, pairs: list[tuple[str, str, str]], folder: Path, told: Told) -> None:
    write(folder, *(pair(*one) for one in pairs))
    assert told() == [], why


def test_a_ring_is_refused_with_the_pairs_that_make_it(folder: Path, told: Told) -> None:
    write(folder, pair("p0", "a", "d"), pair("p1", "a", "b"), pair("p2", "b", "c"), pair("p3", "c", "a"))
    (line,) = told()
    assert line.startswith("pairs/p3.yaml:3:22: right.collection: makes a ring with p2, p1: a change that goes round")


def test_a_pair_of_one_collection_is_refused(folder: Path, told: Told) -> None:
    write(folder, pair("p1", "a", "a"))
    assert told() == ["pairs/p1.yaml:3:1: right: both sides are the same collection"]


STAGE = "stage: { left: stage, right: stage }"
ELSEWHERE = "stage: { left: phase, right: stage }"
LOWER = "stage: { left: stage, right: stage, case: lower }"
RENAMED = "level: { left: stage, right: stage }"

TWICE: list[tuple[str, tuple[str, str, str], tuple[str, str, str], bool]] = [
    ("without scopes", ("", "", STAGE), ("", "", STAGE), False),
    ("one scope alone", ("left", 'stage == "a"', STAGE), ("", "", STAGE), False),
    ("other values", ("left", 'stage == "a"', STAGE), ("left", 'stage in ["b", "c"]', STAGE), True),
    ("a common value", ("left", 'stage in ["a", "b"]', STAGE), ("left", 'stage in ["b", "c"]', STAGE), False),
    ("the same place under another name", ("left", 'stage == "a"', STAGE), ("left", "level == 'b'", RENAMED), True),
    ("the same name for another place", ("left", 'stage == "a"', STAGE), ("left", "stage == 'b'", ELSEWHERE), False),
    ("read in another way", ("left", 'stage == "a"', STAGE), ("left", "stage == 'b'", LOWER), False),
    ("with more conditions", ("left", 'stage == "a" && size(stage) > 0', STAGE), ("left", 'stage == "b"', STAGE), True),
    ("with an alternative", ("left", 'stage == "a" || true', STAGE), ("left", 'stage == "b"', STAGE), False),
    ("on the other side", ("right", 'stage == "a"', STAGE), ("right", 'stage == "b"', STAGE), True),
    ("each on another side", ("left", 'stage == "a"', STAGE), ("right", 'stage == "b"', STAGE), False),
]  # fmt: skip


@pytest.mark.parametrize(("why", "one", "two", "fine"), TWICE, ids=[one[0] for one in TWICE])
def test_two_pairs_on_the_same_collections_must_be_disjoint(
    why: str, one: tuple[str, str, str], two: tuple[str, str, str], fine: bool, folder: Path, told: Told
) -> None:
    texts = [
        pair(name, "a", "b", scope=f"scope: {{ {side}: {condition!r} }}" if side else "", field=field)
        for name, (side, condition, field) in (("p1", one), ("p2", two))
    ]
    write(folder, *texts)
    lines = told()
    if fine:
        assert lines == [], why
    else:
        assert len(lines) == 1
        assert lines[0].startswith("pairs/p2.yaml:3:22: right.collection: the pair p1 is on the same two collections")


def test_swapped_sides_are_the_same_collections(folder: Path, told: Told) -> None:
    write(folder, pair("p1", "a", "b"), pair("p2", "b", "a"))
    assert len(told()) == 1


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        (None, {}),
        ('a == "x"', {"a": {"x"}}),
        ("a in ['x', 'y'] && b == 'z'", {"a": {"x", "y"}, "b": {"z"}}),
        ('a in ["x", "y"] && a == "y"', {"a": {"y"}}),
        ('a == "x && b" && c == "||"', {"a": {"x && b"}, "c": {"||"}}),
        ('(a == "x" && b == "y")', {}),
        ('!(a == "x")', {}),
        ('a != "x"', {}),
        ('a == "x" ? true : b', {}),
        ("a in [1, 2]", {}),
        ('a in ["x", b]', {}),
        ('a in ["x" && "y"]', {}),
        ('size([a == "x" && b == "y"]) > 0 && c == "z"', {"c": {"z"}}),
    ],
)
def test_what_a_scope_demands_is_read_off_only_where_it_is_certain(
    scope: str | None, found: dict[str, set[str]]
) -> None:
    assert demands(scope) == found


def test_a_scope_that_demands_what_its_field_never_has_is_refused(folder: Path) -> None:
    file = folder / "pairs" / "crm-news.yaml"
    stage = "  stage: { left: stage, right: status, choices: { lead: Lead, won: Kunde } }\n"
    file.write_text(PAIR + stage + 'scope: { left: \'stage in ["lead", "won"]\', right: \'stage == "Kunde"\' }\n')
    with pytest.raises(ConfigError) as caught:
        load_pair(file)
    (problem,) = caught.value.problems
    assert problem.key == "scope.right"
    assert problem.what == "stage is never 'Kunde': `choices` have no such canonical value; valid: lead, won"
    file.write_text(file.read_text().replace("status,", "status, unknown_choice: keep,"))
    assert load_pair(file).name
