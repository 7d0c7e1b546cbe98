"""What `changes` owes: nothing missed, whatever shares an instant, whatever changes between two pages."""

from twoway.ports import Consistency
from twoway.sdk.errors import SnapshotNeeded, TellUser, TryLater
from twoway.testing.contract.bench import Setup
from twoway.testing.contract.trial import Heard, Trial, check, expect, told

_MISSED = "Nothing that changed may be missed: a change that the feed skips is never carried over, and nobody notices."


class FeedContract:
    """The incremental listing; it asks nothing of an app that has none."""

    @check
    async def test_a_feed_begins_now(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        trial.people(3)
        trial.settle()
        page = await trial.connector.changes(None)
        expect(
            page.last and page.cursor is not None and not (told(page) or page.gone),
            "`changes(None)` must give an empty last page whose cursor is now: what is older is the snapshot's matter.",
            page,
        )

    @check
    async def test_changes_tell_edits_and_new_records(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        field = await trial.plain_field()
        edited, resting = trial.person(), trial.person()
        trial.settle()
        cursor = (await trial.follow(await trial.now())).cursor
        trial.bench.advance(300)
        trial.bench.update(edited, {field: "edited"})
        created = trial.person()
        if trial.caps.feed is not Consistency.CONSISTENT:
            trial.settle()
        heard = await trial.follow(cursor)
        expect(
            {edited, created} <= heard.records.keys() | heard.named, _MISSED, sorted(heard.records.keys() | heard.named)
        )
        if edited in heard.records:
            expect(
                heard.records[edited].values[field] == "edited",
                "Once `lag` is over, `changes` must show what a record holds now.",
            )
        after = await trial.follow(heard.cursor)
        expect(not after.gone, "`changes` must not tell of a live record that it is gone.", sorted(after.gone))
        expect(
            resting in trial.bench.live() and resting not in heard.gone,
            "`changes` must not tell of a live record that it is gone.",
        )

    @check
    async def test_an_edit_at_the_instant_of_the_last_read_is_told_next(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        field = await trial.plain_field()
        first, second, third = trial.people(3)
        trial.settle()
        cursor = (await trial.follow(await trial.now())).cursor
        seen = Heard()
        trial.bench.update(first, {field: "1"})
        for record_id in (second, third):
            heard = await trial.follow(cursor)
            cursor = heard.cursor
            seen.add_all(heard)
            trial.bench.update(record_id, {field: "2"})
        trial.settle()
        seen.add_all(await trial.follow(cursor))
        found = {
            record_id for record_id in (first, second, third) if record_id in seen.records or record_id in seen.named
        }
        expect(
            found == {first, second, third},
            f"{_MISSED} The clock of an app is coarse: a record may change after the read, in the very instant that the"
            " read ended with. Read an overlap of `resolution` again.",
            f"{len(found)} of 3",
        )
        stale = [
            record_id
            for record_id in (second, third)
            if record_id in seen.records and seen.records[record_id].values[field] != "2"
        ]
        expect(not stale, f"{_MISSED} The last word of the feed must be the present.", stale)

    @check
    async def test_what_an_index_shows_late_is_told_by_a_later_read(self, trial: Trial) -> None:
        caps = trial.caps
        if caps.feed is Consistency.NONE:
            return
        field = await trial.plain_field()
        ids = trial.people(24)
        trial.settle()
        cursor = (await trial.follow(await trial.now())).cursor
        heard = Heard()
        for record_id in ids:
            trial.bench.update(record_id, {field: "edited"})
            trial.bench.advance(max(caps.lag, caps.resolution) / 8000)
            later = await trial.follow(cursor)
            cursor = later.cursor
            heard.add_all(later)
        trial.settle()
        heard.add_all(await trial.follow(cursor))
        told_of = {one: record.values[field] for one, record in heard.records.items()}
        missed = [one for one in ids if one not in heard.named and told_of.get(one) != "edited"]
        expect(
            not missed,
            f"{_MISSED} An index that lags may show the newer of two changes first. Read an overlap of `lag` +"
            " `resolution` before the newest change that was seen (`overlap_start`), and declare the whole of `lag`.",
            f"{len(missed)} of {len(ids)} missed",
        )

    @check
    async def test_many_changes_of_one_instant_are_all_told(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        trial.person()
        trial.settle()
        cursor = (await trial.follow(await trial.now())).cursor
        trial.bench.advance(300)
        ids = set(trial.people(trial.bench.many))
        trial.settle()
        heard = await trial.follow(cursor)
        missing = ids - heard.records.keys() - heard.named
        expect(
            not missing,
            f"{_MISSED} An import gives many records one instant: the edge of a page then falls between equals.",
            f"{len(missing)} of {len(ids)} missed, on {len(heard.pages)} pages",
        )

    @check
    async def test_changes_between_two_pages_are_told_in_this_read_or_the_next(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        field = await trial.plain_field()
        trial.person()
        trial.settle()
        cursor: str | None = (await trial.follow(await trial.now())).cursor
        trial.bench.advance(300)
        ids = trial.people(trial.bench.many)
        trial.settle()
        trial.bench.advance(3600)  # or the overlap of the next read makes up for what is skipped now
        heard = Heard(cursor=cursor)
        edited: dict[str, str] = {}
        while not heard.pages or not heard.pages[-1].last:
            before = heard.cursor
            page = await trial.connector.changes(before)
            await trial.take(heard, page)
            trial.moved(before, page)
            turn = len(heard.pages)
            shown = [one for one in told(page) if one not in edited]
            waiting = [one for one in ids if one not in heard.records and one not in edited]
            if turn > 1:
                waiting = []  # who was skipped is among them, and an edit would bring him back
            for record_id in (*shown[:2], *shown[-2:], *waiting[:2], *waiting[-2:]) if turn <= 3 else ():
                edited[record_id] = f"edited after page {turn}"
                trial.bench.update(record_id, {field: edited[record_id]})
            if turn == 1:
                trial.settle()  # an index that lags would hide till the end that the listing has shifted
            trial.bench.advance(0.4)
        trial.settle()
        heard.add_all(await trial.follow(heard.cursor))
        missing = set(ids) - heard.records.keys() - heard.named
        expect(
            not missing,
            f"{_MISSED} Records that change meanwhile move within the listing; those that rest must not fall between"
            " two pages (page by time and id, not by offset).",
            f"{len(missing)} of {len(ids)} missed",
        )
        stale = [
            record_id
            for record_id, text in edited.items()
            if record_id in heard.records and record_id not in heard.named
            if heard.records[record_id].values[field] != text
        ]
        expect(
            not stale,
            f"{_MISSED} What changed while the pages were read must come in this read or in the next.",
            f"{len(stale)} of {len(edited)} edits missed",
        )

    @check
    async def test_a_kept_cursor_goes_on_in_a_fresh_connector(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        field = await trial.plain_field()
        other, *ids = trial.people(4)
        trial.settle()
        cursor = (await trial.follow(await trial.now())).cursor
        trial.bench.advance(3600)
        for record_id in ids:
            trial.bench.update(record_id, {field: "edited"})
        trial.settle()
        reads = (
            ("the first read from it, by a new connector", trial.open()),
            ("the second read from it, by a new connector", trial.open()),
            ("a read by the connector that gave it", trial.connector),
            ("a second read by that connector, which has read on meanwhile", trial.connector),
        )
        for which, connector in reads:
            heard = await trial.follow(cursor, connector=connector)
            expect(
                set(ids) <= heard.records.keys() | heard.named,
                "A cursor must hold all that the listing needs, and stay good until the next one is stored: the process"
                f" may end in between, and a page that could not be stored is asked for again. (This is {which}.)",
                f"{len(heard.records)} records",
            )
            trial.bench.advance(3600)
            trial.bench.update(other, {field: f"edited after {which}"})
            trial.settle()
            await trial.follow(heard.cursor, connector=connector)

    @check
    async def test_a_feed_at_rest_stays_at_rest(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        ids = trial.people(3)
        cursor: str | None = await trial.now()
        listed: set[str] = set()
        for _ in range(8):
            trial.bench.advance(300)
            heard = await trial.follow(cursor)
            cursor = heard.cursor
            expect(cursor is not None, "The last page of `changes` must give the cursor of the next read.")
            listed = heard.records.keys() | heard.gone
        expect(listed <= set(ids), "`changes` must tell nothing but records of this collection.", sorted(listed))

    @check
    async def test_a_wrong_clock_of_ours_moves_no_cursor(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        field = await trial.plain_field()
        for setup in sorted({Setup.CLOCK_AHEAD, Setup.CLOCK_BEHIND} & trial.bench.setups):
            connector = trial.open(setup=setup)
            edited = trial.person()
            trial.settle()
            try:
                cursor = (await trial.follow(None, connector=connector)).cursor
            except (TryLater, TellUser):
                continue  # it has seen that the clock is wrong, and says so before it begins
            trial.bench.advance(300)
            trial.bench.update(edited, {field: f"edited, {setup.value}"})
            trial.settle()
            try:
                heard = await trial.follow(cursor, connector=connector)
            except TryLater as error:
                expect(False, f"{_MISSED} A feed must not begin in the app's future, as our clock is ahead.", error)
            else:
                expect(
                    edited in heard.records.keys() | heard.named,
                    f"{_MISSED} A cursor must be of the app's own time (its newest change, its token): our clock may be"
                    " wrong by any amount.",
                    setup.value,
                )

    @check
    async def test_a_foreign_cursor_asks_for_a_snapshot(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        for cursor in ("", "x", "{}", "[]", "null", '{"feed":"another.app","v":1,"since":1}', "\x00é"):
            try:
                await trial.connector.changes(cursor)
            except SnapshotNeeded:
                continue
            expect(
                False,
                "A cursor that this connector did not make must raise `SnapshotNeeded`: to guess a position is to miss"
                " changes.",
                cursor,
            )

    @check
    async def test_an_expired_cursor_asks_for_a_snapshot(self, trial: Trial) -> None:
        if trial.caps.feed is Consistency.NONE:
            return
        trial.person()
        cursor = await trial.now()
        trial.person()
        expired = trial.bench.expire(cursor)
        if expired is None:
            return
        try:
            await trial.follow(expired)
        except SnapshotNeeded:
            return
        expect(False, "An expired cursor must raise `SnapshotNeeded`: from an empty answer the gap cannot be seen.")

    @check
    async def test_deletions_are_told_where_that_is_declared(self, trial: Trial) -> None:
        caps = trial.caps
        if caps.feed is Consistency.NONE:
            expect(not caps.feed_deletions, "Without a feed there is none that could tell deletions.")
            return
        deleted, kept = trial.person(), trial.person()
        trial.settle()
        cursor = (await trial.follow(await trial.now())).cursor
        trial.bench.advance(300)
        trial.bench.delete(deleted)
        trial.settle()
        heard = await trial.follow(cursor)
        if caps.feed_deletions:
            expect(
                deleted in heard.gone | heard.named,
                "`feed_deletions` is declared: `changes` must tell a deletion, or it is seen only by a snapshot.",
                sorted(heard.gone),
            )
        expect(deleted not in heard.records, "`changes` must not list a deleted record as live once `lag` is over.")
        expect(kept not in heard.gone, "`changes` must not tell of a live record that it is gone.")
