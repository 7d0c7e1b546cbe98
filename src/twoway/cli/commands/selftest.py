"""`twoway selftest`."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer

from twoway.cli.context import SystemClock, chosen
from twoway.cli.errors import Code, worst
from twoway.cli.options import AsJson, Pair
from twoway.cli.output import document, say
from twoway.cli.progress import saying
from twoway.cli.words import count, listed
from twoway.config.load import Config, PairConfig, load
from twoway.core.model import Side

app = typer.Typer(add_completion=False)

_TOLD: Final = 3
"""Histories that are told at length; of others only the seeds."""
_LINES: Final = 60
"""The last lines of a history, which are those that matter."""

_PROMISES: Final = {
    "diverged": "two linked records stayed different, and nobody was told",
    "left alone": "a record never got its counterpart, and nobody was told",
    "deletion stuck": "a deletion was never carried over, and nobody was told",
    "not quiet": "something was written though nobody had changed anything",
    "lost edit": "somebody's value was overwritten, and is on neither side nor in the history",
    "overwritten": "somebody's value was overwritten by an older one from the other side",
    "invented": "a value was written that nobody had entered",
    "opted in": "somebody who had opted out was opted in again",
    "otherwise than planned": "something else was written than the plan had shown",
    "forced": "a value was written over one that the plan had not shown",
    "deleted without proof": "a record was deleted, or archived, without proof that its counterpart was gone",
    "deleted for a merge": "a record was deleted because its counterpart was merged",
    "deleted over an edit": "a record was deleted that somebody had just edited",
    "touched": "something was written that the mapping does not speak of, or not on this side",
    "out of scope": "a record that was out of the scope was written, or carried over",
    "back in time": "an older value was written after a newer one",
    "double": "a record was created though the app had one with its key",
    "came back": "a record that somebody had deleted was created again",
    "two counterparts": "a record was created twice",
    "ping-pong": "a copy was taken for a new record, and copied back",
    "undo restored another value": "an undo put another value back than the one that was there before",
    "undo over an edit": "an undo overwrote what somebody had edited since",
    "undo undone": "what an undo had put back was overwritten again",
    "too many requests": "far more requests were sent than the changes called for",
    "ended by an error": "twoway broke off with an error",
}
"""What each invariant promises, told as the breach of it."""


@dataclass(slots=True)
class _Result:
    """What was found of one pair."""

    pair: str
    points: int = 0
    scenarios: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    broken: list[dict[str, Any]] = field(default_factory=list)
    histories: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    failed: dict[int, list[str]] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.broken and not self.failed


@app.command()
def selftest(
    ctx: typer.Context,
    pair: Pair = None,
    histories: Annotated[
        int | None, typer.Option("--histories", metavar="N", min=0, help="How many random histories: 2000.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="S", min=0, help="Begin with this seed, and play random histories only: one, by default."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, help="Processes to use: one a processor, by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put your mappings to the test in memory: crashes at each step, and random histories.

    twoway's engine runs under each mapping between two apps that live in memory, with values made up for its fields.
    No account is asked, no secret is read, and the state is not touched.
    """
    if seed is not None and histories == 0:
        raise typer.BadParameter("--seed names the first history to play: leave --histories 0 out")
    config = load(ctx.obj.config_path(), logins=False)
    pairs = chosen(config, pair)
    number = histories if histories is not None else 2_000 if seed is None else 1
    seeds = range(1 if seed is None else seed, (1 if seed is None else seed) + number)
    command = "twoway selftest" if ctx.obj.config is None else f"twoway --config {ctx.obj.config} selftest"
    results = []
    for one in pairs:
        result = _tried(config, one, seeds, jobs or os.cpu_count() or 1, crashes=seed is None)
        results.append(result)
        if not as_json:
            _say(result, seeds, f"{command} {one.name}")
    if as_json:
        document({"ok": all(one.ok for one in results), "pairs": [_about(one, seeds) for one in results]})
    raise typer.Exit(worst(Code.FINE if one.ok else Code.FAILED for one in results))


def _tried(config: Config, pair: PairConfig, seeds: range, jobs: int, *, crashes: bool) -> _Result:
    from twoway.testing import selftest as trial  # noqa: PLC0415 - the engine and the simulator are slow to import
    from twoway.testing.scenarios import Subject  # noqa: PLC0415 - likewise

    known = {}
    for side in Side:
        mapping = pair.mapping.side(side)
        account = config.account(mapping.account)
        known[side] = trial.declared(account.app, account.settings, mapping, pair.spec)
    subject = Subject(pair.spec, {side: found for side, found in known.items() if found is not None})
    result, clock = _Result(pair.name), SystemClock()
    began = clock.now()
    with saying(f"selftest {pair.name}") as how_far:
        for points in trial.crash_everywhere(subject, jobs) if crashes else ():
            result.points += points.points
            result.scenarios.add(points.case)
            result.kinds.add(points.manner)
            result.broken += [
                {"scenario": points.case, "kind_of_app": points.manner, "point": point, "violations": violations}
                for point, violations in points.broken.items()
            ]
            how_far(f"died at {count(result.points, 'point')}: {points.case}, {points.manner}")
        for played in trial.play_histories(subject, seeds, jobs):
            result.histories += played.histories
            result.tally.update(played.tally)
            result.failed.update(played.failed)
            how_far(f"{result.histories:,} of {len(seeds):,} histories, {len(result.failed)} failed")
        for seed in sorted(result.failed)[:_TOLD]:
            how_far(f"looking for the shortest history that fails as seed {seed} does")
            shortest = trial.shortest(seed, subject)
            result.told.append({"seed": seed, "violations": shortest.violations, "history": shortest.trace})
    result.seconds = (clock.now() - began) / 1000
    return result


def _say(result: _Result, seeds: range, command: str) -> None:
    if result.scenarios:
        verdict = "nothing lost, nothing twice" if not result.broken else f"BROKEN at {len(result.broken)} of them"
        say(
            f"{result.pair}: died at each of {result.points:,} points of {len(result.scenarios)} scenarios with "
            f"{len(result.kinds)} kinds of app: {verdict}"
        )
    for one in result.broken[:_TOLD]:
        say(f"  {one['scenario']}, {one['kind_of_app']}, point {one['point']}:")
        _breaches(one["violations"], "    ")
    if result.broken:
        say(f"  the same again: {command} --histories 0")
    if result.histories:
        tally = result.tally
        verdict = "every promise held" if not result.failed else f"BROKEN in {len(result.failed)} of them"
        played = f"{result.histories:,} {'history' if result.histories == 1 else 'histories'}"
        say(
            f"{result.pair}: {played} (seeds {seeds[0]}..{seeds[-1]}), {tally['cycles']:,} cycles, "
            f"{tally['edits']:,} edits, {tally['faults']:,} faults, {tally['CRASH']:,} crashes: {verdict}, "
            f"in {result.seconds:.0f} s"
        )
    for one in result.told:
        say(f"  seed {one['seed']}:")
        _breaches(one["violations"], "    ")
        say("    the shortest history that shows it (times in seconds, values made up):")
        for line in one["history"][-_LINES:]:
            say(f"    {line}")
        say(f"    the same again: {command} --seed {one['seed']}")
    if more := sorted(result.failed)[_TOLD:]:
        say(f"  also: {listed(f'seed {one}' for one in more[:20])}{' and more' if len(more) > 20 else ''}")
    if not result.ok:
        say(
            "This is a fault of twoway, not of your mapping. Do not let the pair write yet, and please report it with "
            "the mapping file, the output above and that of `twoway version`: all values in it are made up."
        )


def _breaches(violations: Sequence[str], indent: str) -> None:
    for text in _in_words(violations):
        say(f"{indent}{text}")
    for one in violations[:_TOLD]:
        say(f"{indent}  {one}")


def _in_words(violations: Iterable[str]) -> list[str]:
    kinds = dict.fromkeys(one.split(":")[0] for one in violations)
    return [_PROMISES.get(kind, kind) for kind in kinds]


def _about(result: _Result, seeds: range) -> dict[str, Any]:
    tally = result.tally
    return {
        "pair": result.pair,
        "ok": result.ok,
        "seconds": result.seconds,
        "crashes": {
            "points": result.points,
            "scenarios": sorted(result.scenarios),
            "kinds_of_app": sorted(result.kinds),
            "broken": result.broken,
        },
        "histories": {
            "played": result.histories,
            "first_seed": seeds[0] if result.histories else None,
            "cycles": tally["cycles"],
            "edits": tally["edits"],
            "faults": tally["faults"],
            "crashes": tally["CRASH"],
            "failed": [{"seed": seed, "violations": found} for seed, found in sorted(result.failed.items())],
            "shortest": result.told,
        },
    }
