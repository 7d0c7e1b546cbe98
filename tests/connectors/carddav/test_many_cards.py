"""500 cards as people have them: listing them, the feed, and that our edits touch nothing but the fields that they set.

What a card holds before and after is compared by a parser of its own, which shares nothing with the connector's.
"""

import base64
import random
import re
from collections import Counter
from typing import Any

import pytest

from tests.connectors.carddav.books import Book, cards_of, create, update, vcard, versions_of, whole_listing
from tests.servers.carddav_servers import CardDavServer
from twoway.sdk import Outcome, Record
from twoway_connectors.carddav.connector import CardDavConnector

CARDS = 500
GIVEN = ("Zoë", "Jürgen", "Łukasz", "Ольга", "美咲", "Siobhán", "José María", "D'Arcy")
FAMILY = ("Müller", "Ångström", "Ó Néill", "García\\, Jr.", "Иванова", "山田", "Nguyễn", "van der Meer")


def folded(line: str) -> str:
    """Folded as old clients do it: after every 60 characters."""
    return "\r\n ".join(line[start : start + 60] for start in range(0, len(line), 60))


def person(number: int, dice: random.Random) -> str:
    """One card, as different apps write them."""
    given, family = dice.choice(GIVEN), dice.choice(FAMILY)
    lines = [
        f"UID:card-{number:03d}",
        f"FN:{given} {family}",
        f"N:{family};{given};Philip\\,Paul;Dr.;",
        f"item1.EMAIL;type=INTERNET;type=pref:person{number}@example.org",
        "item1.X-ABLabel:_$!<Work>!$_",
        f"EMAIL;TYPE=HOME:home{number}@example.net",
        f"TEL;TYPE=WORK,VOICE:+49 30 {number:06d}",
        f"TEL;TYPE=CELL;X-CARRIER=42:+49 170 {number:06d}",
        f"item2.TEL:{number}",
        "item2.X-ABLabel:Büro\\, hinten",
        f"item3.ADR;TYPE=HOME:;;Hauptstraße {number}\\; Hof;Köln;;50667;Deutschland",
        "item3.X-ABADR:de",
        "X-PHONETIC-LAST-NAME:ミュラー",
        'X-CUSTOM;X-P="a:b;c,d":some\\, value\\; here',
        "X-SOCIALPROFILE;type=twitter:http://twitter.example/x",
        "REV:2020-01-01T00:00:00Z",
        folded("NOTE:" + "Ein längerer Text mit Umlauten äöüß\\, Kommas und\\nZeilen. " * dice.randint(1, 4)),
    ]
    if number % 10 == 0:
        photo = base64.b64encode(dice.randbytes(2_000)).decode()
        lines.append(folded(f"PHOTO;ENCODING=b;TYPE=JPEG:{photo}"))
    dice.shuffle(lines)
    return "\r\n".join(("BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""))


def properties(card: str) -> Counter[tuple[str, ...]]:
    """The content lines of a card: group, name, sorted parameters and raw value, whatever their order and folding."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in re.sub(r"\r?\n[ \t]", "", card).split("\n"):
        match = re.match(r'(?:([\w-]+)\.)?([\w-]+)((?:;[^":;]*(?:"[^"]*")?[^":;]*)*):(.*)', line.rstrip("\r"))
        if match:
            group, name, parameters, value = match.groups()
            words = sorted(
                word.upper() for part in parameters.split(";") for word in re.sub(r"(?i)^type=", "", part).split(",")
            )
            found[(group or "").lower(), name.upper(), *words, value] += 1
    return found


EDITS: list[tuple[dict[str, Any], set[str]]] = [
    ({"title": "Geschäftsführer, Vertrieb; EMEA"}, {"TITLE"}),
    ({"given": "Änne", "suffix": "MBA"}, {"N"}),
    ({"email": "new@example.org"}, {"EMAIL"}),
    ({"note": None}, {"NOTE"}),
    ({"categories": ["Kunde", "A, B"]}, {"CATEGORIES"}),
    ({"org": "Müller & Söhne; GmbH"}, {"ORG"}),
    ({"phone": "+49 40 1"}, {"TEL"}),
    ({"addresses": [{"type": "home", "street": "Nebenstraße 1", "city": "Bonn"}]}, {"ADR"}),
    ({"bday": "1980-02-29", "nickname": "Zo"}, {"BDAY", "NICKNAME"}),
]


@pytest.fixture(scope="module")
def full(server: CardDavServer) -> Book:
    url = server.make_addressbook("Many")
    dice = random.Random(7)
    cards = {f"card-{number:03d}.vcf": person(number, dice) for number in range(CARDS)}
    server.put_many(url, cards)
    return Book(server, "Many", url)


def test_a_complete_listing_is_one_request_and_asks_for_no_card(full: Book) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        await connector.check()
        del full.wire.asked[:]
        page, again = await whole_listing(connector), await whole_listing(connector)
        assert [method for method, _ in full.wire.asked] == ["REPORT", "REPORT"]
        assert (list(page.records), list(page.ids), page.total) == ([], [], CARDS)
        assert sorted(card_id for card_id, _ in page.versions) == [f"card-{at:03d}.vcf" for at in range(CARDS)]
        assert dict(again.versions) == dict(page.versions)
        read = {card.id: card for card in await cards_of(connector, page)}
        assert {card_id: card.version for card_id, card in read.items()} == dict(page.versions)
        assert all(card.values["email"] and len(card.values["phones"]) == 3 for card in read.values())

    full.run(scenario)


def test_where_a_listing_began_the_feed_goes_on(full: Book) -> None:
    names = ["card-007.vcf", "card-111.vcf", "card-499.vcf"]

    async def scenario(connector: CardDavConnector) -> None:
        page = await whole_listing(connector)
        for number, name in enumerate(names):
            full.server.put(full.url + name, vcard(name.removesuffix(".vcf"), f"ROLE:{number}"))
        del full.wire.asked[:]
        changed = await connector.changes(page.feed)
        assert sorted(versions_of(changed)) == names
        assert not versions_of(changed).items() & versions_of(page).items()
        found = await cards_of(connector, changed)
        assert {card.id: card.values["role"] for card in found} == {name: str(at) for at, name in enumerate(names)}
        asked = [method for method, _ in full.wire.asked]
        if full.server.name == "radicale":  # it tells the cards along with what has changed
            assert asked == ["REPORT"]
        assert set(asked) == {"REPORT"}
        assert len(asked) <= 3
        quiet = await connector.changes(changed.cursor)
        assert (quiet.versions, quiet.gone, quiet.ids, quiet.last) == ([], [], [], True)
        assert len(full.wire.asked) == len(asked) + 1

    full.run(scenario)


def test_our_edits_touch_only_their_fields(full: Book) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        start = await connector.changes(None)
        ids = [f"card-{number:03d}.vcf" for number in range(0, 10 * 3 * len(EDITS), 10)]
        cards = await connector.fetch(ids)
        for at, card_id in enumerate(ids):
            changed, touched = EDITS[at % len(EDITS)]
            before = full.get(card_id)
            card = cards[card_id]
            assert isinstance(card, Record)
            (receipt,) = await connector.apply([update(card_id, card.version, **changed)])
            assert receipt.outcome is Outcome.DONE
            after = full.get(card_id)
            lost, new = properties(before) - properties(after), properties(after) - properties(before)
            assert {line[1] for line in (lost | new)} <= touched, (changed, lost, new)
            assert lost | new
            assert len(lost) <= len(touched)
            if full.server.name == "xandikos":  # it keeps the bytes, so that they can be compared
                kept = set(re.split(r"\r\n(?! )", before)) - set(re.split(r"\r\n(?! )", after))
                assert len(kept) <= len(touched)
        page = await connector.changes(start.cursor)
        assert sorted(versions_of(page)) == ids
        for card in await cards_of(connector, page):
            changed, _ = EDITS[ids.index(card.id) % len(EDITS)]
            assert {name: card.values[name] for name in changed} == changed

    full.run(scenario)


def test_a_feed_tells_any_number_of_changes_in_one_request(book: Book) -> None:
    names = [f"card-{number:03d}.vcf" for number in range(105)]

    async def scenario(connector: CardDavConnector) -> None:
        start = await connector.changes(None)
        for name in names:
            book.server.put(book.url + name, vcard(name, "ROLE:x"))
        del book.wire.asked[:]
        page = await connector.changes(start.cursor)
        assert (sorted(card_id for card_id, _ in page.versions), page.last) == (names, True)
        assert len(book.wire.asked) == 1
        assert [card.values["role"] for card in await cards_of(connector, page)] == ["x"] * len(names)

    book.run(scenario)


def test_many_edits_read_their_cards_at_once_and_keep_all_else(full: Book) -> None:
    ids = [f"card-{number:03d}.vcf" for number in range(1, 10 * len(EDITS), 10)]

    async def scenario(connector: CardDavConnector) -> None:
        page = await whole_listing(connector)
        versions = versions_of(page)
        before = {card_id: full.get(card_id) for card_id in ids}
        del full.wire.asked[:]
        writes = [update(card_id, versions[card_id], **EDITS[at % len(EDITS)][0]) for at, card_id in enumerate(ids)]
        receipts = await connector.apply(writes)
        assert {receipt.outcome for receipt in receipts} == {Outcome.DONE}
        assert [method for method, _ in full.wire.asked] == ["REPORT", *["PUT"] * len(ids)]
        for at, card_id in enumerate(ids):
            after = full.get(card_id)
            lost, new = properties(before[card_id]) - properties(after), properties(after) - properties(before[card_id])
            touched = EDITS[at % len(EDITS)][1]
            assert {line[1] for line in (lost | new)} <= touched
            if full.server.name == "xandikos":  # it keeps the bytes, so that they can be compared
                kept = set(re.split(r"\r\n(?! )", before[card_id])) - set(re.split(r"\r\n(?! )", after))
                assert len(kept) <= len(touched)

    full.run(scenario)


def test_what_we_wrote_ourselves_is_told_as_it_is_stored(book: Book) -> None:
    """Radicale answers a PUT with a strong ETag, and stores the card in its own form all the same."""

    async def scenario(connector: CardDavConnector) -> None:
        start = await whole_listing(connector)
        writes = [create(fn=f"No. {number}", email=f"no{number}@example.org") for number in range(20)]
        receipts = await connector.apply([*writes, create(fn="Ann", url="https://example.org/a,b", phone="+49 30 1")])
        assert {receipt.outcome for receipt in receipts} == {Outcome.DONE}
        page = await connector.changes(start.feed)
        assert versions_of(page) == {receipt.id: receipt.version for receipt in receipts}
        told = {card.id: card for card in page.records}
        stored = await connector.fetch(list(versions_of(page)))
        for card_id, card in told.items():
            answer = stored[card_id]
            assert isinstance(answer, Record)
            assert (card.values, card.version, card.marker) == (answer.values, answer.version, answer.marker)
        if book.server.name == "xandikos":
            assert len(told) == len(receipts)  # nothing had to be read

    book.run(scenario)
