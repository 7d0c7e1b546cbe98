"""Writes to an audience, and what Mailchimp's answers to them mean.

New members go in batches, each with its tags. A member that exists is changed alone: the batch endpoint would set its
subscription status, too. Its status is sent only where it opts out, as nothing but the person's own consent may
subscribe anybody again. For the same reason an address that is archived is looked up before it is created (see
`archived`). Members are archived and never deleted for good: that would bar the address for ever.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from twoway.sdk import ConnectorError, Kind, Outcome, Receipt, Record, TryLater, Write, discreet
from twoway.sdk.http import HttpClient
from twoway.sdk.response import Response
from twoway.sdk.together import together
from twoway_connectors.mailchimp.archived import Archived
from twoway_connectors.mailchimp.audience import Audience, may_be_id
from twoway_connectors.mailchimp.codec import (
    ARCHIVED,
    EMAIL,
    FIXED,
    LONGEST,
    MERGE,
    OPT_OUTS,
    READ_ONLY,
    STATUS,
    TAGS,
    TAGS_COUNT,
    Selection,
    encode,
    lacks_tags,
    normal_tags,
    subscriber_hash,
)
from twoway_connectors.mailchimp.tags import all_tags

ONE_BY_ONE = 8
"""New members that are looked up each by itself: as many requests as an account may have under way."""
_TAKEN = frozenset({"ERROR_CONTACT_EXISTS", "Member Exists"})


class Writer:
    """Writes to one audience. What a record in a receipt holds follows `selection`."""

    def __init__(self, http: HttpClient, audience: Audience, selection: Selection, archived: Archived) -> None:
        self._http = http
        self._audience = audience
        self._selection = selection
        self._archived = archived

    async def create(self, writes: Sequence[Write]) -> list[Receipt]:
        """New members in one request. An address that is there already is told with the id of its member."""
        receipts: dict[str, Receipt] = {}
        batch: dict[str, Write] = {}
        for write in writes:
            email = _email(write)
            if unfit := _unfit(write):
                receipts[write.operation] = unfit
            elif write.changed.get(STATUS) in {None, ""}:
                why = "a new member needs a status: set one under `on_create` in the pair file, as `status: subscribed`"
                receipts[write.operation] = Receipt.refused(why, STATUS)
            elif not email:
                receipts[write.operation] = Receipt.refused("a new member needs an e-mail address", EMAIL)
            elif email in batch:
                receipts[write.operation] = Receipt.later("another new member of the same batch has the same address")
            else:
                batch[email] = write
        receipts.update(await self._barred(list(batch.values())))
        fit = [write for write in batch.values() if write.operation not in receipts]
        if fit:
            receipts.update(await self._send(fit))
        return [receipts[write.operation] for write in writes]

    async def _barred(self, writes: Sequence[Write]) -> dict[str, Receipt]:
        """The receipts of those whose address is archived, or is seen by the way to be taken."""
        suspects = list(writes)
        if len(writes) > ONE_BY_ONE:
            hashes = {write.operation: subscriber_hash(_email(write)) for write in writes}
            archived = await self._archived.among(hashes.values())
            suspects = [write for write in writes if hashes[write.operation] in archived]
        found = await together(self._taken, suspects)
        return {write.operation: receipt for write, receipt in zip(suspects, found, strict=True) if receipt is not None}

    async def _send(self, writes: Sequence[Write]) -> dict[str, Receipt]:
        body = {"members": [_new_member(write) for write in writes], "update_existing": False}
        try:
            answer = await self._http.request("POST", await self._audience.path(), json=body, expect=(200, 400))
        except TryLater as error:
            if not error.sent:
                raise
            return {write.operation: Receipt.unknown(str(error)) for write in writes}
        if answer.status == 400:
            # The request as a whole was refused for the sake of one member, and nothing of it was done: find which.
            if len(writes) == 1:
                return {writes[0].operation: _refused(answer, writes[0])}
            middle = len(writes) // 2
            return await self._halves(writes[:middle], writes[middle:])
        told = answer.json()
        made = {str(member[EMAIL]).lower(): member for member in told["new_members"]}
        errors = {str(error[EMAIL]).lower(): error for error in told["errors"]}
        receipts: dict[str, Receipt] = {}
        taken: list[Write] = []
        for write in writes:
            email = _email(write)
            if email in made:
                record = self._selection.record(made[email])
                receipts[write.operation] = Receipt.done(record.id, record)
            elif email not in errors:
                receipts[write.operation] = Receipt.unknown("Mailchimp's answer does not mention this member")
            elif errors[email].get("error_code") in _TAKEN:
                taken.append(write)
            else:
                problem = errors[email]
                field = _field(str(problem.get("field") or ""), write)
                receipts[write.operation] = Receipt.refused(discreet(str(problem.get("error") or ""), write), field)
        found = await together(self._holder, taken)
        receipts.update((write.operation, receipt) for write, receipt in zip(taken, found, strict=True))
        return receipts

    async def _halves(self, left: Sequence[Write], right: Sequence[Write]) -> dict[str, Receipt]:
        receipts = await self._send(left)
        try:
            return receipts | await self._send(right)
        except ConnectorError as error:
            # The left half may be written: what did not reach the app has a receipt of its own.
            return receipts | {write.operation: Receipt.later(str(error)) for write in right}

    async def _holder(self, write: Write) -> Receipt:
        """The receipt of a create of which Mailchimp says that its address is taken: by whom."""
        try:
            return await self._taken(write) or Receipt.later("the address was taken, and is no longer")
        except ConnectorError as error:
            return Receipt.duplicate(None, f"the address is taken, and its member could not be read: {error}")

    async def _taken(self, write: Write) -> Receipt | None:
        """The receipt of a create whose address somebody has, archived or not, by a read by key; None if it is free."""
        member = await self._member(subscriber_hash(_email(write)), f"contact_id,{STATUS}")
        if member is None:
            return None
        if member[STATUS] == ARCHIVED:
            why = "this address is archived in the audience: unarchive it in Mailchimp, with the consent that takes"
            return Receipt.refused(why, EMAIL)
        return Receipt.duplicate(str(member["contact_id"]), "the audience has a member with this address")

    async def update(self, write: Write) -> Receipt:
        """Change one member. Who opts out is not mailed on for the sake of another field that is refused."""
        receipt = await self._update(write)
        if receipt.outcome is Outcome.REFUSED and write.changed.get(STATUS) in OPT_OUTS and len(write.changed) > 1:
            with suppress(ConnectorError):
                await self._update(write._replace(changed={STATUS: write.changed[STATUS]}))
        return receipt

    async def _update(self, write: Write) -> Receipt:
        """The fields by one request, the tags by another."""
        if STATUS in write.changed and write.changed[STATUS] not in OPT_OUTS:
            why = "only opting out may be written to a member that exists; subscribing again takes the person's consent"
            return Receipt.refused(why, STATUS)
        if unfit := _unfit(write):
            return unfit
        if not may_be_id(str(write.id)):
            return Receipt.gone()
        body = encode(write.changed)
        record: Record | None = None
        member: Mapping[str, Any] | None
        if body:
            path = await self._audience.member(str(write.id))
            # Mailchimp would hold a write to any field against a required one that is blank. It is to do so only with
            # one that this write blanks.
            lax = "" not in body.get("merge_fields", {}).values()
            params = {"skip_merge_validation": "true"} if lax else None
            answer = await self._http.request("PATCH", path, params=params, json=body, expect=(200, 400, 404))
            if answer.status != 200:
                return Receipt.gone() if answer.status == 404 else _refused(answer, write)
            member = answer.json()
            record = self._selection.record(member)
        else:
            member = await self._member(str(write.id), f"id,{STATUS},{TAGS},{TAGS_COUNT}")
        if member is None or member[STATUS] == ARCHIVED:
            # An archived member takes edits, and nobody sees them: to us it is not there.
            return Receipt.gone()
        if TAGS not in write.changed:
            return Receipt.done(write.id, record)
        try:
            refusal = await self._set_tags(write, member)
        except ConnectorError as error:
            if record is None:
                raise
            return Receipt.unknown(f"the member's fields were written, its tags perhaps not: {error}")
        if refusal is not None:
            return refusal if record is None else Receipt.unknown(f"fields were written, tags were not: {refusal.why}")
        # Two requests have no state in common. So the tags are those that were sent, and there is no version: whatever
        # a person changed in between will show as that person's edit.
        values = {} if record is None else record.values
        return Receipt.done(
            write.id, Record(id=str(write.id), values={**values, TAGS: normal_tags(write.changed[TAGS] or ())})
        )

    async def _set_tags(self, write: Write, member: Mapping[str, Any]) -> Receipt | None:
        """Add and remove what differs from the tags before; None if that was done. `member` is as it was just shown.

        Of all paths of a member this one takes the hash of its address alone, which changes with the address.
        """
        wanted = set(normal_tags(write.changed[TAGS] or ()))
        if TAGS in write.previous:
            before = set(normal_tags(write.previous[TAGS] or ()))
        else:
            shown = member[TAGS]
            if lacks_tags(member):
                shown = await all_tags(self._http, self._audience, str(member["id"]))
            if shown is None:
                return Receipt.later(
                    "the member's tags changed while they were read, or it got another address, or went"
                )
            before = {tag["name"] for tag in shown}
        steps = [{"name": name, "status": "active"} for name in sorted(wanted - before)]
        steps += [{"name": name, "status": "inactive"} for name in sorted(before - wanted)]
        if not steps:
            return None
        path = await self._audience.member(str(member["id"]), "tags")
        answer = await self._http.request("POST", path, json={"tags": steps}, expect=(200, 204, 400, 404))
        if answer.status == 404:
            return Receipt.later("the member got another address, or went, between two requests")
        return _refused(answer, write) if answer.status == 400 else None

    async def archive(self, write: Write) -> Receipt:
        """Archive one member: it can be unarchived in Mailchimp."""
        if not may_be_id(str(write.id)):
            return Receipt.gone()
        path = await self._audience.member(str(write.id))
        answer = await self._http.request("DELETE", path, expect=(200, 204, 400, 404, 405))
        if answer.status == 404:
            return Receipt.gone()
        if answer.status in {200, 204}:
            return Receipt.done(write.id)
        # 405: Mailchimp removes no member that is archived already, and some others for reasons of its own.
        member = await self._member(str(write.id), STATUS)
        return Receipt.done(write.id) if member and member[STATUS] == ARCHIVED else _refused(answer, write)

    async def _member(self, reference: str, fields: str) -> dict[str, Any] | None:
        path = await self._audience.member(reference)
        answer = await self._http.request("GET", path, params={"fields": fields}, expect=(200, 404))
        return cast("dict[str, Any]", answer.json()) if answer.status == 200 else None


def _email(write: Write) -> str:
    return str(write.changed.get(EMAIL) or "").strip().lower()


def _unfit(write: Write) -> Receipt | None:
    """The receipt of a write that Mailchimp would carry out otherwise than it says: cut short, or left as it was."""
    for name, value in write.changed.items():
        if name in READ_ONLY:
            return Receipt.refused("Mailchimp sets this field itself", name)
        if name.startswith(MERGE) and isinstance(value, str) and _bytes(value.strip()) > LONGEST:
            why = f"Mailchimp keeps no more than {LONGEST} bytes: of letters like é half as many, of 名 a third"
            return Receipt.refused(why, name)
        if name in FIXED and value is None and write.kind is Kind.UPDATE:
            return Receipt.refused("Mailchimp cannot empty this field", name)
    return None


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _new_member(write: Write) -> dict[str, Any]:
    member = encode({name: value for name, value in write.changed.items() if value is not None})
    tags = normal_tags(write.changed.get(TAGS) or ())
    return {**member, TAGS: tags} if tags else member


def _refused(answer: Response, write: Write) -> Receipt:
    """The receipt of a problem document (RFC 9457, with Mailchimp's `errors`: [{field, message}])."""
    problem: Mapping[str, Any] = answer.json()
    title = str(problem.get("title") or "")
    details = [entry for entry in problem.get("errors") or () if isinstance(entry, dict)]
    fields = (_field(str(entry.get("field") or ""), write) for entry in details)
    field = next((name for name in fields if name is not None), None)
    if title in _TAKEN:
        return Receipt.refused("another member of the audience has this address", EMAIL)
    reasons = [str(entry.get("message") or "") for entry in details] or [str(problem.get("detail") or "")]
    return Receipt.refused(discreet(": ".join(part for part in (title, " ".join(reasons)) if part), write), field)


def _field(told: str, write: Write) -> str | None:
    """Our name of the field that an answer names: as it is, by its merge tag, or at the end of a path."""
    name = told.rpartition(".")[2]
    return next((known for known in (told, f"{MERGE}{name}", name) if known and known in write.changed), None)
