"""Listings, the change feed, reads by id and by value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.hubspot.bench import START, Bench, create
from twoway.sandbox.kit import HUMAN, iso_ms
from twoway.sdk import (
    MARKER,
    Absence,
    Outcome,
    Presence,
    Record,
    SnapshotNeeded,
    TellUser,
)
from twoway_connectors.hubspot import HubSpot
from twoway_connectors.hubspot.feed import SETTLED_AFTER


class TestSnapshot:
    def test_every_live_record_comes_once(self, bench: Bench) -> None:
        bench.load(250)
        gone = bench.create(email="gone@example.com")
        bench.human("delete", gone)
        records = bench.snapshot()
        assert len(records) == len({record.id for record in records}) == 250
        first = records[0]
        assert first.values == {
            "email": "p0@example.com",
            "firstname": "P0",
            "lastname": None,
            "phone": None,
            "hs_email_optout": None,
            "lifecyclestage": None,
        }
        assert first.created == first.modified == int(START * 1000)
        assert bench.requests().count(("GET", "/crm/v3/objects/contacts")) == 3

    def test_field_times_are_asked_for_only_when_needed(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com", firstname="A")
        bench.clock.advance(60)
        bench.human("update", contact, firstname="B")
        assert bench.snapshot()[0].field_times is None
        bench.times = True
        for record in (bench.snapshot()[0], bench.run(lambda hubspot: hubspot.fetch([contact]))[contact]):
            assert isinstance(record, Record)
            assert record.field_times == {"email": int(START * 1000), "firstname": int((START + 60) * 1000)}

    @pytest.mark.parametrize("collection", ["companies", "deals"])
    def test_other_object_types(self, bench: Bench, collection: str) -> None:
        bench.collection = collection
        name = "name" if collection == "companies" else "dealname"
        bench.fields = frozenset({name})
        contact = bench.human("create", collection=collection, **{name: "Acme"})
        assert [(each.id, each.values) for each in bench.snapshot()] == [(contact, {name: "Acme"})]
        bench.clock.advance(60)
        _, cursor, _ = bench.cycle(None)
        bench.clock.advance(60)
        bench.human("update", contact, collection=collection, **{name: "Acme Ltd"})
        bench.clock.advance(60)
        assert [each.values for each in bench.cycle(cursor)[0]] == [{name: "Acme Ltd"}]

    def test_a_cursor_of_another_listing_asks_for_a_new_snapshot(self, bench: Bench) -> None:
        _, cursor, _ = bench.cycle(None)
        with pytest.raises(SnapshotNeeded):
            bench.run(lambda hubspot: hubspot.snapshot(cursor))
        with pytest.raises(SnapshotNeeded):
            bench.run(lambda hubspot: hubspot.changes("nonsense"))


class TestChanges:
    def settled(self, bench: Bench) -> str:
        """A cursor after two quiet cycles, a good while apart."""
        _, cursor, _ = bench.cycle(None)
        for _ in range(2):
            bench.clock.advance(SETTLED_AFTER / 1000)
            _, cursor, _ = bench.cycle(cursor)
        return cursor

    @pytest.mark.parametrize("count", [0, 1, 150, 1000])
    def test_a_cycle_in_which_nothing_changed_costs_one_request(self, bench: Bench, count: int) -> None:
        bench.load(count)
        bench.clock.advance(60)
        cursor = self.settled(bench)
        before = len(bench.requests())
        records, again, _ = bench.cycle(cursor)
        assert records == []
        assert bench.requests()[before:] == [("POST", "/crm/v3/objects/contacts/search")]
        assert again == cursor

    def test_a_change_is_seen_once_the_index_knows_it(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com", firstname="A")
        bench.clock.advance(60)
        cursor = self.settled(bench)
        bench.human("update", contact, firstname="B")
        records, cursor, _ = bench.cycle(cursor)
        assert records == []
        bench.clock.advance(31)
        records, cursor, _ = bench.cycle(cursor)
        assert [(record.id, record.values["firstname"]) for record in records] == [(contact, "B")]
        assert records[0].version == iso_ms(bench.app.objects["contacts"].records.last_changed)

    def test_one_instant_that_fills_many_pages_is_read_to_its_end(self) -> None:
        bench = Bench(search_cap=10_000)
        bench.app.configure(rate_limit=0, search_limit=0)
        _, cursor, _ = bench.cycle(None)
        bench.clock.advance(60)
        bench.load(10_450, updatedAt=iso_ms(bench.clock.now()))
        late = bench.create(email="later@example.com")
        bench.clock.advance(60)
        records, cursor, pages = bench.cycle(cursor)
        assert {record.id for record in records} == {each["id"] for each in bench.app.records("contacts")}
        assert late in {record.id for record in records}
        assert pages < 60

    def test_a_record_that_changes_while_pages_are_read_shifts_none_past_us(self, bench: Bench) -> None:
        bench.app.configure(index_lag=0)
        _, cursor, _ = bench.cycle(None)
        ids = []
        for n in range(450):
            bench.clock.advance(1)
            ids.append(bench.create(email=f"p{n}@example.com"))

        async def go(hubspot: HubSpot) -> set[str]:
            seen: set[str] = set()
            position: str | None = cursor
            last = False
            while not last:
                page = await hubspot.changes(position)
                seen |= {record.id for record in page.records}
                for record in page.records[:20]:
                    bench.human("update", record.id, firstname=f"Touched {len(seen)}")
                position, last = page.cursor, page.last or len(seen) == 450
            return seen

        assert bench.run(go) == set(ids)

    def test_a_merge_is_told(self, bench: Bench) -> None:
        loser, winner = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        _, cursor, _ = bench.cycle(None)
        bench.human("merge", loser, into=winner)
        bench.clock.advance(60)
        page = bench.run(lambda hubspot: hubspot.changes(cursor))
        assert (loser, winner) in page.merged

    def test_a_merge_into_a_new_record_is_told_of_both(self, bench: Bench) -> None:
        bench.app.configure(merges_anew=True)
        loser, winner = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        _, cursor, _ = bench.cycle(None)
        left = bench.human("merge", loser, into=winner)
        bench.clock.advance(60)
        page = bench.run(lambda hubspot: hubspot.changes(cursor))
        assert set(page.merged) == {(loser, left), (winner, left)}
        assert left in {record.id for record in page.records}
        assert not {loser, winner} & {record.id for record in page.records}

    def test_what_changed_is_named_where_a_search_cannot_hold_all_its_properties(self, bench: Bench) -> None:
        for n in range(60):
            bench.define(f"a_property_whose_name_says_all_of_what_it_is_for_{n:02}", "string", "text")
        loser, winner = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        _, cursor, _ = bench.cycle(None)
        bench.human("merge", loser, into=winner)
        bench.clock.advance(60)
        page = bench.run(lambda hubspot: hubspot.changes(cursor))
        assert (list(page.ids), list(page.merged), list(page.records)) == ([winner], [(loser, winner)], [])
        found = bench.run(lambda hubspot: hubspot.fetch(page.ids))
        assert isinstance(found[winner], Record)

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["edit", "create", "cycle", "archive"]), st.integers(0, 6), st.integers(0, 300_000)
            ),
            max_size=40,
        )
    )
    def test_no_edit_is_missed_whatever_the_lag_and_the_schedule(self, steps: list[tuple[str, int, int]]) -> None:
        bench = Bench()
        bench.app.configure(rate_limit=0, search_limit=0)
        ids = [bench.create(email=f"seed{n}@example.com") for n in range(3)]
        bench.clock.advance(60)
        seen = {record.id: record.version for record in bench.snapshot()}
        _, cursor, _ = bench.cycle(None)
        for number, (kind, which, wait) in enumerate(steps):
            bench.clock.advance(wait / 1000)
            if kind == "create":
                ids.append(bench.create(email=f"new{number}@example.com"))
            elif kind == "cycle":
                records, cursor, _ = bench.cycle(cursor)
                seen |= {record.id: record.version for record in records}
            elif not bench.app.objects["contacts"].records.get(int(ids[which % len(ids)])).deleted:  # type: ignore[union-attr]  # it is there
                if kind == "edit":
                    bench.human("update", ids[which % len(ids)], firstname=f"N{number}")
                else:
                    bench.human("delete", ids[which % len(ids)])
        bench.clock.advance(31)
        records, cursor, _ = bench.cycle(cursor)
        seen |= {record.id: record.version for record in records}
        live = {each["id"]: each["updatedAt"] for each in bench.app.records("contacts") if not each["archived"]}
        assert {contact: seen.get(contact) for contact in live} == live


class TestFetch:
    def test_each_id_has_an_answer(self, bench: Bench) -> None:
        live, archived, loser, winner, dead = (bench.create(email=f"{n}@example.com") for n in range(5))
        bench.human("delete", archived)
        bench.human("merge", loser, into=winner)
        bench.app.objects["contacts"].purge(bench.app.objects["contacts"].records.get(int(dead)), HUMAN)  # type: ignore[arg-type]  # it is there
        asked = [live, archived, loser, dead, "999999", "abc", live]
        found = bench.run(lambda hubspot: hubspot.fetch(asked))
        assert isinstance(found[live], Record)
        assert {contact: found[contact] for contact in asked if contact != live} == {
            archived: Absence(archived, Presence.ARCHIVED),
            loser: Absence(loser, Presence.MERGED, winner),
            dead: Absence(dead, Presence.GONE),
            "999999": Absence("999999", Presence.GONE),
            "abc": Absence("abc", Presence.GONE),
        }
        # The schema, one batch, and one more for what is not live.
        assert len(bench.requests()) == 3

    @pytest.mark.parametrize(
        "spelt", ["0{id}", "{id} ", "{id}/associations", "../contacts/{id}", "..", "", "\u0661\u0660\u0661"]
    )
    def test_another_spelling_of_an_id_is_no_record_and_no_merge_into_it(self, bench: Bench, spelt: str) -> None:
        asked = spelt.format(id=bench.create(email="a@example.com"))
        assert bench.run(lambda hubspot: hubspot.fetch([asked])) == {asked: Absence(asked, Presence.GONE)}
        assert bench.requests() == []

    def test_a_chain_of_merges_leads_to_the_last(self, bench: Bench) -> None:
        first, second, third = (bench.create(email=f"{n}@example.com") for n in range(3))
        bench.human("merge", first, into=second)
        bench.human("merge", second, into=third)
        found = bench.run(lambda hubspot: hubspot.fetch([first, second, third]))
        assert found[first] == Absence(first, Presence.MERGED, third)
        assert found[second] == Absence(second, Presence.MERGED, third)
        assert isinstance(found[third], Record)

    def test_both_of_a_merge_into_a_new_record_lead_to_it_and_so_does_a_chain_of_such_merges(
        self, bench: Bench
    ) -> None:
        bench.app.configure(merges_anew=True)
        first, second, third = (bench.create(email=f"{n}@example.com") for n in range(3))
        left = bench.human("merge", first, into=second)
        assert left not in {first, second}
        last = bench.human("merge", left, into=third)
        asked = [first, second, third, left, last]
        found = bench.run(lambda hubspot: hubspot.fetch(asked))
        assert {each: found[each] for each in asked[:4]} == {
            each: Absence(each, Presence.MERGED, last) for each in asked[:4]
        }
        assert isinstance(found[last], Record)

    def test_a_survivor_that_was_archived_does_not_turn_a_merge_into_a_deletion(self, bench: Bench) -> None:
        loser, winner = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        bench.human("merge", loser, into=winner)
        bench.human("delete", winner)
        found = bench.run(lambda hubspot: hubspot.fetch([loser, winner]))
        assert found[loser] == Absence(loser, Presence.MERGED, winner)
        assert found[winner] == Absence(winner, Presence.ARCHIVED)

    def test_a_hundred_live_records_cost_one_request_and_the_schema(self, bench: Bench) -> None:
        bench.load(100)
        ids = [each["id"] for each in bench.app.records("contacts")]
        assert all(isinstance(each, Record) for each in bench.run(lambda hubspot: hubspot.fetch(ids)).values())
        assert len(bench.requests()) == 2


class TestFind:
    def test_by_e_mail_the_app_reads_its_records_themselves(self, bench: Bench) -> None:
        contact = bench.create(email="ada@example.com")
        found = bench.run(lambda hubspot: hubspot.find("email", ["ADA@Example.com ", "none@example.com", "not one"]))
        assert found == {"ADA@Example.com ": [contact], "none@example.com": [], "not one": []}
        assert all("/search" not in path for _, path in bench.requests())

    def test_a_secondary_address_leads_to_its_owner(self, bench: Bench) -> None:
        loser, winner = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        bench.human("merge", loser, into=winner)
        assert bench.run(lambda hubspot: hubspot.find("email", ["a@example.com"])) == {"a@example.com": [winner]}

    def test_by_another_property_the_index_is_searched(self, bench: Bench) -> None:
        ids = sorted((bench.create(email=f"{n}@example.com", lastname="Byron") for n in range(3)), key=int)
        bench.create(email="x@example.com", lastname="Lovelace")
        assert bench.run(lambda hubspot: hubspot.find("lastname", ["byron"])) == {"byron": []}
        bench.clock.advance(31)
        assert bench.run(lambda hubspot: hubspot.find("lastname", ["byron"])) == {"byron": ids}

    def test_a_search_reads_all_its_pages(self, bench: Bench) -> None:
        bench.app.load({"properties": {"email": f"{n}@example.com", "lastname": "Same"}} for n in range(450))
        bench.clock.advance(31)
        assert len(bench.run(lambda hubspot: hubspot.find("lastname", ["Same"]))["Same"]) == 450

    def test_more_long_values_than_one_search_can_hold_are_all_found(self, bench: Bench) -> None:
        names = [f"Müller & Söhne Maschinenbau GmbH, Niederlassung {n:03}" for n in range(100)]
        bench.app.load({"properties": {"email": f"{n}@example.com", "company": name}} for n, name in enumerate(names))
        bench.clock.advance(31)
        found = bench.run(lambda hubspot: hubspot.find("company", names))
        assert {name: len(found[name]) for name in names} == dict.fromkeys(names, 1)

    def test_by_marker_a_lost_create_is_found_at_once(self, bench: Bench) -> None:
        bench.define("twoway_operation", "string", "text", unique=True)
        bench.settings["marker_property"] = "twoway_operation"
        bench.app.fault("lost_answer", path="batch/create")
        assert bench.apply(create("op-7", email="a@example.com"))[0].outcome is Outcome.UNKNOWN
        found = bench.run(lambda hubspot: hubspot.find(MARKER, ["op-7", "op-8"]))
        assert len(found["op-7"]) == 1
        assert found["op-8"] == []
        record = bench.run(lambda hubspot: hubspot.fetch(found["op-7"]))[found["op-7"][0]]
        assert isinstance(record, Record)
        assert record.marker == "op-7"

    @pytest.mark.parametrize("there", [False, True], ids=["no such property", "one that is not unique"])
    def test_a_marker_that_hubspot_cannot_look_up_finds_not_nobody(self, bench: Bench, there: bool) -> None:
        """What was made would else be made once more; `twoway check` tells it, too, where somebody runs it."""
        if there:
            bench.define("twoway_operation", "string", "text")
        bench.settings["marker_property"] = "twoway_operation"
        with pytest.raises(TellUser, match="unique"):
            bench.run(lambda hubspot: hubspot.find(MARKER, ["op-7"]))
