"""HubSpot and an address book on Radicale: two apps that have little in common, with a person's cards between them."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from benchmarks.stage import Apps, Product, app_accounts, write_config

from tests.acceptance import cards
from tests.acceptance.conftest import MakeShelf
from tests.acceptance.pairs import CRM_CARDS, card_account
from tests.acceptance.shelf import Shelf, Stored
from twoway.engine.cycle import Kind

PAIR = "crm-cards"
PEOPLE = 625
"""Of whom the CRM has four in five, and the address book four in five."""
PATIENCE = 30.0


@pytest.fixture
def apps() -> Iterator[Apps]:
    with Apps("hubspot") as running:
        yield running


def contact(number: int) -> dict[str, Any]:
    """Somebody in the CRM: without a town, and now and then without a phone, which the card knows."""
    who = cards.person(number)
    properties = {"email": who.email, "firstname": who.given, "lastname": who.family, "jobtitle": "left alone"}
    if number % 3:
        properties["phone"] = who.work
    return {"properties": properties}


def in_crm(number: int) -> bool:
    return number % 5 != 4


def in_book(number: int) -> bool:
    return number % 5 != 3


def shown(apps: Apps) -> dict[str, dict[str, str | None]]:
    """The live contacts' properties by e-mail address, of which none comes twice."""
    live = [record for record in apps.records("hubspot") if not record.get("archived")]
    found = {record["properties"]["email"]: {**record["properties"], "id": record["id"]} for record in live}
    assert len(found) == len(live)
    return found


def named(book: Mapping[str, Stored]) -> dict[str, str]:
    """The cards' names by e-mail address, of which none comes twice."""
    found = {str(cards.mail(stored.text)): name for name, stored in book.items()}
    assert len(found) == len(book)
    return found


def digits(text: str | None) -> str:
    return "".join(letter for letter in text or "" if letter.isdigit())


def assert_alike(properties: Mapping[str, str | None], card: str) -> None:
    """The CRM and the card tell the same of a person."""
    name = [cards.unescaped(part) for part in cards.split(cards.raw(card, "N"))]
    assert (properties["lastname"], properties["firstname"]) == (name[0], name[1])
    assert (properties.get("company") or "") == cards.unescaped((cards.split(cards.raw(card, "ORG")) or [""])[0])
    assert digits(properties.get("mobilephone")) == digits(cards.value(card, "TEL", "TYPE=cell"))
    assert digits(properties.get("phone")) == digits(cards.value(card, "TEL", "TYPE=work"))
    town = (cards.split(cards.raw(card, "ADR")) + [""] * 4)[3]
    assert (properties.get("city") or "") == cards.unescaped(town)


def until(product: Product, condition: Callable[[], bool]) -> None:
    """Cycle after cycle until it has come about: HubSpot's index is late."""
    end = time.monotonic() + PATIENCE
    while True:
        product.sync(PAIR)
        if condition():
            return
        assert time.monotonic() < end, "it has not come about"


def test_contacts_and_cards_meet_and_are_edited_on_both_sides(tmp_path: Path, shelf: MakeShelf, apps: Apps) -> None:
    book = shelf("radicale")
    apps.load("hubspot", [contact(number) for number in range(PEOPLE) if in_crm(number)])
    for number in filter(in_book, range(PEOPLE)):
        book.put(f"{number}.vcf", cards.card(cards.person(number)))
    before = book.cards()
    accounts = {**app_accounts(apps.urls), "office": card_account(book)}
    config = write_config(tmp_path / "config", accounts, [CRM_CARDS])
    with Product(config) as product:
        plan = product.plan(PAIR)
        assert plan.report.error is None
        assert (book.cards(), apps.log("hubspot")) == (before, []), "a plan writes nothing"
        product.approve(PAIR)
        product.sync(PAIR)
        after = book.cards()
        assert before.items() <= after.items(), "the cards of people who were there win: none was touched"
        names, contacts = named(after), shown(apps)
        assert len(names) == len(contacts) == PEOPLE
        for email, name in names.items():
            assert_alike(contacts[email], after[name].text)
        assert {contact.get("jobtitle") for contact in contacts.values()} == {"left alone", None}
        assert_quiet(product, apps, book)
        edited = edit(apps, book, names, contacts)
        before = book.cards()
        until(product, lambda: all(arrived(apps, book, email, what) for email, what in edited.items()))
        assert_touched(before, book.cards(), names, edited)
        assert_quiet(product, apps, book)


def edit(
    apps: Apps, book: Shelf, names: Mapping[str, str], contacts: Mapping[str, Mapping[str, str | None]]
) -> dict[str, tuple[str, str]]:
    """People edit ten contacts and ten cards; what must arrive, by e-mail address: property of a card, its value."""
    edited: dict[str, tuple[str, str]] = {}
    for at, email in enumerate(sorted(names)[:20]):
        if at % 2:
            company = f"Übernahme {at}, Söhne; Co"
            apps.human("hubspot", kind="update", id=contacts[email]["id"], fields={"company": company})
            edited[email] = ("ORG", company)
        else:
            card = cards.with_value(book.get(names[email]), "ADR", f";;Weg 1;Ort {at};;1;DE", "TYPE=home")
            book.put(names[email], card)
            edited[email] = ("ADR", f"Ort {at}")
    return edited


def arrived(apps: Apps, book: Shelf, email: str, what: tuple[str, str]) -> bool:
    """Whether the edit is where it was not made."""
    if what[0] == "ADR":
        return shown(apps)[email].get("city") == what[1]
    card = book.cards()[named(book.cards())[email]].text
    return cards.unescaped((cards.split(cards.raw(card, "ORG")) or [""])[0]) == what[1]


def assert_touched(
    before: Mapping[str, Stored],
    after: Mapping[str, Stored],
    names: Mapping[str, str],
    edited: Mapping[str, tuple[str, str]],
) -> None:
    """Of the cards only those whose contact was edited were written, and of these only the one property."""
    ours = {names[email] for email, what in edited.items() if what[0] == "ORG"}
    for name, stored in before.items():
        if name in ours:
            assert set(cards.changed(stored.text, after[name].text)) == {"ORG"}
        else:
            assert after[name] == stored


def assert_quiet(product: Product, apps: Apps, book: Shelf) -> None:
    """The next cycles write nothing, as both servers see it."""
    before = (len(apps.log("hubspot")), book.position(), book.cards())
    product.sync(PAIR)
    product.sync(PAIR, Kind.SNAPSHOT)
    assert (len(apps.log("hubspot")), book.position(), book.cards()) == before
