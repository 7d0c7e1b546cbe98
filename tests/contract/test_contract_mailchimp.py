"""Mailchimp: the members of an audience."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from tests.contract.sandboxes import START, SandboxBench
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp
from twoway.sandbox.mailchimp_fields import custom
from twoway.sdk import Connector, ConnectorContext, Raw, RawValues
from twoway.testing.contract import Bench, ConnectorContract
from twoway_connectors.mailchimp import Mailchimp

MERGE = "merge_fields."
PEOPLE_DEFINED = (
    {"tag": "AGE", "type": "number"},
    {"tag": "SINCE", "type": "date"},
    {"tag": "SITE", "type": "url"},
    {"tag": "TIER", "type": "dropdown", "options": {"choices": ["gold", "iron"]}},
)
ADDRESS = {"addr1": "1 High St", "addr2": "", "city": "Bonn", "state": "NW", "zip": "53111", "country": "DE"}


class MailchimpBench(SandboxBench):
    collection = "members"
    settings: ClassVar[Mapping[str, Any]] = {"base_url": "http://localhost/3.0"}
    options: ClassVar[Mapping[str, Any]] = {"audience": "Customers"}
    login: ClassVar[Mapping[str, str]] = {"api_key": "sandbox-us1"}
    wrong_login: ClassVar[Mapping[str, str]] = {"api_key": "stolen-us1"}
    secrets = ("sandbox-us1", "stolen-us1")
    writing = r"/lists/[^/]+(/members/.*)?$"
    fields = frozenset({"email_address", "source", "status", "tags", "language", "vip", "email_type"}) | {
        f"{MERGE}{tag}"
        for tag in ("FNAME", "LNAME", "PHONE", "ADDRESS", "BIRTHDAY", *(str(each["tag"]) for each in PEOPLE_DEFINED))
    }
    values: ClassVar[Mapping[str, Sequence[Raw]]] = {
        # Nobody is subscribed by us, and what is cleaned only Mailchimp says.
        "status": ("unsubscribed",),
        "language": ("de", "pt_BR"),
        f"{MERGE}ADDRESS": (ADDRESS, {**ADDRESS, "addr2": "Flat 2", "city": "Köln"}),
        f"{MERGE}BIRTHDAY": ("02/29", "12/31"),
    }
    refused = (f"{MERGE}SINCE", "the day before yesterday")
    many = 2100
    restores = True

    def __init__(self) -> None:
        clock = VirtualClock(START)
        self.app = MailchimpApp(clock=clock)
        super().__init__(self.app, clock)
        known = self.app.audiences[LIST_ID].fields
        for definition in PEOPLE_DEFINED:
            made = custom(len(known) + 1, {"name": str(definition["tag"]).title(), **definition})
            known[made.tag] = made

    def connect(self, context: ConnectorContext) -> Connector:
        return Mailchimp()(context)

    def sample(self, number: int) -> dict[str, Raw]:
        return {
            "email_address": f"person{number}@mail.test",
            "status": "subscribed",
            f"{MERGE}FNAME": f"Person {number}",
        }

    def create(self, values: RawValues) -> str:
        return str(self.app.human(kind="create", fields=_body(values))["contact_id"])

    def create_many(self, many: Sequence[RawValues]) -> list[str]:
        self.app.load([_body(values) for values in many])
        ids = {entry["email_address"]: entry["contact_id"] for entry in self.app.records(LIST_ID)}
        return [ids[values["email_address"]] for values in many]

    def update(self, id: str, values: RawValues) -> None:
        self.app.human(kind="update", id=id, fields=_body(values))

    def delete(self, id: str) -> None:
        self.app.human(kind="delete", id=id)

    def restore(self, id: str) -> None:
        self.app.human(kind="restore", id=id)

    def live(self) -> set[str]:
        return {str(entry["contact_id"]) for entry in self.app.records(LIST_ID) if entry["status"] != "archived"}

    def stored(self, id: str) -> Mapping[str, Any]:
        shown = next(dict(entry) for entry in self.app.records(LIST_ID) if entry["contact_id"] == id)
        merged = {f"{MERGE}{tag}": value for tag, value in shown.pop("merge_fields").items()}
        del shown["last_changed"]
        return {**shown, **merged}

    def parts(self, field: str) -> set[str]:
        more = {
            "tags": {"tags_count"},
            "email_address": {"id", "unique_email_id"},
            "status": {"unsubscribe_reason"},
            f"{MERGE}FNAME": {"full_name"},
            f"{MERGE}LNAME": {"full_name"},
        }
        return {field, *more.get(field, ())}

    def missing_id(self) -> str:
        return "0123456789abcdef0123456789abcdef"


def _body(values: RawValues) -> dict[str, Any]:
    plain = {name: value for name, value in values.items() if not name.startswith(MERGE)}
    merged = {name.removeprefix(MERGE): value for name, value in values.items() if name.startswith(MERGE)}
    return {**plain, "merge_fields": merged} if merged else plain


class TestMailchimp(ConnectorContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return MailchimpBench()
