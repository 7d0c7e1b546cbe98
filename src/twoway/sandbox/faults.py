"""Faults on request: what can go wrong between a client and a vendor.

A fault is queued by `VendorApp.fault(...)` or `POST /_sandbox/faults` and strikes the requests it matches:

| kind | what the client sees | is the change made? | arguments |
|---|---|---|---|
| `latency` | a slow answer | at its end, or at once with `applied` | `seconds`, `applied` |
| `error` | `status` (500 by default) with a short body | no, or yes with `applied` | `status`, `applied` |
| `lost_request` | a dropped connection | no | |
| `lost_answer` | a dropped connection | yes | |
| `die_midway` | a dropped connection | the first `after_inputs` of a batch | `after_inputs` |
| `rate_limited` | the vendor's 429 | no | `retry_after` seconds, or none: no header |
| `forbidden_text` | 403 with a body that is not JSON | no | |
| `html` | 200 with a page of HTML | no, or yes with `applied` | `applied` |
| `truncated` | the right answer, its JSON cut in half | yes | |
| `wrong_token` | the vendor's 401 | no | |

Every fault also takes `times` (how often it strikes, 1 by default; 0 = for ever), `skip` (how many matching
requests it lets pass first), `method` and `path` (a regular expression, searched in the path; none = any).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = frozenset(
    {
        "latency",
        "error",
        "lost_request",
        "lost_answer",
        "die_midway",
        "rate_limited",
        "forbidden_text",
        "html",
        "truncated",
        "wrong_token",
    }
)


class ConnectionDropped(ConnectionError):
    """The connection ends here, with no (complete) answer."""


@dataclass(slots=True)
class Fault:
    """One queued fault; see the module's table."""

    kind: str
    times: int = 1
    skip: int = 0
    method: str | None = None
    path: str | None = None
    seconds: float = 0.0
    status: int = 500
    applied: bool = False
    after_inputs: int = 0
    retry_after: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind!r}; one of {', '.join(sorted(KINDS))}")
        if self.path is not None:
            re.compile(self.path)

    def matches(self, method: str, path: str) -> bool:
        """Is this a request that the fault is meant for?"""
        return (self.method is None or self.method == method) and (
            self.path is None or re.search(self.path, path) is not None
        )


class FaultQueue:
    """The faults that wait for a request, in the order in which they were queued."""

    def __init__(self) -> None:
        self._queue: list[Fault] = []

    def add(self, fault: Fault | Mapping[str, Any]) -> Fault:
        """Queue one. ValueError or TypeError if it is none of the table's."""
        entry = fault if isinstance(fault, Fault) else Fault(**fault)
        self._queue.append(entry)
        return entry

    def clear(self) -> None:
        """Forget all."""
        self._queue.clear()

    def __len__(self) -> int:
        return len(self._queue)

    def take(self, method: str, path: str) -> list[Fault]:
        """The faults that strike this request: any number of latencies, and the first of the others."""
        struck: list[Fault] = []
        for fault in list(self._queue):
            if not fault.matches(method, path):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.kind != "latency" and any(other.kind != "latency" for other in struck):
                continue
            struck.append(fault)
            if fault.times == 1:
                self._queue.remove(fault)
            elif fault.times:
                fault.times -= 1
        return struck
