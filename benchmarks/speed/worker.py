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

STEPS = ("preload", "snapshot", "changes", "idle", "pairs")
IDLE_CYCLES = 50
PAIRS = 50


class Contender(Protocol):
    """What is measured: something that keeps both sides of a server the same."""

    async def preload(self, count: int) -> None:
        """Begin with a state in which so many contacts were loaded into both apps, are linked, and were all seen."""

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

    The cost is that of the cycle: the process's start, its imports and the opening of the state are told apart. Of
    idle pairs it is that of the cycle of one of them.
    """
    contenders = [await open_contender(url, state)]
    if step == "pairs":
        contenders += [await open_contender(url, state.with_suffix(f".{number}.db")) for number in range(1, PAIRS)]
        for contender in contenders[1:]:
            await contender.preload(0)
    if step in ("idle", "pairs"):
        for contender in contenders:
            await contender.cycle(full=False)
    turns = IDLE_CYCLES if step == "idle" else 1
    asked = sum(ask(url, "/_counts").values())
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(turns):
        for contender in contenders:
            await contender.cycle(full=step == "snapshot")
    cycles = turns * len(contenders)
    told = {
        "cpu": (time.process_time() - cpu) / cycles,
        "wall": (time.perf_counter() - wall) / cycles,
        "start_cpu": cpu,
        "peak_kb": peak_kb(),
        "requests": (sum(ask(url, "/_counts").values()) - asked) // cycles,
    }
    for contender in contenders:
        await contender.cycle(full=False)
        await contender.close()
    return told


async def preload(open_contender: Open, url: str, state: Path, count: int) -> dict[str, Any]:
    """Write the state, unmeasured."""
    contender = await open_contender(url, state)
    await contender.preload(count)
    await contender.close()
    return {}


def main(open_contender: Open) -> None:
    """Parse the arguments, measure, and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("state", type=Path)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("count", type=int, help="contacts on each side, for `preload`")
    options = parser.parse_args()
    if options.step == "preload":
        work = preload(open_contender, options.url, options.state, options.count)
    else:
        work = measure(open_contender, options.url, options.state, options.step)
    print(json.dumps(asyncio.run(work)))
