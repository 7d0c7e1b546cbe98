"""Writes in bulk: a job for up to a hundred records.

A job spares requests, which are few, and tells less: whether each record was written, and not what is stored now. Each
kind of job has its own form of results: https://developer.zendesk.com/api-reference/ticketing/ticket-management/job_statuses/
Nobody promises their order.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

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
_ITS_OWN = re.compile("time.?out|internal|unavailable|conflict|too ?many", re.IGNORECASE)
"""Errors that are about Zendesk and not about the record."""
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
        return outcomes(job, writes, bodies)

    async def _finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job at its end, or as it is when the patience is."""
        until = self._clock.now() + PATIENCE
        wait = _FIRST_LOOK
        while job["status"] not in _OVER and self._clock.now() < until:
            await self._clock.sleep(wait)
            wait = min(_LONGEST, wait * 2)
            job = (await self._http.request("GET", f"/job_statuses/{quote(str(job['id']), safe='')}")).json()[
                "job_status"
            ]
        return job


def outcomes(
    job: Mapping[str, Any], writes: Sequence[Write], bodies: Sequence[Mapping[str, Any]]
) -> list[Receipt | Refusal]:
    """What an ended job tells of each write; what it does not tell for certain is `unknown`."""
    results = job.get("results")
    if job["status"] not in _OVER or not isinstance(results, list):
        return [Receipt.unknown(f"the bulk job is {job['status']} and gave no results") for _ in writes]
    told: dict[int, list[Mapping[str, Any]]] = {}
    for place, result in enumerate(results):
        about = _about(result, place, writes, bodies)
        if about is not None:
            told.setdefault(about, []).append(result)
    return [_outcome(told.get(place, []), write) for place, write in enumerate(writes)]


def _about(
    result: Mapping[str, Any], place: int, writes: Sequence[Write], bodies: Sequence[Mapping[str, Any]]
) -> int | None:
    """Which of the writes a result is about: by its id, its index or its keys; None where it does not tell.

    A create that was refused has no id; some jobs then tell its place under that name.
    """
    told = str(result.get("id"))
    if writes[0].kind is not Kind.CREATE:
        known = [at for at, write in enumerate(writes) if write.id == told]
        if known:
            return known[0]
    index = result.get("index")
    if index is None and result.get("error") and told == str(place):
        index = place
    if index is not None:
        return int(index) if str(index).isdigit() and int(index) < len(writes) else None
    for key in ("external_id", "email"):
        value = str(result.get(key) or "").casefold()
        known = [at for at, body in enumerate(bodies) if value and str(body.get(key)).casefold() == value]
        if len(known) == 1:
            return known[0]
    return None


def _outcome(results: Sequence[Mapping[str, Any]], write: Write) -> Receipt | Refusal:
    if len(results) != 1:
        return Receipt.unknown(f"the bulk job has {len(results)} results for this record")
    (result,) = results
    error = result.get("error")
    failed = error or result.get("success") is False or str(result.get("status")).lower() == "failed"
    if not failed and (write.id or result.get("id")):
        return Receipt.done(str(write.id or result["id"]))
    if isinstance(error, str) and error and not _ITS_OWN.search(error):
        return Refusal.of_result(result)
    return Receipt.unknown(f"the bulk job does not say whether this record was written: {error or 'no id, no error'}")
