"""The cases, what each must cost in requests, and the stage on which a contender goes through them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from benchmarks.speed import people
from benchmarks.speed.worker import ask

CONTENDERS = ("engine", "bare")
PAGE, BATCH = 1_000, 100
FEW = 1_000
"""Records that change in the cases that show whether a cycle's cost follows the change or the size of the pair."""


class Case(NamedTuple):
    """One row of the table. `edits` are the records that people change beforehand, half of them on each side."""

    name: str
    what: str
    step: str
    edits: int = 0


def cases(records: int) -> list[Case]:
    """In the order in which they follow upon one another, on one server and one state."""
    tenth, few = records // 10, min(FEW, records // 2)
    return [
        Case("create", "first creation, right empty", "snapshot"),
        Case("unchanged", "unchanged snapshot", "snapshot"),
        Case("tenth", f"{tenth:,} changed (10 %)", "changes", tenth),
        Case("few", f"{few:,} changed", "changes", few),
        Case("idle", "idle cycle", "idle"),
    ]


NAMES = tuple(case.name for case in cases(0))


def fewest_requests(case: Case, records: int) -> int:
    """What a case must cost, if nothing is asked twice.

    create     2 cursors + pages of the left + 1 empty page + creates / 100
    unchanged  2 cursors + pages of both
    tenth, few pages of each side's feed + updates of each side / 100
    idle       1 page of each side's feed
    """

    def pages(count: int) -> int:
        return max(1, ceil(count / PAGE))

    if case.name == "create":
        return 2 + pages(records) + 1 + ceil(records / BATCH)
    if case.name == "unchanged":
        return 2 + 2 * pages(records)
    return sum(pages(count) + ceil(count / BATCH) for count in shares(case.edits).values())


def shares(edits: int) -> dict[str, int]:
    """How many of the edits are made on each side."""
    return {"left": edits - edits // 2, "right": edits // 2}


class Stage:
    """A contender with a server and a state of its own: a context manager."""

    def __init__(self, contender: str, folder: Path, records: int) -> None:
        self.contender = contender
        self.records = records
        self._state = folder / f"{contender}.db"
        command = [sys.executable, "-m", "benchmarks.speed.server"]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._server.stdout.readline())}"

    def __enter__(self) -> Self:
        ask(self.url, "/_load", {"side": "left", "count": self.records})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.kill()
        self._server.wait()
        if self._server.stdout is not None:
            self._server.stdout.close()

    def run(self, case: Case) -> dict[str, Any]:
        """Let people edit, then run the contender in a fresh process; what it told. Raises where it failed."""
        self._edit(case)
        command = [sys.executable, "-m", f"benchmarks.speed.{self.contender}", self.url, str(self._state), case.step]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.contender} failed at {case.name}:\n{done.stderr[-4000:]}")
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def _edit(self, case: Case) -> None:
        """Two fields of records spread evenly over all; no record is edited on both sides."""
        if not case.edits:
            return
        numbers = [at * self.records // case.edits for at in range(case.edits)]
        for at, (side, count) in enumerate(shares(case.edits).items()):
            emails = [people.email(number) for number in numbers[at::2]][:count]
            for field in (people.FIELDS[side][3], people.FIELDS[side][7]):
                body = {"side": side, "emails": emails, "field": field, "value": f"{case.name}, {side}"}
                ask(self.url, "/_edit", body)

    def holds(self) -> dict[str, list[tuple[str, ...]]]:
        """What each side holds in the end, in the order of its keys."""
        return {side: sorted(self._rows(side)) for side in people.SIDES}

    def _rows(self, side: str) -> list[tuple[str, ...]]:
        rows: list[Mapping[str, Any]] = []
        after: int | None = 0
        while after is not None:
            answer = ask(self.url, f"/{side}/records?after={after}&limit={PAGE}")
            rows += answer["records"]
            after = answer["page"]["next"]
        return [tuple(row["fields"][name] for name in people.FIELDS[side]) for row in rows]
