"""What the tests of the Zendesk connector have in common: people, and writes of them."""

from collections.abc import Callable
from typing import Any

from tests.connectors.vendor_account import Driven, create
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import Write

START = 1_750_000_000.0
FIELDS = frozenset({"name", "email", "phone", "tags", "notes", "user_fields.tier"})
SETTINGS = {"base_url": "http://localhost/api/v2", "email": "admin@desk.example", "plan": "growth"}
SECRETS = {"api_token": "zendesk-token", "webhook_secret": "hush"}
TIERS = [{"name": "Gold", "value": "gold"}, {"name": "Iron", "value": "iron"}]
Open = Callable[..., Driven[ZendeskApp]]


def person(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "email": f"{name}@mail.test", **more}


def loaded(desk: Driven[ZendeskApp], count: int, **more: Any) -> None:
    desk.app.load([person(f"m{number:05}", **more) for number in range(count)])


def new(name: str, **changed: Any) -> Write:
    return create(f"op-{name}", **{"name": name, "email": f"{name}@mail.test", **changed})


def ids(desk: Driven[ZendeskApp], collection: str = "users") -> dict[str, str]:
    return {entry["name"]: str(entry["id"]) for entry in desk.app.records(collection)}


def shown(desk: Driven[ZendeskApp], name: str) -> dict[str, Any]:
    return next(dict(entry) for entry in desk.app.records("users") if entry["name"] == name)


def _many(start: int, count: int) -> list[Write]:
    return [new(f"n{number}") for number in range(start, start + count)]
