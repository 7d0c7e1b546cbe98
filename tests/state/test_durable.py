"""Which commits wait for the disk."""

import asyncio
from pathlib import Path

from twoway.state.sqlite import SQLite
from twoway.testing.world import World

FULL, NORMAL = 2, 1


def test_a_durable_commit_waits_for_the_disk_and_the_next_one_does_not(tmp_path: Path) -> None:
    db = SQLite(tmp_path / "state.db")
    with db.transaction("sent", durable=True):
        assert db.one("PRAGMA synchronous") == FULL
    with db.transaction("decide"):
        assert db.one("PRAGMA synchronous") == NORMAL
    db.close()


def test_what_is_about_to_be_sent_is_on_the_disk_before_it_leaves(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def note(name: str) -> None:
        if name.startswith("before commit:"):
            seen[name.removeprefix("before commit:")] = world.store.db.one("PRAGMA synchronous")

    world = World(path=str(tmp_path / "state.db"))
    world.left.human_create(email="ann@example.org", name="Ann", phone="1")
    world.fault = note
    asyncio.run(world.cycle())
    assert seen["sent"] == FULL
    assert seen["match"] == NORMAL
