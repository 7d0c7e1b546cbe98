import pytest

from twoway.core.model import Outcome, Presence, Receipt, Record

ABSENCES = [(Presence.ARCHIVED, True), (Presence.GONE, True), (Presence.MERGED, False), (Presence.UNKNOWN, False)]


@pytest.mark.parametrize(("presence", "proof"), ABSENCES)
def test_what_proves_an_absence(presence: Presence, proof: bool) -> None:
    assert presence.proves_absence is proof


RECEIPTS: list[tuple[str, Receipt, Receipt]] = [
    (
        "done, with the record",
        Receipt.done("1", Record("1", {}, "v2")),
        Receipt(Outcome.DONE, "1", Record("1", {}, "v2"), "v2"),
    ),
    ("done, with a version", Receipt.done("1", version="v2"), Receipt(Outcome.DONE, "1", version="v2")),
    (
        "a version goes before the record's",
        Receipt.done("1", Record("1", {}, "v2"), "v3"),
        Receipt(Outcome.DONE, "1", Record("1", {}, "v2"), "v3"),
    ),
    ("done, and nothing told", Receipt.done(None), Receipt(Outcome.DONE)),
    ("a duplicate", Receipt.duplicate("1", "taken"), Receipt(Outcome.DUPLICATE, "1", why="taken")),
    ("moved", Receipt.moved("412"), Receipt(Outcome.MOVED, why="412")),
    ("refused", Receipt.refused("too long", "name"), Receipt(Outcome.REFUSED, field="name", why="too long")),
    ("gone", Receipt.gone(), Receipt(Outcome.GONE)),
    ("later", Receipt.later("busy"), Receipt(Outcome.LATER, why="busy")),
    ("unknown", Receipt.unknown("lost"), Receipt(Outcome.UNKNOWN, why="lost")),
]


@pytest.mark.parametrize(("why", "receipt", "expected"), RECEIPTS, ids=[one[0] for one in RECEIPTS])
def test_receipts(why: str, receipt: Receipt, expected: Receipt) -> None:
    assert receipt == expected, why
