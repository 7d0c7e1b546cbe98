"""Writes in bulk: a job for up to a hundred records, whose results come in the order in which they were sent.

A job spares requests, which are few, and tells less: whether each record was written, and not what is stored now.
"""

from collections.abc import Sequence
from typing import Any

from twoway.sdk import Clock, ConnectorError, Kind, Receipt, TryLater, Write
from twoway.sdk.http import HttpClient
from twoway_connectors.zendesk.answers import Refusal
from twoway_connectors.zendesk.catalog import Collection

LARGEST = 100
LEAST = 10
"""Fewer records than this are cheaper, and tell more, one by one."""
PATIENCE = 300_000
"""Milliseconds for which a job is waited for."""
_FIRST_LOOK, _LONGEST = 1.0, 8.0
_OVER = frozenset({"completed", "failed", "killed"})
_ACTIONS = {Kind.CREATE: ("POST", "create_many"), Kind.UPDATE: ("PUT", "update_many")}


class Jobs:
    """The bulk endpoints of one collection."""

    def __init__(self, http: HttpClient, collection: Collection, clock: Clock) -> None:
        self._http = http
        self._collection = collection
        self._clock = clock
        self._allowed = {Kind.CREATE: True, Kind.UPDATE: True}
        """Zendesk refuses bulk imports of users unless it was asked to allow them: the refusal is remembered."""

    def fit(self, writes: Sequence[Write]) -> bool:
        """Whether these writes are worth a job."""
        return LEAST <= len(writes) <= LARGEST and self._allowed.get(writes[0].kind, False)

    async def run(self, writes: Sequence[Write], bodies: Sequence[dict[str, Any]]) -> list[Receipt | Refusal] | None:
        """What became of each write; None, with nothing written, where the account may not do this in bulk.

        Once a job is accepted this raises nothing: what is not known of it is `unknown`.
        """
        method, action = _ACTIONS[writes[0].kind]
        path = f"{self._collection.path}/{action}"
        body = {self._collection.name: list(bodies)}
        try:
            answer = await self._http.request(method, path, json=body, expect=(200, 201, 403))
        except TryLater as error:
            if not error.sent:
                raise
            return [Receipt.unknown(str(error)) for _ in writes]
        if answer.status == 403:
            self._allowed[writes[0].kind] = False
            return None
        try:
            job = await self._finished(answer.json()["job_status"])
        except ConnectorError as error:
            return [
                Receipt.unknown(f"the bulk job was accepted, and its end could not be seen: {error}") for _ in writes
            ]
        return _outcomes(job, writes)

    async def _finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job at its end, or as it is when the patience is."""
        until = self._clock.now() + PATIENCE
        wait = _FIRST_LOOK
        while job["status"] not in _OVER and self._clock.now() < until:
            await self._clock.sleep(wait)
            wait = min(_LONGEST, wait * 2)
            job = (await self._http.request("GET", f"/job_statuses/{job['id']}")).json()["job_status"]
        return job


def _outcomes(job: dict[str, Any], writes: Sequence[Write]) -> list[Receipt | Refusal]:
    results = job.get("results")
    if job["status"] not in _OVER or not isinstance(results, list):
        return [Receipt.unknown(f"the bulk job is {job['status']} and gave no results") for _ in writes]
    told = {int(result.get("index", place)): result for place, result in enumerate(results)}
    return [_outcome(told.get(place), write) for place, write in enumerate(writes)]


def _outcome(result: dict[str, Any] | None, write: Write) -> Receipt | Refusal:
    if result is None:
        return Receipt.unknown("the bulk job's results do not mention this record")
    if result.get("success") or result.get("status") in {"Created", "Updated"}:
        return Receipt.done(str(result.get("id") or write.id))
    return Refusal.of_result(result)
