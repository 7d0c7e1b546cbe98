"""The HubSpot connector against the look-alike HubSpot, in process, on a virtual clock."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.hubspot_properties import custom
from twoway.sandbox.kit import HUMAN, VirtualClock, in_process, iso_ms
from twoway.sdk import (
    MARKER,
    Absence,
    AccountRefused,
    Connector,
    ConnectorContext,
    ConnectorFactory,
    Consistency,
    FieldType,
    HookRefused,
    HookRequest,
    Kind,
    Outcome,
    Presence,
    QuotaSpent,
    Receipt,
    Record,
    SnapshotNeeded,
    TellUser,
    TryLater,
    Write,
    find_connector,
    make_open_http,
)
from twoway_connectors.hubspot import HubSpot
from twoway_connectors.hubspot.schema import Property, Unwritable, encode

T = TypeVar("T")
START = 1_750_000_000.0
FIELDS = frozenset({"email", "firstname", "lastname", "phone", "hs_email_optout", "lifecyclestage"})


class Bridge:
    """The app's clock as the port that connectors know."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock

    def now(self) -> int:
        return round(self.clock.now() * 1000)

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


class Bench:
    """An app, and connectors to it. Each call of `run` opens a connector anew: nothing may live in it but a cache."""

    def __init__(self, **app_settings: Any) -> None:
        self.clock = VirtualClock(START)
        self.app = HubSpotApp(clock=self.clock, settings=app_settings)
        self.collection = "contacts"
        self.fields = FIELDS
        self.times = False
        self.token = "pat-sandbox"
        self.settings: dict[str, Any] = {"base_url": "https://hubspot.test"}

    def connector(self) -> HubSpot:
        bridge = Bridge(self.clock)
        return HubSpot(
            ConnectorContext(
                account="crm",
                settings=self.settings,
                secrets={"token": self.token, "client_secret": "hook-secret"},
                collection=self.collection,
                fields=self.fields,
                times=self.times,
                clock=bridge,
                open_http=make_open_http(
                    bridge, httpx.ASGITransport(in_process(self.app, httpx.ReadError)), account="crm"
                ),
            )
        )

    def run(self, call: Callable[[HubSpot], Coroutine[Any, Any, T]]) -> T:
        async def go() -> T:
            connector = self.connector()
            try:
                return await call(connector)
            finally:
                await connector.close()

        return asyncio.run(go())

    def human(self, kind: str, id: str = "0", **more: Any) -> str:
        fields = {name: value for name, value in more.items() if name not in {"collection", "into"}}
        rest = {name: value for name, value in more.items() if name in {"collection", "into"}}
        return str(self.app.human(kind=kind, id=id, fields=fields, **rest)["id"])

    def create(self, **fields: str) -> str:
        return self.human("create", **fields)

    def define(self, name: str, kind: str, widget: str, *options: str, unique: bool = False) -> None:
        body = {
            "name": name,
            "type": kind,
            "fieldType": widget,
            "groupName": "contactinformation",
            "hasUniqueValue": unique,
            "options": [{"value": option} for option in options],
        }
        self.app.objects[self.collection].define(custom(body, START))
        self.fields |= {name}

    def stored(self, id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(each for each in self.app.records(self.collection) if each["id"] == id)
        return found["properties"]  # type: ignore[no-any-return]  # the sandbox shows plain JSON

    def requests(self) -> list[tuple[str, str]]:
        return [(each.method, each.path) for each in self.app.requests.entries]

    def apply(self, *writes: Write) -> list[Receipt]:
        return list(self.run(lambda hubspot: hubspot.apply(writes)))

    def cycle(self, cursor: str | None) -> tuple[list[Record], str, int]:
        """Read the feed to its end: records, the next cursor, how many pages."""
        records: list[Record] = []
        count = 0

        async def go(hubspot: HubSpot) -> str:
            nonlocal cursor, count
            while True:
                page = await hubspot.changes(cursor)
                count += 1
                assert page.cursor is not None
                assert page.last or page.cursor != cursor
                records.extend(page.records)
                cursor = page.cursor
                if page.last:
                    return cursor

        return records, self.run(go), count

    def snapshot(self) -> list[Record]:
        async def go(hubspot: HubSpot) -> list[Record]:
            records: list[Record] = []
            cursor = None
            while True:
                page = await hubspot.snapshot(cursor)
                records += page.records
                if page.last:
                    return records
                cursor = page.cursor

        return self.run(go)

    def load(self, count: int, **more: str) -> None:
        self.app.load(
            {"properties": {"email": f"p{n}@example.com", "firstname": f"P{n}"}, **more} for n in range(count)
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


def update(id: str, **changed: Any) -> Write:
    return Write(operation=f"op-{id}", kind=Kind.UPDATE, id=id, changed=changed)


def create(operation: str = "op", **changed: Any) -> Write:
    return Write(operation=operation, kind=Kind.CREATE, changed=changed)


class TestAccount:
    def test_it_is_found_and_is_the_contract(self, bench: Bench) -> None:
        factory: ConnectorFactory = find_connector("hubspot")
        assert factory is HubSpot
        assert isinstance(bench.connector(), Connector)

    def test_check_costs_one_request(self, bench: Bench) -> None:
        assert bench.run(lambda hubspot: hubspot.check()).name == "HubSpot account 4242"
        assert len(bench.requests()) == 1

    def test_a_wrong_token_says_where_to_find_the_right_one(self, bench: Bench) -> None:
        bench.token = "pat-wrong-one"
        with pytest.raises(AccountRefused, match="Private Apps") as caught:
            bench.run(lambda hubspot: hubspot.check())
        assert "pat-wrong-one" not in str(caught.value)

    def test_no_token_is_said(self, bench: Bench) -> None:
        bench.token = ""
        with pytest.raises(AccountRefused, match="no token"):
            bench.connector()

    def test_an_unknown_collection_names_the_valid_ones(self, bench: Bench) -> None:
        bench.collection = "people"
        with pytest.raises(TellUser, match="companies, contacts, deals"):
            bench.connector()

    def test_collections(self, bench: Bench) -> None:
        found = bench.run(lambda hubspot: hubspot.collections())
        assert [each.name for each in found] == ["companies", "contacts", "deals"]

    def test_another_app_at_the_address(self, bench: Bench) -> None:
        bench.app.fault("html", times=0)
        with pytest.raises(TellUser, match=r"a page of HTML.*base_url"):
            bench.run(lambda hubspot: hubspot.check())

    def test_a_spent_day_is_not_retried(self) -> None:
        bench = Bench(daily_limit=1)
        bench.run(lambda hubspot: hubspot.check())
        with pytest.raises(QuotaSpent, match="midnight"):
            bench.run(lambda hubspot: hubspot.check())
        assert len(bench.requests()) == 2

    def test_a_missing_scope_is_named(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        body = {
            "category": "MISSING_SCOPES",
            "errors": [{"context": {"requiredGranularScopes": ["crm.objects.contacts.read"]}}],
        }
        monkeypatch.setattr(
            httpx,
            "ASGITransport",
            lambda _app: httpx.MockTransport(lambda _request: httpx.Response(403, json=body)),
        )
        with pytest.raises(AccountRefused, match=r"crm\.objects\.contacts\.read"):
            bench.run(lambda hubspot: hubspot.snapshot(None))

    def test_a_rate_limit_is_waited_out(self, bench: Bench) -> None:
        bench.app.fault("rate_limited", times=2, retry_after=3)
        began = bench.clock.now()
        bench.run(lambda hubspot: hubspot.check())
        assert bench.clock.now() - began >= 6

    def test_a_slow_limit_is_kept(self) -> None:
        bench = Bench(rate_limit=20)
        bench.load(3000)
        assert len(bench.snapshot()) == 3000
        refused = [each for each in bench.app.requests.entries if each.status == 429]
        assert refused == []

    def test_the_marker_property_is_checked(self, bench: Bench) -> None:
        bench.settings["marker_property"] = "twoway_operation"
        with pytest.raises(TellUser, match="twoway_operation"):
            bench.run(lambda hubspot: hubspot.check())
        bench.define("twoway_operation", "string", "text", unique=True)
        bench.run(lambda hubspot: hubspot.check())
        assert MARKER in bench.connector().capabilities.find_fields

    def test_each_object_type_declares_what_it_can(self, bench: Bench) -> None:
        contacts = bench.connector().capabilities
        assert contacts.find is Consistency.CONSISTENT
        assert contacts.find_fields == contacts.unique == {"email"}
        bench.collection = "companies"
        companies = bench.connector().capabilities
        assert (companies.find, companies.unique) == (Consistency.LAGGING, frozenset())
        assert not contacts.conditional


class TestDescribe:
    def test_properties_have_their_types(self, bench: Bench) -> None:
        bench.define("topics", "enumeration", "checkbox", "a", "b")
        bench.define("member_no", "string", "text", unique=True)
        fields = {each.name: each for each in bench.run(lambda hubspot: hubspot.describe())}
        assert list(fields) == sorted(fields)
        types = {name: fields[name].type for name in ("email", "phone", "topics", "lifecyclestage", "hs_email_optout")}
        assert types == {
            "email": FieldType.EMAIL,
            "phone": FieldType.PHONE,
            "topics": FieldType.SET,
            "lifecyclestage": FieldType.CHOICE,
            "hs_email_optout": FieldType.BOOLEAN,
        }
        assert fields["topics"].choices == ("a", "b")
        assert fields["firstname"].choices is None
        assert fields["firstname"].on_update
        assert not fields["createdate"].on_update
        assert not fields["hs_full_name_or_email"].on_create
        assert (fields["email"].unique, fields["member_no"].unique, fields["phone"].unique) == (True, True, False)


class TestValues:
    @pytest.mark.parametrize(
        ("kind", "widget", "wire", "value"),
        [
            ("number", "number", "42", 42),
            ("number", "number", "4.20", Decimal("4.20")),
            ("number", "number", "many", "many"),
            ("number", "number", "NaN", "NaN"),
            ("bool", "booleancheckbox", "true", True),
            ("bool", "booleancheckbox", "false", False),
            ("date", "date", "2025-06-15", "2025-06-15"),
            ("date", "date", "1749945600000", "2025-06-15"),
            ("datetime", "date", "1749945600123", "2025-06-15T00:00:00.123Z"),
            ("datetime", "date", "2025-06-15T02:00:00+02:00", "2025-06-15T00:00:00.000Z"),
            ("enumeration", "checkbox", "b;a", ["b", "a"]),
            ("enumeration", "select", "b", "b"),
            ("string", "text", "a;b", "a;b"),
            ("string", "text", "", None),
            ("number", "number", None, None),
        ],
    )
    def test_decode(self, kind: str, widget: str, wire: str | None, value: Any) -> None:
        decoded = Property.parse({"name": "x", "type": kind, "fieldType": widget}, key=None).decode(wire)
        assert decoded == value
        assert type(decoded) is type(value)

    @pytest.mark.parametrize(
        ("value", "wire"),
        [
            (None, ""),
            (True, "true"),
            (42, "42"),
            (Decimal("4.20"), "4.20"),
            (1e21, "1000000000000000000000"),
            (["a", "b"], "a;b"),
            ([], ""),
            ("as it is ", "as it is "),
        ],
    )
    def test_encode(self, value: Any, wire: str) -> None:
        assert encode(value) == wire

    @pytest.mark.parametrize("value", [{"a": 1}, ["a;b"], [{}]])
    def test_what_cannot_be_spelt_is_refused_without_showing_it(self, value: Any) -> None:
        with pytest.raises(Unwritable) as caught:
            encode(value)
        assert "a;b" not in str(caught.value)

    @given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3))
    def test_numbers_survive(self, number: int | Decimal) -> None:
        prop = Property.parse({"name": "x", "type": "number", "fieldType": "number"}, key=None)
        assert prop.decode(encode(number)) == number


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
            bench.clock.advance(200)
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

    def test_a_chain_of_merges_leads_to_the_last(self, bench: Bench) -> None:
        first, second, third = (bench.create(email=f"{n}@example.com") for n in range(3))
        bench.human("merge", first, into=second)
        bench.human("merge", second, into=third)
        found = bench.run(lambda hubspot: hubspot.fetch([first, second, third]))
        assert found[first] == Absence(first, Presence.MERGED, third)
        assert found[second] == Absence(second, Presence.MERGED, third)
        assert isinstance(found[third], Record)

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


class TestApply:
    def test_creates_answer_with_what_was_stored(self, bench: Bench) -> None:
        writes = [create(f"op{n}", email=f" P{n}@Example.com", firstname=f"P{n}") for n in range(3)]
        receipts = bench.apply(*writes)
        for n, receipt in enumerate(receipts):
            assert receipt.outcome is Outcome.DONE
            assert receipt.record is not None
            assert receipt.record.values == {"email": f"p{n}@example.com", "firstname": f"P{n}"}
            stored = bench.run(lambda hubspot, wanted=str(receipt.id): hubspot.fetch([wanted]))[str(receipt.id)]  # type: ignore[misc]  # a default binds the loop's value
            assert isinstance(stored, Record)
            assert stored.version == receipt.version

    def test_an_update_touches_only_its_fields(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com", firstname="A", lastname="B")
        (receipt,) = bench.apply(update(contact, firstname="C"))
        assert receipt.record is not None
        assert receipt.record.values == {"firstname": "C"}
        stored = bench.stored(contact)
        assert (stored["email"], stored["firstname"], stored["lastname"]) == ("a@example.com", "C", "B")

    def test_blank_clears(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com", firstname="A")
        (receipt,) = bench.apply(update(contact, firstname=None))
        assert receipt.record is not None
        assert receipt.record.values == {"firstname": None}
        assert not bench.stored(contact).get("firstname")

    def test_lists_numbers_and_booleans_are_spelt_as_hubspot_wants_them(self, bench: Bench) -> None:
        bench.define("topics", "enumeration", "checkbox", "a", "b")
        bench.define("points", "number", "number")
        bench.define("vip", "bool", "booleancheckbox")
        changed: dict[str, Any] = {"topics": ["b", "a"], "points": Decimal("4.5"), "vip": True}
        (receipt,) = bench.apply(create(email="a@example.com", **changed))
        assert receipt.record is not None
        assert {name: receipt.record.values[name] for name in changed} == changed

    def test_what_the_app_does_not_take_is_seen_in_the_receipt(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com", lifecyclestage="customer")
        (receipt,) = bench.apply(update(contact, lifecyclestage="lead"))
        assert receipt.record is not None
        assert receipt.record.values == {"lifecyclestage": "customer"}
        assert "lifecyclestage" in bench.connector().capabilities.rewrites

    def test_each_input_of_a_batch_has_its_own_outcome(self, bench: Bench) -> None:
        fine, other, dead = (bench.create(email=f"{n}@example.com") for n in range(3))
        bench.human("delete", dead)
        receipts = bench.apply(
            update(fine, firstname="A"),
            update(dead, firstname="A"),
            update("999999", firstname="A"),
            update(other, email="not an address"),
            update(other + "0", firstname="A"),
        )
        outcomes = [receipt.outcome for receipt in receipts]
        assert outcomes == [Outcome.DONE, Outcome.GONE, Outcome.GONE, Outcome.REFUSED, Outcome.GONE]
        assert receipts[3].field == "email"
        assert "not an address" not in str(receipts[3])

    @pytest.mark.parametrize(
        ("what", "changed", "field"),
        [
            ("no such option", {"lifecyclestage": "king"}, "lifecyclestage"),
            ("no such property", {"nickname": "x"}, "nickname"),
            ("read only", {"createdate": "2025-01-01"}, "createdate"),
            ("not a list of HubSpot's", {"firstname": ["a;b"]}, "firstname"),
            ("no form for it", {"firstname": {"a": "b"}}, "firstname"),
        ],
    )
    def test_a_refusal_names_the_field(self, bench: Bench, what: str, changed: dict[str, Any], field: str) -> None:
        (receipt,) = bench.apply(create(email="a@example.com", **changed))
        assert (receipt.outcome, receipt.field) == (Outcome.REFUSED, field), what
        assert receipt.why

    def test_a_second_record_with_an_address_is_a_duplicate_of_the_first(self, bench: Bench) -> None:
        first = bench.create(email="a@example.com")
        (receipt,) = bench.apply(create(email="A@example.com"))
        assert (receipt.outcome, receipt.id) == (Outcome.DUPLICATE, first)
        assert "a@example.com" not in str(receipt).lower()

    def test_a_secondary_address_is_a_duplicate_of_its_owner_not_of_the_id_that_never_was(self, bench: Bench) -> None:
        loser, winner = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        bench.human("merge", loser, into=winner)
        (receipt,) = bench.apply(create(email="a@example.com"))
        assert (receipt.outcome, receipt.id) == (Outcome.DUPLICATE, winner)

    def test_an_address_of_another_record_is_not_taken_from_it(self, bench: Bench) -> None:
        first, second = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        (receipt,) = bench.apply(update(second, email="a@example.com"))
        assert (receipt.outcome, receipt.id) == (Outcome.DUPLICATE, first)
        assert bench.stored(second)["email"] == "b@example.com"

    def test_a_create_that_is_sent_again_finds_itself_by_its_marker(self, bench: Bench) -> None:
        bench.define("twoway_operation", "string", "text", unique=True)
        bench.settings["marker_property"] = "twoway_operation"
        (first,) = bench.apply(create("op-7", email="a@example.com"))
        assert first.id is not None
        bench.human("update", first.id, email="changed@example.com")
        (again,) = bench.apply(create("op-7", email="a@example.com"))
        assert (again.outcome, again.id) == (Outcome.DUPLICATE, first.id)

    def test_one_key_twice_in_a_batch_is_written_once(self, bench: Bench) -> None:
        receipts = bench.apply(create("1", email="a@example.com"), create("2", email="A@example.com "))
        assert [each.outcome for each in receipts] == [Outcome.DONE, Outcome.LATER]
        assert len(bench.app.records("contacts")) == 1

    @pytest.mark.parametrize("status", [400, 409])
    def test_a_batch_that_is_refused_as_a_whole_is_halved(self, bench: Bench, status: int) -> None:
        ids = [bench.create(email=f"{n}@example.com") for n in range(5)]
        bench.app.fault("error", path="batch/update", status=status)
        receipts = bench.apply(*(update(contact, firstname="A") for contact in ids))
        assert [each.outcome for each in receipts] == [Outcome.DONE] * 5
        assert [bench.stored(contact)["firstname"] for contact in ids] == ["A"] * 5

    @pytest.mark.parametrize(
        ("fault", "arguments"),
        [
            ("lost_answer", {}),
            ("lost_request", {}),
            ("html", {"applied": True}),
            ("truncated", {}),
            ("error", {"status": 500, "applied": True}),
            ("error", {"status": 502}),
            ("die_midway", {"after_inputs": 1}),
        ],
    )
    @pytest.mark.parametrize("kind", ["create", "update"])
    def test_when_the_answer_is_lost_the_outcome_is_unknown_and_nothing_is_sent_again(
        self, bench: Bench, kind: str, fault: str, arguments: dict[str, Any]
    ) -> None:
        ids = [bench.create(email=f"{n}@example.com") for n in range(2)]
        bench.app.fault(fault, path=f"batch/{kind}", times=0, **arguments)
        writes = (
            [update(contact, firstname="A") for contact in ids]
            if kind == "update"
            else [create(f"op{n}", email=f"new{n}@example.com") for n in range(2)]
        )
        receipts = bench.apply(*writes)
        assert [each.outcome for each in receipts] == [Outcome.UNKNOWN] * 2
        assert len([path for _, path in bench.requests() if path.endswith(f"batch/{kind}")]) == 1

    def test_a_write_that_was_certainly_not_taken_up_raises(self, bench: Bench) -> None:
        bench.app.fault("rate_limited", times=0, path="batch/create", retry_after=600)
        with pytest.raises(TryLater) as caught:
            bench.apply(create(email="a@example.com"))
        assert not caught.value.sent
        assert bench.app.records("contacts") == []

    def test_once_something_may_be_written_nothing_raises(self, bench: Bench) -> None:
        ids = [bench.create(email=f"{n}@example.com") for n in range(4)]
        bench.app.fault("error", path="batch/update", status=400)
        bench.app.fault("wrong_token", path="batch/update", skip=2)
        receipts = bench.apply(*(update(contact, firstname="A") for contact in ids))
        assert [each.outcome for each in receipts] == [Outcome.DONE] * 2 + [Outcome.LATER] * 2
        assert [bench.stored(contact).get("firstname") for contact in ids] == ["A", "A", None, None]

    def test_archive(self, bench: Bench) -> None:
        ids = [bench.create(email=f"{n}@example.com") for n in range(3)]
        bench.app.fault("lost_answer", path="batch/archive")
        receipts = bench.apply(*(Write(operation=contact, kind=Kind.ARCHIVE, id=contact) for contact in ids))
        # Archiving twice does no harm, so the lost answer was asked for again.
        assert [(each.outcome, each.id) for each in receipts] == [(Outcome.DONE, contact) for contact in ids]
        assert all(each["archived"] for each in bench.app.records("contacts"))

    def test_an_archive_that_nobody_answers_is_unknown(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com")
        bench.app.fault("lost_answer", path="batch/archive", times=0)
        (receipt,) = bench.apply(Write(operation="op", kind=Kind.ARCHIVE, id=contact))
        assert receipt.outcome is Outcome.UNKNOWN

    def test_the_normal_form_is_what_the_app_stores(self, bench: Bench) -> None:
        sent = {"email": " Ada@Example.COM ", "firstname": " Ada "}
        (receipt,) = bench.apply(create(**sent))
        assert receipt.record is not None
        assert receipt.record.values == bench.connector().normal(sent)

    def test_nothing_to_write_is_nothing_to_send(self, bench: Bench) -> None:
        assert bench.apply() == []
        assert bench.requests() == []


class TestHooks:
    URL = "https://sync.example.test/hooks/crm?x=%2Fa"

    def request(self, events: Any, *, age: int = 0, secret: str = "hook-secret", url: str = URL) -> HookRequest:
        body = orjson.dumps(events)
        stamp = str(int(START * 1000) - age)
        signed = f"POST{self.URL.replace('%2F', '/')}".encode() + body + stamp.encode()
        proof = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
        headers = {"x-hubspot-request-timestamp": stamp, "x-hubspot-signature-v3": proof}
        return HookRequest("POST", url, headers, body)

    def test_ids_of_this_object_type_are_named_once(self, bench: Bench) -> None:
        events = [
            {"subscriptionType": "contact.propertyChange", "objectId": 101},
            {"subscriptionType": "contact.deletion", "objectId": 101},
            {"subscriptionType": "company.creation", "objectId": 7},
            {"subscriptionType": "object.creation", "objectTypeId": "0-1", "objectId": 102},
            {"subscriptionType": "object.creation", "objectTypeId": "0-2", "objectId": 8},
            {"subscriptionType": "contact.merge", "objectId": 103, "primaryObjectId": 103, "mergedObjectIds": [104]},
        ]
        assert bench.connector().parse_hook(self.request(events)) == ["101", "102", "103", "104"]

    @pytest.mark.parametrize(
        ("what", "change"),
        [
            ("signed with another secret", {"secret": "other"}),
            ("six minutes old", {"age": 360_000}),
            ("six minutes ahead", {"age": -360_000}),
            ("sent to another address", {"url": "https://sync.example.test/hooks/other"}),
        ],
    )
    def test_a_call_that_is_not_proved_genuine_is_refused(
        self, bench: Bench, what: str, change: dict[str, Any]
    ) -> None:
        with pytest.raises(HookRefused):
            pytest.fail(f"{what}: {bench.connector().parse_hook(self.request([], **change))}")

    def test_a_genuine_call_that_is_no_list_is_refused(self, bench: Bench) -> None:
        with pytest.raises(HookRefused, match="list of events"):
            bench.connector().parse_hook(self.request({"objectId": 1}))
