"""Radicale and Xandikos, the whole product between them, and cards that are full of what no mapping knows."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from benchmarks.stage import Product, write_config

from tests.acceptance import cards
from tests.acceptance.cards import Person
from tests.acceptance.conftest import MakeShelf
from tests.acceptance.pairs import ADDRESSBOOKS, card_account
from tests.acceptance.shelf import Shelf, Stored
from twoway.engine.cycle import Kind

PAIR = "addressbooks"
PEOPLE = 315
"""Of whom each book has four in five: 504 cards."""
LEFT, RIGHT = "office", "home"
PARTS = {"N": {0, 1}, "ADR": {3}, "ORG": {0}}
"""The parts of structured properties that the mapping knows; it must leave the others alone."""

Shelves = Mapping[str, Shelf]
Books = Mapping[str, Mapping[str, Stored]]


def is_in(number: int, account: str) -> bool:
    """Of five people one is only in the one book, and one only in the other."""
    return number % 5 != (4 if account == LEFT else 3)


def fill(shelves: Shelves) -> None:
    """Put everybody's cards where they belong."""

    def put(account: str) -> None:
        make = cards.card if account == LEFT else card_at_home
        for number in range(PEOPLE):
            if is_in(number, account):
                shelves[account].put(f"{number}.vcf", make(cards.person(number)))

    with ThreadPoolExecutor() as pool:
        list(pool.map(put, shelves))


def card_at_home(who: Person) -> str:
    """The other book's card of somebody: another UID, a phone spelt otherwise, some without a note or elsewhere."""
    more = {"UID": f"UID:home-{who.number}", "X": f"X-HOME-ONLY:{who.number}"}
    if who.number % 3 == 0:
        more["NOTE"] = ""
    if who.number % 4 == 0:
        more["ORG"] = "ORG:Anderswo GmbH;Lager"
    if who.number % 7 == 0:
        more["MOBILE"] = f"TEL;TYPE=cell:0170/{who.mobile[-7:]}"
    return cards.card(who, **more)


def differs_at_home(who: Person) -> set[str]:
    """The properties of that card that the office's are to replace."""
    return ({"NOTE"} if who.number % 3 == 0 else set()) | ({"ORG"} if who.number % 4 == 0 else set())


def whole(shelves: Shelves) -> dict[str, dict[str, Stored]]:
    """Both books as their servers have them."""
    return {account: shelf.cards() for account, shelf in shelves.items()}


def positions(shelves: Shelves) -> dict[str, tuple[str | None, ...]]:
    """What the servers say of their state: it moves with every write."""
    return {account: shelf.position() for account, shelf in shelves.items()}


def by_email(book: Mapping[str, Stored]) -> dict[str, str]:
    """The cards' names by e-mail address, of which none comes twice."""
    found = {str(cards.mail(one.text)): name for name, one in book.items()}
    assert len(found) == len(book)
    return found


def seen(card: str) -> dict[str, object]:
    """The mapped fields of a card as a person reads them."""
    name, town, work = (structured(card, one) for one in ("N", "ADR", "ORG"))
    return {
        "full_name": cards.value(card, "FN"),
        "given": name[1],
        "family": name[0],
        "organisation": work[0],
        "email": cards.mail(card),
        "mobile": digits(cards.value(card, "TEL", "TYPE=cell")),
        "work_phone": digits(cards.value(card, "TEL", "TYPE=work")),
        "town": town[3],
        "birthday": (cards.value(card, "BDAY") or "").replace("-", ""),
        "categories": sorted((cards.value(card, "CATEGORIES") or "").split(",")),
        "note": cards.value(card, "NOTE"),
        "url": cards.value(card, "URL"),
    }


def structured(card: str, name: str) -> list[str]:
    """The parts of a structured property."""
    return [cards.unescaped(part) for part in cards.split(cards.raw(card, name))] + [""] * 7


def digits(phone: str | None) -> str:
    """A phone number's digits with the country's, however it is spelt."""
    text = "".join(letter for letter in phone or "" if letter.isdigit())
    return f"49{text[1:]}" if text.startswith("0") else text


def assert_touched_only(before: str, after: str, allowed: Iterable[str]) -> None:
    """Our writes changed just these properties: each in its place, with its parameters, and in the mapped parts."""
    found = cards.changed(before, after)
    assert set(found) == set(allowed), found
    for name, (went, came) in found.items():
        assert len(went) <= 1, found
        assert len(came) == 1, found
        if not went:
            continue
        assert (came[0].group, came[0].parameters) == (went[0].group, went[0].parameters)
        if name in PARTS:
            old, new = cards.split(went[0].value), cards.split(came[0].value)
            assert {at for at in range(max(len(old), len(new))) if old[at : at + 1] != new[at : at + 1]} <= PARTS[name]


@pytest.fixture
def shelves(shelf: MakeShelf) -> dict[str, Shelf]:
    """The office's book on Radicale, the one at home on Xandikos, both empty."""
    return {LEFT: shelf("radicale"), RIGHT: shelf("xandikos")}


@pytest.fixture
def config(tmp_path: Path, shelves: Shelves) -> Path:
    """A configuration with the pair of both books."""
    accounts = {account: card_account(one) for account, one in shelves.items()}
    return write_config(tmp_path / "config", accounts, [ADDRESSBOOKS])


def test_five_hundred_cards_meet_and_then_are_edited_on_both_sides(config: Path, shelves: Shelves) -> None:
    fill(shelves)
    before = whole(shelves)
    with Product(config) as product:
        plan = product.plan(PAIR)
        assert plan.report.error is None
        assert plan.matched == sum(is_in(n, LEFT) and is_in(n, RIGHT) for n in range(PEOPLE))
        assert whole(shelves) == before, "a plan writes nothing"
        product.approve(PAIR)
        report = product.sync(PAIR)
        assert report.counts["created left"] == sum(not is_in(n, LEFT) for n in range(PEOPLE))
        assert report.counts["created right"] == sum(not is_in(n, RIGHT) for n in range(PEOPLE))
        after = whole(shelves)
        assert_met(before, after)
        assert_quiet(product, shelves)

        edited = edit_many(shelves, after)
        before = whole(shelves)
        product.sync(PAIR)
        assert_carried_over(before, whole(shelves), edited)
        assert_quiet(product, shelves)


def assert_quiet(product: Product, shelves: Shelves) -> None:
    """The next cycle writes nothing, as the servers see it; nor does one that reads everything."""
    before = positions(shelves), whole(shelves)
    product.sync(PAIR)
    product.sync(PAIR, Kind.SNAPSHOT)
    assert (positions(shelves), whole(shelves)) == before


def assert_met(before: Books, after: Books) -> None:
    """Everybody is in both books, with the same mapped fields; and nothing else of any card was touched."""
    names = {account: by_email(book) for account, book in after.items()}
    for number in range(PEOPLE):
        who = cards.person(number)
        left, right = (after[account][names[account][who.email]].text for account in (LEFT, RIGHT))
        assert seen(left) == seen(right)
    for account, book in before.items():
        for name, stored in book.items():
            who = cards.person(int(name.removesuffix(".vcf")))
            allowed = differs_at_home(who) if account == RIGHT and is_in(who.number, LEFT) else set()
            if allowed:
                assert_touched_only(stored.text, after[account][name].text, allowed)
            else:
                assert after[account][name] == stored


EDITS: tuple[tuple[str, str, str, str], ...] = (
    ("NOTE", "", "Neu\\, und lang: {}", "NOTE"),
    ("FN", "", "Dr. Änne {}", "FN"),
    ("TEL", "TYPE=cell", "+49 171 55{:05}", "TEL"),
    ("TEL", "TYPE=work", "030 77{:05}", "TEL"),
    ("ORG", "", "Neue Firma {};Einkauf;Team 9", "ORG"),
    ("BDAY", "", "1971-03-1{}", "BDAY"),
    ("CATEGORIES", "", "Kunden,Stufe {}", "CATEGORIES"),
    ("ADR", "TYPE=home", ";;Straße 1;Ort {};;12345;Deutschland", "ADR"),
)
"""What a person may do to a card: property, parameter, the new value with a number in it, what it does opposite."""


def edit_many(shelves: Shelves, after: Books) -> dict[str, dict[str, set[str]]]:
    """People edit forty cards of each book, and twenty in both; what our writes may change, by account and e-mail."""
    names = {account: by_email(book) for account, book in after.items()}
    allowed: dict[str, dict[str, set[str]]] = {LEFT: {}, RIGHT: {}}
    for number in range(100):
        who = cards.person(number)
        for account, other, wanted in ((LEFT, RIGHT, number < 40 or number >= 80), (RIGHT, LEFT, number >= 40)):
            if not wanted:
                continue
            # In both books, but never the same field in both.
            pick = EDITS[(number + (account == RIGHT)) % len(EDITS)]
            digit = number % 10
            name = names[account][who.email]
            old = shelves[account].get(name)
            shelves[account].put(name, cards.with_value(old, pick[0], pick[2].format(digit), pick[1]))
            allowed[other].setdefault(who.email, set()).add(pick[3])
    return allowed


def assert_carried_over(before: Books, after: Books, allowed: Mapping[str, Mapping[str, set[str]]]) -> None:
    """Each edit is on both sides, and no other property of any card was touched by our writes."""
    names = {account: by_email(book) for account, book in after.items()}
    for number in range(PEOPLE):
        who = cards.person(number)
        left, right = (after[account][names[account][who.email]].text for account in (LEFT, RIGHT))
        assert seen(left) == seen(right)
    for account, book in before.items():
        for name, stored in book.items():
            touched = allowed[account].get(str(cards.mail(stored.text)), set())
            if touched:
                assert_touched_only(stored.text, after[account][name].text, touched)
            else:
                assert after[account][name] == stored
