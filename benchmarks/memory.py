"""How much memory a first sync takes: `python -m benchmarks.memory --contacts 100000`.

HubSpot's contacts go into an empty Mailchimp audience. The plan is made in a process of its own; the first sync is
that of a daemon (`twoway run`). VmHWM is printed of both: the kernel's own mark of the most that it ever held.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import contacts
from benchmarks.stage import Apps, app_accounts, write_config
from benchmarks.worker import peak_kb

LIMIT_MB = 250
"""What the whole process may take, however many the records are."""


DAEMON_SECONDS = 900.0
"""How long a daemon may take for its first sync."""


def measure(folder: Path, count: int, *, by_daemon: bool = False) -> dict[str, dict[str, Any]]:
    """Plan, approve and sync so many contacts; what was told of each step."""
    with Apps("hubspot", "mailchimp") as apps:
        apps.add_properties(contacts.INTERESTS_PROPERTY)
        apps.load("hubspot", list(contacts.contacts(count)))
        config = write_config(folder, app_accounts(apps.urls), [contacts.MAPPING])
        steps = {step: work(config, step) for step in ("plan", "approve")}
        if by_daemon:
            return {**steps, "daemon": daemon(config, count)}
        steps["sync"] = work(config, "sync")
    if steps["sync"]["counts"].get("created right") != count:
        raise RuntimeError(f"not everybody was carried over: {steps['sync']['counts']}")
    return steps


def daemon(config: Path, count: int) -> dict[str, Any]:
    """The first sync of an approved pair by `twoway run`; it is ended as soon as everybody is linked."""
    command = [sys.executable, "-m", "twoway", "--config", str(config)]
    started = time.monotonic()
    with subprocess.Popen([*command, "run"], stderr=subprocess.DEVNULL) as process:
        idle = peak_kb(process.pid)
        try:
            while _links(command) < count:
                if process.poll() is not None or time.monotonic() - started > DAEMON_SECONDS:
                    raise RuntimeError(f"the daemon has linked {_links(command)} of {count} contacts")
                time.sleep(1)
            return {"seconds": round(time.monotonic() - started, 2), "idle_kb": idle, "peak_kb": peak_kb(process.pid)}
        finally:
            process.terminate()


def _links(command: list[str]) -> int:
    told = subprocess.run([*command, "status", "--json"], capture_output=True, check=True).stdout
    return int(json.loads(told)["pairs"][0]["links"])


def work(config: Path, step: str) -> dict[str, Any]:
    """One step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.worker", str(config), contacts.PAIR, step]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step} failed:\n{done.stderr[-4000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    count: int = parser.parse_args().contacts
    with tempfile.TemporaryDirectory(prefix="twoway-memory-") as folder:
        steps = measure(Path(folder) / "config", count, by_daemon=True)
        state = (Path(folder) / "config" / "twoway.db").stat().st_size
    for step, told in steps.items():
        print(
            f"{step:8} of {count} contacts: VmHWM {told['peak_kb'] / 1024:.0f} MB"
            f" (before it {told['idle_kb'] / 1024:.0f} MB), {told['seconds']} s"
        )
    worst = max(told["peak_kb"] for told in steps.values()) / 1024
    print(f"state {state / 2**20:.0f} MB; at most {worst:.0f} of the {LIMIT_MB} MB allowed")
    sys.exit(0 if worst <= LIMIT_MB else 1)


if __name__ == "__main__":
    main()
