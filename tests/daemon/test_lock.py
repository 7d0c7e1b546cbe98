"""One daemon a state, with real processes."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from twoway.daemon.lock import StateBusy, state_lock
from twoway.state.errors import StateReadOnly

_HOLDER = """
import subprocess, sys
from pathlib import Path
from twoway.daemon.lock import state_lock
with state_lock(Path(sys.argv[1])):
    for child in sys.argv[2:]:
        subprocess.Popen([child], close_fds=False)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "twoway.db"


def _hold(state: Path, *children: str) -> "subprocess.Popen[str]":
    """Another process that holds the lock, and has children."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(state), *children], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_process_is_refused_and_told_who_holds_it(state: Path) -> None:
    with _hold(state) as holder:
        with (
            pytest.raises(StateBusy, match=f"process {holder.pid} holds the lock {state}.lock") as busy,
            state_lock(state),
        ):
            pass
        assert busy.value.pid == holder.pid
        holder.communicate("")
    with state_lock(state):
        pass


def test_the_lock_of_a_killed_process_is_free(state: Path) -> None:
    with _hold(state) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with state_lock(state) as lock:
            assert lock.read_text() == f"{os.getpid()}\n"


def test_it_is_exclusive_within_a_process_and_free_after_an_error(state: Path) -> None:
    def work() -> None:
        with state_lock(state):
            with pytest.raises(StateBusy) as busy, state_lock(state):
                pass
            assert busy.value.pid == os.getpid()
            raise KeyError

    with pytest.raises(KeyError):
        work()
    with state_lock(state):
        pass


def test_a_child_does_not_keep_the_lock_of_a_killed_process(state: Path) -> None:
    with _hold(state, "cat") as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert holder.stdin is not None
        with state_lock(state):
            # The child has lived on all the while: it still reads.
            holder.stdin.write("on")
            holder.stdin.flush()


def test_the_file_is_the_owners_and_names_no_one_when_free(state: Path) -> None:
    with state_lock(state) as lock:
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert lock.read_text() == ""


def test_the_holder_may_not_have_written_its_pid_yet(state: Path) -> None:
    with state_lock(state) as lock:
        lock.write_text("")
        with pytest.raises(StateBusy, match="another process holds") as busy, state_lock(state):
            pass
        assert busy.value.pid is None


def test_a_link_in_its_place_is_not_followed(state: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    state.with_name("twoway.db.lock").symlink_to(victim)
    with (
        pytest.raises(StateReadOnly, match=r"is a symbolic link, which is not followed\. Remove it"),
        state_lock(state),
    ):
        pass
    assert victim.read_text() == "precious"


def test_without_its_folder_it_says_what_to_look_at(tmp_path: Path) -> None:
    state = tmp_path / "nowhere" / "twoway.db"
    complaint = rf"{state}.lock could not be made \(No such file or directory\). Check that the folder .*state.path"
    with pytest.raises(StateReadOnly, match=complaint), state_lock(state):
        pass


_FULL = """
import resource, sys
from pathlib import Path
from twoway.daemon.lock import state_lock
from twoway.state.errors import StateFull
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    with state_lock(Path(sys.argv[1])):
        pass
except StateFull as full:
    print(full)
"""


def test_on_a_full_disk_it_says_so(state: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _FULL, str(state)], capture_output=True, text=True, check=True)
    assert (
        ended.stdout
        == f"the lock {state}.lock could not be written: the disk is used up. Make room, then start again\n"
    )
    with state_lock(state):
        pass
