"""The feed's position against an index in which each change turns up after a delay of its own, in no order.

The look-alike HubSpot shows its index as it was a fixed while ago. A real one is worse: of two changes the later may
be found first, and what it sorts by time comes out of order. This is such an index, and nothing more.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sdk.virtual import VirtualClock
from twoway.sdk import ConnectorContext, iso_from_instant, make_open_http
from twoway_connectors.hubspot import HubSpot
from twoway_connectors.hubspot.feed import LAG, SETTLED_AFTER


@dataclass
class Row:
    """A contact: its last change, and when the index learns of it. Before that the index has its former change."""

    id: int
    modified: int
    shown_at: int
    former: int | None = None


class ScatteredIndex:
    """HubSpot's search, in little."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.rows: dict[int, Row] = {}
        self.searches = 0
        self.misplaced: set[int] = set()
        """Contacts that come last of all whatever is sorted by time, and first where the newest are asked for."""
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens after each search."""

    def change(self, id: int, delay: int) -> None:
        """The contact `id` changes now; the index learns it in `delay` milliseconds."""
        now = self.clock.at
        old = self.rows.get(id)
        former = None if old is None else old.modified if old.shown_at <= now else old.former
        # Of two changes the index never learns the earlier one last.
        shown_at = max(now + delay, old.shown_at if old else 0)
        self.rows[id] = Row(id, now, shown_at, former)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"results": []})
        self.searches += 1
        body = orjson.loads(request.content)
        known: list[dict[str, int]] = []
        for row in self.rows.values():
            stamp = row.modified if row.shown_at <= self.clock.at else row.former
            if stamp is not None:
                known.append({"lastmodifieddate": stamp, "hs_object_id": row.id})
        for group in body["filterGroups"]:
            for each in group["filters"]:
                name, bound = each["propertyName"], int(each["value"])
                match each["operator"]:
                    case "GTE":
                        known = [row for row in known if row[name] >= bound]
                    case "GT":
                        known = [row for row in known if row[name] > bound]
                    case other:
                        pytest.fail(f"an operator that this index does not know: {other}")
        (sort,) = body["sorts"]
        by_time = sort["propertyName"] != "hs_object_id"
        known.sort(
            key=lambda row: (by_time and row["hs_object_id"] in self.misplaced, row[sort["propertyName"]]),
            reverse=sort["direction"] == "DESCENDING",
        )
        self.meanwhile()
        return httpx.Response(
            200, json={"total": len(known), "results": [_shape(row) for row in known[: body["limit"]]]}
        )

    def cycles(self, cursor: str | None, count: int = 1, apart: int = 0) -> tuple[dict[str, int], str]:
        """What `count` cycles tell: id → modified, and the cursor after them."""
        told: dict[str, int] = {}

        async def go() -> str:
            nonlocal cursor
            hubspot = HubSpot(
                ConnectorContext(
                    account="crm",
                    settings={"rate": 1_000_000},
                    secrets={"token": "t"},
                    collection="contacts",
                    clock=self.clock,
                    open_http=make_open_http(self.clock, httpx.MockTransport(self)),
                )
            )
            for _ in range(count):
                last = False
                while not last:
                    page = await hubspot.changes(cursor)
                    cursor, last = page.cursor, page.last
                    told.update({record.id: record.modified or 0 for record in page.records})
                self.clock.at += apart
            await hubspot.close()
            assert cursor is not None
            return cursor

        position = asyncio.run(go())
        return told, position


def _shape(row: dict[str, int]) -> dict[str, Any]:
    stamp = iso_from_instant(row["lastmodifieddate"])
    return {
        "id": str(row["hs_object_id"]),
        "properties": {"lastmodifieddate": stamp, "hs_object_id": str(row["hs_object_id"])},
        "createdAt": stamp,
        "updatedAt": stamp,
    }


steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(1, 5), st.integers(0, LAG)),
        st.tuples(st.just("wait"), st.sampled_from([1, 500, 29_000, LAG - 1, 2 * LAG, 5 * LAG]), st.just(0)),
        st.tuples(st.just("cycle"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_every_change_is_told_however_the_index_scatters_them(schedule: list[tuple[str, int, int]]) -> None:
    index = ScatteredIndex()
    _, cursor = index.cycles(None)
    told: dict[str, int] = {}
    for kind, first, second in schedule:
        if kind == "change":
            index.change(first, second)
        elif kind == "wait":
            index.clock.at += first
        else:
            more, cursor = index.cycles(cursor)
            told |= more
    index.clock.at += LAG
    more, _ = index.cycles(cursor)
    told |= more
    assert told == {str(row.id): row.modified for row in index.rows.values()}


def test_a_change_that_is_found_after_a_later_one_is_told() -> None:
    index = ScatteredIndex()
    _, cursor = index.cycles(None)
    index.change(1, LAG)
    index.clock.at += LAG // 3
    index.change(2, 0)
    told, cursor = index.cycles(cursor)
    assert set(told) == {"2"}
    index.clock.at += LAG - LAG // 3
    told, cursor = index.cycles(cursor)
    assert "1" in told


def test_a_position_is_not_settled_by_the_read_that_finds_the_newest_change() -> None:
    index = ScatteredIndex()
    _, cursor = index.cycles(None)
    index.change(1, LAG)
    index.clock.at += 1
    index.change(2, 0)
    _, cursor = index.cycles(cursor, count=3)
    index.clock.at += 2 * LAG
    told, cursor = index.cycles(cursor)
    assert "1" in told


def test_a_settled_position_is_unsettled_by_a_new_change() -> None:
    index = ScatteredIndex()
    index.change(1, 0)
    _, cursor = index.cycles(None)
    _, cursor = index.cycles(cursor, count=3, apart=2 * LAG)
    index.change(2, LAG)
    index.clock.at += 10
    index.change(3, 0)
    told, cursor = index.cycles(cursor)
    assert set(told) == {"3"}
    index.clock.at += LAG
    told, cursor = index.cycles(cursor)
    assert "2" in told


def test_an_overlap_of_many_records_is_read_again_only_until_it_is_settled() -> None:
    index = ScatteredIndex()
    _, cursor = index.cycles(None)
    for id_ in range(900):
        index.change(id_, 0)
    costs = []
    for _ in range(5):
        before = index.searches
        _, cursor = index.cycles(cursor)
        costs.append(index.searches - before)
        index.clock.at += SETTLED_AFTER // 2
    assert costs[0] > 4
    # It is first seen at 0, and settled by the read that begins at 600 s.
    assert costs[2] == costs[0]
    assert costs[3:] == [1, 1]


def test_what_the_index_sorts_wrong_is_told_all_the_same() -> None:
    index = ScatteredIndex()
    _, cursor = index.cycles(None)
    for id_ in range(1, 901):
        index.clock.at += LAG // 100
        index.change(id_, 0)
    index.misplaced = {1, 7, 450}
    told, _ = index.cycles(cursor)
    assert set(told) == {str(id_) for id_ in index.rows}


def test_a_change_behind_us_while_pages_are_read_is_told_by_the_next_cycle() -> None:
    index = ScatteredIndex()
    _, cursor = index.cycles(None)
    for id_ in range(1, 901):
        index.change(id_, 0)

    def meanwhile() -> None:
        index.clock.at += LAG
        if index.searches in {4, 6}:
            index.change(1 if index.searches == 4 else 900, 0)

    index.meanwhile = meanwhile
    told, cursor = index.cycles(cursor)
    assert told["900"] == index.rows[900].modified > index.rows[1].modified + LAG
    assert told["1"] < index.rows[1].modified, "it was passed by"
    told, _ = index.cycles(cursor)
    assert told.get("1") == index.rows[1].modified
