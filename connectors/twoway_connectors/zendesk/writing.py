"""Creates, updates and deletes, and the receipts for them."""

from collections.abc import Sequence
from typing import Any

from twoway.sdk import ConnectorError, Fetched, Kind, Receipt, Record, TryLater, Write
from twoway.sdk.http import HttpClient
from twoway.sdk.response import Response
from twoway.sdk.together import together, written_together
from twoway_connectors.zendesk.answers import HotRecord, Refusal, classify_update
from twoway_connectors.zendesk.catalog import TICKETS, USERS, Collection
from twoway_connectors.zendesk.codec import Codec, stamp_of
from twoway_connectors.zendesk.identities import EMAIL, set_primary_email
from twoway_connectors.zendesk.jobs import Jobs
from twoway_connectors.zendesk.reading import EXTERNAL_ID, Reader, is_id

TICKET_UPDATES = "ticket updates"
"""The lane of the updates of tickets: Zendesk takes fewer of them a minute than of other requests."""
_NOT_MADE = (400, 409, 422)
_REFUSED = (*_NOT_MADE, 404)
_MOVED = "the record was changed since it was read"


class Writer:
    """Writes to one collection.

    `jobs` is None where bulk endpoints are not to be used; `verify` lets Zendesk mail people to confirm an address;
    with `marks` the external id of a new record is the operation that made it.
    """

    def __init__(
        self,
        http: HttpClient,
        collection: Collection,
        codec: Codec,
        reader: Reader,
        *,
        jobs: Jobs | None,
        verify: bool,
        marks: bool,
    ) -> None:
        self._http = http
        self._collection = collection
        self._codec = codec
        self._reader = reader
        self._jobs = jobs
        self._verify = verify
        self._marks = marks

    async def apply(self, writes: Sequence[Write]) -> list[Receipt]:
        """A receipt for each write, in order; all are of one kind."""
        kind = writes[0].kind
        if self._jobs is not None and self._jobs.fit(writes) and self._in_bulk(writes):
            bodies = [self._new(write) if kind is Kind.CREATE else self._changed(write) for write in writes]
            outcomes = await self._jobs.run(writes, bodies)
            if outcomes is not None:
                return await self._receipts(writes, outcomes)
        if kind is Kind.UPDATE and self._collection.conditional:
            return await self._update_as_seen(writes)
        one = {Kind.CREATE: self._create, Kind.UPDATE: self._update}.get(kind, self._delete)
        return await written_together(one, writes)

    def _in_bulk(self, writes: Sequence[Write]) -> bool:
        """Bulk updates know no identities: an address in one would become a secondary one.

        Nor may a write that is refused here go along.
        """
        if any(self._unfit(write) for write in writes):
            return False
        return writes[0].kind is Kind.CREATE or not any(EMAIL in write.changed for write in writes)

    def _unfit(self, write: Write) -> Receipt | None:
        """The receipt of a write to what is no record, or to a field that Zendesk sets itself or only at a create."""
        if write.kind is not Kind.CREATE and not is_id(str(write.id)):
            return Receipt.gone()
        for info in self._collection.fields:
            writable = info.on_create if write.kind is Kind.CREATE else info.on_update
            if info.name in write.changed and not writable:
                return Receipt.refused(f"{info.label} cannot be written by this request", info.name)
        return None

    async def _receipts(self, writes: Sequence[Write], outcomes: Sequence[Receipt | Refusal]) -> list[Receipt]:
        pairs = list(zip(writes, outcomes, strict=True))

        async def receipt(pair: tuple[Write, Receipt | Refusal]) -> Receipt:
            write, outcome = pair
            return outcome if isinstance(outcome, Receipt) else await self._refused(outcome, write)

        return await together(receipt, pairs)

    # One by one

    async def _create(self, write: Write) -> Receipt:
        if refusal := self._unfit(write):
            return refusal
        # Zendesk remembers keys for tickets only, for two hours: a second create with the same one is answered with
        # the ticket of the first.
        remembers = self._collection is TICKETS
        answer = await self._http.request(
            "POST",
            self._collection.path,
            json={self._collection.one: self._new(write)},
            headers={"idempotency-key": write.operation} if remembers else None,
            expect=(201, *_NOT_MADE),
            retry_safe=remembers,
        )
        if answer.landed and answer.status != 201:
            # Whatever is wrong with this request, the first one may have made the ticket.
            return Receipt.unknown(f"an answer was lost, and its repetition was answered {answer.status}")
        return await self._receipt(answer, write)

    async def _update(self, write: Write) -> Receipt:
        if refusal := self._unfit(write):
            return refusal
        moves = self._collection is USERS and EMAIL in write.changed
        if moves:
            refusal = await set_primary_email(self._http, write, verify=self._verify)
            if refusal is not None:
                return refusal
        body = self._changed(write)
        if not moves:
            return await self._put(write, body)
        # The address was changed by requests of their own. So it is what was sent, and there is no version: whatever
        # a person changed in between will show as that person's edit.
        address = {EMAIL: self._codec.normal(write.changed)[EMAIL]}
        if set(body) <= {"id"}:
            return Receipt.done(write.id, Record(id=str(write.id), values=address))
        try:
            receipt = await self._put(write, body)
        except ConnectorError as error:
            return Receipt.unknown(f"the e-mail address was changed, the other fields perhaps not: {error}")
        if receipt.record is None:
            return Receipt.unknown(f"the e-mail address was changed, the other fields were not: {receipt.why}")
        return Receipt.done(write.id, Record(id=str(write.id), values={**receipt.record.values, **address}))

    async def _update_as_seen(self, writes: Sequence[Write]) -> list[Receipt]:
        """Updates, but for those of records that are no longer at the version that was asked for.

        Zendesk itself compares times, which count seconds, and which its own changes by rule do not move. So what the
        records hold is compared first, and the times are for what comes in between.
        """
        ids = [str(write.id) for write in writes if write.version is not None]
        try:
            found = await self._reader.fetch(ids)
        except TryLater as error:
            # It was a look: nothing was written, whatever became of the answer.
            error.sent = False
            raise

        async def one(write: Write) -> Receipt:
            return _past(write, found.get(str(write.id))) or await self._update(write)

        return await written_together(one, writes)

    async def _put(self, write: Write, body: dict[str, Any]) -> Receipt:
        path = self._collection.path_of(str(write.id))
        try:
            answer = await self._http.request(
                "PUT",
                path,
                json={self._collection.one: body},
                expect=(200, *_REFUSED),
                lane=TICKET_UPDATES if self._collection is TICKETS else None,
                classify=classify_update,
            )
        except HotRecord as error:
            return Receipt.later(str(error))
        return await self._receipt(answer, write)

    async def _delete(self, write: Write) -> Receipt:
        if refusal := self._unfit(write):
            return refusal
        if self._collection.conditional and write.version is not None:
            # Zendesk deletes without conditions: what can be done is to look first.
            found = await self._reader.fetch([str(write.id)])
            if past := _past(write, found[str(write.id)]):
                return past
        path = self._collection.path_of(str(write.id))
        answer = await self._http.request("DELETE", path, expect=(200, 204, *_REFUSED))
        if answer.status in {200, 204}:
            return Receipt.done(write.id)
        return await self._receipt(answer, write)

    # Bodies and answers

    def _new(self, write: Write) -> dict[str, Any]:
        body = self._codec.encode({name: value for name, value in write.changed.items() if value is not None})
        if self._marks:
            body[EXTERNAL_ID] = write.operation
        if self._collection is USERS:
            body["skip_verify_email"] = not self._verify
        return body

    def _changed(self, write: Write) -> dict[str, Any]:
        changed = dict(write.changed)
        if self._collection is USERS:
            changed.pop(EMAIL, None)
        body = {**self._codec.encode(changed), "id": int(str(write.id))}
        if self._collection.conditional and write.version is not None:
            body |= {"safe_update": True, "updated_stamp": stamp_of(write.version)}
        return body

    async def _receipt(self, answer: Response, write: Write) -> Receipt:
        match answer.status:
            case 200 | 201:
                record = self._codec.record(answer.json()[self._collection.one])
                return Receipt.done(record.id, record)
            case 404:
                return Receipt.gone()
            case 409:
                return Receipt.moved(_MOVED)
            case _:
                return await self._refused(Refusal(answer.json()), write)

    async def _refused(self, refusal: Refusal, write: Write) -> Receipt:
        if refusal.is_gone and write.kind is not Kind.CREATE:
            return Receipt.gone()
        receipt = refusal.receipt(write)
        if write.kind is not Kind.CREATE or not refusal.taken():
            return receipt
        return Receipt.duplicate(await self._holder(receipt.field, write), receipt.why or "")

    async def _holder(self, field: str | None, write: Write) -> str | None:
        """The id of the record that holds the key that a create was refused for; None if it cannot be told.

        The search may not know it yet, and an answer that is not the only one proves nothing.
        """
        keys = [field] if field in self._collection.unique else sorted(self._collection.unique)
        for key in keys:
            value = write.changed.get(key)
            if value in {None, ""}:
                continue
            try:
                found = await self._reader.holders(key, value)
            except ConnectorError:
                return None
            if len(found) == 1:
                return str(found[0]["id"])
        return None


def _past(write: Write, found: Fetched | None) -> Receipt | None:
    """The receipt of a write to a record that is not at the version that was asked for; None if it is, or none was."""
    if write.version is None:
        return None
    if not isinstance(found, Record):
        return Receipt.gone()
    return None if found.version == write.version else Receipt.moved(_MOVED)
