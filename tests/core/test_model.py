from collections.abc import Callable

import pytest

from twoway.core.model import Outcome, Presence, Receipt, Record

ABSENCES = [(Presence.ARCHIVED, True), (Presence.GONE, True), (Presence.MERGED, False), (Presence.UNKNOWN, False)]


@pytest.mark.parametrize(("presence", "proof"), ABSENCES)
def test_what_proves_an_absence(presence: Presence, proof: bool) -> None:
    assert presence.proves_absence is proof


RECEIPTS: list[tuple[str, Callable[[], Receipt], Receipt]] = [
    (
        "done, with the record",
        lambda: Receipt.done("1", Record("1", {}, "v2")),
        Receipt(Outcome.DONE, "1", Record("1", {}, "v2"), "v2"),
    ),
    ("done, with a version", lambda: Receipt.done("1", version="v2"), Receipt(Outcome.DONE, "1", version="v2")),
    (
        "a version goes before the record's",
        lambda: Receipt.done("1", Record("1", {}, "v2"), "v3"),
        Receipt(Outcome.DONE, "1", Record("1", {}, "v2"), "v3"),
    ),
    ("done, and nothing told", lambda: Receipt.done(None), Receipt(Outcome.DONE)),
    ("a duplicate", lambda: Receipt.duplicate("1", "taken"), Receipt(Outcome.DUPLICATE, "1", why="taken")),
    ("a duplicate, and nothing told", lambda: Receipt.duplicate(None), Receipt(Outcome.DUPLICATE, why="")),
    ("moved, and nothing told", Receipt.moved, Receipt(Outcome.MOVED, why="")),
    ("moved", lambda: Receipt.moved("412"), Receipt(Outcome.MOVED, why="412")),
    ("refused", lambda: Receipt.refused("too long", "name"), Receipt(Outcome.REFUSED, field="name", why="too long")),
    ("gone", Receipt.gone, Receipt(Outcome.GONE)),
    ("later", lambda: Receipt.later("busy"), Receipt(Outcome.LATER, why="busy")),
    ("unknown", lambda: Receipt.unknown("lost"), Receipt(Outcome.UNKNOWN, why="lost")),
]


@pytest.mark.parametrize(("why", "make", "expected"), RECEIPTS, ids=[one[0] for one in RECEIPTS])
def test_receipts(why: str, make: Callable[[], Receipt], expected: Receipt) -> None:
    assert make() == expected, why
