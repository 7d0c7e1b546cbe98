"""Mutate the core, and judge its tests by what they let live: `python -m tools.mutation`, or `make mutants`.

mutmut changes the core in one place at a time, and runs `tests/core` on each mutant. All that survive must be listed
in `tests/core/survivors.toml`, with the reason why they may.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from tools.mutation.verdict import LISTED, Listed, Outcome, judge, outcomes

MUTANTS = Path("mutants")


def main() -> int:
    """Run it in the repository's root. Exit code 1: too many survive, or one that is not listed does."""
    parser = argparse.ArgumentParser(prog="tools.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time (default: 1)")
    parser.add_argument("--no-run", action="store_true", help="judge the outcomes that the last run left")
    arguments = parser.parse_args()
    if not arguments.no_run:
        # mutmut would keep the verdicts of an earlier run, also where tests have changed since.
        shutil.rmtree(MUTANTS, ignore_errors=True)
        mutmut = Path(sys.executable).with_name("mutmut")
        ran = subprocess.run([mutmut, "run", "--max-children", str(arguments.jobs)], check=False)
        if ran.returncode:
            return ran.returncode
    found: list[Outcome] = outcomes(MUTANTS)
    lines, good = judge(found, Listed.load(LISTED))
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
