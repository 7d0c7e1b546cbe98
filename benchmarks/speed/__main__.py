"""The engine beside the bare loop: `python -m benchmarks.speed --records 10000 100000 --runs 3 [--case NAME …]`.

Both go through the same cases, turn by turn, each in a fresh process, on a server and a state of their own. A row
holds medians over the runs; a ratio is the median of the runs' ratios, since what disturbs one turn mostly disturbs
its neighbour too. In the end both sides of both contenders must hold the same records.

`--json FILE` keeps what was told, for `python -m benchmarks.speed.plot FILE`.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.speed.cases import CONTENDERS, NAMES, Case, Stage, cases, fewest_requests, shortest

Told = dict[str, dict[str, Any]]
"""What the workers told of one turn, by contender."""


class Row(NamedTuple):
    """A case at a size, and what each run told of it."""

    case: Case
    records: int
    runs: list[Told]


def measure(folder: Path, records: int, wanted: Sequence[str]) -> dict[str, Told]:
    """One run through the cases wanted, at one size; what was told. Raises where the sides differ in the end.

    Cases that begin alike follow upon one another, on one server and one state.
    """
    told: dict[str, Told] = {}
    chosen = [case for case in cases(records) if case.name in wanted]
    for start in dict.fromkeys(case.start for case in chosen):
        place = folder / start
        place.mkdir(parents=True)
        with ExitStack() as stack:
            stages = [stack.enter_context(Stage(contender, place, records)) for contender in CONTENDERS]
            for stage in stages:
                stage.set_up(start)
            for case in chosen:
                if case.start == start:
                    told[case.name] = {stage.contender: stage.run(case) for stage in stages}
            held = [rows for stage in stages for rows in stage.holds().values()]
        if len(held[0]) != records or any(rows != held[0] for rows in held):
            raise RuntimeError(f"the sides do not hold the same records in the end ({start})")
    return told


def compare(folder: Path, sizes: Sequence[int], runs: int, wanted: Sequence[str]) -> list[Row]:
    """All the runs, at all the sizes."""
    rows = {
        (case.name, records): Row(case, records, [])
        for records in sizes
        for case in cases(records)
        if case.name in wanted
    }
    for run in range(runs):
        for records in sizes:
            for name, turn in measure(folder / f"{run}-{records}", records, wanted).items():
                rows[name, records].runs.append(turn)
    return sorted(rows.values(), key=lambda row: NAMES.index(row.case.name))


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


def waits(rows: Sequence[Row]) -> list[str]:
    """For the cases in which the apps take their time: the wall time beside the shortest possible."""
    slow = [row for row in rows if row.case.latency]
    return [
        f"{row.case.what}, among {row.records:,}: {_of(row, 'engine', 'wall'):.2f} s, where reading and then writing "
        f"takes {shortest(row.case):.2f} s at least: {_of(row, 'engine', 'wall') / shortest(row.case):.2f}"
        for row in slow
    ]


def kept(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON."""
    return [
        {
            "case": row.case.name,
            "records": row.records,
            **{
                contender: {key: _of(row, contender, key) for key in ("cpu", "wall", "peak_kb", "requests")}
                for contender in CONTENDERS
            },
            "ratio": _ratio(row, "cpu"),
        }
        for row in rows
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000], help="contacts on each side")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--case", choices=NAMES, nargs="+", default=list(NAMES))
    parser.add_argument("--json", type=Path, help="also write what was measured to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twoway-speed-") as folder:
        rows = compare(Path(folder), options.records, options.runs, options.case)
    print(table(rows), *waits(rows), sep="\n\n")
    started = [f"{contender} {_of(rows[0], contender, 'start_cpu'):.2f} s" for contender in CONTENDERS]
    print(f"\nmedians of {options.runs}; not in it: the start of each process, {', '.join(started)} of CPU")
    if options.json:
        options.json.write_text(json.dumps(kept(rows), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
