"""One measured cycle in a process of its own, whichever the contender: its cost is printed as JSON."""

import argparse
import asyncio
import http.client
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

STEPS = ("snapshot", "changes", "idle")
IDLE_CYCLES = 50


class Contender(Protocol):
    """What is measured: something that keeps both sides of a server the same."""

    async def cycle(self, *, full: bool) -> None:
        """One pass, over complete listings or over what changed."""

    async def close(self) -> None:
        """Release the client and the state."""


Open = Callable[[str, Path], Awaitable[Contender]]
"""Opens a contender on a server's address and a file for its state."""


def ask(url: str, path: str, body: Any = None) -> Any:
    """One request to the server, by whoever measures."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    try:
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"the server answered {response.status} to {path}: {text[:300]!r}")
        return json.loads(text)
    finally:
        connection.close()


def peak_kb() -> int:
    """The most memory that this process ever held, in kilobytes: VmHWM of proc(5)."""
    # `ru_maxrss` will not do: a child begins with what its parent held.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    if found is None:
        raise RuntimeError("/proc/self/status has no VmHWM")
    return int(found[1])


async def measure(open_contender: Open, url: str, state: Path, step: str) -> dict[str, Any]:
    """Run the step; then, unmeasured, a cycle in which our own writes are seen again.

    The cost is that of the cycle: the process's start, its imports and the opening of the state are told apart.
    """
    contender = await open_contender(url, state)
    if step == "idle":
        await contender.cycle(full=False)
    cycles = IDLE_CYCLES if step == "idle" else 1
    asked = sum(ask(url, "/_counts").values())
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(cycles):
        await contender.cycle(full=step == "snapshot")
    told = {
        "cpu": (time.process_time() - cpu) / cycles,
        "wall": (time.perf_counter() - wall) / cycles,
        "start_cpu": cpu,
        "peak_kb": peak_kb(),
        "requests": (sum(ask(url, "/_counts").values()) - asked) // cycles,
    }
    await contender.cycle(full=False)
    await contender.close()
    return told


def main(open_contender: Open) -> None:
    """Parse the arguments, measure, and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("state", type=Path)
    parser.add_argument("step", choices=STEPS)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(open_contender, options.url, options.state, options.step))))
