"""HubSpot: contacts, with a property for our marker and without."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from tests.contract.sandboxes import START, SandboxBench
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.hubspot_properties import custom
from twoway.sandbox.kit import VirtualClock
from twoway.sdk import Connector, ConnectorContext, Raw, RawValues
from twoway.testing.contract import Bench, ConnectorContract
from twoway.testing.contract.reading import FindContract
from twoway.testing.contract.refusals import DuplicateContract
from twoway.testing.contract.writing import WritingContract
from twoway_connectors.hubspot import HubSpot

MARKER = "twoway_operation"
PEOPLE_DEFINED = (
    ("bio", "string", "textarea", ()),
    ("score", "number", "number", ()),
    ("vip", "bool", "booleancheckbox", ()),
    ("since", "date", "date", ()),
    ("last_call", "datetime", "date", ()),
    ("interests", "enumeration", "checkbox", ("books", "music", "travel")),
)


class HubSpotBench(SandboxBench):
    collection = "contacts"
    settings: ClassVar[Mapping[str, Any]] = {"base_url": "http://localhost"}
    login: ClassVar[Mapping[str, str]] = {"token": "pat-sandbox"}
    wrong_login: ClassVar[Mapping[str, str]] = {"token": "pat-stolen"}
    secrets = ("pat-sandbox", "pat-stolen")
    writing = r"/batch/(create|update|archive)$"
    fields = frozenset(
        {"email", "firstname", "lastname", "phone", "website", "lifecyclestage", "numemployees", "hs_email_optout"}
    ) | {name for name, *_ in PEOPLE_DEFINED}
    values: ClassVar[Mapping[str, Sequence[Raw]]] = {"lifecyclestage": ("lead", "customer")}
    refused = ("score", "many")
    many = 450
    merges = True
    restores = True

    def __init__(self) -> None:
        clock = VirtualClock(START)
        self.app = HubSpotApp(clock=clock)
        super().__init__(self.app, clock)
        for name, kind, widget, options in PEOPLE_DEFINED:
            self._define(name, kind, widget, options)

    def _define(self, name: str, kind: str, widget: str, options: Sequence[str] = (), *, unique: bool = False) -> None:
        definition = {
            "name": name,
            "type": kind,
            "fieldType": widget,
            "groupName": "contactinformation",
            "hasUniqueValue": unique,
            "options": [{"value": option} for option in options],
        }
        self.app.objects[self.collection].define(custom(definition, START))

    def connect(self, context: ConnectorContext) -> Connector:
        return HubSpot(context)

    def sample(self, number: int) -> dict[str, Raw]:
        return {"email": f"person{number}@mail.test", "firstname": f"Person {number}"}

    def create(self, values: RawValues) -> str:
        return str(self.app.human(kind="create", fields=values)["id"])

    def create_many(self, many: Sequence[RawValues]) -> list[str]:
        self.app.load([{"properties": dict(values)} for values in many])
        ids = {entry["properties"]["email"]: str(entry["id"]) for entry in self.app.records(self.collection)}
        return [ids[values["email"]] for values in many]

    def update(self, id: str, values: RawValues) -> None:
        self.app.human(kind="update", id=id, fields=values)

    def delete(self, id: str) -> None:
        self.app.human(kind="delete", id=id)

    def restore(self, id: str) -> None:
        self.app.human(kind="restore", id=id)

    def merge(self, loser: str, survivor: str) -> None:
        self.app.human(kind="merge", id=loser, into=survivor)

    def live(self) -> set[str]:
        return {str(entry["id"]) for entry in self.app.records(self.collection) if not entry["archived"]}

    def stored(self, id: str) -> Mapping[str, Any]:
        shown = next(entry["properties"] for entry in self.app.records(self.collection) if entry["id"] == id)
        return {name: value for name, value in shown.items() if name != "lastmodifieddate"}

    def parts(self, field: str) -> set[str]:
        named = {"firstname", "lastname", "email"}
        return {field, "hs_full_name_or_email"} if field in named else {field}


class MarkedHubSpotBench(HubSpotBench):
    settings: ClassVar[Mapping[str, Any]] = {**HubSpotBench.settings, "marker_property": MARKER}

    def __init__(self) -> None:
        super().__init__()
        self._define(MARKER, "string", "text", unique=True)


class TestHubSpot(ConnectorContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return HubSpotBench()


class TestHubSpotWithMarker(FindContract, WritingContract, DuplicateContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return MarkedHubSpotBench()
