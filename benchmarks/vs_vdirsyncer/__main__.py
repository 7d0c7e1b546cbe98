"""twoway beside vdirsyncer: `python -m benchmarks.vs_vdirsyncer [--server radicale|memory] [--cards N] [--runs R]`.

Both keep the same two address books the same, on two servers of their own and from a fresh start in each run, turn by
turn. A figure is the median over the runs; a ratio, twoway's part of vdirsyncer's cost, is the median of the runs' own
ratios. What each is held against is set down in `cases.py`: a bar that is missed is printed as such. Ends with 1 where
an outcome is wrong: the books do not hold the same cards, or something was written though nothing had changed.

Radicale waits for the disk with each card that it stores: TMPDIR=/dev/shm makes a run several times shorter.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.vs_vdirsyncer import cases
from benchmarks.vs_vdirsyncer.cases import CASES, Case, Told, WrongOutcome
from benchmarks.vs_vdirsyncer.contenders import CONTENDERS, Cost, process
from benchmarks.vs_vdirsyncer.servers import CARDS, SERVERS

PEER = "vdirsyncer"
OURS = tuple(name for name in CONTENDERS if name != PEER)
HEAD = (
    *("server", "case"),
    *("requests: running", "process", PEER, "ratio", "bar"),
    *("CPU ms: running", "process", PEER, "ratio: running", "process", "bar"),
    *("wall ms: running", "process", PEER, "ratio: running", "process"),
)


class Setting(NamedTuple):
    """A server, how many cards, and what was told of each run."""

    server: str
    cards: int
    runs: list[Told]

    def of(self, case: Case, contender: str, measure: Callable[[Cost], float]) -> float:
        """The median over the runs."""
        return median(measure(run.costs[case.name][contender]) for run in self.runs)

    def ratio(self, case: Case, contender: str, measure: Callable[[Cost], float]) -> float:
        """The median of the runs' own ratios."""
        return median(
            measure(costs[contender]) / measure(costs[PEER]) for costs in (run.costs[case.name] for run in self.runs)
        )


def requests(cost: Cost) -> float:
    """All of them."""
    return sum(cost.requests.values())


def cpu(cost: Cost) -> float:
    """In milliseconds."""
    return cost.cpu * 1000


def wall(cost: Cost) -> float:
    """In milliseconds."""
    return cost.wall * 1000


def held(found: float, bar: Fraction | None) -> str:
    """A bar, and whether it is held."""
    if bar is None:
        return "-"
    return f"≤ {bar}: {'held' if found <= bar else '**missed**'}"


def row(setting: Setting, case: Case) -> list[str]:
    """A case as it stands in the table."""
    cells = [
        f"{setting.server}, {setting.cards:,}",
        case.what.format(edited=cases.edited(setting.cards)),
        *(f"{setting.of(case, name, requests):,.0f}" for name in CONTENDERS),
    ]
    ratio = setting.ratio(case, case.contender, requests)
    cells += [f"{ratio:.4f}", held(ratio, case.requests)]
    for measure in (cpu, wall):
        cells += [f"{setting.of(case, name, measure):,.1f}" for name in CONTENDERS]
        cells += [f"{setting.ratio(case, name, measure):.3f}" for name in OURS]
        if measure is cpu:
            cells.append(held(setting.ratio(case, case.contender, measure), case.cpu))
    return cells


def table(settings: Sequence[Setting]) -> str:
    """Everything that was measured, in Markdown."""
    lines: list[Sequence[str]] = [HEAD, ("---", "---", *["---:"] * (len(HEAD) - 2))]
    lines += [row(setting, case) for setting in settings for case in CASES]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def notes(settings: Sequence[Setting], versions: dict[str, float]) -> str:
    """What else is to be known, for people. `versions` is what each program took to say its own."""
    ready = median(run.start_cpu for setting in settings for run in setting.runs)
    paragraphs = [
        f"""\
*running*: one cycle of a twoway that keeps running, its clients and interpreter kept. *process*: `twoway sync` as a
process of its own, start and all. *{PEER}*: `{PEER} sync`, a process a run, as it is operated.
The first sync is held against its bars as a process, all else as a running twoway. CPU is the client's, user and
system. Runs: {", ".join(f"{len(setting.runs)} with {setting.server}" for setting in settings)}.""",
        f"""\
Seconds of CPU for a start alone: {", ".join(f"`{name} --version` {took:.2f}" for name, took in versions.items())};
until a running twoway was ready: {ready:.2f}.""",
    ]
    for setting in settings:
        told = []
        for name, what in (("process", "`twoway plan` and `approve`"), (PEER, f"`{PEER} discover`")):
            asked = median(requests(run.prepared[name]) for run in setting.runs)
            took = median(cpu(run.prepared[name]) for run in setting.runs)
            told.append(f"{what} took {asked:,.0f} requests and {took:,.0f} ms of CPU")
        paragraphs.append(f"Before the first sync, {setting.server}: {', '.join(told)}.")
    return "\n\n".join(paragraphs)


def starts(folder: Path, runs: int) -> dict[str, float]:
    """What each program takes to start and to say its version: seconds of CPU, the median."""
    return {
        name: median(process([sys.executable, "-m", name, "--version"], folder / "version")[1] for _ in range(runs))
        for name in ("twoway", PEER)
    }


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vs_vdirsyncer", description=__doc__)
    parser.add_argument("--server", choices=tuple(SERVERS), help="only this one")
    parser.add_argument("--cards", type=int, help=", ".join(f"{count:,} with {name}" for name, count in CARDS.items()))
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    settings = [
        Setting(server, options.cards or CARDS[server], []) for server in SERVERS if options.server in {None, server}
    ]
    with tempfile.TemporaryDirectory(prefix="twoway-vs-") as folder:
        try:
            for number in range(options.runs):
                for setting in settings:
                    place = Path(folder) / f"{setting.server}-{number}"
                    setting.runs.append(cases.run(place, setting.server, setting.cards))
        except WrongOutcome as wrong:
            print(wrong, file=sys.stderr)
            return 1
        versions = starts(Path(folder), options.runs)
    print(f"{table(settings)}\n\n{notes(settings, versions)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
