"""What is asked of an account, of snapshots, and of reads by id and by value."""

import inspect

from twoway.core.model import MARKER, Absence, Outcome, Page, Presence, Raw, Record
from twoway.ports import Connector, Consistency, FieldType, HookRequest
from twoway.sdk.errors import ConnectorError, HookRefused
from twoway.testing.contract.trial import Heard, Trial, check, expect, same, told

_MANY = "The bench's `many` must be more than a page of the snapshot holds."


class AccountContract:
    """The account, its collections and fields."""

    @check
    async def test_check_names_the_account(self, trial: Trial) -> None:
        info = await trial.connector.check()
        expect(bool(info.name.strip()), "`check` must name the account in words that its owner recognises.", info.name)
        trial.keep_secrets("The answer of `check`", f"{info.name} {info.notes}")
        trial.keep_secrets("The `repr` of a connector", repr(trial.connector))

    @check
    async def test_the_connector_is_one(self, trial: Trial) -> None:
        expect(
            isinstance(trial.connector, Connector),
            "The connector must have every method of `twoway.sdk.Connector`: the engine calls all of them.",
            sorted(name for name in vars(Connector) if not name.startswith("_") and not hasattr(trial.connector, name)),
        )
        methods = [
            getattr(trial.connector, name) for name in ("check", "changes", "snapshot", "fetch", "find", "apply")
        ]
        expect(
            all(inspect.iscoroutinefunction(method) for method in methods),
            "Methods that ask the app must be coroutines: a blocking driver belongs into `BlockingDriver`.",
        )

    @check
    async def test_collections_are_sorted_and_hold_this_one(self, trial: Trial) -> None:
        names = [info.name for info in await trial.connector.collections()]
        expect(names == sorted(names), "`collections` must be sorted by name: people read them, tests compare them.")
        expect(trial.bench.collection in names, "`collections` must tell the collection that is in use.", names)

    @check
    async def test_describe_is_sorted_and_names_each_field_once(self, trial: Trial) -> None:
        names = [info.name for info in await trial.connector.describe()]
        expect(names == sorted(set(names)), "`describe` must be sorted by name, each name once.", names)

    @check
    async def test_describe_tells_every_field_that_records_have(self, trial: Trial) -> None:
        described = {info.name for info in await trial.connector.describe()}
        record = await trial.read(trial.person())
        expect(
            record.values.keys() <= described,
            "A record must not hold a field that `describe` does not tell: no mapping could name it.",
            sorted(record.values.keys() - described),
        )

    @check
    async def test_describe_and_the_capabilities_agree_on_what_is_unique(self, trial: Trial) -> None:
        fields = {info.name: info for info in await trial.connector.describe()}
        caps = trial.caps
        expect(
            caps.unique <= fields.keys() and caps.find_fields - {MARKER} <= fields.keys(),
            "`unique` and `find_fields` must name fields that `describe` tells.",
            sorted((caps.unique | caps.find_fields) - fields.keys()),
        )
        expect(
            all(fields[name].unique for name in caps.unique),
            "A field in `unique` must be described as unique: people are shown only the description.",
            sorted(name for name in caps.unique if not fields[name].unique),
        )

    @check
    async def test_a_webhook_that_proves_nothing_is_refused(self, trial: Trial) -> None:
        request = HookRequest("POST", "https://twoway.test/hooks/x", {"content-type": "application/json"}, b"{}")
        try:
            ids = trial.connector.parse_hook(request)
        except HookRefused:
            return
        expect(
            False,
            "`parse_hook` must raise `HookRefused` for a call without a valid signature: anybody sends them.",
            ids,
        )


class SnapshotContract:
    """The complete listing."""

    @check
    async def test_a_snapshot_lists_every_live_record_and_no_other(self, trial: Trial) -> None:
        kept, deleted = trial.people(7), trial.people(2)
        for record_id in deleted:
            trial.bench.delete(record_id)
        if trial.caps.snapshot is not Consistency.CONSISTENT:
            trial.settle()
        heard = await trial.snapshot()
        expect(
            heard.records.keys() | heard.named == set(kept),
            "A snapshot must list what lives and nothing else, at once where it is declared `consistent`: what it lacks"
            " is taken for deleted.",
            {"missing": sorted(set(kept) - heard.records.keys()), "more": sorted(heard.records.keys() - set(kept))},
        )

    @check
    async def test_a_snapshot_of_nothing_ends_properly(self, trial: Trial) -> None:
        heard = await trial.snapshot()
        expect(not heard.records and heard.pages[-1].last, "A snapshot of an empty collection must end with `last`.")

    @check
    async def test_a_long_snapshot_is_complete_page_by_page_in_fresh_connectors(self, trial: Trial) -> None:
        ids = set(trial.people(trial.bench.many))
        trial.settle()
        heard = Heard()
        while not heard.pages or not heard.pages[-1].last:
            before = heard.cursor
            await trial.take(heard, await trial.open().snapshot(before))
            trial.moved(before, heard.pages[-1])
        missing = ids - heard.records.keys() - heard.named
        expect(
            not missing,
            "A snapshot must go on from its cursor alone, in another process too: nothing may live in the connector.",
            f"{len(missing)} of {len(ids)} missing",
        )
        expect(len(heard.pages) > 1 or _is_whole(heard.pages[0]), _MANY)
        totals = {page.total for page in heard.pages} - {None}
        expect(
            totals <= {len(ids)},
            "`total` is the app's count of the whole listing on every page, or None.",
            totals,
        )

    @check
    async def test_a_snapshot_misses_nobody_while_records_come_and_go(self, trial: Trial) -> None:
        field = await trial.plain_field()
        ids = trial.people(trial.bench.many)
        trial.settle()
        page = await trial.connector.snapshot(None)
        heard = Heard()
        await trial.take(heard, page)
        shown = told(page)
        rest = [one for one in ids if one not in heard.records]
        expect(bool(rest) or _is_whole(page), _MANY)
        leavers = {*shown[:5], *rest[:2], *rest[-2:]}  # a listing may begin with the oldest, or with the newest
        for record_id in leavers:
            trial.bench.delete(record_id)
        for record_id in {*shown[5:9], *rest[2:4], *rest[-4:-2]} - leavers:
            trial.bench.update(record_id, {field: "edited meanwhile"})
        trial.people(3)
        trial.settle()  # an index that lags would hide till the end that the listing has shifted
        while not heard.pages[-1].last:
            before = heard.cursor
            await trial.take(heard, await trial.connector.snapshot(before))
            trial.moved(before, heard.pages[-1])
        missing = set(ids) - leavers - heard.records.keys() - heard.named
        expect(
            not missing,
            "A snapshot must not skip a record because others came or went between its pages (offsets do):"
            " a record that it skips looks deleted.",
            f"{len(missing)} missing, such as {sorted(missing)[:3]}",
        )

    @check
    async def test_every_read_tells_the_same_of_a_record(self, trial: Trial) -> None:
        record_id = trial.person()
        trial.settle()
        fetched = await trial.read(record_id)
        listed = (await trial.snapshot()).records[record_id]
        for name in ("values", "version", "modified", "marker"):
            one, two = getattr(fetched, name), getattr(listed, name)
            expect(
                one == two,
                f"`fetch` and `snapshot` must tell the same {name} of a record that rests: a difference looks like an"
                " edit.",
                (one, two),
            )
        again = await trial.read(record_id)
        expect(again == fetched, "Two reads of a record that rests must be equal, its version too.", (again, fetched))

    @check
    async def test_a_field_that_is_empty_is_none_and_not_missing(self, trial: Trial) -> None:
        fields = await trial.fields()
        record_id = trial.person()
        trial.settle()
        for name, record in {
            "fetch": await trial.read(record_id),
            "snapshot": (await trial.snapshot()).records[record_id],
        }.items():
            expect(
                fields.keys() <= record.values.keys(),
                f"`{name}` must give a field that is empty as None: a missing key says that it was not read, and"
                " clearing it would never be seen.",
                sorted(fields.keys() - record.values.keys()),
            )
            expect(
                "" not in [value for value in record.values.values() if isinstance(value, str)],
                f"`{name}` must give an empty field as None and not as an empty text.",
            )


def _is_whole(page: Page) -> bool:
    """Whether this is a listing that has no pages: versions take so little room that an app may tell all at once."""
    return page.last and not page.records


class FetchContract:
    """Reads by id, and what they say of what is no more."""

    @check
    async def test_fetch_answers_every_id(self, trial: Trial) -> None:
        live, deleted, missing = trial.person(), trial.person(), trial.bench.missing_id()
        trial.bench.delete(deleted)
        found = await trial.fetch([live, deleted, missing])
        expect(isinstance(found[live], Record), "`fetch` must give a live record.", found[live])
        for record_id in (deleted, missing):
            answer = found[record_id]
            expect(
                isinstance(answer, Absence) and answer.presence.proves_absence,
                "`fetch` must say of a record that is not there that it is gone or archived: it is the only proof of a"
                " deletion.",
                answer,
            )

    @check
    async def test_fetch_of_nothing_is_nothing(self, trial: Trial) -> None:
        expect(not await trial.connector.fetch([]), "`fetch` of no ids must give no answers.")

    @check
    async def test_fetch_takes_the_batch_that_it_declares(self, trial: Trial) -> None:
        ids = trial.people(trial.caps.fetch_batch)
        found = await trial.connector.fetch(ids)
        live = [record_id for record_id in ids if isinstance(found.get(record_id), Record)]
        expect(live == ids, "`fetch` must take `fetch_batch` ids at once.", f"{len(live)} of {len(ids)} answered")

    @check
    async def test_fetch_shows_the_present(self, trial: Trial) -> None:
        field = await trial.plain_field()
        record_id = trial.person()
        await trial.read(record_id)
        trial.bench.advance(0.001)
        trial.bench.update(record_id, {field: "the newest"})
        expect(
            (await trial.read(record_id)).values[field] == "the newest",
            "`fetch` must show every change made before it: it is what decisions are checked against.",
        )

    @check
    async def test_a_restored_record_lives(self, trial: Trial) -> None:
        if trial.bench.restores:
            record_id = trial.person()
            trial.bench.delete(record_id)
            answer = (await trial.fetch([record_id]))[record_id]
            expect(
                isinstance(answer, Absence) and answer.presence.proves_absence,
                "A record that was deleted is gone or archived, also where it can be restored.",
                answer,
            )
            trial.bench.advance(1)
            trial.bench.restore(record_id)
            await trial.read(record_id)

    @check
    async def test_merges_are_told_or_hidden_as_declared(self, trial: Trial) -> None:
        caps = trial.caps
        if not trial.bench.merges:
            expect(not caps.feed_merges, "`feed_merges` is declared: the bench must be able to `merge`, to prove it.")
            return
        loser, survivor = trial.person(), trial.person()
        cursor = await trial.now() if caps.feed is not Consistency.NONE else None
        trial.settle()
        trial.bench.merge(loser, survivor)
        answer = (await trial.fetch([loser]))[loser]
        expect(
            isinstance(answer, Absence),
            "`fetch` of a record that was merged away must not give the survivor: two links would lead to one record.",
            answer,
        )
        if caps.feed_merges:
            expect(
                isinstance(answer, Absence) and answer.presence is Presence.MERGED and answer.into == survivor,
                "With `feed_merges`, `fetch` must say into which record the loser went: its link moves there.",
                answer,
            )
        else:
            expect(
                caps.hides_merges,
                "An app that shows a merge only as a deletion must declare `hides_merges`: else the other side's person"
                " is deleted, too.",
            )
        await trial.read(survivor)
        if cursor is not None:
            trial.settle()
            heard = await trial.follow(cursor)
            expect(loser not in heard.records, "`changes` must not list a record that was merged away as live.")
            expect(
                heard.merged.items() <= {(loser, survivor)},
                "`merged` must hold (the record that went, the one that it went into): the link moves to the second.",
                heard.merged,
            )
            expect(
                caps.hides_merges or caps.feed is not Consistency.CONSISTENT or loser not in heard.gone,
                "A feed that is declared `consistent` is believed: it must tell a merge in `merged`, or the id alone in"
                " `ids`. In `gone` it is a deletion, and the other side's person is deleted, too.",
                sorted(heard.gone),
            )


class FindContract:
    """Look-ups by value."""

    @check
    async def test_find_tells_who_holds_a_value(self, trial: Trial) -> None:
        caps = trial.caps
        expect(
            not caps.find_fields or caps.find is not Consistency.NONE,
            "`find_fields` names fields, so `find` must say how a look-up relates to the writes before it.",
        )
        for field in sorted(caps.find_fields - {MARKER}):
            samples = [trial.sample(), trial.sample(), trial.sample()]
            if field not in samples[0]:
                continue
            holder, leaver = trial.bench.create(samples[0]), trial.bench.create(samples[1])
            trial.bench.delete(leaver)
            if caps.find is Consistency.LAGGING:
                trial.settle()
            # Spelt otherwise, too: the engine asks by the canonical form, and looks the answer up by what it asked.
            other = str(samples[2][field]).swapcase()
            asked: list[Raw] = [
                *(sample[field] for sample in samples),
                *([other] if other != samples[2][field] else []),
            ]
            found = await trial.connector.find(field, asked)
            expect(
                set(found) == set(asked),
                f"`find` by {field} must answer every value, under the value that it was asked for.",
                len(found),
            )
            expect(
                list(found[asked[0]]) == [holder],
                f"`find` by {field} must tell the live record that holds the value, once `lag` is over.",
                list(found[asked[0]]),
            )
            expect(
                not found[asked[1]] and not found[asked[2]],
                f"`find` by {field} must tell nobody for a value that no live record holds.",
            )

    @check
    async def test_find_takes_any_sign_in_a_value_for_itself(self, trial: Trial) -> None:
        caps = trial.caps
        fields = await trial.fields()
        for field in sorted(caps.find_fields & fields.keys()):
            if fields[field].type is not FieldType.EMAIL:
                continue
            write = trial.creation(**{field: "o'neil+tag&x=1#%41@mail.test"})
            plain = trial.creation(**{field: "plus+tag@mail.test"})
            for one in (write, plain):
                verdict = await trial.tried(one)
                if verdict.error is not None or verdict.receipts[0].outcome is not Outcome.DONE:
                    continue  # an app need not take it
                made = await trial.made(verdict.receipts[0], one)
                trial.settle()
                value = one.changed[field]
                found = await trial.connector.find(field, [value])
                expect(
                    list(found[value]) == [made],
                    f"`find` by {field} must quote what it asks for: in an address `+` is a blank, and `&` begins"
                    " another parameter. Hand values to the HTTP client as `params`, and never as a part of the path.",
                    list(found[value]),
                )

    @check
    async def test_every_field_that_find_is_declared_for_can_be_looked_up(self, trial: Trial) -> None:
        sample = trial.sample()
        for field in sorted(trial.caps.find_fields):
            asked = sample.get(field, "nobody-holds-this")
            try:
                found: object = dict(await trial.connector.find(field, [asked]))
            except ConnectorError as error:
                found = error
            expect(
                isinstance(found, dict) and [*found] == [asked] and not found[asked],
                f"`find_fields` names {field}: `find` must look it up, and answer nobody for a value that none holds."
                " The engine asks by it after a lost answer, and would be refused in each cycle.",
                found,
            )

    @check
    async def test_find_tells_all_who_hold_a_value(self, trial: Trial) -> None:
        caps = trial.caps
        fields = await trial.fields()
        for field in sorted((caps.find_fields & fields.keys()) - caps.unique):
            value = trial.sample().get(field)
            if value is None or fields[field].unique:
                continue
            holders = {trial.bench.create({**trial.sample(), field: value}) for _ in range(3)}
            trial.settle()
            found = set((await trial.connector.find(field, [value]))[value])
            expect(
                found == holders,
                f"`find` by {field} must tell every holder: one of several, taken for the only one, is linked wrongly.",
                (sorted(found), sorted(holders)),
            )

    @check
    async def test_a_record_is_found_by_the_marker_that_its_create_carried(self, trial: Trial) -> None:
        if MARKER not in trial.caps.find_fields:
            return
        write = trial.creation()
        (receipt,) = await trial.done(write)
        if trial.caps.find is Consistency.LAGGING:
            trial.settle()
        made = await trial.made(receipt, write)
        found = await trial.connector.find(MARKER, [write.operation, "no-such-operation"])
        expect(
            list(found[write.operation]) == [made] and not found["no-such-operation"],
            "With `MARKER` in `find_fields`, `find` must tell the record of an operation id: so a create whose answer"
            " was lost is found.",
            {key: list(value) for key, value in found.items()},
        )
        expect(
            (await trial.read(made)).marker == write.operation,
            "A record must show the marker that it was created with.",
        )
        expect((await trial.read(trial.person())).marker is None, "What a person made has no marker of ours.")

    @check
    async def test_values_of_found_records_are_what_was_asked_for(self, trial: Trial) -> None:
        fields = await trial.fields()
        for field in sorted(trial.caps.find_fields & fields.keys()):
            sample = trial.sample()
            if field in sample:
                record_id = trial.bench.create(sample)
                held = (await trial.read(record_id)).values[field]
                expect(
                    same(fields[field], held, sample[field]),
                    f"A record must show in {field} the value by which `find` finds it.",
                )
