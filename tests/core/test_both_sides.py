"""What one side gives is read as the same on the other, whatever a field's options do to it on the way."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.mappings import field, mapping
from twoway.core.spec import Step

CASES: list[tuple[str, dict[str, Any]]] = [
    ("a prefix in another case", {"case": "lower", "to_right": (Step("prefix", "CRM-"),)}),
    ("a step to another case", {"case": "lower", "to_right": (Step("upper"),)}),
    ("a step to another case, to the left", {"case": "title", "to_left": (Step("upper"),)}),
    ("a default in another case", {"case": "upper", "to_left": (Step("default", "unknown"),)}),
    ("a default with spaces", {"trim": True, "to_right": (Step("default", " unknown "),)}),
    ("a cut that leaves a space", {"trim": True, "to_right": (Step("truncate", 3),)}),
]


@pytest.mark.parametrize(("why", "options"), CASES, ids=[one[0] for one in CASES])
@given(text=st.none() | st.text(st.sampled_from("aB -"), max_size=6))
def test_what_a_side_gives_is_read_as_the_same_on_the_other(
    why: str, options: dict[str, Any], text: str | None
) -> None:
    both = mapping(field("a", **options))
    giver, taker = (both.right, both.left) if "to_left" in options else (both.left, both.right)
    values = giver.decode({"a": text}).values
    assert taker.decode(taker.encode(values, None)).values == values, why


def test_whose_last_tag_was_taken_off_does_not_leave_a_scope_without_another() -> None:
    tags = field("tags", type="set")
    both = mapping(tags, left={"scope": '!("internal" in tags)'})
    for raw, within in ((["internal"], False), (["vip"], True), ([], True)):
        assert both.left.in_scope(both.left.decode({"tags": raw}).values) is within
