"""The engine beside the bare loop: `python -m benchmarks.speed --records 20000 --runs 3 [--case NAME]`.

Both go through the same cases, turn by turn, each in a fresh process, on a server and a state of their own. A row
holds medians over the runs; a ratio is the median of the runs' ratios, since what disturbs one turn mostly disturbs
its neighbour too. In the end both sides of both contenders must hold the same records.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.speed.cases import CONTENDERS, FEW, NAMES, Case, Stage, cases, fewest_requests

SMALLER = 10_000
"""Records of the second pair in which as many change as in the first."""
Told = dict[str, dict[str, Any]]
"""What the workers told of one turn, by contender."""


class Row(NamedTuple):
    """A case at a size, and what each run told of it."""

    case: Case
    records: int
    runs: list[Told]


def measure(folder: Path, records: int, wanted: Sequence[str]) -> dict[str, Told]:
    """One run through the cases at one size; what was told of those wanted. Raises where the sides differ in the end.

    Cases that are not wanted are run only as far as a later one builds upon them.
    """
    told: dict[str, Told] = {}
    with ExitStack() as stack:
        stages = [stack.enter_context(Stage(contender, folder, records)) for contender in CONTENDERS]
        for case in cases(records):
            if case.name in wanted or case.name == "create":
                told[case.name] = {stage.contender: stage.run(case) for stage in stages}
        held = [rows for stage in stages for rows in stage.holds().values()]
    if len(held[0]) != records or any(rows != held[0] for rows in held):
        raise RuntimeError("the sides do not hold the same records in the end")
    return {name: turn for name, turn in told.items() if name in wanted}


def compare(folder: Path, records: int, runs: int, wanted: Sequence[str]) -> list[Row]:
    """All the runs, at the size given and, for the case of few changes, at the smaller one."""
    rows = {(case.name, records): Row(case, records, []) for case in cases(records) if case.name in wanted}
    sizes = {records: wanted}
    if "few" in wanted and records > SMALLER:
        sizes[SMALLER] = ["few"]
        rows["few", SMALLER] = Row(next(case for case in cases(SMALLER) if case.name == "few"), SMALLER, [])
    for run in range(runs):
        for size, names in sizes.items():
            place = folder / f"{run}-{size}"
            place.mkdir(parents=True)
            for name, turn in measure(place, size, names).items():
                rows[name, size].runs.append(turn)
    return list(rows.values())


def _of(row: Row, contender: str, key: str) -> float:
    return float(median(turn[contender][key] for turn in row.runs))


def _ratio(row: Row, key: str) -> float:
    return float(median(turn["engine"][key] / turn["bare"][key] for turn in row.runs))


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown."""
    head: tuple[str, ...] = ("case", "records", "CPU ms: engine", "bare", "ratio", "wall ms: engine", "bare", "ratio")
    head += ("MB: engine", "bare", "requests: engine", "bare", "fewest")
    lines = [head, ("---", *["---:"] * (len(head) - 1))]
    for row in rows:
        cells = [row.case.what, f"{row.records:,}"]
        for key in ("cpu", "wall"):
            cells += [f"{_of(row, contender, key) * 1000:,.1f}" for contender in CONTENDERS]
            cells.append(f"{_ratio(row, key):.1f}")
        cells += [f"{_of(row, contender, 'peak_kb') / 1024:.0f}" for contender in CONTENDERS]
        cells += [f"{_of(row, contender, 'requests'):.0f}" for contender in CONTENDERS]
        cells.append(f"{fewest_requests(row.case, row.records)}")
        lines.append(tuple(cells))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--records", type=int, default=20_000, help="contacts on the left side")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--case", choices=NAMES, help=f"only this one; `few` changes {FEW:,} records")
    options = parser.parse_args()
    wanted = [options.case] if options.case else NAMES
    with tempfile.TemporaryDirectory(prefix="twoway-speed-") as folder:
        rows = compare(Path(folder), options.records, options.runs, wanted)
    print(table(rows))
    started = [f"{contender} {_of(rows[0], contender, 'start_cpu'):.2f} s" for contender in CONTENDERS]
    print(f"\nmedians of {options.runs}; not in it: the start of each process, {', '.join(started)} of CPU")


if __name__ == "__main__":
    main()
