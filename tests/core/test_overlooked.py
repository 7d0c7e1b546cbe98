"""A choice that the mapping leaves out on purpose is neither value nor problem; that it was there is told."""

from dataclasses import replace

from tests.core.mappings import at, field, mapping
from tests.core.sides import pair, seen
from twoway.core.diff import OVERLOOKED, Life
from twoway.core.mapping import Decoded
from twoway.core.model import Kind, Side
from twoway.core.reconcile import Action, reconcile
from twoway.core.rules import FieldRule, OnDelete

STAGES = {"lead": "Lead", "won": "Won"}


def test_whatever_is_overlooked_is_told_wherever_it_stands() -> None:
    places = {"a": "a", "b": "b", "c": "list[kind=c].value", "d": "list[kind=d].value"}
    both = mapping(
        *(
            field(name, at(path, choices=STAGES), name, type="choice", unknown_choice="ignore")
            for name, path in places.items()
        )
    )

    def told(a: object, b: object, c: object, d: object) -> Decoded:
        return both.left.decode({"a": a, "b": b, "list": [{"kind": "c", "value": c}, {"kind": "d", "value": d}]})

    assert told("x", "x", "x", "x") == Decoded({}, {}, frozenset("abcd"))
    assert told("x", "Lead", "x", "Won") == Decoded({"b": "lead", "d": "won"}, {}, frozenset("ac"))
    assert told("Won", None, None, "Lead").overlooked == frozenset()
    assert both.left.decode({}) == Decoded({}, {}, frozenset())


def test_a_choice_that_is_overlooked_does_not_keep_its_record_from_being_deleted() -> None:
    """What cannot be read may be an edit; what the mapping leaves out on purpose is none that it asks for."""
    rules = pair(FieldRule(name="f"), FieldRule(name="g"), delete={Side.RIGHT: OnDelete.DELETE})
    gone = replace(seen({"f": "a"}, {"f": "a"}), life=Life.GONE)
    there = seen({"f": "a"}, {"f": "a"})
    overlooked = reconcile(gone, replace(there, problems={"g": OVERLOOKED}), rules)
    assert [edit.kind for edit in overlooked.edits] == [Kind.DELETE]
    unread = reconcile(gone, replace(there, problems={"g": "no choice"}), rules)
    assert (unread.action, unread.reason) == (
        Action.PARK,
        "deleted opposite, but unreadable here, so perhaps edited: g",
    )
    both = reconcile(gone, replace(there, problems={"g": OVERLOOKED, "f": "no text"}), rules)
    assert both.reason.endswith("perhaps edited: f")
