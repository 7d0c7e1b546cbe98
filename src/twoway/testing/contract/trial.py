"""One test's dealings with the bench and its connectors, and the rules that hold for every call."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from twoway.core.model import Absence, Fetched, Kind, Outcome, Page, Raw, RawValues, Receipt, Record, Write
from twoway.core.raw import Invalid
from twoway.core.types import make_type
from twoway.ports import Capabilities, Connector, FieldInfo, FieldType
from twoway.sdk.errors import ConnectorError, TryLater
from twoway.testing.contract.bench import Bench

LOCKED_UP = 60.0
"""Seconds of real time after which a connector is taken to wait for something that never comes."""
PAGES = 5_000
"""Pages after which a listing is taken to have no end."""

ZONE = "America/St_Johns"
"""Three hours and a half behind UTC, or two and a half."""

Suite = TypeVar("Suite")


class ContractBroken(AssertionError):
    """The connector does not keep the contract; the message says in what, and why it matters."""


def expect(kept: bool, rule: str, found: object = None) -> None:
    """Fail with the rule, and with what was found instead."""
    if not kept:
        raise ContractBroken(rule if found is None else f"{rule}\n  Found: {found!r}")


@contextmanager
def listening() -> Iterator[list[str]]:
    """What is logged meanwhile at the level that operators use."""
    logged: list[str] = []
    ears = logging.Handler(logging.INFO)
    ears.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]  # all that it does
    root = logging.getLogger()
    level = root.level
    root.addHandler(ears)
    root.setLevel(min(level, logging.INFO))
    try:
        yield logged
    finally:
        root.removeHandler(ears)
        root.setLevel(level)


@contextmanager
def far_from_utc() -> Iterator[None]:
    """Let this machine's own time zone be one that is not UTC: who means it by mistake is wrong on some machines only,
    and those that run tests are seldom among them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", ZONE)
        time.tzset()
        yield
    time.tzset()


def check(body: Callable[[Suite, "Trial"], Awaitable[None]]) -> Callable[[Suite, Bench], None]:
    """Make a test of the fixture `bench` out of a coroutine: in a loop of its own, with its connectors closed after."""

    def test(self: Suite, bench: Bench) -> None:
        async def whole() -> None:
            trial = Trial(bench)
            try:
                async with asyncio.timeout(LOCKED_UP):
                    with listening() as logged:
                        await body(self, trial)
                trial.keep_secrets("What is logged", "\n".join(logged))
            except TimeoutError:
                raise ContractBroken(
                    "A call must end: the connector waited for a lock, a turn or an answer that never came."
                ) from None
            finally:
                await trial.close()

        with far_from_utc():
            asyncio.run(whole())

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    test.__qualname__, test.__module__ = body.__qualname__, body.__module__
    return test


@dataclass
class Heard:
    """What a listing told, over all its pages; of a record that came several times the last word."""

    records: dict[str, Record] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    """What was told without values, and did not live when it was read."""
    versions: dict[str, str] = field(default_factory=dict)
    """The versions that were told alone."""
    cursor: str | None = None
    pages: list[Page] = field(default_factory=list)

    def add(self, page: Page, read: Mapping[str, Fetched]) -> None:
        """Take in one page. `read` is what `fetch` answers for the records of which it tells no values."""
        live = [answer for answer in read.values() if isinstance(answer, Record)]
        self._take([*page.records, *live], page.gone, page.merged)
        self.named.update(read.keys() - {record.id for record in live})
        self.versions.update(page.versions)
        self.cursor = page.cursor
        self.pages.append(page)

    def add_all(self, later: "Heard") -> None:
        """Take in what a later listing told."""
        self._take(later.records.values(), later.gone, later.merged.items())
        self.named |= later.named
        self.versions |= later.versions
        self.cursor = later.cursor
        self.pages += later.pages

    def _take(self, records: Iterable[Record], gone: Iterable[str], merged: Iterable[tuple[str, str]]) -> None:
        for record in records:
            self.records[record.id] = record
            self.gone.discard(record.id)
            self.named.discard(record.id)
        for record_id in gone:
            self.gone.add(record_id)
            self.records.pop(record_id, None)
        self.merged.update(merged)


def told(page: Page) -> list[str]:
    """The ids of the records that a page tells of, but for those that it says are no more."""
    return [*(record.id for record in page.records), *(record_id for record_id, _ in page.versions), *page.ids]


class Trial:
    """A bench, its connector, and calls that are held to what is true of every call."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.connector = bench.open()
        self._opened = [self.connector]
        self._samples = 0
        self._operations = 0

    @property
    def caps(self) -> Capabilities:
        """What the connector declares."""
        return self.connector.capabilities

    def open(self, **how: Any) -> Connector:
        """A further connector to the same app, which knows nothing of the first."""
        connector = self.bench.open(**how)
        self._opened.append(connector)
        return connector

    async def close(self) -> None:
        """Close every connector."""
        for connector in self._opened:
            await connector.close()

    def keep_secrets(self, what: str, text: str) -> None:
        """Fail where a secret of the account stands in a text."""
        expect(
            not any(secret in text for secret in self.bench.secrets),
            f"{what} must not hold a secret of the account: it goes to logs and screens.",
        )

    def settle(self) -> None:
        """Let so much time pass that no listing may be behind any more, and none to spare: who is later lies."""
        self.bench.advance((self.caps.lag + self.caps.resolution) / 1000)

    def sample(self) -> dict[str, Raw]:
        """Values of a record that no earlier one had."""
        self._samples += 1
        return self.bench.sample(self._samples)

    def person(self) -> str:
        """A record that a person has added."""
        return self.bench.create(self.sample())

    def people(self, count: int) -> list[str]:
        """Records that people added, all at once."""
        return self.bench.create_many([self.sample() for _ in range(count)])

    # -- fields

    async def fields(self) -> dict[str, FieldInfo]:
        """The fields to try, by name."""
        described = {info.name: info for info in await self.connector.describe()}
        wanted = self.bench.fields or described.keys()
        expect(
            wanted <= described.keys(),
            "`describe` must tell every field that a mapping may read, or `twoway check` refuses right mappings.",
            sorted(wanted - described.keys()),
        )
        return {name: described[name] for name in sorted(wanted)}

    async def plain_field(self) -> str:
        """A field of plain text that a person may edit freely."""
        fields = await self.fields()
        texts = {FieldType.STRING, FieldType.TEXT}
        found = [
            name
            for name, info in fields.items()
            if info.type in texts and info.on_update and not info.unique and name not in self.caps.unique
            if name not in self.bench.values
        ]
        expect(bool(found), "The bench must have among its `fields` a text that is writable, and not unique.")
        return min(found, key=lambda name: name in self.caps.rewrites)

    # -- reading

    async def follow(self, cursor: str | None, *, connector: Connector | None = None) -> Heard:
        """The pages of `changes` up to the last."""
        return await self._walk((connector or self.connector).changes, cursor, connector)

    async def snapshot(self, *, connector: Connector | None = None) -> Heard:
        """A whole snapshot."""
        return await self._walk((connector or self.connector).snapshot, None, connector)

    async def _walk(
        self,
        listing: Callable[[str | None], Awaitable[Page]],
        cursor: str | None,
        connector: Connector | None,
    ) -> Heard:
        heard = Heard(cursor=cursor)
        while not heard.pages or not heard.pages[-1].last:
            before = heard.cursor
            await self.take(heard, await listing(before), connector=connector)
            self.moved(before, heard.pages[-1])
            expect(len(heard.pages) < PAGES, "A listing must come to its end, with a page that says `last`.")
        return heard

    async def take(self, heard: Heard, page: Page, *, connector: Connector | None = None) -> None:
        """Take in one page as the engine does: what it tells by version or by id alone is read by id."""
        ids = list(dict.fromkeys([*(record_id for record_id, _ in page.versions), *page.ids]))
        heard.add(page, await self.fetch(ids, connector=connector))

    @staticmethod
    def moved(before: str | None, page: Page) -> None:
        """A page that is not the last moves the cursor."""
        expect(
            page.last or (page.cursor is not None and page.cursor != before),
            "A page without `last` must move the cursor: the engine would read the same page for ever.",
            page.cursor,
        )

    async def now(self) -> str:
        """The cursor that stands for now."""
        heard = await self.follow(None)
        expect(heard.cursor is not None, "`changes(None)` must give a cursor: it is where the feed begins.")
        return str(heard.cursor)

    async def fetch(self, ids: Sequence[str], *, connector: Connector | None = None) -> dict[str, Fetched]:
        """Records by id, in the batches that are declared; every answer belongs to its id."""
        found: dict[str, Fetched] = {}
        size = self.caps.fetch_batch
        for start in range(0, len(ids), size):
            asked = list(ids[start : start + size])
            answers = await (connector or self.connector).fetch(asked)
            expect(
                set(answers) == set(asked),
                "`fetch` must answer every id it is asked for, and no other: a missing answer settles nothing.",
                sorted(set(answers) ^ set(asked)),
            )
            for record_id, answer in answers.items():
                expect(
                    answer.id == record_id,
                    "The answer to an id must be about that id; a merged record is an `Absence` with `into`.",
                    (record_id, answer.id),
                )
            found |= answers
        return found

    async def read(self, id: str) -> Record:
        """A record that must live."""
        answer = (await self.fetch([id]))[id]
        if isinstance(answer, Absence):
            raise ContractBroken(f"`fetch` must give a live record, and says {answer.presence.value}: {id}")
        return answer

    # -- writing

    def operation(self) -> str:
        """A new operation id."""
        self._operations += 1
        return f"contract-{self._operations}"

    def creation(self, **changed: Raw) -> Write:
        """The write of a new record: a sample, with these values."""
        return Write(operation=self.operation(), kind=Kind.CREATE, changed={**self.sample(), **changed})

    def edit(self, id: str, changed: RawValues, previous: RawValues | None = None, version: str | None = None) -> Write:
        """The write of an update."""
        return Write(
            operation=self.operation(),
            kind=Kind.UPDATE,
            id=id,
            changed=changed,
            previous=previous or {},
            version=version,
        )

    def removal(self, id: str, kind: Kind, version: str | None = None) -> Write:
        """The write of a deletion."""
        return Write(operation=self.operation(), kind=kind, id=id, version=version)

    def batch(self, kind: Kind) -> int:
        """The writes of this kind that one call takes."""
        return self.caps.write_batch.get(kind, 1)

    async def apply(self, *writes: Write, connector: Connector | None = None) -> list[Receipt]:
        """One call, with a receipt for each write."""
        receipts = list(await (connector or self.connector).apply(writes))
        expect(
            len(receipts) == len(writes),
            "`apply` must give one receipt for each write, in their order: receipts carry no other name.",
            [receipt.outcome.value for receipt in receipts],
        )
        return receipts

    async def apply_all(self, writes: Sequence[Write]) -> list[Receipt]:
        """Writes of one kind, in the batches that are declared."""
        receipts: list[Receipt] = []
        if writes:
            size = self.batch(writes[0].kind)
            for start in range(0, len(writes), size):
                receipts += await self.apply(*writes[start : start + size])
        return receipts

    async def done(self, *writes: Write) -> list[Receipt]:
        """Writes that nothing stands against."""
        receipts = await self.apply_all(writes)
        for write, receipt in zip(writes, receipts, strict=True):
            expect(
                receipt.outcome is Outcome.DONE,
                f"A plain {write.kind.value} of {sorted(write.changed)} must be `done`.",
                (receipt.outcome.value, receipt.field, receipt.why),
            )
        return receipts

    async def made(self, receipt: Receipt, write: Write) -> str:
        """The id of the record that a create made, by the receipt or else by what is new in the app."""
        if receipt.id is not None:
            return receipt.id
        raise ContractBroken(f"The receipt of {write.operation} must name the new record, or it is created again.")

    async def tried(self, *writes: Write) -> "Verdict":
        """One call amid trouble, and what the app itself says became of it."""
        return await Verdict.of(self, writes)


def same(info: FieldInfo, one: Raw, two: Raw) -> bool:
    """Whether two raw values are one canonical value, which is how the engine compares them."""
    name = info.type.value
    if info.type in {FieldType.PHONE, FieldType.EMAIL, FieldType.URL, FieldType.REFERENCE}:
        name = "string"
    parse = make_type(name).parse
    try:
        return bool(parse(one) == parse(two))
    except Invalid:
        return bool(one == two)


@dataclass
class Verdict:
    """What a call of `apply` said, held against what the app shows: landed or not, for each write."""

    receipts: list[Receipt]
    error: ConnectorError | None
    landed: int
    """Writes that took effect, by the app's own view."""

    @classmethod
    async def of(cls, trial: Trial, writes: Sequence[Write]) -> "Verdict":
        """Apply the writes, and fail where a receipt or an error says other than the app does."""
        bench = trial.bench
        live = bench.live()
        before = {one: dict(bench.stored(one)) for one in live & {write.id for write in writes}}
        receipts, error = [], None
        try:
            receipts = await trial.apply(*writes)
        except ConnectorError as raised:
            error = raised
        bench.calm()
        trial.keep_secrets("The words of a receipt", " ".join(receipt.why or "" for receipt in receipts))
        after = bench.live()
        new = len(after - live)
        creates = writes[0].kind is Kind.CREATE
        changed = [] if creates else [_changed(bench, write, before, after) for write in writes]
        verdict = cls(receipts, error, new if creates else sum(changed))
        verdict._judge_error()
        if creates:
            verdict._judge_creates(new)
        else:
            verdict._judge_changes(writes, changed, live)
        return verdict

    def _judge_error(self) -> None:
        if self.error is None or (isinstance(self.error, TryLater) and self.error.sent):
            return
        expect(
            self.landed == 0,
            "`apply` may raise only when nothing was written (or say `sent`): what is thought unwritten is sent again.",
            self.error,
        )

    def _count(self, outcome: Outcome) -> int:
        return sum(receipt.outcome is outcome for receipt in self.receipts)

    def _judge_creates(self, new: int) -> None:
        if self.error is None:
            done, unknown = self._count(Outcome.DONE), self._count(Outcome.UNKNOWN)
            expect(
                done <= new <= done + unknown,
                "Only what landed is `done`, and what may have landed is `unknown`: else people are created twice, or"
                " never.",
                f"{new} new in the app; receipts: {[receipt.outcome.value for receipt in self.receipts]}",
            )

    def _judge_changes(self, writes: Sequence[Write], changed: Sequence[bool], live: set[str]) -> None:
        for write, receipt, landed in zip(writes, self.receipts, changed, strict=False):
            told = receipt.outcome
            removes = write.kind in {Kind.DELETE, Kind.ARCHIVE}
            # Sent twice, a deletion finds itself done; of what was gone before there is nothing to see.
            settled = removes and (told is Outcome.GONE or write.id not in live)
            if told is not Outcome.UNKNOWN and not settled:
                expect(
                    landed == (told is Outcome.DONE),
                    f"The receipt of this {write.kind.value} must agree with the app: `unknown` is the word where the"
                    " answer was lost.",
                    f"{told.value} ({receipt.why}); the app {'has' if landed else 'has not'} carried it out",
                )


def _changed(bench: Bench, write: Write, before: Mapping[str, Mapping[str, Any]], after: set[str]) -> bool:
    if write.id is None or write.id not in before:
        return False
    return write.id not in after or dict(bench.stored(write.id)) != before[write.id]
