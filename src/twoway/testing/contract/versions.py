"""What is asked of listings that tell of records no more than their versions, and of a snapshot that tells its feed."""

from twoway.core.model import Page
from twoway.ports import Consistency
from twoway.testing.contract.trial import Heard, Trial, check, expect, told

_SKIPPED = (
    "A record that is listed at the version that was read last is taken to be as it was, and is not read: an edit that"
    " hides behind it is never seen."
)


class VersionContract:
    """Versions in listings; it asks nothing of an app whose listings tell whole records."""

    @check
    async def test_a_listing_tells_the_version_that_fetch_tells(self, trial: Trial) -> None:
        field = await trial.plain_field()
        cursor = await _beginning(trial)
        people = trial.people(2)
        create = trial.creation()
        (receipt,) = await trial.done(create)
        ours = await trial.made(receipt, create)
        await trial.done(trial.edit(people[1], {field: "written"}))
        trial.settle()
        for name, heard in (await _listings(trial, cursor)).items():
            differing = [
                (heard.versions[one], heard.records[one].version if one in heard.records else None)
                for one in (*people, ours)
                if one in heard.versions
                and (one not in heard.records or heard.records[one].version != heard.versions[one])
            ]
            expect(
                not differing,
                f"`{name}` must tell of a record that rests the very version that `fetch` tells of it, whoever wrote it"
                " last: else it is read each time, or never again.",
                differing,
            )

    @check
    async def test_a_version_in_a_listing_stands_for_one_content(self, trial: Trial) -> None:
        caps = trial.caps
        field = await trial.plain_field()
        cursor = await _beginning(trial)
        record_id = trial.person()
        trial.settle()
        if not any(heard.versions for heard in (await _listings(trial, cursor)).values()):
            return
        contents: dict[str, object] = {}
        consistency = {"snapshot": caps.snapshot, "changes": caps.feed}

        async def look(*, settled: bool) -> None:
            content = dict(trial.bench.stored(record_id))
            versions = [(await trial.read(record_id)).version]
            for name, heard in (await _listings(trial, cursor)).items():
                # A listing that lags may show the version of an earlier content, truthfully.
                if settled or consistency[name] is Consistency.CONSISTENT:
                    versions.append(heard.versions.get(record_id))
            for version in versions:
                expect(
                    version is None or contents.setdefault(version, content) == content,
                    f"{_SKIPPED} A version must differ after each edit, a person's or ours, also after two at the same"
                    " instant. Where the app's versions are too coarse list whole records, or ids.",
                    version,
                )

        await look(settled=True)
        for at, text in enumerate(("one", "two", "three", "one", "two", "four")):
            if at % 2:
                await trial.done(trial.edit(record_id, {field: text}))
            else:
                trial.bench.update(record_id, {field: text})
            await look(settled=False)
        trial.settle()
        await look(settled=True)

    @check
    async def test_a_record_that_rests_is_listed_at_one_version(self, trial: Trial) -> None:
        cursor = await _beginning(trial)
        trial.people(3)
        trial.settle()
        first = await _listings(trial, cursor)
        trial.bench.advance(3600)
        again = {
            "snapshot": await trial.snapshot(connector=trial.open()),
            **({"changes": await trial.follow(cursor, connector=trial.open())} if cursor is not None else {}),
        }
        for name, heard in first.items():
            expect(
                heard.versions == again[name].versions,
                f"`{name}` must tell of a record that rests the same version each time: else the whole collection is"
                " read with every listing.",
                (heard.versions, again[name].versions),
            )


class SnapshotFeedContract:
    """Where the feed goes on after a snapshot."""

    @check
    async def test_a_snapshot_tells_the_feeds_cursor_where_that_is_declared(self, trial: Trial) -> None:
        caps = trial.caps
        trial.people(3)
        trial.settle()
        expect(
            caps.feed is not Consistency.NONE or not caps.snapshot_feed,
            "`snapshot_feed` is declared, and there is no feed: the engine has nothing to go on with.",
        )
        pages = (await trial.snapshot()).pages
        if caps.snapshot_feed:
            expect(
                isinstance(pages[0].feed, str),
                "`snapshot_feed` is declared: a snapshot's first page must tell the cursor of the feed, or the engine"
                " lists everything again, cycle after cycle.",
                pages[0].feed,
            )
        else:
            feeds = [page.feed for page in pages if page.feed is not None]
            expect(not feeds, "A snapshot that tells the feed's cursor must declare `snapshot_feed`.", feeds)

    @check
    async def test_what_changes_while_a_snapshot_is_read_is_told_by_the_feed_after_it(self, trial: Trial) -> None:
        caps = trial.caps
        if caps.feed is Consistency.NONE:
            return
        field = await trial.plain_field()
        early, *others = trial.people(trial.bench.many)
        trial.settle()
        trial.bench.advance(90)
        cursor = None if caps.snapshot_feed else await trial.now()
        edited = {early: "just before"}
        trial.bench.update(early, {field: edited[early]})
        page = await trial.connector.snapshot(None)
        cursor = page.feed if caps.snapshot_feed else cursor
        heard = Heard()
        await trial.take(heard, page)
        deleted = _meanwhile(trial, field, page, others, edited)
        created = trial.person()
        while not heard.pages[-1].last:
            await trial.take(heard, await trial.connector.snapshot(heard.cursor))
        trial.settle()
        heard.add_all(await trial.follow(cursor))
        behind = [
            one
            for one, text in edited.items()
            if one not in heard.named and (one not in heard.records or heard.records[one].values[field] != text)
        ]
        expect(
            not behind and created in heard.records.keys() | heard.named,
            "What is edited once a snapshot has begun must be in it, or in the feed that goes on from where it began"
            " (its own `feed` if that is declared, else what `changes(None)` told before): a cursor of a later moment"
            " skips it for good.",
            {"edits missed": len(behind), "new record told": created in heard.records.keys() | heard.named},
        )
        expect(
            not caps.feed_deletions or set(deleted) <= heard.gone | heard.named,
            "What is deleted once a snapshot has begun must be told by the feed that goes on from where it began.",
            sorted(set(deleted) - heard.gone - heard.named),
        )


def _meanwhile(trial: Trial, field: str, page: Page, ids: list[str], edited: dict[str, str]) -> list[str]:
    """Edit and delete what the first page has shown, and what it has not; answers what was deleted."""
    shown = [one for one in told(page) if one not in edited]
    waiting = [one for one in ids if one not in set(shown)]
    for record_id in (*shown[:2], *waiting[-2:]):
        edited[record_id] = "edited meanwhile"
        trial.bench.update(record_id, {field: edited[record_id]})
    deleted = [*shown[2:3], *waiting[-3:-2]]
    for record_id in deleted:
        trial.bench.delete(record_id)
    return deleted


async def _beginning(trial: Trial) -> str | None:
    """A cursor from which the feed tells all that comes; None where there is no feed."""
    return None if trial.caps.feed is Consistency.NONE else await trial.now()


async def _listings(trial: Trial, cursor: str | None) -> dict[str, Heard]:
    """What each listing tells, by the method's name."""
    heard = {"snapshot": await trial.snapshot()}
    if cursor is not None:
        heard["changes"] = await trial.follow(cursor)
    return heard
