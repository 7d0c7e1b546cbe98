"""A running twoway: one process, set up as the daemon's is, whose clients and state stay open between cycles.

`python -m benchmarks.vs_vdirsyncer.running CONFIG PAIR`. A line of input, `KIND TIMES`, asks for so many cycles; a line
of output tells as JSON what one of them cost: `wall` and `cpu` in seconds. The first line of output, `start_cpu`, is
what the process took until it was ready.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.stage import Product
from twoway.daemon.collector import collect_less
from twoway.engine.cycle import Kind


def main() -> None:
    """Parse the arguments, and do what is asked until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vs_vdirsyncer.running", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("pair")
    options = parser.parse_args()
    collect_less()
    with Product(options.config) as product:
        print(json.dumps({"start_cpu": time.process_time()}), flush=True)
        for line in sys.stdin:
            kind, times = line.split()
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(int(times)):
                product.sync(options.pair, Kind(kind))
            cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            print(json.dumps({key: value / int(times) for key, value in cost.items()}), flush=True)


if __name__ == "__main__":
    main()
