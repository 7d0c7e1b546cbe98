"""How long an answer of Mailchimp's is waited for."""

from typing import Any

from twoway.daemon.clock import SystemClock
from twoway.ports import ConnectorContext
from twoway.sdk.http import make_open_http
from twoway_connectors.mailchimp.factory import Mailchimp
from twoway_connectors.mailchimp.members import CAPABILITIES


def test_a_slow_batch_is_waited_for_as_long_as_mailchimp_works_at_it() -> None:
    """Who gives up sooner has a batch of 500 of which nobody can tell what became of it."""
    asked: dict[str, Any] = {}
    clock = SystemClock()
    open_http = make_open_http(clock, account="newsletter")

    def opened(url: str, **options: Any) -> Any:
        asked.update(options)
        return open_http(url, **options)

    context = ConnectorContext(
        account="newsletter",
        settings={},
        secrets={"api_key": "0123-us6"},
        collection="members",
        fields=frozenset({"email_address"}),
        clock=clock,
        open_http=opened,
    )
    Mailchimp()(context)
    assert asked["timeout"] * 1000 > CAPABILITIES.request_lifetime
    assert asked["deadline"] * 1000 > CAPABILITIES.request_lifetime
