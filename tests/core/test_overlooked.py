"""A choice that the mapping leaves out on purpose is neither value nor problem; that it was there is told."""

from tests.core.mappings import at, field, mapping
from twoway.core.mapping import Decoded

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
