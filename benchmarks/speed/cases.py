"""The cases, what each must cost, and the stage on which a contender goes through them."""

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
STORES = ("postgres", "engine")
"""The contenders where the question is what a state in PostgreSQL costs beside one in a file."""
PAGE, BATCH, AT_ONCE = 1_000, 100, 4
FEW = 1_000
"""Records that change in the cases that show whether a cycle's cost follows the change or the size of the pair."""
MANY = 5_000
"""Records that change while every answer takes `LATENCY` seconds."""
LATENCY = 0.1


class Case(NamedTuple):
    """One row of the table.

    `start` says what there is before: `left`, all contacts in the left app; `overlap`, nine tenths of them in each app,
    so that four fifths are in both; `linked`, all of them in both, and linked. `edits` are the records that people
    change beforehand: half of them on each side or, with `conflicting`, all of them on both.
    """

    name: str
    what: str
    start: str
    step: str
    edits: int = 0
    conflicting: bool = False
    latency: float = 0.0


def cases(records: int) -> list[Case]:
    """All of them, for pairs of this size."""
    tenth, few, many = records // 10, min(FEW, records // 2), min(MANY, records // 2)
    return [
        Case("create", "first creation, right empty", "left", "snapshot"),
        Case("overlap", "first link, 80 % in both", "overlap", "snapshot"),
        Case("unchanged", "unchanged snapshot", "linked", "snapshot"),
        Case("tenth", f"{tenth:,} changed (10 %)", "linked", "changes", tenth),
        Case("few", f"{few:,} changed", "linked", "changes", few),
        Case("conflicts", f"{few:,} changed on both sides", "linked", "changes", few, conflicting=True),
        Case("latency", f"{many:,} changed, 100 ms an answer", "linked", "changes", many, latency=LATENCY),
        Case("idle", "idle cycle", "linked", "idle"),
        Case("pairs", "idle cycle, one of 50 pairs", "linked", "pairs"),
    ]


NAMES = tuple(case.name for case in cases(0))


def fewest_requests(case: Case, records: int) -> int:
    """What a case must cost, if nothing is asked twice.

    create      2 cursors + pages of the left + 1 empty page + creates / 100
    overlap     2 cursors + pages of both + creates of each side / 100
    unchanged   2 cursors + pages of both
    of changes  pages of each side's feed + updates of each side / 100
    idle, pairs 1 page of each side's feed
    """
    if case.start == "left":
        return 2 + pages(records) + 1 + batches(records)
    if case.start == "overlap":
        held = records - records // 10
        return 2 + 2 * pages(held) + 2 * batches(records - held)
    if case.step == "snapshot":
        return 2 + 2 * pages(records)
    changed = shares(case).values()
    # Of what both sides changed, the left side wins: nothing is written to it.
    writes = [max(changed), 0] if case.conflicting else list(changed)
    return sum(pages(count) for count in changed) + sum(batches(count) for count in writes)


def shortest(case: Case) -> float:
    """The seconds that a case of changes cannot take less than at its latency: the longer chain of reads, and then the
    longer chain of writes, of which so many are under way at once."""
    most = max(shares(case).values())
    return case.latency * (pages(most) + ceil(batches(most) / AT_ONCE))


def pages(count: int) -> int:
    """Pages of a listing; an empty one is a page."""
    return max(1, ceil(count / PAGE))


def batches(count: int) -> int:
    """Requests that write so many records."""
    return ceil(count / BATCH)


def shares(case: Case) -> dict[str, int]:
    """How many of the edits are made on each side."""
    if case.conflicting:
        return dict.fromkeys(people.SIDES, case.edits)
    return {"left": case.edits - case.edits // 2, "right": case.edits // 2}


class Stage:
    """A contender with a server and a state of its own: a context manager."""

    def __init__(self, contender: str, folder: Path, records: int) -> None:
        self.contender = contender
        self.records = records
        self.state = folder / f"{contender}.db"
        command = [sys.executable, "-m", "benchmarks.speed.server"]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._server.stdout.readline())}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.kill()
        self._server.wait()
        if self._server.stdout is not None:
            self._server.stdout.close()

    def set_up(self, start: str) -> None:
        """Fill the apps as a case begins with; what is linked is put into the contender's state as it would hold it."""
        tenth = self.records // 10 if start == "overlap" else 0
        self._load("left", 0, self.records - tenth)
        if start != "left":
            self._load("right", tenth, self.records)
        if start == "linked":
            self._work("preload")

    def _load(self, side: str, first: int, end: int) -> None:
        ask(self.url, "/_load", {"side": side, "first": first, "end": end})

    def run(self, case: Case) -> dict[str, Any]:
        """Let people edit, then run the contender in a fresh process; what it told. Raises where it failed."""
        self.edit(case)
        ask(self.url, "/_latency", {"seconds": case.latency})
        told = self._work(case.step)
        ask(self.url, "/_latency", {"seconds": 0})
        return told

    def _work(self, step: str) -> dict[str, Any]:
        command = [sys.executable, "-m", f"benchmarks.speed.{self.contender}", self.url, str(self.state), step]
        done = subprocess.run([*command, str(self.records)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.contender} failed at {step}:\n{done.stderr[-4000:]}")
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def edit(self, case: Case) -> None:
        """Two fields of records spread evenly over all; only where they are to conflict is one edited on both sides."""
        if not case.edits:
            return
        numbers = [at * self.records // case.edits for at in range(case.edits)]
        for at, (side, count) in enumerate(shares(case).items()):
            chosen = numbers if case.conflicting else numbers[at::2]
            emails = [people.email(number) for number in chosen][:count]
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
