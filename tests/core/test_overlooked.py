"""A choice that the mapping leaves out on purpose is neither value nor problem; that it was there is told."""

import pytest

from tests.core.mappings import at, field, mapping
from tests.core.sides import pair, seen
from twoway.core.diff import OVERLOOKED, Life
from twoway.core.mapping import Decoded
from twoway.core.meaning import altered
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
    gone = seen({"f": "a"}, {"f": "a"})._replace(life=Life.GONE)
    there = seen({"f": "a"}, {"f": "a"})
    overlooked = reconcile(gone, there._replace(problems={"g": OVERLOOKED}), rules)
    assert [edit.kind for edit in overlooked.edits] == [Kind.DELETE]
    unread = reconcile(gone, there._replace(problems={"g": "no choice"}), rules)
    assert (unread.action, unread.reason) == (
        Action.PARK,
        "deleted opposite, but unreadable here, so perhaps edited: g",
    )
    both = reconcile(gone, there._replace(problems={"g": OVERLOOKED, "f": "no text"}), rules)
    assert both.reason.endswith("perhaps edited: f")


@pytest.mark.parametrize(
    ("delimiter", "held", "elements", "sent"),
    [
        pytest.param(None, ["Lead", "x"], ["lead", "won"], ["Lead", "Won", "x"], id="one is added"),
        pytest.param(None, ["Lead", "x", "y"], [], ["x", "y"], id="all of ours are taken off"),
        pytest.param(None, ["Lead", "x"], None, ["x"], id="it is emptied"),
        pytest.param(None, ["Lead"], None, None, id="it is emptied, and holds nothing else"),
        pytest.param(None, ["Lead"], ["won"], ["Won"], id="nothing is overlooked"),
        pytest.param(None, None, ["won"], ["Won"], id="it is blank"),
        pytest.param(None, [None, "Lead", " ", "x"], ["won"], ["Won", "x"], id="elements are blank"),
        pytest.param(None, "x", ["won"], ["Won"], id="it holds no list"),
        pytest.param(None, ["Lead", {"id": 1}], ["won"], ["Won", {"id": 1}], id="an element is no text"),
        pytest.param(";", "Lead;x;", ["won"], "Won;x", id="kept as one text"),
        pytest.param(";", "Lead;x; ", None, "x", id="kept as one text, and emptied"),
        pytest.param(";", None, ["won"], "Won", id="a text that is blank"),
    ],
)
def test_the_elements_of_a_set_that_are_overlooked_stay(
    delimiter: str | None, held: object, elements: list[str] | None, sent: object
) -> None:
    place = at("list", choices=STAGES, delimiter=delimiter)
    both = mapping(field("f", place, "f", type="set", unknown_choice="ignore"))
    assert both.left.needs_current(["f"])
    assert both.right.needs_current(["f"])
    assert both.left.encode({"f": elements}, {"list": held, "other": "y"}) == {"list": sent}
    assert both.left.app_fields("f") == ("list",)


@pytest.mark.parametrize(
    ("type", "choices", "unknown"),
    [
        pytest.param("choice", STAGES, "ignore", id="one choice, which stands or does not"),
        pytest.param("set", STAGES, "park", id="an unknown element is shown to people"),
        pytest.param("set", STAGES, "keep", id="an unknown element is carried over"),
        pytest.param("set", None, "park", id="every element is known"),
        pytest.param("set", None, "ignore", id="every element is known, and nothing to be overlooked"),
    ],
)
def test_a_field_of_which_all_is_ours_is_written_without_being_read(
    type: str, choices: dict[str, str] | None, unknown: str
) -> None:
    both = mapping(field("f", at("list", choices=choices), "f", type=type, unknown_choice=unknown))
    assert not both.left.needs_current(["f"])


def test_the_elements_that_are_overlooked_stay_within_an_object() -> None:
    place = at("groups[kind=c].names", choices=STAGES)
    both = mapping(field("f", place, "f", type="set", unknown_choice="ignore"))
    held = {"groups": [{"kind": "c", "names": ["x", "Lead"]}, {"kind": "d", "names": ["y"]}]}
    assert both.left.decode(held).values == {"f": ["lead"]}
    assert both.left.encode({"f": ["won"]}, held) == {
        "groups": [{"kind": "c", "names": ["Won", "x"]}, {"kind": "d", "names": ["y"]}]
    }


def test_who_comes_to_overlook_what_was_refused_reads_the_rest_as_before() -> None:
    place = at("list", choices=STAGES)
    parks, ignores = (mapping(field("f", place, "f", type="set", unknown_choice=how)) for how in ("park", "ignore"))
    assert altered(parks.meanings[Side.LEFT], ignores.meanings[Side.LEFT]) == frozenset()
