"""The asynchronous jobs behind the bulk endpoints of the Zendesk look-alike.

There is one worker: a job waits `queue_seconds`, and for the jobs before it, then does a record every
`record_seconds`. Nothing runs in the background: `Jobs.settle` does what is due by the clock, each record at its
own instant, and is called before anything looks at the records.

Results have another form for each kind of job. A bulk create tells the new `id` and the `index` of the record in the
request, and nothing else. A bulk update or delete tells the `id`, the `action`, `success` and the `status`, in no order
that is promised: here by id. A bulk create-or-update tells `id`, `status` and keys, and of what it refused its place
in the request, as `id`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from twoway.sandbox.kit import Clock
from twoway.sandbox.zendesk_errors import ZendeskError, not_found, too_many_jobs

Task = Callable[[], dict[str, Any]]
"""Does one record; gives its `id`, `status` and keys, or raises `ZendeskError`."""
KEPT = 1000
"""Jobs that can be asked for; older ones are forgotten."""


class WorkClock:
    """The app's clock, which stands at a record's due time while a job works on it (epoch seconds)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.standing: float | None = None

    def now(self) -> float:
        """Epoch seconds."""
        return self._clock.now() if self.standing is None else self.standing

    async def sleep(self, seconds: float) -> None:
        """Wait on the app's clock."""
        await self._clock.sleep(seconds)


class Job:
    """One bulk request. `action` is create, update, delete or upsert."""

    def __init__(self, job_id: str, kind: str, action: str, start: float, pace: float) -> None:
        self.id = job_id
        self.kind = kind
        self.action = action
        self.start = start
        self.pace = pace
        self.tasks: list[Task] = []
        self.ids: list[int | None] = []
        """The records by id, as far as the request named them."""
        self.results: list[dict[str, Any]] = []

    def add(self, task: Task, reference: Any = None) -> None:
        """One more record; `reference` is the id by which the request names it."""
        text = str(reference)
        self.tasks.append(task)
        self.ids.append(int(text) if text.isdigit() else None)

    @property
    def end(self) -> float:
        """The instant at which the last record is done."""
        return self.start + self.pace * len(self.tasks)

    def run_next(self) -> None:
        """Does one record, and keeps its result."""
        index = len(self.results)
        try:
            self.results.append(self._done(index, self.tasks[index]()))
        except ZendeskError as error:
            told = {"error": error.code(), "details": error.summary()}
            self.results.append({**self._failed(index), **told})

    def _done(self, index: int, made: dict[str, Any]) -> dict[str, Any]:
        match self.action:
            case "create":
                return {"id": made["id"], "index": index}
            case "upsert":
                return made
            case _:
                return {"id": made["id"], "action": self.action, "success": True, "status": made["status"]}

    def _failed(self, index: int) -> dict[str, Any]:
        match self.action:
            case "create":
                return {"index": index}
            case "upsert":
                return {"id": index, "status": "Failed"}
            case _:
                named = {"index": index} if self.ids[index] is None else {"id": self.ids[index]}
                return {**named, "action": self.action, "success": False, "status": "Failed"}

    def told(self) -> list[dict[str, Any]]:
        """The results, as the job tells them."""
        if self.action in {"create", "upsert"}:
            return self.results
        return sorted(self.results, key=lambda result: result.get("id", 0))


class Jobs:
    """All jobs of an account. `timing` gives `queue_seconds` and `record_seconds` at the time of use."""

    def __init__(self, clock: WorkClock, timing: Callable[[], tuple[float, float]]) -> None:
        self._clock = clock
        self._timing = timing
        self._jobs: dict[str, Job] = {}
        self._open: list[Job] = []
        self._count = 0

    def open(self, kind: str, action: str, limit: int) -> Job:
        """A new job, without records yet; 429 if `limit` jobs wait or work already.

        `kind` names the job's type, `action` (create, update, delete, upsert) says which form its results have.
        """
        self.settle()
        if len(self._open) >= limit:
            raise too_many_jobs(limit)
        wait, pace = self._timing()
        start = max([self._clock.now() + wait, *(job.end for job in self._open)])
        self._count += 1
        # Not a secret: an id of the original's look that does not depend on chance.
        number = hashlib.md5(str(self._count).encode(), usedforsecurity=False).hexdigest()
        job = Job(f"V3-{number}", kind, action, start, pace)
        self._jobs[job.id] = job
        self._open.append(job)
        if len(self._jobs) > KEPT:
            del self._jobs[next(iter(self._jobs))]
        return job

    def settle(self) -> None:
        """Does every record whose time has come."""
        now = self._clock.now()
        try:
            while self._open and self._open[0].start <= now:
                job = self._open[0]
                while len(job.results) < len(job.tasks):
                    due = job.start + job.pace * (len(job.results) + 1)
                    if due > now:
                        return
                    self._clock.standing = due
                    job.run_next()
                del self._open[0]
        finally:
            self._clock.standing = None

    def get(self, job_id: str) -> Job:
        """A job by id, or 404."""
        if job_id not in self._jobs:
            raise not_found()
        return self._jobs[job_id]

    def find(self, ids: list[str]) -> list[Job]:
        """The jobs with these ids; ids that are not known are left out."""
        return [self._jobs[job_id] for job_id in ids if job_id in self._jobs]

    def recent(self) -> list[Job]:
        """The latest 100 jobs, the newest first."""
        return list(self._jobs.values())[:-101:-1]

    def render(self, job: Job, base: str, stamp: Callable[[float], str]) -> dict[str, Any]:
        """The job_status object. A job of which every record failed is `failed`; results come with the end only."""
        done = len(job.results)
        over = done == len(job.tasks) and self._clock.now() >= job.start
        status, message = "queued", None
        if over:
            failed = bool(job.results) and all("error" in result for result in job.results)
            status = "failed" if failed else "completed"
            message = f"{status.capitalize()} at {stamp(job.end)}"
        elif self._clock.now() >= job.start:
            status = "working"
        return {
            "id": job.id,
            "job_type": job.kind,
            "url": f"{base}/job_statuses/{job.id}.json",
            "total": len(job.tasks),
            "progress": done,
            "status": status,
            "message": message,
            "results": job.told() if over else None,
        }
