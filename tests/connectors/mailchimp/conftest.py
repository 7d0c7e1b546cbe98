"""Connectors for Mailchimp over the look-alike app."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.connectors.mailchimp.audience import FIELDS, START, Open
from tests.connectors.vendor_account import Driven, driven
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.mailchimp import MailchimpApp
from twoway_connectors.mailchimp import Mailchimp


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a connector; keyword arguments go to the app's settings, but for `app`, `fields`, `audience`, `secrets`."""
    with ExitStack() as stack:

        def open_one(
            *,
            app: MailchimpApp | None = None,
            fields: frozenset[str] = FIELDS,
            options: dict[str, Any] | None = None,
            key: str = "sandbox-us1",
            base_url: str | None = "http://localhost/3.0",
            collection: str = "members",
            **settings: Any,
        ) -> Driven[MailchimpApp]:
            clock = VirtualClock(START) if app is None else app.clock
            assert isinstance(clock, VirtualClock)
            return stack.enter_context(
                driven(
                    Mailchimp(),
                    app or MailchimpApp(clock=clock, settings=settings),
                    clock,
                    collection=collection,
                    settings={"base_url": base_url} if base_url else {},
                    secrets={"api_key": key},
                    options={"audience": "Customers"} if options is None else options,
                    fields=fields,
                )
            )

        yield open_one


@pytest.fixture
def mail(opened: Open) -> Driven[MailchimpApp]:
    return opened()
