"""Connectors for Zendesk over the look-alike app."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.connectors.vendor_account import Driven, driven
from tests.connectors.zendesk.people import FIELDS, SECRETS, SETTINGS, START, TIERS, Open
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.zendesk import ZendeskApp
from twoway_connectors.zendesk import Zendesk


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a connector; further keyword arguments go to the app's settings."""
    with ExitStack() as stack:

        def open_one(
            *,
            fields: frozenset[str] = FIELDS,
            collection: str = "users",
            settings: dict[str, Any] | None = None,
            secrets: dict[str, str] | None = None,
            **app: Any,
        ) -> Driven[ZendeskApp]:
            clock = VirtualClock(START)
            desk = stack.enter_context(
                driven(
                    Zendesk(),
                    ZendeskApp(clock=clock, settings=app),
                    clock,
                    collection=collection,
                    settings={**SETTINGS, **(settings or {})},
                    secrets=SECRETS if secrets is None else secrets,
                    fields=fields,
                )
            )
            tier = {"key": "tier", "title": "Tier", "type": "dropdown", "custom_field_options": TIERS}
            since = {"key": "since", "title": "Since", "type": "date"}
            desk.app.load([tier, since], collection="user_fields")
            return desk

        yield open_one


@pytest.fixture
def desk(opened: Open) -> Driven[ZendeskApp]:
    return opened()
