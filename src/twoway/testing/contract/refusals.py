"""What a write owes that cannot be carried out: taken keys, records that moved on, records that are gone."""

from twoway.core.model import Kind, Outcome, Raw, Record
from twoway.ports import Consistency
from twoway.sdk.errors import ConnectorError
from twoway.testing.contract.trial import ContractBroken, Trial, check, expect


class DuplicateContract:
    """Keys of which the app allows one record each."""

    @check
    async def test_a_second_record_with_the_key_is_a_duplicate_of_the_first(self, trial: Trial) -> None:
        for key in sorted(trial.caps.unique & trial.sample().keys()):
            sample = trial.sample()
            trial.person()
            holder = trial.bench.create(sample)
            trial.settle()
            verdict = await trial.tried(trial.creation(**{key: sample[key]}))
            outcomes = [receipt.outcome for receipt in verdict.receipts]
            expect(
                outcomes == [Outcome.DUPLICATE] and verdict.landed == 0,
                f"`unique` names {key}: a second record with the same value must be refused by the app, as `duplicate`."
                " It is what keeps a create whose answer was lost from being made twice.",
                (outcomes, verdict.error, f"{verdict.landed} new records"),
            )
            expect(
                str(sample[key]).lower() not in str(verdict.receipts[0].why).lower(),
                "The words of a `duplicate` must not repeat the customer's value: they go to logs and screens"
                " (`discreet` takes values out of an app's words).",
            )
            told = verdict.receipts[0].id
            expect(
                told in {holder, None},
                f"`duplicate` must name the record that holds {key}, or nobody: the engine links to it.",
                (told, holder),
            )
            if told is not None:
                record = await trial.read(told)
                expect(record.id == holder, "The id of a duplicate must be one that `fetch` knows.")

    @check
    async def test_two_new_records_with_one_key_in_a_batch_do_not_both_land(self, trial: Trial) -> None:
        if trial.batch(Kind.CREATE) < 2:
            return
        for key in sorted(trial.caps.unique & trial.sample().keys()):
            value: Raw = trial.sample()[key]
            verdict = await trial.tried(
                trial.creation(**{key: value}), trial.creation(**{key: value}), trial.creation()
            )
            outcomes = [receipt.outcome.value for receipt in verdict.receipts]
            expect(
                verdict.landed == 2 and outcomes.count("done") == 2 and outcomes[2] == "done",
                f"Of two new records of a batch with the same {key} one is `done`, the other is not, and the rest"
                " of the batch goes on.",
                (outcomes, verdict.error),
            )

    @check
    async def test_an_update_to_a_taken_key_is_refused(self, trial: Trial) -> None:
        fields = await trial.fields()
        for key in sorted(trial.caps.unique & trial.sample().keys()):
            if key not in fields or not fields[key].on_update:
                continue
            sample = trial.sample()
            trial.bench.create(sample)
            other = trial.person()
            trial.settle()
            verdict = await trial.tried(trial.edit(other, {key: sample[key]}))
            outcomes = {receipt.outcome for receipt in verdict.receipts}
            expect(
                outcomes <= {Outcome.REFUSED, Outcome.DUPLICATE} and verdict.landed == 0,
                f"An update that gives a record the {key} of another must be refused, and change nothing.",
                (outcomes, verdict.error),
            )


class ConditionContract:
    """Writes that hold only while the record is at a version."""

    @check
    async def test_a_write_at_the_present_version_is_done(self, trial: Trial) -> None:
        field = await trial.plain_field()
        record = await trial.read(trial.person())
        await trial.done(trial.edit(record.id, {field: "written"}, version=record.version))
        for kind in sorted(trial.caps.kinds & {Kind.DELETE, Kind.ARCHIVE}):
            record = await trial.read(trial.person())
            await trial.done(trial.removal(record.id, kind, record.version))

    @check
    async def test_a_write_at_a_version_that_is_past_is_moved_or_the_version_is_ignored(self, trial: Trial) -> None:
        field = await trial.plain_field()
        conditional = trial.caps.conditional
        for kind in sorted(trial.caps.kinds - {Kind.CREATE}):
            read = await trial.read(trial.person())
            # A whole tick: an app may compare by its clock, and what it cannot tell apart it cannot refuse.
            trial.bench.advance(trial.caps.resolution / 1000)
            trial.bench.update(read.id, {field: "a person's"})
            if kind is Kind.UPDATE:
                write = trial.edit(read.id, {field: "ours"}, version=read.version)
            else:
                write = trial.removal(read.id, kind, read.version)
            verdict = await trial.tried(write)
            outcomes = [receipt.outcome for receipt in verdict.receipts]
            if conditional:
                expect(
                    outcomes == [Outcome.MOVED] and verdict.landed == 0,
                    f"`conditional` is declared: this {kind.value} at a past version must be `moved`, and change"
                    " nothing. Else a person's edit is overwritten unseen.",
                    (outcomes, verdict.error),
                )
                expect(
                    (await trial.read(read.id)).values[field] == "a person's",
                    "A write that was `moved` must leave the person's edit as it is.",
                )
            else:
                expect(
                    outcomes == [Outcome.DONE],
                    f"Without `conditional` the version is ignored: this {kind.value} must be carried out, the engine"
                    " has read the record again itself.",
                    (outcomes, verdict.error),
                )

    @check
    async def test_a_read_of_our_write_gives_the_version_for_the_next(self, trial: Trial) -> None:
        field = await trial.plain_field()
        record_id = trial.person()
        version = (await trial.read(record_id)).version
        for text in ("first", "second"):
            trial.bench.advance(1)
            (receipt,) = await trial.done(trial.edit(record_id, {field: text}, version=version))
            read = (await trial.read(record_id)).version
            expect(
                receipt.version in {read, None},
                "The version in a receipt must be the one that the next write may be conditional on.",
                (receipt.version, read),
            )
            version = receipt.version or read


_MERGED_AWAY = (
    "An update of a record that was merged away must be `gone`, as of any that is not there: the engine then asks what"
    " became of it, and is told of the merge. A redirect (301) is such an answer: name it in `expect`."
    " Where the app itself leads the old id on, the receipt must name the record that was written."
)


class GoneContract:
    """Writes to what is not there."""

    @check
    async def test_an_update_of_what_is_gone_is_gone(self, trial: Trial) -> None:
        field = await trial.plain_field()
        deleted = trial.person()
        trial.bench.delete(deleted)
        for record_id in (deleted, trial.bench.missing_id()):
            verdict = await trial.tried(trial.edit(record_id, {field: "written"}))
            outcomes = [receipt.outcome for receipt in verdict.receipts]
            expect(
                outcomes == [Outcome.GONE],
                "An update of a record that is not there must be `gone`, and nothing else: the engine then asks what"
                " became of it.",
                (outcomes, verdict.error),
            )
            answer = (await trial.fetch([record_id]))[record_id]
            expect(not isinstance(answer, Record), "An update must not bring a record back, nor make one.", answer)

    @check
    async def test_a_deletion_of_what_is_gone_is_gone_or_done(self, trial: Trial) -> None:
        for kind in sorted(trial.caps.kinds & {Kind.DELETE, Kind.ARCHIVE}):
            record_id = trial.person()
            trial.bench.delete(record_id)
            receipts = (await trial.tried(trial.removal(record_id, kind))).receipts
            outcomes = {receipt.outcome for receipt in receipts}
            expect(
                outcomes <= {Outcome.GONE, Outcome.DONE} and bool(outcomes),
                f"A {kind.value} of what is gone already must be `gone` (or `done`): nothing is left to do.",
                outcomes,
            )

    @check
    async def test_an_update_of_what_was_merged_away_says_so(self, trial: Trial) -> None:
        if not trial.bench.merges:
            return
        field = await trial.plain_field()
        loser, survivor = trial.person(), trial.person()
        trial.bench.merge(loser, survivor)
        before = dict(trial.bench.stored(survivor))
        try:
            (receipt,) = await trial.apply(trial.edit(loser, {field: "written"}))
        except ConnectorError as error:
            raise ContractBroken(f"{_MERGED_AWAY}\n  Found: {error!r}") from error
        expect(
            receipt.outcome is Outcome.GONE or (receipt.outcome is Outcome.DONE and receipt.id == survivor),
            _MERGED_AWAY,
            (receipt.outcome, receipt.id),
        )
        expect(
            receipt.outcome is Outcome.DONE or dict(trial.bench.stored(survivor)) == before,
            "An update that is `gone` must not have been made to the survivor of a merge.",
        )

    @check
    async def test_one_record_that_is_gone_does_not_hold_back_the_others(self, trial: Trial) -> None:
        if trial.batch(Kind.UPDATE) < 3:
            return
        field = await trial.plain_field()
        first, gone, last = trial.people(3)
        trial.bench.delete(gone)
        verdict = await trial.tried(*(trial.edit(one, {field: "written"}) for one in (first, gone, last)))
        outcomes = [receipt.outcome for receipt in verdict.receipts]
        expect(
            outcomes == [Outcome.DONE, Outcome.GONE, Outcome.DONE],
            "A record that is gone must have a receipt of its own; the others of the batch are `done`.",
            (outcomes, verdict.error),
        )

    @check
    async def test_what_we_write_is_told_by_the_feed(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        write = trial.creation()
        cursor = await trial.now()
        trial.bench.advance(300)
        (receipt,) = await trial.done(write)
        made = await trial.made(receipt, write)
        trial.settle()
        heard = await trial.follow(cursor)
        expect(
            made in heard.records.keys() | heard.named,
            "`changes` must tell our own writes, too: an echo is judged by its values, never left out by its author.",
        )
