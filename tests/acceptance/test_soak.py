"""The daemon under a supervisor: killed with signal 9 every few seconds while people edit on both sides."""

from pathlib import Path

from benchmarks import soak


def test_a_daemon_that_is_killed_loses_nothing_and_makes_nothing_twice(tmp_path: Path) -> None:
    found = soak.soak(tmp_path / "config", seconds=60, kill_every=8, interval="1s", pause=0.1, seed=3)
    assert found.kills >= 3
    assert found.edits >= 100
    assert found.api_writes >= found.verdict.said, "it did work between the kills"
    assert found.verdict.fine, found.verdict.text()
    kept = found.verdict.kept + found.verdict.in_history
    assert kept >= 0.9 * found.verdict.said, found.verdict.text()
    # The limit that the documents state, in a test in which people edit all the time.
    assert len(found.verdict.unseen) <= 2, found.verdict.text()
    assert found.quiet
