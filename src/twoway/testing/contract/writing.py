"""What a write owes: every type of value as it was given, the fields that were named, and no others."""

from collections.abc import Sequence

from twoway.core.model import Kind, Outcome, Raw, RawValues, Receipt, Write
from twoway.ports import FieldInfo, FieldType
from twoway.testing.contract.specimens import awkward, specimens
from twoway.testing.contract.trial import Trial, check, expect, same

_ROUND_TRIP = (
    "A value that was written must be read back as itself, or as `normal` foretells (else the field belongs in"
    " `rewrites`): a difference comes back as an edit that nobody made."
)


class WritingContract:
    """Creates and updates."""

    @check
    async def test_a_new_record_holds_what_it_was_given(self, trial: Trial) -> None:
        fields = await _settable(trial, create=True)
        tried = {name: specimens(info, trial.bench.values) for name, info in fields.items()}
        writes = [
            trial.creation(**{name: values[at % len(values)] for name, values in tried.items()})
            for at in range(max(map(len, tried.values()), default=1))
        ]
        receipts = await trial.done(*writes)
        expect(
            len(trial.bench.live()) == len(writes),
            "A create that is `done` must have made one record, by the app's own view.",
            len(trial.bench.live()),
        )
        ids = [await trial.made(receipt, write) for receipt, write in zip(receipts, writes, strict=True)]
        wrong = await _differing(trial, ids, writes)
        expect(not wrong, _ROUND_TRIP, wrong)
        await _expect_told_as_read(trial, ids, receipts)

    @check
    async def test_an_update_stores_what_it_was_given(self, trial: Trial) -> None:
        fields = await _settable(trial, create=False)
        tried = [(name, value) for name, info in fields.items() for value in specimens(info, trial.bench.values)]
        ids = trial.people(len(tried))
        trial.bench.advance(1)
        writes = [trial.edit(record_id, {name: value}) for record_id, (name, value) in zip(ids, tried, strict=True)]
        receipts = await trial.done(*writes)
        wrong = await _differing(trial, ids, writes)
        expect(not wrong, _ROUND_TRIP, wrong)
        await _expect_told_as_read(trial, ids, receipts)

    @check
    async def test_a_value_that_an_app_may_not_like_is_stored_whole_or_refused(self, trial: Trial) -> None:
        fields = await _settable(trial, create=False)
        for name, info in fields.items():
            for value in () if name in trial.bench.values else awkward(info):
                write = trial.edit(trial.person(), {name: value})
                verdict = await trial.tried(write)
                if verdict.receipts and verdict.receipts[0].outcome is Outcome.REFUSED:
                    continue
                wrong = await _differing(trial, [str(write.id)], [write])
                expect(
                    not wrong,
                    "A value that does not fit (too long, with the sign that separates the values of a list) must be"
                    " `refused`, or be read back as `normal` foretells: what comes back cut or split is carried to the"
                    " other side.",
                    [text[:200] for text in wrong],
                )

    @check
    async def test_a_key_that_is_spelt_otherwise_reads_as_normal_foretells(self, trial: Trial) -> None:
        fields = await trial.fields()
        for key in sorted(trial.caps.unique & trial.sample().keys() & fields.keys()):
            for spelt in (str.swapcase, lambda text: f" {text} "):
                value = trial.sample()[key]
                if not isinstance(value, str) or key in trial.caps.rewrites:
                    continue
                write = trial.creation(**{key: spelt(value)})
                verdict = await trial.tried(write)
                if verdict.error is not None or verdict.receipts[0].outcome is not Outcome.DONE:
                    continue  # an app need not take it
                record_id = await trial.made(verdict.receipts[0], write)
                wrong = await _differing(trial, [record_id], [write])
                expect(not wrong, f"{_ROUND_TRIP} By this form a create whose answer was lost is found again.", wrong)
                await _expect_told_as_read(trial, [record_id], verdict.receipts)

    @check
    async def test_a_field_that_cannot_be_written_is_not_passed_over(self, trial: Trial) -> None:
        fields = await trial.fields()
        fixed = {name: specimens(info, {})[0] for name, info in fields.items() if not info.on_create}
        for name, value in fixed.items():
            write = trial.creation(**{name: value})
            verdict = await trial.tried(write)
            expect(
                verdict.error is not None or verdict.receipts[0].outcome is not Outcome.DONE,
                f"`describe` says that {name} is not writable (`on_create`): a create that sets it must be `refused`.",
                [receipt.outcome.value for receipt in verdict.receipts],
            )

    @check
    async def test_an_update_touches_only_the_fields_it_names(self, trial: Trial) -> None:
        fields = await _settable(trial, create=False)
        given = {name: list(specimens(info, trial.bench.values)) for name, info in fields.items()}
        full = {name: values[0] for name, values in given.items() if fields[name].on_create}
        creates = [trial.creation(**full) for _ in given]
        receipts = await trial.done(*creates)
        ids = [await trial.made(receipt, write) for receipt, write in zip(receipts, creates, strict=True)]
        before = {record_id: dict(trial.bench.stored(record_id)) for record_id in ids}
        trial.bench.advance(90)
        edits = [
            trial.edit(record_id, {name: values[-1]}, {name: values[0]})
            for record_id, (name, values) in zip(ids, given.items(), strict=True)
        ]
        await trial.done(*edits)
        touched = {
            name: sorted(_moved(before[record_id], trial.bench.stored(record_id)) - trial.bench.parts(name))
            for record_id, name in zip(ids, given, strict=True)
        }
        touched = {name: others for name, others in touched.items() if others}
        expect(
            not touched,
            "An update must leave every other field as it is, by the app's own view: fields that are not mapped are"
            " not ours.",
            touched,
        )

    @check
    async def test_a_blank_clears_the_field(self, trial: Trial) -> None:
        fields = await _settable(trial, create=True)
        clearable = {name: info for name, info in fields.items() if info.on_update and info.cleared_by is not None}
        full = {name: specimens(info, trial.bench.values)[0] for name, info in clearable.items()}
        creates = [trial.creation(**full) for _ in clearable]
        receipts = await trial.done(*creates)
        ids = [await trial.made(receipt, write) for receipt, write in zip(receipts, creates, strict=True)]
        trial.bench.advance(90)
        await trial.done(
            *(
                trial.edit(record_id, {name: None}, {name: full[name]})
                for record_id, name in zip(ids, clearable, strict=True)
            )
        )
        records = await trial.fetch(ids)
        kept = []
        for record_id, name in zip(ids, clearable, strict=True):
            record = records[record_id]
            if getattr(record, "values", {}).get(name):
                kept.append(name)
        expect(
            not kept,
            "None in `changed` must empty the field (or `cleared_by` is None, and it is refused): a blank that is"
            " swallowed comes back as the old value.",
            kept,
        )

    @check
    async def test_a_field_that_cannot_be_cleared_is_not_said_to_be(self, trial: Trial) -> None:
        fields = await _settable(trial, create=True)
        fixed = [name for name, info in fields.items() if info.on_update and info.cleared_by is None]
        described = await trial.fields()
        keys = trial.caps.unique & described.keys()
        fixed += sorted(name for name in keys if described[name].on_update and described[name].cleared_by is None)
        for name in fixed:
            record_id = trial.bench.create(trial.sample())
            before = (await trial.read(record_id)).values[name]
            if before is None:
                continue
            verdict = await trial.tried(trial.edit(record_id, {name: None}, {name: before}))
            done = bool(verdict.receipts) and verdict.receipts[0].outcome is Outcome.DONE
            expect(
                not done or (await trial.read(record_id)).values[name] is None,
                f"`describe` says that {name} cannot be cleared: to clear it must be refused, or `cleared_by` say how.",
            )

    @check
    async def test_a_value_of_the_greatest_length_fits(self, trial: Trial) -> None:
        fields = await _settable(trial, create=False)
        for name, info in fields.items():
            if info.max_length is None or name in trial.bench.values:
                continue
            if info.type not in {FieldType.STRING, FieldType.TEXT}:
                continue
            record_id = trial.person()
            fits, overlong = "é" * info.max_length, "é" * (info.max_length + 1)
            await trial.done(trial.edit(record_id, {name: fits}))
            expect(
                (await trial.read(record_id)).values[name] == fits,
                f"`max_length` is counted in characters: {name} must hold that many.",
            )
            verdict = await trial.tried(trial.edit(record_id, {name: overlong}))
            expect(
                bool(verdict.receipts) and verdict.receipts[0].outcome is Outcome.REFUSED,
                f"A text longer than `max_length` must be refused and not cut: {name} would lose its end on the other"
                " side, too.",
                [receipt.outcome.value for receipt in verdict.receipts],
            )

    @check
    async def test_a_field_that_is_read_only_is_not_written(self, trial: Trial) -> None:
        for name, info in (await trial.fields()).items():
            if info.on_update:
                continue
            record_id = trial.person()
            verdict = await trial.tried(trial.edit(record_id, {name: specimens(info, {})[0]}))
            outcomes = [receipt.outcome for receipt in verdict.receipts]
            expect(
                outcomes == [Outcome.REFUSED] and verdict.landed == 0,
                f"`describe` says that {name} is not writable (`on_update`): a write of it must be `refused`, for a"
                " person to see.",
                (outcomes, verdict.error, verdict.landed),
            )

    @check
    async def test_a_new_record_may_be_given_blanks(self, trial: Trial) -> None:
        fields = await _settable(trial, create=True)
        sample = trial.sample()
        blanks = [name for name, info in fields.items() if info.cleared_by is not None and name not in sample]
        write = trial.creation(**dict.fromkeys(blanks))
        (receipt,) = await trial.done(write)
        record = await trial.read(await trial.made(receipt, write))
        expect(
            not any(record.values.get(name) for name in blanks),
            "None in a create must leave the field empty: a record may have nothing there on the other side.",
            [name for name in blanks if record.values.get(name)],
        )

    @check
    async def test_only_the_named_fields_of_a_new_record_are_filled(self, trial: Trial) -> None:
        fields = await trial.fields()
        write = trial.creation()
        (receipt,) = await trial.done(write)
        record = await trial.read(await trial.made(receipt, write))
        by_person = await trial.read(trial.person())
        filled = {name for name in fields if record.values.get(name) is not None}
        usual = {name for name in fields if by_person.values.get(name) is not None}
        expect(
            filled <= usual,
            "A create must set what it was given and nothing else; what the app fills in by itself is its own matter.",
            sorted(filled - usual),
        )


class BatchContract:
    """Several writes in one call."""

    @check
    async def test_batches_of_the_declared_size_are_taken(self, trial: Trial) -> None:
        field = await trial.plain_field()
        creates = [trial.creation() for _ in range(trial.batch(Kind.CREATE))]
        receipts = await trial.apply(*creates)
        expect(
            {receipt.outcome for receipt in receipts} == {Outcome.DONE},
            "`apply` must carry out as many creates at once as `write_batch` declares.",
            {receipt.outcome.value for receipt in receipts},
        )
        ids = trial.people(trial.batch(Kind.UPDATE))
        receipts = await trial.apply(*(trial.edit(one, {field: f"written {at}"}) for at, one in enumerate(ids)))
        expect(
            {receipt.outcome for receipt in receipts} == {Outcome.DONE},
            "`apply` must carry out as many updates at once as `write_batch` declares.",
            {receipt.outcome.value for receipt in receipts},
        )
        for kind in sorted(trial.caps.kinds & {Kind.DELETE, Kind.ARCHIVE}):
            ids = trial.people(trial.batch(kind))
            receipts = await trial.apply(*(trial.removal(record_id, kind) for record_id in ids))
            expect(
                not set(ids) & trial.bench.live() and {receipt.outcome for receipt in receipts} == {Outcome.DONE},
                f"`apply` must carry out as many writes of the kind {kind.value} at once as `write_batch` declares.",
                {receipt.outcome.value for receipt in receipts},
            )

    @check
    async def test_receipts_come_in_the_order_of_the_writes(self, trial: Trial) -> None:
        field = await trial.plain_field()
        size = min(12, trial.batch(Kind.CREATE))
        creates = [trial.creation(**{field: f"number {at}"}) for at in range(size)]
        receipts = await trial.done(*creates)
        ids = [await trial.made(receipt, write) for receipt, write in zip(receipts, creates, strict=True)]
        records = await trial.fetch(ids)
        told = [getattr(records[record_id], "values", {}).get(field) for record_id in ids]
        expect(
            told == [write.changed[field] for write in creates],
            "Receipts must come in the order of the writes, whatever order the app answers in: a receipt at the wrong"
            " place links two strangers.",
            told,
        )
        shuffled = [*ids[1::2], *ids[::2]]
        edits = [trial.edit(record_id, {field: f"again {at}"}) for at, record_id in enumerate(shuffled)]
        size = trial.batch(Kind.UPDATE)
        written = [
            receipt.id
            for start in range(0, len(edits), size)
            for receipt in await trial.done(*edits[start : start + size])
        ]
        expect(
            written == shuffled, "The receipts of updates must name the records in the order of the writes.", written
        )

    @check
    async def test_one_bad_record_does_not_hold_back_the_others(self, trial: Trial) -> None:
        bad = trial.bench.refused
        if bad is None:
            return
        field = await trial.plain_field()
        creates = [trial.creation() for _ in range(min(12, max(3, trial.batch(Kind.CREATE))))]
        creates[1] = trial.creation(**{bad[0]: bad[1]})
        ids = trial.people(min(12, max(3, trial.batch(Kind.UPDATE))))
        trial.bench.advance(1)
        edits = [trial.edit(record_id, {field: "good"}) for record_id in ids]
        edits[1] = trial.edit(ids[1], {bad[0]: bad[1]})
        for writes in (creates, edits):
            if trial.batch(writes[0].kind) < len(writes):
                receipts = [(await trial.tried(write)).receipts[0] for write in writes]
            else:
                verdict = await trial.tried(*writes)
                expect(
                    verdict.error is None,
                    "One record that is refused must not refuse its batch: it gets a receipt of its own.",
                    verdict.error,
                )
                receipts = verdict.receipts
            expect(
                [at for at, receipt in enumerate(receipts) if receipt.outcome is not Outcome.DONE] == [1]
                and receipts[1].outcome is Outcome.REFUSED,
                f"A bad {writes[0].kind.value} must be `refused` and the others `done`, receipts in order: a record"
                " that fails blocks nothing.",
                [(receipt.outcome.value, receipt.why) for receipt in receipts],
            )
            _expect_words(receipts[1].why, bad[1])
            expect(
                receipts[1].field in {bad[0], None},
                "The field of a refusal is the connector's name of it, as the mapping has it.",
                receipts[1].field,
            )


def _expect_words(why: str | None, value: Raw) -> None:
    expect(bool(why), "A refusal must say why, for the person who has to mend the record.")
    expect(
        str(value) not in str(why),
        "A refusal must not repeat the customer's value: it goes to logs and screens.",
    )


async def _settable(trial: Trial, *, create: bool) -> dict[str, FieldInfo]:
    """The fields that may be set, but for those in which no two records may be equal."""
    return {
        name: info
        for name, info in (await trial.fields()).items()
        if (info.on_create if create else info.on_update)
        if not info.unique and name not in trial.caps.unique and trial.bench.values.get(name) != ()
    }


async def _differing(trial: Trial, ids: Sequence[str], writes: Sequence[Write]) -> list[str]:
    """The fields of writes that read otherwise than `normal` says."""
    infos = {info.name: info for info in await trial.connector.describe()}
    mapped = (await trial.fields()).keys()
    records = await trial.fetch(ids)
    wrong: list[str] = []
    for record_id, write in zip(ids, writes, strict=True):
        stored: RawValues = getattr(records[record_id], "values", {})
        wanted = trial.connector.normal(write.changed)
        for name, sent in write.changed.items():
            if name not in stored:
                wrong += [f"{name}: wrote it, and cannot read it"] if name in mapped else []
            elif name not in trial.caps.rewrites and not same(infos[name], stored[name], wanted[name]):
                wrong.append(f"{name}: wrote {sent!r}, expected {wanted[name]!r}, read {stored[name]!r}")
    return wrong


async def _expect_told_as_read(trial: Trial, ids: Sequence[str], receipts: Sequence[Receipt]) -> None:
    """Whether the records in receipts hold what a read shows of them."""
    infos = {info.name: info for info in await trial.connector.describe()}
    records = await trial.fetch(ids)
    wrong = []
    for record_id, receipt in zip(ids, receipts, strict=True):
        read: RawValues = getattr(records[record_id], "values", {})
        told = receipt.record.values if receipt.record else {}
        wrong += [
            f"{name}: told {value!r}, read {read[name]!r}"
            for name, value in told.items()
            if name in read and name not in trial.caps.rewrites and not same(infos[name], value, read[name])
        ]
    expect(
        not wrong,
        "The record in a receipt must hold what the app has stored, by its answer, and not what was sent: it becomes"
        " the base, and the next read would look like an edit.",
        wrong,
    )


def _moved(before: dict[str, object], after: object) -> set[str]:
    now = dict(after)  # type: ignore[call-overload]
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
