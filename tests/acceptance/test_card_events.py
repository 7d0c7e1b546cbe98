"""What happens to address books behind our back: races, other programs, rewriting servers, lost tokens and lost cards.

Each on real servers, with the whole product over them.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from benchmarks.stage import Product, write_config

from tests.acceptance import cards
from tests.acceptance.conftest import MakeShelf
from tests.acceptance.pairs import ADDRESSBOOKS, card_account
from tests.acceptance.shelf import Shelf
from tests.acceptance.wires import Wire
from twoway.core.model import Side
from twoway.engine.cycle import Ending, Kind
from twoway.engine.service import Held
from twoway.state.pairs import Status

PAIR = "addressbooks"
LEFT, RIGHT = "office", "home"
WAYS = (("radicale", "xandikos"), ("xandikos", "radicale"))
both_ways = pytest.mark.parametrize("kinds", WAYS, ids="-".join)


def stand(folder: Path, shelf: MakeShelf, kinds: tuple[str, str], people: int) -> tuple[Path, dict[str, Shelf]]:
    """A configuration over two books, of which the left one holds these people."""
    shelves = dict(zip((LEFT, RIGHT), map(shelf, kinds), strict=True))
    for number in range(people):
        shelves[LEFT].put(f"{number}.vcf", cards.card(cards.person(number)))
    accounts = {account: card_account(one) for account, one in shelves.items()}
    return write_config(folder / "config", accounts, [ADDRESSBOOKS]), shelves


def find(book: Shelf, number: int) -> str:
    """The name of somebody's card."""
    (name,) = [
        name
        for name, stored in book.cards().items()
        if any(one.name == "EMAIL" and one.value == cards.person(number).email for one in cards.read(stored.text))
    ]
    return name


def edit(book: Shelf, name: str, what: str, value: str) -> None:
    """A person's app stores the card with another value in this property."""
    book.put(name, cards.with_value(book.get(name), what, value))


def state(shelves: Mapping[str, Shelf]) -> list[object]:
    """All that the servers store, and what they say of their state."""
    return [(shelf.position(), shelf.cards()) for shelf in shelves.values()]


def assert_quiet(product: Product, shelves: Mapping[str, Shelf]) -> None:
    """The next cycles write nothing."""
    before = state(shelves)
    product.sync(PAIR)
    product.sync(PAIR, Kind.SNAPSHOT)
    assert state(shelves) == before


@both_ways
def test_an_edit_between_our_read_and_our_write_is_merged(
    tmp_path: Path, shelf: MakeShelf, kinds: tuple[str, str]
) -> None:
    config, shelves = stand(tmp_path, shelf, kinds, 2)
    wire = Wire()
    with Product(config, wires={RIGHT: wire}) as product:
        product.begin(PAIR)
        name = find(shelves[RIGHT], 1)
        edit(shelves[LEFT], "1.vcf", "NOTE", "from the office")
        waiting = ["ORG", "X-ONLY-HERE"]

        def between(request: httpx.Request) -> None:
            if request.method == "PUT" and waiting:
                edit(shelves[RIGHT], name, waiting.pop(), "From Home Ltd")

        wire.before, wire.answers = between, []
        product.sync(PAIR)
        # Both edits of the person at home came in time to have a write of ours refused.
        assert [status for method, status in wire.answers if method == "PUT"][:2] == [412, 412]
        left, right = shelves[LEFT].get("1.vcf"), shelves[RIGHT].get(name)
        for card in (left, right):
            assert cards.value(card, "NOTE") == "from the office"
            assert (cards.value(card, "ORG") or "").startswith("From Home Ltd")
        assert cards.value(right, "X-ONLY-HERE") == "From Home Ltd"
        assert_quiet(product, shelves)


@both_ways
def test_of_two_edits_of_one_field_the_loser_is_in_the_history(
    tmp_path: Path, shelf: MakeShelf, kinds: tuple[str, str]
) -> None:
    config, shelves = stand(tmp_path, shelf, kinds, 1)
    with Product(config) as product:
        product.begin(PAIR)
        name = find(shelves[RIGHT], 0)
        edit(shelves[LEFT], "0.vcf", "NOTE", "the office's words")
        edit(shelves[RIGHT], name, "NOTE", "home's words")
        product.sync(PAIR)
        assert cards.value(shelves[RIGHT].get(name), "NOTE") == "the office's words"
        lost = [row for row in product.store.operations.history() if row.old == "home's words"]
        assert [(row.side, row.record_id, row.field, row.new) for row in lost] == [
            (Side.RIGHT, name, "note", "the office's words")
        ]
        assert_quiet(product, shelves)


@both_ways
def test_a_card_that_vdirsyncer_stored_arrives_at_the_other_server(
    tmp_path: Path, shelf: MakeShelf, kinds: tuple[str, str]
) -> None:
    config, shelves = stand(tmp_path, shelf, kinds, 1)
    with Product(config) as product:
        product.begin(PAIR)
        who = cards.person(7)
        vdirsyncer(tmp_path, shelves[LEFT], {"seven.vcf": cards.card(who)})
        product.sync(PAIR)
        arrived = shelves[RIGHT].get(find(shelves[RIGHT], 7))
        assert cards.value(arrived, "FN") == who.name
        assert cards.value(arrived, "NOTE") == cards.value(cards.card(who), "NOTE")
        assert_quiet(product, shelves)


def vdirsyncer(folder: Path, shelf: Shelf, files: Mapping[str, str]) -> None:
    """Let vdirsyncer store these cards on a server, from a folder of its own."""
    cards_folder = folder / "cards"
    cards_folder.mkdir()
    for name, text in files.items():
        (cards_folder / name).write_text(text, newline="")
    config = folder / "vdirsyncer"
    config.write_text(
        f'[general]\nstatus_path = "{folder / "status"}"\n'
        '[pair both]\na = "here"\nb = "there"\ncollections = null\nconflict_resolution = "a wins"\n'
        f'[storage here]\ntype = "filesystem"\npath = "{cards_folder}"\nfileext = ".vcf"\n'
        f'[storage there]\ntype = "carddav"\nurl = "{shelf.url}"\n'
        f'username = "{shelf.server.username}"\npassword = "{shelf.server.password}"\n'
    )
    for command in ("discover", "sync"):
        subprocess.run(
            [sys.executable, "-m", "vdirsyncer", "--config", str(config), command],
            check=True,
            capture_output=True,
            timeout=60,
            input=b"",
        )


def test_what_a_server_rewrites_is_recorded_and_not_bounced(tmp_path: Path, shelf: MakeShelf) -> None:
    """Radicale cuts texts at a comma without a backslash, a web address always: with each save the card shrinks."""
    config, shelves = stand(tmp_path, shelf, ("radicale", "xandikos"), 1)
    with Product(config) as product:
        product.begin(PAIR)
        name, address = find(shelves[RIGHT], 0), "https://example.com/p/0,1,2"
        edit(shelves[RIGHT], name, "URL", address)
        product.sync(PAIR)
        assert cards.value(shelves[LEFT].get("0.vcf"), "URL") == "https://example.com/p/0"
        assert cards.value(shelves[RIGHT].get(name), "URL") == address
        assert_quiet(product, shelves)
        # The rewritten field is no less alive: the next edit of it goes over, in either direction.
        edit(shelves[LEFT], "0.vcf", "URL", "https://example.com/q")
        product.sync(PAIR)
        assert cards.value(shelves[RIGHT].get(name), "URL") == "https://example.com/q"
        assert_quiet(product, shelves)


def test_what_a_server_makes_of_a_persons_card_is_left_as_it_is(tmp_path: Path, shelf: MakeShelf) -> None:
    """A vCard 4 with a `data:` photo and commas as some apps write them: Radicale mangles it when it is stored."""
    config, shelves = stand(tmp_path, shelf, ("radicale", "xandikos"), 0)
    lines = (
        "BEGIN:VCARD", "VERSION:4.0", "UID:v4", "FN:Vera Vier", "N:Vier;Vera;;;", "EMAIL:vera@example.com",
        f"PHOTO:data:image/jpeg;base64,{'QUJD' * 60}", "NOTE:one, two; three", "X-LIST:a,b,c", "END:VCARD", "",
    )  # fmt: skip
    shelves[LEFT].put("v.vcf", "\r\n".join(lines))
    stored = shelves[LEFT].get("v.vcf")
    assert stored != "\r\n".join(lines).encode(), "this server no longer mangles: choose another example"
    with Product(config) as product:
        product.begin(PAIR)
        (name,) = shelves[RIGHT].cards()
        assert cards.value(shelves[RIGHT].get(name), "NOTE") == cards.value(stored, "NOTE")
        assert_quiet(product, shelves)
        edit(shelves[RIGHT], name, "NOTE", "one\\, two\\; three")
        product.sync(PAIR)
        found = cards.changed(stored, shelves[LEFT].get("v.vcf"))
        assert {key: [one.value for one in came] for key, (_, came) in found.items()} == {
            "NOTE": ["one\\, two\\; three"]
        }
        assert_quiet(product, shelves)


@both_ways
def test_an_expired_sync_token_costs_a_listing_and_no_edit(
    tmp_path: Path, shelf: MakeShelf, kinds: tuple[str, str]
) -> None:
    config, shelves = stand(tmp_path, shelf, kinds, 12)
    with Product(config) as product:
        product.begin(PAIR)
        edit(shelves[LEFT], "3.vcf", "NOTE", "written before the token went")
        shelves[LEFT].delete("4.vcf")
        row = product.store.pairs.ensure(PAIR)
        kind, _, token = (row.cursors[Side.LEFT] or "").partition(":")
        assert kind == "sync"
        expired = f"{kind}:{shelves[LEFT].server.expire(token)}"
        with product.store.commit("expire"):
            product.store.pairs.set_cursor(row.id, Side.LEFT, expired)
        report = product.sync(PAIR)
        assert report.counts["listed left"] == 11
        assert cards.value(shelves[RIGHT].get(find(shelves[RIGHT], 3)), "NOTE") == "written before the token went"
        assert len(shelves[RIGHT].cards()) == 11, "the deletion was seen, too"
        assert_quiet(product, shelves)


@both_ways
def test_a_book_that_was_emptied_behind_our_back_stops_the_pair(
    tmp_path: Path, shelf: MakeShelf, kinds: tuple[str, str]
) -> None:
    config, shelves = stand(tmp_path, shelf, kinds, 40)
    with Product(config) as product:
        product.begin(PAIR)
        before = shelves[RIGHT].cards()
        for name in shelves[LEFT].cards():
            shelves[LEFT].delete(name)
        row = product.store.pairs.ensure(PAIR)
        with product.store.commit("forget"):
            # As after a restore from a backup: the server knows the token no more, and lists nothing at all.
            product.store.pairs.set_cursor(row.id, Side.LEFT, None)
        report = product.cycle(PAIR)
        assert report.ending is Ending.HELD
        assert "0 of the 40 linked records" in report.reasons[0]
        assert product.store.pairs.ensure(PAIR).status is Status.HALTED
        with pytest.raises(Held):
            product.cycle(PAIR)
        assert shelves[RIGHT].cards() == before


@both_ways
def test_the_deletion_of_everybody_that_the_server_reports_waits_for_a_person(
    tmp_path: Path, shelf: MakeShelf, kinds: tuple[str, str]
) -> None:
    config, shelves = stand(tmp_path, shelf, kinds, 40)
    with Product(config) as product:
        product.begin(PAIR)
        before = shelves[RIGHT].cards()
        for name in shelves[LEFT].cards():
            shelves[LEFT].delete(name)
        report = product.cycle(PAIR)
        assert report.ending is Ending.HELD
        assert shelves[RIGHT].cards() == before
        # A person who has looked at the plan may let it pass.
        plan = product.plan(PAIR)
        assert sum(plan.report.totals.deletes.values()) == 40
        product.approve(PAIR)
        product.sync(PAIR)
        assert shelves[RIGHT].cards() == {}
        assert_quiet(product, shelves)
