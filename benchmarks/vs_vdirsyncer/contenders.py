"""The contenders: vdirsyncer as a process a run, twoway as a process a cycle, and twoway as it runs for days."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, NamedTuple, Self

from tests.acceptance.pairs import ADDRESSBOOKS, card_account
from tests.acceptance.shelf import Shelf

from benchmarks.stage import write_config
from benchmarks.vs_vdirsyncer.servers import SERVERS

ROOT = Path(__file__).parents[2]
PAIR = "addressbooks"
UNHURRIED = 1_000_000
"""Requests a second that twoway may send: vdirsyncer knows no such limit."""
VDIRSYNCER = """\
[general]
status_path = {status}

[pair addressbooks]
a = "office"
b = "home"
collections = null
conflict_resolution = "a wins"
"""
STORAGE = """
[storage {name}]
type = "carddav"
url = {url}
username = {username}
password = {password}
"""


class Cost(NamedTuple):
    """What one run took: seconds by the clock, seconds of CPU of the client, requests by method at both servers."""

    wall: float
    cpu: float
    requests: Counter[str]


class Step(NamedTuple):
    """A run that is measured: does it list everything, and of how many runs in a row is it the mean?"""

    snapshot: bool = False
    times: int = 1


def process(command: Sequence[str], log: Path) -> tuple[float, float]:
    """Run a command to its end: its seconds by the clock, and of CPU. Raises where it fails."""
    started = time.perf_counter()
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        told = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise RuntimeError(f"{' '.join(command)} failed with {child.returncode}:\n{told}")
    return wall, usage.ru_utime + usage.ru_stime


class Contender:
    """A contender with two servers and a state of its own: a context manager. `office` is left, `home` right."""

    name: ClassVar[str]

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self._servers = [SERVERS[server](folder / side) for side in ("office", "home")]
        self.shelves: Mapping[str, Shelf] = {
            one.folder.name: Shelf(one, one.make_addressbook("People")) for one in self._servers
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.stop()

    def prepare(self) -> Cost:
        """Everything that comes before the first sync."""
        before = self._requests()
        wall, cpu = self._prepare()
        return Cost(wall, cpu, self._requests() - before)

    def run(self, step: Step) -> Cost:
        """Carry out the step."""
        before = self._requests()
        wall, cpu = self._run(step)
        return Cost(wall, cpu, self._requests() - before)

    def _requests(self) -> Counter[str]:
        return sum((server.requests() for server in self._servers), Counter())

    def _process(self, *command: str) -> tuple[float, float]:
        return process([sys.executable, "-m", *command], self.folder / "log")

    def _prepare(self) -> tuple[float, float]:
        raise NotImplementedError

    def _run(self, step: Step) -> tuple[float, float]:
        raise NotImplementedError


class Vdirsyncer(Contender):
    """`vdirsyncer sync`. It always lists both address books by their ETags, and carries over whole cards."""

    name = "vdirsyncer"

    def _prepare(self) -> tuple[float, float]:
        text = VDIRSYNCER.format(status=json.dumps(str(self.folder / "status")))
        for name, shelf in self.shelves.items():
            login = {"username": shelf.server.username, "password": shelf.server.password}
            values = {key: json.dumps(value) for key, value in {"url": shelf.url, **login}.items()}
            text += STORAGE.format(name=name, **values)
        (self.folder / "config").write_text(text, encoding="utf-8")
        return self._process("vdirsyncer", "--config", str(self.folder / "config"), "discover")

    def _run(self, _step: Step) -> tuple[float, float]:
        return self._process("vdirsyncer", "--config", str(self.folder / "config"), "sync")


class Process(Contender):
    """`twoway sync`."""

    name = "process"

    def _prepare(self) -> tuple[float, float]:
        accounts = {name: card_account(shelf) for name, shelf in self.shelves.items()}
        for account in accounts.values():
            account["settings"]["rate"] = UNHURRIED
        self._config = write_config(self.folder / "config", accounts, [ADDRESSBOOKS])
        costs = [self._twoway("plan", PAIR), self._twoway("approve", PAIR)]
        return sum(wall for wall, _ in costs), sum(cpu for _, cpu in costs)

    def _run(self, step: Step) -> tuple[float, float]:
        return self._twoway("sync", PAIR, *(["--snapshot"] if step.snapshot else []))

    def _twoway(self, *arguments: str) -> tuple[float, float]:
        return self._process("twoway", "--config", str(self._config), *arguments)


class Running(Process):
    """The cycles of a twoway that keeps running."""

    name = "running"

    def __init__(self, folder: Path, server: str) -> None:
        super().__init__(folder, server)
        self.start_cpu = 0.0
        self._child: subprocess.Popen[str] | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            if kind is not None:
                self._child.kill()
            self._child.__exit__(kind, error, trace)
        super().__exit__(kind, error, trace)

    def _prepare(self) -> tuple[float, float]:
        cost = super()._prepare()
        command = [sys.executable, "-m", "benchmarks.vs_vdirsyncer.running", str(self._config), PAIR]
        with (self.folder / "log").open("wb") as log:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT
            )
        self.start_cpu = self._told(self._child)["start_cpu"]
        return cost

    def run(self, step: Step) -> Cost:
        """Carry out the step, as often as it says; the mean."""
        cost = super().run(step)
        return cost._replace(requests=Counter({key: count / step.times for key, count in cost.requests.items()}))

    def _run(self, step: Step) -> tuple[float, float]:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(f"{'snapshot' if step.snapshot else 'incremental'} {step.times}\n")
        self._child.stdin.flush()
        told = self._told(self._child)
        return told["wall"], told["cpu"]

    def _told(self, child: subprocess.Popen[str]) -> dict[str, float]:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the running twoway has ended:\n{log[-3000:]}")
        told: dict[str, float] = json.loads(line)
        return told


CONTENDERS: Mapping[str, type[Contender]] = {kind.name: kind for kind in (Running, Process, Vdirsyncer)}
