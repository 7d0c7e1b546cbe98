"""That versions and times are what the capabilities say of them."""

from itertools import pairwise

from twoway.core.model import Instant, Kind, Outcome, Record
from twoway.ports import Consistency, ReceiptShape
from twoway.testing.contract.trial import Trial, check, expect, same, told


class DeclaredContract:
    """Versions, times, receipts, normal forms."""

    @check
    async def test_a_version_changes_with_every_field(self, trial: Trial) -> None:
        field = await trial.plain_field()
        record_id = trial.person()
        seen = [(await trial.read(record_id)).version]
        for text in ("one", "two", "one"):
            trial.bench.advance(0.001)
            trial.bench.update(record_id, {field: text})
            seen.append((await trial.read(record_id)).version)
        expect(None not in seen, "Every record must have a version; the modified time will do where it is fine enough.")
        expect(
            all(before != after for before, after in pairwise(seen)),
            "A version must change with every edit, also with two within a tick of the app's clock: a read at a version"
            " that we know is taken for no change. Where the clock is coarse add a digest of the values.",
            seen,
        )

    @check
    async def test_times_are_as_fine_as_declared(self, trial: Trial) -> None:
        caps = trial.caps
        trial.bench.advance(0.777)
        before = trial.bench.now()
        record_id = trial.person()
        after = trial.bench.now()
        record = await trial.read(record_id)
        if caps.created_times:
            trial.settle()
            for name, found in {"fetch": record, "snapshot": (await trial.snapshot()).records[record_id]}.items():
                expect(
                    found.created is not None,
                    f"`created_times` is declared: `{name}` must tell when a record came to be. A create whose answer"
                    " was lost is looked for among the records born since.",
                )
                _within(f"`created` in `{name}`", found.created, before, after, caps.resolution)
        if record.modified is not None:
            _within("`modified`", record.modified, before, after, caps.resolution)
        trial.bench.advance(3600)
        before = trial.bench.now()
        trial.bench.update(record_id, {await trial.plain_field(): "edited later"})
        after = trial.bench.now()
        edited = await trial.read(record_id)
        expect(
            edited.created == record.created,
            "`created` must stay when a record is edited: a record that was edited would be taken for one that was born"
            " since, and for our own create whose answer was lost.",
            (record.created, edited.created),
        )
        if edited.modified is not None:
            _within("`modified` after an edit", edited.modified, before, after, caps.resolution)

    @check
    async def test_the_feed_tells_when_records_were_created(self, trial: Trial) -> None:
        caps = trial.caps
        if not caps.created_times or caps.feed is Consistency.NONE:
            return
        cursor = await trial.now()
        trial.bench.advance(300)
        before = trial.bench.now()
        record_id = trial.person()
        after = trial.bench.now()
        trial.settle()
        found = (await trial.follow(cursor)).records.get(record_id)
        if found is not None:
            expect(found.created is not None, "`created_times` is declared: listed records must carry `created`.")
            _within("`created` in `changes`", found.created, before, after, caps.resolution)

    @check
    async def test_field_times_tell_the_last_change_of_each_field(self, trial: Trial) -> None:
        if not trial.caps.field_times:
            return
        field = await trial.plain_field()
        connector = trial.open(times=True)
        record_id = trial.bench.create({**trial.sample(), field: "before"})
        trial.bench.advance(500)
        others = dict(((await connector.fetch([record_id]))[record_id]).field_times or {})  # type: ignore[union-attr]
        before = trial.bench.now()
        trial.bench.update(record_id, {field: "after"})
        after = trial.bench.now()
        record = (await connector.fetch([record_id]))[record_id]
        expect(
            isinstance(record, Record) and record.field_times is not None and field in record.field_times,
            "`field_times` is declared: a record that is fetched must tell when each field changed, where a policy"
            " needs it.",
        )
        times = dict(record.field_times or {}) if isinstance(record, Record) else {}
        _within(f"the time of {field}", times[field], before, after, trial.caps.resolution)
        moved = [name for name in others if name != field and times.get(name) != others[name]]
        expect(not moved, "The time of a field must move with that field alone: `newest` is decided by it.", moved)

    @check
    async def test_receipts_have_the_declared_shape(self, trial: Trial) -> None:
        field = await trial.plain_field()
        mapped = (await trial.fields()).keys()
        shape = trial.caps.receipt
        create = trial.creation()
        (created,) = await trial.done(create)
        record_id = await trial.made(created, create)
        (updated,) = await trial.done(trial.edit(record_id, {field: "written"}))
        expect(updated.id == record_id, "The receipt of an update must name the record that was written.", updated.id)
        for receipt, written in ((created, create.changed.keys() & mapped), (updated, {field})):
            if shape is ReceiptShape.RECORD:
                told = receipt.record.values.keys() if receipt.record else frozenset()
                expect(
                    written <= told,
                    "`receipt` is declared as `record`: a receipt must tell what the app stored in every field that was"
                    " written. It becomes the base.",
                    sorted(written - told),
                )
            if shape is ReceiptShape.VERSION:
                expect(
                    receipt.version is not None,
                    "`receipt` is declared as `version`: a receipt must tell the version that the write produced.",
                )

    @check
    async def test_a_read_at_the_version_of_a_receipt_shows_what_the_receipt_said(self, trial: Trial) -> None:
        fields = await trial.fields()
        field = await trial.plain_field()
        create = trial.creation()
        (created,) = await trial.done(create)
        record_id = await trial.made(created, create)
        read = await trial.read(record_id)
        trial.bench.advance(0.001)
        (updated,) = await trial.done(trial.edit(record_id, {field: "written"}))
        for receipt, record in ((created, read), (updated, await trial.read(record_id))):
            if receipt.version is not None and receipt.record is not None:
                expect(
                    receipt.version == record.version,
                    "The version in a receipt must be the one that a read shows next: else our own write comes back as"
                    " somebody's edit.",
                    (receipt.version, record.version),
                )
            told = receipt.record.values if receipt.record else {}
            wrong = [
                name for name in told if name in fields and not same(fields[name], told[name], record.values[name])
            ]
            expect(not wrong, "A receipt must tell what is stored, as a read does: it becomes the base.", wrong)
        trial.bench.advance(0.001)
        trial.bench.update(record_id, {field: "a person's"})
        expect(
            updated.version is None or (await trial.read(record_id)).version != updated.version,
            "A person's edit right after our write must show at another version than our receipt's: at the same one it"
            " would be taken for our own write, and be lost.",
        )

    @check
    async def test_normal_is_pure_and_settled(self, trial: Trial) -> None:
        fields = await trial.fields()
        values = {**trial.sample(), "no_such_field": " x ", **dict.fromkeys(fields)}
        before = dict(values)
        once = trial.connector.normal(values)
        expect(values == before, "`normal` must not change what it is given: the engine goes on using it.")
        expect(once.keys() == values.keys(), "`normal` must give the fields that it was given, no more and no fewer.")
        expect(
            dict(trial.connector.normal(once)) == dict(once),
            "`normal` of a normal form must be itself: it foretells what the app stores of what it has stored.",
        )

    @check
    async def test_every_kind_of_write_that_is_declared_is_there(self, trial: Trial) -> None:
        for kind in sorted(trial.caps.kinds & {Kind.DELETE, Kind.ARCHIVE}):
            record_id = trial.person()
            await trial.done(trial.removal(record_id, kind))
            answer = (await trial.fetch([record_id]))[record_id]
            expect(
                not isinstance(answer, Record) and answer.presence.proves_absence,
                f"After a {kind.value} that was `done`, `fetch` must say that the record is gone or archived.",
                answer,
            )
            expect(
                record_id not in trial.bench.live(), f"A {kind.value} that was `done` must have happened in the app."
            )

    @check
    async def test_a_kind_of_write_that_is_not_declared_does_nothing(self, trial: Trial) -> None:
        for kind in sorted({Kind.DELETE, Kind.ARCHIVE} - trial.caps.kinds):
            record_id = trial.person()
            verdict = await trial.tried(trial.removal(record_id, kind))
            refused = verdict.error is not None or verdict.receipts[0].outcome is Outcome.REFUSED
            expect(refused, f"`kinds` lacks {kind.value}: it must be refused, never replaced by something like it.")
            expect(
                record_id in trial.bench.live(), f"A {kind.value} that is not declared must not take the record away."
            )

    @check
    async def test_pages_are_what_they_seem(self, trial: Trial) -> None:
        trial.people(3)
        trial.settle()
        page = await trial.connector.snapshot(None)
        expect(
            {(type(record), type(record.id)) for record in page.records} <= {(Record, str)} and bool(told(page)),
            "A page must hold `Record`s, and ids must be text: they are stored and compared as such.",
        )
        texts = [text for row in page.versions for text in row]
        expect(
            {type(text) for text in texts} <= {str} and "" not in texts,
            "What is told by version must be pairs of id and version, and both text: a version that is not there"
            " vouches for nothing, and such a record belongs into `records` or `ids`.",
            page.versions[:3],
        )
        expect(
            page.cursor is None or isinstance(page.cursor, str),
            "A cursor must be text: it is stored, and given back in another process.",
        )


def _within(what: str, found: Instant | None, before: Instant, after: Instant, resolution: int) -> None:
    """Whether a time is that of an event between two instants, as far as the app's clock tells."""
    expect(
        found is not None and before - resolution <= found <= after + resolution,
        f"{what} must be the app's time of the event, in milliseconds, no coarser than `resolution` ({resolution} ms):"
        " who was last, and what was born since, is judged by it.",
        None if found is None else f"{found - before} ms after it",
    )
