"""What a first sync and an idle cycle cost, by the apps' own logs."""

from pathlib import Path

from benchmarks import requests


def test_a_first_sync_takes_the_fewest_requests_and_an_idle_cycle_one_a_side(tmp_path: Path) -> None:
    found = requests.measure(tmp_path / "config", 1000)
    # By hand: 2 lists of fields, 1 audience, 2 cursors, 10 pages and the empty audience, 2 batches of 500.
    assert sum(found.fewest) == 18
    assert found.first <= 1.1 * 18, found.paths
    assert found.idle == (1, 1)
