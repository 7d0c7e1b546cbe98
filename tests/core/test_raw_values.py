"""Raw values as they come: plain text is read without detours, and what was read before is recognised unread."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.mappings import field, mapping
from twoway.core.mapping import SideMapping
from twoway.core.model import RawValues, Value
from twoway.core.rules import Policy

FIELDS = {"name": "string", "size": "number", "tags": "set", "more": "json"}


def left_of(**more: Any) -> SideMapping:
    return mapping(*(field(name, type=kind) for name, kind in FIELDS.items()), match=(("name",),), **more).left


LEFT = left_of()


@pytest.mark.parametrize(
    ("raw", "value", "problem"),
    [
        pytest.param("Ada", "Ada", None, id="plain"),
        pytest.param("", None, None, id="empty is blank"),
        pytest.param(None, None, None, id="null is blank"),
        pytest.param("Zoe\u0308", "Zo\u00eb", None, id="composed, whichever way it was typed"),
        pytest.param(7, "7", None, id="a number that an app tells for a text"),
        pytest.param(["Ada"], None, "a list where a single value is expected", id="a list"),
    ],
)
def test_plain_text(raw: Any, value: Value, problem: str | None) -> None:
    values, problems, overlooked = LEFT.decode({"name": raw})
    assert problems == ({} if problem is None else {"name": problem})
    assert values == ({"name": value} if problem is None else {})
    assert overlooked == frozenset()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"name": "a", "size": 1}, {"size": 1, "name": "a"}, True, id="in another order"),
        pytest.param({"more": {"a": 1, "b": 2}}, {"more": {"b": 2, "a": 1}}, True, id="in another order within"),
        pytest.param({"size": Decimal("1.50")}, {"size": Decimal("1.50")}, True, id="decimal numbers"),
        pytest.param({"name": "a"}, {"name": "b"}, False, id="another value"),
        pytest.param({"name": "a"}, {"name": "A"}, False, id="another case"),
        pytest.param({"name": None}, {}, False, id="blank and absent"),
        pytest.param({"size": 1}, {"size": "1"}, False, id="a number and a text"),
        pytest.param({"more": Decimal("1.0")}, {"more": "1.0"}, False, id="a decimal number and a text"),
        pytest.param({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, False, id="a list in another order is read again"),
    ],
)
def test_a_hash_of_raw_values_is_that_of_equal_ones(one: RawValues, other: RawValues, *, same: bool) -> None:
    first, second = LEFT.raw_hash(one), LEFT.raw_hash(other)
    assert first is not None
    assert (first == second) is same


def test_a_hash_of_raw_values_fits_in_a_column_and_is_of_one_mapping() -> None:
    hashes = [LEFT.raw_hash({"name": str(number)}) or 0 for number in range(200)]
    assert all(-(1 << 63) <= one < 1 << 63 for one in hashes)
    assert min(hashes) < 0 < max(hashes)
    other = left_of(conflict=Policy.LEFT)
    assert other.raw_hash({"name": "a"}) != LEFT.raw_hash({"name": "a"})


@pytest.mark.parametrize("raw", [{"more": {1: "a"}}, {"more": 1 << 70}], ids=["a key that is no text", "a huge number"])
def test_what_json_cannot_tell_has_no_hash(raw: RawValues) -> None:
    assert LEFT.raw_hash(raw) is None


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["", "a", "A", "1", "1.0", "true"]),
    st.decimals(min_value=-2, max_value=2, places=1),
)
RAWS = st.dictionaries(st.sampled_from(sorted(FIELDS)), LEAVES | st.lists(LEAVES, max_size=2), max_size=4)


@given(RAWS, RAWS)
@example({"more": Decimal("1.0")}, {"more": "1.0"})
@example({"more": True}, {"more": 1})
def test_what_has_the_same_hash_reads_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    if LEFT.raw_hash(one) == LEFT.raw_hash(other):
        assert LEFT.decode(one) == LEFT.decode(other)
        assert LEFT.fingerprint(LEFT.decode(one)) == LEFT.fingerprint(LEFT.decode(other))
    assert LEFT.raw_hash(one) == LEFT.raw_hash(dict(reversed(one.items())))


@given(st.text())
def test_what_is_said_to_read_back_does(raw: str) -> None:
    read = LEFT.decode({"name": raw}).values
    if read.get("name") is not None:
        assert LEFT.decode(LEFT.encode(read, None)).values == read


def test_only_plain_text_is_said_to_read_back() -> None:
    """Of another type, of a closed list, or of what does not live there, that is not said without its being tried."""
    closed = mapping(field("name", type="choice", choices={"a": "A"}), field("owner", right=None))
    assert LEFT.reads_back(["name"])
    assert LEFT.reads_back([])
    assert not any(LEFT.reads_back([name]) for name in ("size", "tags", "more", "no such field"))
    assert not LEFT.reads_back(["name", "size"])
    assert closed.left.reads_back(["owner"])
    assert not closed.right.reads_back(["owner"])
    assert not closed.right.reads_back(["name"])
