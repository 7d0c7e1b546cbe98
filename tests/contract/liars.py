"""Connectors that do not keep what they promise, each in one thing."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from twoway.sdk import (
    MARKER,
    Absence,
    Connector,
    ConnectorError,
    Consistency,
    Fetched,
    FieldInfo,
    FieldType,
    Kind,
    Outcome,
    Page,
    Presence,
    Raw,
    RawValues,
    Receipt,
    Record,
    TellUser,
    TryLater,
    Write,
)
from twoway.testing.memory import MemoryConnector, Stored


class LeavesAnswersOut(MemoryConnector):
    """Answers only for what lives."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        return {key: each for key, each in (await super().fetch(ids)).items() if isinstance(each, Record)}


class FollowsMerges(MemoryConnector):
    """Gives the survivor for a record that was merged away."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = dict(await super().fetch(ids))
        for key, each in found.items():
            if isinstance(each, Absence) and each.into:
                found[key] = replace_id((await super().fetch([each.into]))[each.into], key)
        return found


class TurnsMergesRound(MemoryConnector):
    """Tells of a merge that the survivor went into the loser."""

    async def changes(self, cursor: str | None) -> Page:
        page = await super().changes(cursor)
        return page._replace(merged=[(survivor, loser) for loser, survivor in page.merged])


class TellsMergesAsDeletions(MemoryConnector):
    """Knows of a merge by id, and lists the loser as deleted in a feed that it calls consistent."""

    async def changes(self, cursor: str | None) -> Page:
        page = await super().changes(cursor)
        return page._replace(merged=(), gone=[*page.gone, *(loser for loser, _ in page.merged)])


class WritesToTheSurvivor(MemoryConnector):
    """Follows a merge when it writes, and does not say so."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        receipts = await super().apply([write._replace(id=self._followed(write.id)) for write in writes])
        return [each._replace(id=write.id or each.id) for each, write in zip(receipts, writes, strict=True)]

    def _followed(self, record_id: str | None) -> str | None:
        found = self.app.records.get(record_id or "")
        return found.merged_into if found and found.merged_into else record_id


def replace_id(answer: Fetched, id: str) -> Fetched:
    return answer._replace(id=id) if isinstance(answer, Record) else answer


class ShowsEmptyTexts(MemoryConnector):
    """Shows what is empty as an empty text."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = await super().fetch(ids)
        return {key: self._filled(each) if isinstance(each, Record) else each for key, each in found.items()}

    @staticmethod
    def _filled(record: Record) -> Record:
        return record._replace(values={name: "" if each is None else each for name, each in record.values.items()})


class LeavesBlanksOut(MemoryConnector):
    """Leaves out of a record what is empty."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = await super().fetch(ids)
        return {key: self._filled(each) if isinstance(each, Record) else each for key, each in found.items()}

    @staticmethod
    def _filled(record: Record) -> Record:
        return record._replace(values={name: each for name, each in record.values.items() if each is not None})


class TakesTheTimeForAVersion(MemoryConnector):
    """Gives as version a time that is too coarse."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = await super().fetch(ids)
        return {
            key: each._replace(version=str(each.modified)) if isinstance(each, Record) else each
            for key, each in found.items()
        }


class AnswersInLowerCase(MemoryConnector):
    """Answers under the form in which the app keeps a value, and not under what it was asked for."""

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        return {str(value).lower(): ids for value, ids in (await super().find(field, values)).items()}


class QuotesNothing(MemoryConnector):
    """Asks as if a plus were a blank, as in an address that was not quoted."""

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        found = await super().find(field, [str(value).replace("+", " ") for value in values])
        return dict(zip(values, found.values(), strict=True))

    async def describe(self) -> Sequence[FieldInfo]:
        return [
            replace(info, type=FieldType.EMAIL if info.name == "email" else info.type)
            for info in await super().describe()
        ]


class FindsTheFirst(MemoryConnector):
    """Tells one of several who hold a value."""

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        return {value: list(ids)[:1] for value, ids in (await super().find(field, values)).items()}


class CannotFindTheMarker(MemoryConnector):
    """Declares that the marker can be looked up, and refuses to."""

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        if field == MARKER:
            raise TellUser("no such field")
        return await super().find(field, values)


class ForgetsTheMarker(MemoryConnector):
    """Declares a marker, and sends none."""

    def _write(self, write: Write) -> Receipt:
        receipt = super()._write(write)
        if write.kind is Kind.CREATE and receipt.id:
            self.app.records[receipt.id].marker = None
        return receipt


class IsBornWithEachEdit(MemoryConnector):
    """Tells as the time of birth that of the last edit."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = await super().fetch(ids)
        return {
            key: each._replace(created=each.modified) if isinstance(each, Record) else each
            for key, each in found.items()
        }


class NeverMoves(MemoryConnector):
    """Tells as the time of the last edit that of birth."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = await super().fetch(ids)
        return {
            key: each._replace(modified=each.created) if isinstance(each, Record) else each
            for key, each in found.items()
        }


class ReadsTimesAsLocal(MemoryConnector):
    """Takes the app's times, which are UTC, for this machine's."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        found = await super().fetch(ids)
        return {key: self._local(each) if isinstance(each, Record) else each for key, each in found.items()}

    @staticmethod
    def _local(record: Record) -> Record:
        shown = time.gmtime((record.modified or 0) / 1000)
        return record._replace(modified=round(time.mktime(shown)) * 1000)


class ClaimsFineTimes(MemoryConnector):
    """Declares a clock that is finer than its app's."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, resolution=1)


class ClaimsToBeUpToDate(MemoryConnector):
    """Declares as consistent what lags."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        consistent = Consistency.CONSISTENT
        self.capabilities = replace(self.capabilities, feed=consistent, snapshot=consistent, find=consistent)


class MixesReceipts(MemoryConnector):
    """Gives receipts in the order in which the app happened to answer."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        return list(reversed(await super().apply(writes)))


class IgnoresConditions(MemoryConnector):
    """Declares conditional writes, and sends no condition."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        return await super().apply([write._replace(version=None) for write in writes])


class SwallowsBlanks(MemoryConnector):
    """Leaves out of its request what is to be cleared."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        filled = [{name: each for name, each in write.changed.items() if each is not None} for write in writes]
        return await super().apply(
            [write._replace(changed=changed) for write, changed in zip(writes, filled, strict=True)]
        )


class WritesWholeRecords(MemoryConnector):
    """Sets every field that an update does not name to nothing, as a PUT does."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        whole = dict.fromkeys(self.app.fields)
        return await super().apply(
            [
                write._replace(changed={**whole, **write.changed}) if write.kind is Kind.UPDATE else write
                for write in writes
            ]
        )


class CutsLongTexts(MemoryConnector):
    """Sends only what fits, says nothing of it, and foretells that it will be stored whole."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        cut = [
            {name: each[:100] if isinstance(each, str) else each for name, each in write.changed.items()}
            for write in writes
        ]
        return await super().apply([write._replace(changed=each) for write, each in zip(writes, cut, strict=True)])


class NamesTheWrongHolder(MemoryConnector):
    """Says of a duplicate that it is one of some other record."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        other = min(self.app.records, default=None)
        receipts = await super().apply(writes)
        return [each._replace(id=other) if each.outcome is Outcome.DUPLICATE else each for each in receipts]


class ChangesWhatItIsGiven(MemoryConnector):
    """Works on the values of its caller."""

    def normal(self, values: RawValues) -> RawValues:
        values["name"] = str(values.get("name")).upper()  # type: ignore[index]  # that is the fault
        return values


class DescribesTooLittle(MemoryConnector):
    """Leaves a field out of its description."""

    async def describe(self) -> Sequence[FieldInfo]:
        return list(await super().describe())[:-1]


class AllowsSecondKeys(MemoryConnector):
    """Declares as unique what the app takes twice."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, unique=frozenset({"email"}), find=Consistency.CONSISTENT)

    async def describe(self) -> Sequence[FieldInfo]:
        return [replace(info, unique=info.name == "email") for info in await super().describe()]


# -- listings by version


class ListsAnotherVersion(MemoryConnector):
    """Tells in listings a version of another kind than by id."""

    def _versions(self, live: Sequence[Stored]) -> list[tuple[str, str]]:
        return [(record_id, f"listed-{version}") for record_id, version in super()._versions(live)]


class ListsTheTime(TakesTheTimeForAVersion):
    """Tells everywhere as version a time that is too coarse."""

    def _versions(self, live: Sequence[Stored]) -> list[tuple[str, str]]:
        return [(record.id, str(record.modified)) for record in live] if self.app.manner.by_version else []


class CountsPeopleOnly(MemoryConnector):
    """Tells a version that our own writes do not move."""

    def _versions(self, live: Sequence[Stored]) -> list[tuple[str, str]]:
        edits = Counter(change.id for change in self.app.log if change.who == "human")
        return [(record.id, f"after {edits[record.id]}") for record in live] if self.app.manner.by_version else []


class NumbersItsAnswers(MemoryConnector):
    """Tells a version that is of the answer, and not of the record."""

    def _versions(self, live: Sequence[Stored]) -> list[tuple[str, str]]:
        now = self.app.clock.now()
        return [(record_id, f"{version} at {now}") for record_id, version in super()._versions(live)]


class ListsEmptyVersions(MemoryConnector):
    """Tells a version where the app has told none."""

    def _versions(self, live: Sequence[Stored]) -> list[tuple[str, str]]:
        return [(record_id, "") for record_id, _ in super()._versions(live)]


class ListsTheDeleted(MemoryConnector):
    """Tells versions of what is in the bin, too."""

    async def snapshot(self, cursor: str | None) -> Page:
        page = await super().snapshot(cursor)
        deleted = [(record.id, str(record.version)) for record in self.app.records.values() if not record.alive]
        return page._replace(versions=[*page.versions, *deleted])


class TellsNoFeed(MemoryConnector):
    """Declares that a snapshot tells the feed's cursor, and tells none."""

    async def snapshot(self, cursor: str | None) -> Page:
        return (await super().snapshot(cursor))._replace(feed=None)


class TellsTheFeedUndeclared(MemoryConnector):
    """Tells the feed's cursor in a snapshot, and declares nothing of it."""

    async def snapshot(self, cursor: str | None) -> Page:
        return (await super().snapshot(cursor))._replace(feed='[0, "", null]')


class BeginsTheFeedTooLate(MemoryConnector):
    """Tells as the feed's cursor one that is of the listing's end."""

    async def snapshot(self, cursor: str | None) -> Page:
        page = await super().snapshot(cursor)
        later = json.dumps([self.app.time() + 2 * self.app.manner.resolution, "", None])
        return page._replace(feed=later if page.feed else None)


# -- around a connector that speaks to an app over a network


class Around:
    """A connector that hands everything on."""

    def __init__(self, inner: Connector) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class TakesTroubleForEmptiness(Around):
    """Answers with an empty last page where it could not read."""

    async def snapshot(self, cursor: str | None) -> Page:
        try:
            return await self._inner.snapshot(cursor)
        except ConnectorError:
            return Page(last=True)


class TakesTroubleForAbsence(Around):
    """Says of what it could not read that it is gone."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        try:
            return await self._inner.fetch(ids)
        except ConnectorError:
            return {each: Absence(each, Presence.GONE) for each in ids}


class KnowsWhatItCannot(Around):
    """Says of a write whose answer was lost that it was not made."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        receipts = await self._inner.apply(writes)
        return [Receipt.later("try again") if each.outcome is Outcome.UNKNOWN else each for each in receipts]


class SendsAgain(Around):
    """Sends a write again whose answer was lost."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        receipts = await self._inner.apply(writes)
        lost = any(each.outcome is Outcome.UNKNOWN for each in receipts)
        return await self._inner.apply(writes) if lost else receipts


class SaysItIsDone(Around):
    """Hopes for the best."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        try:
            receipts = await self._inner.apply(writes)
        except TryLater:
            return [Receipt.done(write.id) for write in writes]
        return [Receipt.done(each.id) if each.outcome is Outcome.UNKNOWN else each for each in receipts]


class RaisesAfterAHalf(Around):
    """Raises for a batch of which a part was written."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        receipts = await self._inner.apply(writes)
        if any(each.outcome in {Outcome.LATER, Outcome.UNKNOWN} for each in receipts):
            raise TryLater("the batch failed")
        return receipts


class RefusesWholeBatches(Around):
    """Refuses a batch for the sake of one record."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if any("the day before yesterday" in write.changed.values() for write in writes):
            return [Receipt.refused("one of these is wrong") for _ in writes]
        return await self._inner.apply(writes)


class StaysBusy(Around):
    """Never gives its turn back when a call is cancelled."""

    _busy = False

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if self._busy:
            return [Receipt.later("busy") for _ in writes]
        self._busy = True
        receipts = await self._inner.apply(writes)
        self._busy = False
        return receipts
