"""Sets of which one side's app stores an element in its own way: it is the same element all the same."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.core.sides import mirrored_resolution, pair
from twoway.core.diff import MISSING, Missing, Seen
from twoway.core.model import Side
from twoway.core.reconcile import reconcile
from twoway.core.resolve import MERGED, UNION, FieldView, resolve
from twoway.core.rules import Direction, FieldRule, Shape, Start

RULE = FieldRule(name="tags", shape=Shape.SET, start=Start.REVIEW)
SLUGS = {"VIP": "vip", "Vip": "vip", "Big Fish": "big_fish"}
"""How the right side stores what the left one has."""


def words(text: str | None) -> list[str] | None:
    return text.split(", ") if text else None


def seen(base: str | Missing | None, value: str | None, spells: Mapping[str, str] | None = None) -> FieldView:
    return FieldView(words(value), MISSING if isinstance(base, Missing) else words(base), None, spells or {})


MERGES = [
    ("taken off where it is spelled otherwise", "VIP, b", "b", "b, vip", "b, vip", MISSING, "b"),
    ("taken off where the app spells it", "VIP, b", "VIP, b", "b, vip", "b", "b", MISSING),
    ("taken off on both sides", "VIP, b", "b", "b, vip", "b", MISSING, MISSING),
    ("added in its own spelling", "b", "VIP, b", "b", "b", MISSING, "b, vip"),
    ("added, and there already", "b", "VIP, b", "b, vip", "b, vip", MISSING, MISSING),
    ("added in one spelling on each side", "b", "VIP, b", "b", "b, vip", MISSING, MISSING),
    ("two that are stored as one, one taken off", "VIP, Vip", "Vip", "vip", "vip", MISSING, MISSING),
    ("two that are stored as one, both taken off", "VIP, Vip", None, "vip", "vip", MISSING, None),
    ("the one that stands for two taken off", "VIP, Vip, b", "VIP, Vip, b", "b, vip", "b", "b", MISSING),
    ("one spelling for another", "VIP", "Vip", "vip", "vip", MISSING, MISSING),
    ("taken off here, something added there", "VIP, b", "b", "b, vip", "b, c, vip", "b, c", "b, c"),
    ("taken off there, something added here", "VIP, b", "VIP, b, c", "b, vip", "b", "b, c", "b, c"),
    ("taken off here, and added there", "VIP", None, None, "vip", "vip", MISSING),
    ("the last one taken off", "Big Fish", None, "big_fish", "big_fish", MISSING, None),
]


@pytest.mark.parametrize(
    ("why", "left_base", "left", "right_base", "right", "to_left", "to_right"), MERGES, ids=[one[0] for one in MERGES]
)
def test_what_is_taken_off_or_added_is_the_same_in_any_spelling(
    why: str,
    left_base: str | None,
    left: str | None,
    right_base: str | None,
    right: str | None,
    to_left: str | Missing | None,
    to_right: str | Missing | None,
) -> None:
    here, there = seen(left_base, left), seen(right_base, right, spells=SLUGS)
    answer = resolve(RULE, here, there, tolerance=0)
    wanted = [one if isinstance(one, Missing) else words(one) for one in (to_left, to_right)]
    assert [answer.left, answer.right] == wanted, why
    assert answer.rule == ("agreed" if wanted == [MISSING, MISSING] else MERGED)
    assert mirrored_resolution(resolve(RULE, there, here, tolerance=0)) == answer


UNIONS = [
    ("one in two spellings", "VIP", "vip", MISSING, MISSING),
    ("one in two spellings, and one more on each side", "VIP, b", "c, vip", "VIP, b, c", "b, c, vip"),
    ("two that are stored as one", "VIP, Vip", "vip", MISSING, MISSING),
    ("only one side has it", "Big Fish, b", "b", MISSING, "b, big_fish"),
    ("only the side that spells it has it", "b", "b, vip", "b, vip", MISSING),
]


@pytest.mark.parametrize(("why", "left", "right", "to_left", "to_right"), UNIONS, ids=[one[0] for one in UNIONS])
def test_a_first_link_doubles_no_element_for_its_spelling(
    why: str, left: str, right: str, to_left: str | Missing, to_right: str | Missing
) -> None:
    here, there = seen(MISSING, left), seen(MISSING, right, spells=SLUGS)
    answer = resolve(RULE, here, there, tolerance=0)
    wanted = [one if isinstance(one, Missing) else words(one) for one in (to_left, to_right)]
    assert [answer.left, answer.right, answer.rule] == [*wanted, UNION], why
    assert mirrored_resolution(resolve(RULE, there, here, tolerance=0)) == answer
    plain = resolve(RULE, here, there._replace(spells={}), tolerance=0)
    assert plain.right != MISSING or plain.left != MISSING


def test_each_side_spells_its_own_fields() -> None:
    rules = pair(RULE, replace(RULE, name="more"))
    base, there = {"tags": ["VIP", "b"], "more": ["VIP"]}, {"tags": ["b", "vip"], "more": ["vip"]}
    left = Seen(values={"tags": ["b"], "more": ["VIP"]}, base=base)
    right = Seen(values=there, base=there, spells={"tags": SLUGS})
    (edit,) = reconcile(left, right, rules).edits
    assert (edit.side, edit.changed) == (Side.RIGHT, {"tags": ["b"]})
    (edit,) = reconcile(right, left, rules).edits
    assert (edit.side, edit.changed) == (Side.LEFT, {"tags": ["b"]})


def test_sets_that_go_one_way_are_not_merged() -> None:
    one_way = replace(RULE, name="given", direction=Direction.TO_RIGHT)
    assert pair(RULE, one_way, FieldRule(name="text")).sets == ("tags",)
