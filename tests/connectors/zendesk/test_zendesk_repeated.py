"""Zendesk: a request that is sent twice, since the answer to the first was lost."""

import pytest

from tests.connectors.vendor_account import create
from tests.connectors.zendesk.people import Open
from twoway.sdk import Outcome


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refusal_after_a_lost_answer_does_not_say_that_nothing_was_made(opened: Open, status: int) -> None:
    """A ticket's create is repeated under its key. The first made it; the second is refused, say since the first is
    not over yet. Whoever took that for "not written" would make a second ticket."""
    desk = opened(collection="tickets", fields=frozenset({"subject", "description"}))
    desk.app.fault("lost_answer", method="POST", path="/tickets")
    desk.app.fault("error", method="POST", path="/tickets", status=status, skip=1)
    (receipt,) = desk.apply(create("op-1", subject="S", description="It broke"))
    assert len(desk.app.records("tickets")) == 1
    assert receipt.outcome is Outcome.UNKNOWN


def test_a_refusal_at_once_is_one(opened: Open) -> None:
    desk = opened(collection="tickets", fields=frozenset({"subject", "description"}))
    desk.app.fault("error", method="POST", path="/tickets", status=422)
    (receipt,) = desk.apply(create("op-1", subject="S", description="It broke"))
    assert receipt.outcome is Outcome.REFUSED
