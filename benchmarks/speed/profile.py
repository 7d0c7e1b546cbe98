"""Where the engine's time goes at a first creation: `python -m benchmarks.speed.profile --records 10000`.

By cProfile, which makes every call of Python dearer than it is and those of C not: read the order, not the numbers.
"""

import argparse
import asyncio
import cProfile
import pstats
import tempfile
from pathlib import Path

from benchmarks.speed.cases import Stage
from benchmarks.speed.engine import EngineLoop


async def _profiled(url: str, state: Path) -> cProfile.Profile:
    """The profile of one cycle, by the clock on the wall: waiting for the server and for the disk is in it."""
    engine = await EngineLoop.open(url, state)
    profile = cProfile.Profile()
    profile.enable()
    await engine.cycle(full=True)
    profile.disable()
    await engine.close()
    return profile


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.profile", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=25)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="twoway-profile-") as folder,
        Stage("engine", Path(folder), options.records) as stage,
    ):
        stage.set_up("left")
        profile = asyncio.run(_profiled(stage.url, Path(folder) / "profile.db"))
    for order in ("cumulative", "tottime"):
        pstats.Stats(profile).strip_dirs().sort_stats(order).print_stats(options.rows)


if __name__ == "__main__":
    main()
