"""Zendesk: users (in bulk and one by one, with our marker and without), organizations and tickets."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from tests.contract.sandboxes import START, SandboxBench
from twoway.sandbox.clock import iso_seconds
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import Connector, ConnectorContext, Raw, RawValues
from twoway.testing.contract import Bench, ConnectorContract
from twoway.testing.contract.reading import FindContract
from twoway.testing.contract.refusals import DuplicateContract
from twoway.testing.contract.writing import BatchContract, WritingContract
from twoway_connectors.zendesk import Zendesk

SETTINGS = {"base_url": "http://localhost/api/v2", "email": "admin@desk.example", "plan": "growth"}
TIERS = [{"name": "Gold", "value": "gold"}, {"name": "Iron", "value": "iron"}]
DEFINED: Sequence[Mapping[str, Any]] = (
    {"key": "bio", "title": "Bio", "type": "textarea"},
    {"key": "score", "title": "Score", "type": "integer"},
    {"key": "ratio", "title": "Ratio", "type": "decimal"},
    {"key": "vip", "title": "VIP", "type": "checkbox"},
    {"key": "since", "title": "Since", "type": "date"},
    {"key": "tier", "title": "Tier", "type": "dropdown", "custom_field_options": TIERS},
    {"key": "tiers", "title": "Tiers", "type": "multiselect", "custom_field_options": TIERS},
)
KEYS = tuple(str(each["key"]) for each in DEFINED)


class ZendeskBench(SandboxBench):
    """`custom` is the part of a record that holds its custom fields."""

    settings: ClassVar[Mapping[str, Any]] = SETTINGS
    login: ClassVar[Mapping[str, str]] = {"api_token": "zendesk-token"}
    wrong_login: ClassVar[Mapping[str, str]] = {"api_token": "zendesk-stolen"}
    secrets = ("zendesk-token", "zendesk-stolen")
    writing = r"/(users|organizations|tickets)(/\d+|/(create|update)_many)?(/identities.*)?$"
    many = 2100
    custom: ClassVar[str]
    one: ClassVar[str]

    def __init__(self, **settings: Any) -> None:
        clock = VirtualClock(START)
        self.app = ZendeskApp(clock=clock, settings=settings)
        super().__init__(self.app, clock)
        self.app.load(DEFINED, collection=f"{self.one}_fields")
        self.prepare()

    def connect(self, context: ConnectorContext) -> Connector:
        return Zendesk()(context)

    def prepare(self) -> None:
        """Set up what the records refer to."""

    def body(self, values: RawValues) -> dict[str, Any]:
        """Values in the API's shape."""
        plain = {name: value for name, value in values.items() if "." not in name}
        custom = {name.partition(".")[2]: value for name, value in values.items() if "." in name}
        return {**plain, self.custom: custom} if custom else plain

    def create(self, values: RawValues) -> str:
        return str(self.app.human(kind="create", collection=self.collection, fields=self.body(values))["id"])

    def create_many(self, many: Sequence[RawValues]) -> list[str]:
        now = iso_seconds(self.clock.now())
        before = self._ids()
        self.app.load([{**self.body(values), "updated_at": now} for values in many], collection=self.collection)
        return [str(number) for number in sorted(self._ids() - before)]

    def _ids(self) -> set[int]:
        return {int(entry["id"]) for entry in self.app.records(self.collection)}

    def update(self, id: str, values: RawValues) -> None:
        self.app.human(kind="update", collection=self.collection, id=id, fields=self.body(values))

    def delete(self, id: str) -> None:
        self.app.human(kind="delete", collection=self.collection, id=id)

    def live(self) -> set[str]:
        shown = self.app.records(self.collection)
        return {
            str(entry["id"])
            for entry in shown
            if entry.get("active", True) and not entry.get("deleted_at") and entry.get("status") != "deleted"
        }

    def stored(self, id: str) -> Mapping[str, Any]:
        shown = next(dict(entry) for entry in self.app.records(self.collection) if str(entry["id"]) == id)
        custom = shown.pop(self.custom)
        named = custom.items() if isinstance(custom, dict) else ((each["id"], each["value"]) for each in custom)
        for again_or_stamp in ("updated_at", "generated_timestamp", "fields"):
            shown.pop(again_or_stamp, None)
        return {**shown, **{f"{self.custom}.{key}": value for key, value in named}}


class UsersBench(ZendeskBench):
    collection = "users"
    one = "user"
    custom = "user_fields"
    merges = True
    fields = frozenset(
        {
            *("name", "email", "external_id", "tags", "phone", "organization_id", "alias", "notes", "details"),
            *("signature", "suspended", "updated_at", *(f"user_fields.{key}" for key in KEYS)),
        }
    )
    refused = ("user_fields.since", "the day before yesterday")

    def prepare(self) -> None:
        made = [
            self.app.human(kind="create", collection="organizations", fields={"name": name}) for name in ("Acme", "Ink")
        ]
        self.values = {"organization_id": tuple(str(each["id"]) for each in made)}  # type: ignore[misc]  # theirs alone

    def sample(self, number: int) -> dict[str, Raw]:
        return {"name": f"Person {number}", "email": f"person{number}@mail.test", "external_id": f"crm-{number}"}

    def merge(self, loser: str, survivor: str) -> None:
        self.app.human(kind="merge", id=loser, into=survivor)

    def parts(self, field: str) -> set[str]:
        return {field, "shared_phone_number"} if field == "phone" else {field}


class MarkedUsersBench(UsersBench):
    settings: ClassVar[Mapping[str, Any]] = {**SETTINGS, "marker": "external_id", "bulk": False}
    fields = UsersBench.fields - {"external_id"}

    def sample(self, number: int) -> dict[str, Raw]:
        return {"name": f"Person {number}", "email": f"person{number}@mail.test"}


class BulkUsersBench(UsersBench):
    def __init__(self) -> None:
        super().__init__(bulk_import=True)


class OrganizationsBench(ZendeskBench):
    collection = "organizations"
    merges = True
    one = "organization"
    custom = "organization_fields"
    fields = frozenset({"name", "external_id", "tags", "domain_names", "details", "notes", "shared_tickets"}) | {
        f"organization_fields.{key}" for key in KEYS
    }
    values: ClassVar[Mapping[str, Sequence[Raw]]] = {"domain_names": (["b.test", "A.test"], ["c.test"])}
    refused = ("organization_fields.score", "many")

    def sample(self, number: int) -> dict[str, Raw]:
        return {"name": f"Company {number}", "external_id": f"crm-{number}"}

    def merge(self, loser: str, survivor: str) -> None:
        self.app.human(kind="merge", collection="organizations", id=loser, into=survivor)


class TicketsBench(ZendeskBench):
    collection = "tickets"
    one = "ticket"
    custom = "custom_fields"
    restores = True
    fields = frozenset(
        {"subject", "description", "created_at", "external_id", "tags", "status", "priority", "type", "due_at"}
    )
    # A ticket that is closed takes no more edits.
    values: ClassVar[Mapping[str, Sequence[Raw]]] = {"status": ("open", "pending", "solved")}
    refused = ("priority", "whenever")

    def prepare(self) -> None:
        person = self.app.human(kind="create", fields={"name": "Ann", "email": "ann@mail.test"})
        self._requester = str(person["id"])
        ids = [str(each.id) for each in self.app.catalogs["ticket"]]
        self.fields = type(self).fields | {f"custom_fields.{each}" for each in ids}  # type: ignore[misc]  # theirs alone

    def body(self, values: RawValues) -> dict[str, Any]:
        found = super().body(values)
        if self.custom in found:
            found[self.custom] = [{"id": int(key), "value": value} for key, value in found[self.custom].items()]
        return found

    def sample(self, number: int) -> dict[str, Raw]:
        return {"subject": f"Case {number}", "description": f"Words {number}", "requester_id": self._requester}

    def restore(self, id: str) -> None:
        self.app.human(kind="restore", collection="tickets", id=id)

    def parts(self, field: str) -> set[str]:
        return {field, "raw_subject"} if field == "subject" else {field}


class MarkedTicketsBench(TicketsBench):
    settings: ClassVar[Mapping[str, Any]] = {**SETTINGS, "marker": "external_id"}
    fields = TicketsBench.fields - {"external_id"}


class TestZendesk(ConnectorContract):
    @pytest.fixture(
        params=[UsersBench, OrganizationsBench, TicketsBench],
        ids=["users", "organizations", "tickets"],
    )
    def bench(self, request: pytest.FixtureRequest) -> Bench:
        bench: Bench = request.param()
        return bench


class TestZendeskWithMarker(FindContract, WritingContract, DuplicateContract):
    @pytest.fixture(params=[MarkedUsersBench, MarkedTicketsBench], ids=["users", "tickets"])
    def bench(self, request: pytest.FixtureRequest) -> Bench:
        bench: Bench = request.param()
        return bench


class TestZendeskBulkImports(WritingContract, BatchContract, DuplicateContract):
    """An account that may create users in bulk, which all others are refused."""

    @pytest.fixture
    def bench(self) -> Bench:
        return BulkUsersBench()
