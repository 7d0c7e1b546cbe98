"""The peer that people know: both programs do the same work between the same two books, and each asks for what it must.

The outcomes are judged by `cases.run` itself, which is put to the test here, too.
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.vs_vdirsyncer import __main__ as vs
from benchmarks.vs_vdirsyncer import cases
from benchmarks.vs_vdirsyncer.cases import CASES, Told, WrongOutcome
from benchmarks.vs_vdirsyncer.contenders import Contender, Cost, Step

from tests.acceptance import cards
from tests.acceptance.shelf import Shelf

CARDS, EDITED = 60, 30


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One run of all contenders through all cases."""
    return cases.run(tmp_path_factory.mktemp("vs"), "memory", CARDS)


@pytest.mark.parametrize(
    ("case", "listings", "reports", "puts"),
    [
        pytest.param("first", 2, 1, CARDS, id="both listed, all cards asked for at once, and stored one by one"),
        pytest.param("first, again", 2, 0, 0, id="what it wrote it has the ETag of"),
        pytest.param("listing", 2, 0, 0, id="both listed"),
        pytest.param("token", 2, 0, 0, id="both listed, as it knows no sync tokens"),
        pytest.param("changed", 2, 1, EDITED, id="both listed, what changed asked for at once"),
        pytest.param("changed, again", 2, 0, 0, id="both listed once more"),
    ],
)
def test_vdirsyncer_asks_for_what_its_way_of_working_takes(
    told: Told, case: str, listings: int, reports: int, puts: int
) -> None:
    found = told.costs[case]["vdirsyncer"].requests
    assert found == {key: n for key, n in (("PROPFIND", listings), ("REPORT", reports), ("PUT", puts)) if n}


def test_twoway_writes_each_card_once_and_only_where_something_changed(told: Told) -> None:
    for name in ("running", "process"):
        stored = {case: costs[name].requests["PUT"] for case, costs in told.costs.items()}
        assert stored == {case.name: 0 for case in CASES} | {"first": CARDS, "changed": EDITED}, name


def test_a_running_twoway_asks_each_server_once_for_what_changed(told: Told) -> None:
    assert told.costs["token"]["running"].requests == {"REPORT": 2}


def test_a_running_twoway_sends_no_more_requests_than_vdirsyncer_but_for_a_first_sync(told: Told) -> None:
    for case, costs in told.costs.items():
        if case != "first":
            assert costs["running"].requests.total() <= costs["vdirsyncer"].requests.total(), case


def test_a_process_looks_for_the_address_books_anew_and_reads_what_a_running_one_knows(told: Told) -> None:
    read = {"first, again": 1, "changed": 2, "changed, again": 1}
    for case, costs in told.costs.items():
        extra = costs["process"].requests - costs["running"].requests
        assert extra == Counter({} if case == "first" else {"PROPFIND": 2, "REPORT": read.get(case, 0)}), case


def test_the_table_has_a_row_a_case_and_says_what_is_held(told: Told) -> None:
    head, _, *rows = vs.table([vs.Setting("memory", CARDS, [told])]).splitlines()
    assert len(rows) == len(CASES)
    assert {row.count("|") for row in [head, *rows]} == {len(vs.HEAD) + 1}
    token = next(row for row in rows if "by sync token" in row)
    cells = [cell.strip() for cell in token.strip("|").split("|")]
    assert cells[2:7] == ["2", "4", "2", "1.0000", "≤ 1: held"]


class Books(Contender):
    """Two books of six people, alike, which nobody keeps so."""

    name = "nobody"

    def _run(self, _step: Step) -> tuple[float, float]:
        return 0.0, 0.0


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with Books(tmp_path, "memory") as one:
        for shelf in one.shelves.values():
            shelf.server.put_many(shelf.url, {name_of(n): card_of(n) for n in range(6)})
        yield one


def name_of(number: int) -> str:
    return f"card-{number}.vcf"


def card_of(number: int, **more: str) -> str:
    return cards.card(cards.person(number), **more)


FIRST = next(case for case in CASES if case.name == "first")


def test_books_that_are_alike_are_a_right_outcome(books: Books) -> None:
    assert cases.go(books, FIRST, 6) == Cost(0, 0, Counter())


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        pytest.param(lambda home: home.delete(name_of(3)), "6 cards left and 5 right", id="somebody is lacking"),
        pytest.param(
            lambda home: home.put("again.vcf", card_of(3, UID="UID:other")), "6 cards left and 7", id="somebody twice"
        ),
        pytest.param(
            lambda home: home.put(name_of(3), card_of(3, NOTE="NOTE:other")), "does not hold", id="another value"
        ),
        pytest.param(
            lambda home: home.put(name_of(3), card_of(7, UID="UID:card-3")), "does not hold", id="somebody else"
        ),
    ],
)
def test_books_that_differ_are_a_wrong_outcome(books: Books, spoil: Callable[[Shelf], None], complaint: str) -> None:
    spoil(books.shelves["home"])
    with pytest.raises(WrongOutcome, match=complaint):
        cases.go(books, FIRST, 6)


def test_what_is_written_though_nothing_changed_is_a_wrong_outcome(tmp_path: Path) -> None:
    class Busy(Books):
        def _run(self, _step: Step) -> tuple[float, float]:
            self.shelves["home"].put(name_of(1), card_of(1))
            return 0.0, 0.0

    quiet = next(case for case in CASES if case.name == "token")
    with Busy(tmp_path, "memory") as busy, pytest.raises(WrongOutcome, match="nothing had changed"):
        cases.go(busy, quiet, 6)


SYNC = (
    '<sync-collection xmlns="DAV:"><sync-token>{}</sync-token><sync-level>1</sync-level>'
    "<prop><getetag/></prop></sync-collection>"
)


@pytest.mark.parametrize(
    ("method", "name", "headers", "body", "status", "condition"),
    [
        pytest.param("PUT", name_of(1), {"if-match": '"old"'}, card_of(1), 412, "", id="an edit of what has changed"),
        pytest.param("DELETE", name_of(1), {"if-match": '"old"'}, "", 412, "", id="a deletion of what has changed"),
        pytest.param("PUT", name_of(1), {"if-none-match": "*"}, card_of(1), 412, "", id="a new card where one is"),
        pytest.param("PUT", name_of(9), {"if-match": "*"}, card_of(9), 412, "", id="an edit of what is not there"),
        pytest.param("PUT", name_of(9), {}, card_of(1), 409, "no-uid-conflict", id="a UID that is taken"),
        pytest.param("PUT", name_of(9), {}, "no card", 403, "valid-address-data", id="what is no card"),
        pytest.param("GET", name_of(9), {}, "", 404, "", id="what is not there"),
        pytest.param("REPORT", "", {}, SYNC.format("other/1"), 403, "valid-sync-token", id="another server's token"),
        pytest.param("REPORT", "", {}, "<broken", 400, "", id="what is no XML"),
        pytest.param("GET", name_of(1), {"authorization": "Basic eDp5"}, "", 401, "", id="another login"),
    ],
)
def test_the_server_in_memory_refuses(
    books: Books, method: str, name: str, headers: dict[str, str], body: str, status: int, condition: str
) -> None:
    home = books.shelves["home"]
    before = home.cards(), home.position()
    answer = home.server.request(method, home.url + name, body.encode(), headers)
    assert (answer.status, condition in answer.body.decode()) == (status, True)
    assert (home.cards(), home.position()) == before


def test_the_server_in_memory_tells_each_change_once_and_what_is_gone(books: Books) -> None:
    home = books.shelves["home"]
    token, _ = home.position()
    home.put(name_of(1), card_of(1, NOTE="NOTE:one"))
    home.put(name_of(2), card_of(2, NOTE="NOTE:two"))
    home.put(name_of(1), card_of(1, NOTE="NOTE:three"))
    home.delete(name_of(2))
    answer = home.server.request("REPORT", home.url, SYNC.format(token).encode())
    root = ET.fromstring(answer.body)
    told = {
        (part.findtext("{DAV:}href") or "").rpartition("/")[2]: part.findtext(".//{DAV:}getetag")
        or part.findtext("{DAV:}status")
        for part in root.iter("{DAV:}response")
    }
    assert told == {name_of(1): home.cards()[name_of(1)].etag, name_of(2): "HTTP/1.1 404 Not Found"}
    assert root.findtext("{DAV:}sync-token") == home.position()[0] != token
