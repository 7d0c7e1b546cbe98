"""What Radicale and Xandikos make of whatever may be written: just what the connector says that they make of it."""

import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.connectors.carddav.books import Book, create, record
from tests.connectors.carddav.strategies import VALUES
from tests.servers.carddav_servers import CardDavServer
from twoway.sdk import Outcome
from twoway_connectors.carddav.connector import CardDavConnector

_STORED = {name: values for name, values in VALUES.items() if name not in {"uid", "url"}}
"""Radicale cuts a web address at its first comma: the connector declares it under `rewrites`."""


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({}, optional=_STORED))
def test_what_is_created_is_stored_in_its_normal_form(server: CardDavServer, values: dict[str, Any]) -> None:
    name = "Round trips"
    with contextlib.suppress(RuntimeError):
        server.make_addressbook(name)  # made by the first example
    book = Book(server, name, server.url.rstrip("/") + server.home + "round%20trips/")
    write = create(**values)

    async def scenario(connector: CardDavConnector) -> None:
        (receipt,) = await connector.apply([write])
        assert (receipt.outcome, receipt.why) == (Outcome.DONE, None)
        assert receipt.id is not None
        card = await record(connector, receipt.id)
        assert card.version == receipt.version
        wanted = dict(connector.normal(values))
        # One of several: the array that was written with it decides.
        for single, array in (("email", "emails"), ("phone", "phones")):
            if single in wanted and array in wanted:
                del wanted[single], wanted[array]
        got = {name: card.values[name] for name in wanted}
        for both in (wanted, got):
            both["categories"] = sorted(both.get("categories") or ())
        if wanted.get("fn", "") is None:
            del wanted["fn"], got["fn"]
        assert got == wanted

    book.run(scenario)
