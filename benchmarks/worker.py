"""`python -m benchmarks.worker CONFIG PAIR plan|approve|sync`: one step of the product in a process of its own.

The last line of output is JSON: `seconds`, `counts`, `peak_kb` (the process's VmHWM) and `idle_kb` (before the step).
"""

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

from benchmarks.stage import Product


def peak_kb(pid: int | str = "self") -> int:
    """The most memory that a process ever held, in kilobytes: VmHWM of proc(5)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    if found is None:
        raise RuntimeError(f"/proc/{pid}/status has no VmHWM")
    return int(found[1])


def step(product: Product, pair: str, name: str) -> dict[str, int]:
    """Carry it out; what was counted."""
    if name == "plan":
        report = product.plan(pair).report
        if report.error is not None:
            raise report.error
        return dict(report.counts)
    if name == "approve":
        product.approve(pair)
        return {}
    return dict(product.sync(pair).counts)


def main() -> None:
    """Parse the arguments, work, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("pair")
    parser.add_argument("step", choices=("plan", "approve", "sync"))
    options = parser.parse_args()
    with Product(options.config) as product:
        idle, started = peak_kb(), time.monotonic()
        counts = step(product, options.pair, options.step)
        told: dict[str, Any] = {"seconds": round(time.monotonic() - started, 2), "counts": counts}
        print(json.dumps({**told, "idle_kb": idle, "peak_kb": peak_kb()}))


if __name__ == "__main__":
    main()
