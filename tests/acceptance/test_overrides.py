"""What a person knows better than the connector is what the engine goes by."""

from pathlib import Path

from benchmarks import contacts
from benchmarks.stage import Apps, Product, app_accounts, write_config

from twoway.core.model import Side


def test_an_accounts_lag_and_request_lifetime_take_the_place_of_the_connectors(tmp_path: Path) -> None:
    with Apps("hubspot", "mailchimp") as apps:
        apps.add_properties(contacts.INTERESTS_PROPERTY)
        accounts = app_accounts(apps.urls)
        accounts["crm"] |= {"lag": "1s", "request_lifetime": "1500ms"}
        with Product(write_config(tmp_path / "config", accounts, [contacts.MAPPING])) as product:
            sides = product.run(product.service.open(contacts.PAIR)).apps
            told = {side: app.capabilities for side, app in sides.items()}
    assert (told[Side.LEFT].lag, told[Side.LEFT].request_lifetime) == (1000, 1500)
    assert told[Side.LEFT].find_fields == {"email"}, "all else is the connector's"
    assert told[Side.RIGHT].request_lifetime == 120_000, "and so is all of the other account"
