"""`twoway sync` as a timer runs it, on a machine without the daemon."""

from contextlib import closing

from tests.cli.setup import PAIR, Installation
from twoway.state.store import Store

_DAY = 86_400_000


def _listed(twoway: Installation, *, days_ago: int = 0) -> int:
    """When the pair was last listed completely; with `days_ago`, as if that had been so many days earlier."""
    with closing(Store(twoway.folder / "twoway.db", "test")) as store:
        row = store.pairs.get(PAIR)
        assert row is not None
        assert row.snapshot_at is not None
        if days_ago:
            with store.commit("as if it had been then"):
                store.pairs.snapshot_done(row.id, row.snapshot_at - days_ago * _DAY)
        return row.snapshot_at - days_ago * _DAY


def _deleted(twoway: Installation) -> None:
    """Of several people one is deleted from the CRM, which does not tell so in its feed."""
    contacts = [twoway.contact(email=f"ada{number}@example.com", firstname="Ada") for number in range(5)]
    twoway.started()
    twoway.crm.human(kind="delete", id=contacts[0])


def test_the_snapshot_that_the_schedule_asks_for_is_taken_and_shows_what_was_deleted(twoway: Installation) -> None:
    _deleted(twoway)
    long_ago = _listed(twoway, days_ago=2)
    assert "1 archived in newsletter" in twoway.well("sync").out
    listed = _listed(twoway)
    assert listed > long_ago + _DAY
    twoway.well("sync")
    assert _listed(twoway) == listed, "and only when it is due"


def test_a_snapshot_that_fails_is_tried_again_an_hour_later_and_the_changes_go_on(twoway: Installation) -> None:
    twoway.started()
    long_ago = _listed(twoway, days_ago=2)
    twoway.crm.faults.add({"kind": "error", "status": 404, "times": 0, "method": "GET", "path": "objects/contacts"})
    assert twoway.run("sync").code == 7
    twoway.contact(email="grace@example.com", firstname="Grace")
    assert "1 created in newsletter" in twoway.well("sync").out
    assert _listed(twoway) == long_ago


def test_a_pair_whose_schedule_asks_for_no_snapshot_has_none(twoway: Installation) -> None:
    _deleted(twoway)
    file = twoway.folder / "pairs" / f"{PAIR}.yaml"
    file.write_text(file.read_text().replace("settle: 0s", "settle: 0s, snapshot: null"))
    long_ago = _listed(twoway, days_ago=2)
    twoway.well("sync")
    assert _listed(twoway) == long_ago
