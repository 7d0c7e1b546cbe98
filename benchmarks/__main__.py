"""`make bench`: every measurement that stands on its own, one after another. The soak is started by hand."""

import subprocess
import sys

MEASUREMENTS = ("requests", "wires", "memory", "speed")


def main() -> int:
    """Run them all; how many failed."""
    failed = 0
    for name in MEASUREMENTS:
        print(f"\n== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    print("\nbenchmarks.soak kills a daemon over and over while people edit: python -m benchmarks.soak --help")
    return failed


if __name__ == "__main__":
    sys.exit(main())
