"""Many histories, one after another: what `python -m twoway.testing.simulator` does.

--seeds 0:10000 --jobs 2          play these; each that fails is shrunk, and told with the command that replays it
--seeds 7:8 --without e3,f2       replay one, without its third edit and its second fault, and print its trace
"""

import argparse
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

from twoway.daemon.clock import SystemClock
from twoway.testing.scenarios import Scenario, scenario
from twoway.testing.simulator import history

Given = TypeVar("Given")
Answer = TypeVar("Answer")

_CHUNK = 25
"""Histories that a process plays before it tells of them."""
_EVERY = 60_000
"""Milliseconds after which people are told how far it is."""
_SPARE = 12
"""Faults that may strike beyond those that a scenario asks for, generously."""


def kinds(violations: Iterable[str]) -> set[str]:
    """The invariants that were violated."""
    return {one.split(":")[0] for one in violations}


def play(seeds: Iterable[int]) -> list[tuple[int, list[str]]]:
    """Those of these seeds that fail, and how."""
    return [(seed, found.violations) for seed in seeds if (found := history(seed)).violations]


def command(seed: int, without: Iterable[str] = ()) -> str:
    """What replays a history."""
    left_out = ",".join(sorted(without))
    tail = f" --without {left_out}" if left_out else ""
    return f"python -m twoway.testing.simulator --seeds {seed}:{seed + 1}{tail} --trace"


def shrink(seed: int) -> tuple[frozenset[str], list[str]]:
    """What can be left out of a history so that it still fails in the same way, and how it then fails."""
    return smallest(scenario(seed), lambda without: history(seed, without).violations)


def smallest(chosen: Scenario, play: Callable[[frozenset[str]], list[str]]) -> tuple[frozenset[str], list[str]]:
    """The same for any scenario; `play` tells how it fails without some of its edits and faults."""
    violations = play(frozenset())
    wanted = kinds(violations)
    left = [f"e{n}" for n in range(1, chosen.edits + 1)] + [f"f{n}" for n in range(1, chosen.faults + _SPARE)]
    without: frozenset[str] = frozenset()
    size = len(left) // 2
    while size:
        for start in range(0, len(left), size):
            more = without | set(left[start : start + size])
            if more == without:
                continue
            found = play(more)
            if wanted & kinds(found):
                without, violations = more, found
        left = [name for name in left if name not in without]
        size = min(size // 2, len(left))
    return without, violations


def chunks(seeds: range) -> Iterator[range]:
    """Seeds in portions, each of which is worth another process's while."""
    return (seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK))


def spread(work: Callable[[Given], Answer], portions: Iterable[Given], jobs: int) -> Iterator[tuple[Given, Answer]]:
    """Each portion with its answer, in order, as they come; with several jobs in processes of their own."""
    if jobs == 1:
        yield from ((portion, work(portion)) for portion in portions)
        return
    left = iter(portions)
    with ProcessPoolExecutor(jobs) as pool:
        # A few at a time: a soak of a million seeds must not be queued at once.
        queued = deque((portion, pool.submit(work, portion)) for portion in islice(left, jobs * 4))
        try:
            while queued:
                portion, answer = queued.popleft()
                yield portion, answer.result()
                queued.extend((portion, pool.submit(work, portion)) for portion in islice(left, 1))
        finally:
            # Whoever has seen enough does not wait for what is queued.
            pool.shutdown(cancel_futures=True)


def failing(seeds: range, jobs: int) -> Iterator[tuple[int, list[tuple[int, list[str]]]]]:
    """How many were played so far, and those of them that failed, as they come."""
    done = 0
    for chunk, bad in spread(play, chunks(seeds), jobs):
        done += len(chunk)
        yield done, bad


def main() -> int:
    """Play what the command line says; 1 if any of it failed."""
    parser = argparse.ArgumentParser(prog="python -m twoway.testing.simulator", description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="FROM:TO, without TO itself")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no more after so long")
    parser.add_argument("--without", default="", help="edits and faults to leave out: e3,f1")
    parser.add_argument("--trace", action="store_true", help="print all that happens")
    chosen = parser.parse_args()
    first, _, last = chosen.seeds.partition(":")
    seeds = range(int(first), int(last or int(first) + 1))
    if chosen.trace or chosen.without:
        return _replay(seeds, frozenset(filter(None, chosen.without.split(","))))
    clock = SystemClock()
    began = told = clock.now()
    failed: list[int] = []
    done = 0

    def so_far() -> str:
        seconds = max(1, clock.now() - began) / 1000
        return f"{done} histories, {len(failed)} failed, {done / seconds:.0f} a second"

    for done, bad in failing(seeds, chosen.jobs):
        for seed, violations in bad:
            failed.append(seed)
            _tell(seed, violations)
        now = clock.now()
        if now - began > chosen.seconds * 1000:
            break
        if now - told > _EVERY:
            told = now
            print(f"{so_far()}, {len(seeds) - done} to go", file=sys.stderr, flush=True)  # noqa: T201 - the command's own output
    print(so_far())  # noqa: T201 - the command's own output
    return 1 if failed else 0


def _replay(seeds: range, without: frozenset[str]) -> int:
    failed = 0
    for seed in seeds:
        found = history(seed, without)
        print(*found.trace, *(found.violations or ["nothing is violated"]), sep="\n")  # noqa: T201 - the command's own output
        failed += bool(found.violations)
    return 1 if failed else 0


def _tell(seed: int, violations: list[str]) -> None:
    print(f"seed {seed}: " + "; ".join(violations[:3]))  # noqa: T201 - the command's own output
    without, shorter = shrink(seed)
    print(f"  shrunk: {'; '.join(shorter[:3])}\n  {command(seed, without)}", flush=True)  # noqa: T201 - the command's own output
