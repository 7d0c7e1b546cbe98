"""What can be wrong with the state file: each is told in words that say what to do, and loses nothing."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from twoway.state.errors import StateCorrupt, StateError, StateFull, StateLocked, StateNewer, StateReadOnly
from twoway.state.sqlite import SQLite
from twoway.state.store import Store


def _made(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    Store(path, "uid").close()
    return path


def test_nobody_else_may_read_the_state(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "state.db"
        store = Store(path, "uid")
        store.pairs.ensure("a-b")
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert "state.db" in modes


def test_a_copy_is_private_and_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db", "uid")
    store.pairs.ensure("a-b")
    before = os.umask(0)
    try:
        store.db.copy_to(tmp_path / "copy.db")
    finally:
        os.umask(before)
    store.close()
    copy = Store(tmp_path / "copy.db", "another")
    assert [row.name for row in copy.pairs.all()] == ["a-b"]
    assert copy.uid == "uid"
    copy.close()
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_a_state_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = _made(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StateNewer, match=r"written by a later version of twoway.*9999.*Install that version"):
        SQLite(path)


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_file_that_is_no_state_is_told_from_a_state(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StateCorrupt, match=r"damaged, or is no state file.*put back the last backup"):
        SQLite(path)
    assert path.read_bytes() == content


def test_a_page_that_was_overwritten_is_told_as_damage(tmp_path: Path) -> None:
    path = _made(tmp_path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StateCorrupt, match="damaged"):
        Store(path, "uid")


def test_a_file_that_another_process_holds_is_told_as_locked(tmp_path: Path) -> None:
    path = _made(tmp_path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database = SQLite(path, busy_seconds=0)
    with pytest.raises(StateLocked, match=r"locked by another process.*fuser"), database.transaction("try"):
        pytest.fail("the transaction must not begin")
    assert not database.answers()
    other.execute("ROLLBACK")
    assert database.answers()
    database.close()
    other.close()


def test_a_state_that_may_not_be_written_is_told_as_read_only(tmp_path: Path) -> None:
    database = SQLite(_made(tmp_path))
    database.run("PRAGMA query_only = ON")
    with pytest.raises(StateReadOnly, match=r"cannot be written.*owner and the mode"), database.transaction("try"):
        database.run("INSERT INTO meta (key, value) VALUES ('a', 'b')")
    database.close()


@pytest.mark.parametrize("path", ["missing/state.db", "."])
def test_a_place_where_no_file_can_be_is_told(tmp_path: Path, path: str) -> None:
    with pytest.raises(StateReadOnly, match=r"could not be (created|opened).*this user may write there"):
        SQLite(tmp_path / path)


def test_a_full_disk_stops_the_transaction_and_nothing_else(tmp_path: Path) -> None:
    database = SQLite(_made(tmp_path))
    pages = database.one("PRAGMA page_count")
    database.run(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateFull, match=r"could not be extended.*nothing was lost"), database.transaction("try"):
        database.many("INSERT INTO meta (key, value) VALUES (?, ?)", [(str(n), "x" * 1000) for n in range(1000)])
    assert database.one("SELECT count(*) FROM meta WHERE key <> 'uid' AND key <> 'rev'") == 0
    database.run("PRAGMA max_page_count = 1000000")
    assert database.answers()
    database.close()


_FILL = """
import resource, signal, sys
from twoway.state.errors import StateFull
from twoway.state.store import Store

store = Store(sys.argv[1], "uid")
store.pairs.ensure("before")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    for number in range(10_000):
        with store.commit("fill"):
            store.pairs.ensure(f"pair {number} " + "x" * 1000)
except StateFull as error:
    print(error)
"""


def test_a_file_that_may_not_grow_is_told_and_what_was_committed_stays(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    ended = subprocess.run([sys.executable, "-c", _FILL, str(path)], capture_output=True, text=True, check=False)
    assert "could not be extended" in ended.stdout, ended.stderr
    store = Store(path, "uid")
    assert "before" in [row.name for row in store.pairs.all()]
    store.close()


def test_every_trouble_has_a_remedy(tmp_path: Path) -> None:
    for kind in (StateCorrupt, StateFull, StateLocked, StateNewer, StateReadOnly):
        error = kind("what", "do this")
        assert isinstance(error, StateError)
        assert str(error) == "what. do this"
    assert tmp_path.exists()
